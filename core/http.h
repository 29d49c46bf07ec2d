#pragma once
// HTTP messages as plain values, for the edge and for outbound calls alike.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/task.h"

namespace assistiv::core {

// Ordered, names compared without case. Duplicates are kept; get() gives the first.
class HttpHeaders {
 public:
  using Field = std::pair<std::string, std::string>;
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);
  std::optional<std::string_view> get(std::string_view name) const;
  // How often the name occurs: a header that must be single is checked with it.
  std::size_t count(std::string_view name) const;
  const std::vector<Field>& fields() const { return fields_; }

 private:
  std::vector<Field> fields_;
};

bool equals_ignore_case(std::string_view a, std::string_view b);

// A request as the edge hands it on. `path` is the raw path (still percent-encoded), `query` is without "?".
struct HttpRequest {
  std::string method;
  std::string path;
  std::string query;
  HttpHeaders headers;
  std::string body;
  std::string client_ip;    // the peer, or what a trusted proxy says of it
  bool secure = false;      // TLS here, or X-Forwarded-Proto from a trusted proxy
  std::string request_id;   // made at the edge, or taken from a valid x-request-id
  std::string traceparent;  // W3C trace context, passed on to upstreams; empty when absent or malformed
  std::stop_token
      gone;  // stop is requested when the client has closed the connection or the server ends its wait
};

// Where a streaming reply writes its events. Coroutine-safe within one reply: one writer at a time.
class EventSink {
 public:
  virtual ~EventSink() = default;
  // Sends bytes as they stand (they must be complete SSE lines). Returns when the socket took them
  // (backpressure), false when the client is gone or too slow.
  virtual Task<bool> write(std::string bytes) = 0;
};

struct HttpReply {
  int status = 200;
  HttpHeaders headers;
  std::string body;
  // Set for a streaming reply: called after the head was sent; the connection closes or goes on when it
  // returns. `body` is sent first. What it throws breaks the reply off: the client sees that it is not whole.
  std::function<Task<>(std::shared_ptr<EventSink>)> stream;
};

HttpReply text_reply(int status, std::string body, std::string content_type = "text/plain; charset=utf-8");
HttpReply json_reply(int status, std::string body);

// One server-sent event (WHATWG HTML 9.2). Newlines in `data` become several data lines. Empty parts are left
// out.
std::string sse_event(std::string_view data, std::string_view id = {}, std::string_view event = {},
                      std::optional<int> retry_ms = {});
// The value of one cookie of the request, empty when absent.
std::string cookie(const HttpHeaders& headers, std::string_view name);

// What the edge calls for each request. Must not throw: the pipeline in api/ turns errors into replies.
using HttpHandler = std::function<Task<HttpReply>(HttpRequest)>;

}  // namespace assistiv::core
