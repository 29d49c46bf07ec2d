#pragma once
// A scriptable upstream on 127.0.0.1 (or ::1), port 0: records what it is asked and answers as told, well or
// badly.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/http.h"

namespace assistiv::test {

struct ImposterRequest {
  std::string method;
  std::string target;  // path and query
  core::HttpHeaders headers;
  std::string body;
  std::size_t connection = 0;  // 1 for the first connection that was accepted
};

struct ImposterReply {
  int status = 200;
  core::HttpHeaders headers;
  std::string body;

  std::chrono::milliseconds delay{0};  // before the first byte; ends early when the imposter stops
  bool chunked = false;                // body in one chunk per drip
  bool close = false;                  // "connection: close", and close
  std::size_t drip_bytes = 0;          // the body in pieces of this size, 0: at once
  std::chrono::milliseconds drip_interval{0};
  std::optional<std::size_t> cut_after;  // reset the connection after this many bytes, head included
  std::optional<std::string> raw;        // these bytes instead of all of the above, then close
  bool hold = false;                     // after `raw`: stay open until the other side closes

  static ImposterReply json(std::string body, int status = 200);
  static ImposterReply garbage(std::string bytes);
};

// PEM files of the certificate to serve with; both empty: plain HTTP.
struct ImposterTls {
  std::string certificate;
  std::string private_key;
};

enum class ImposterFamily { V4, V6 };

// Starts in the constructor, ends in the destructor. Thread-safe.
class HttpImposter {
 public:
  explicit HttpImposter(ImposterTls tls = {}, ImposterFamily family = ImposterFamily::V4);
  ~HttpImposter();
  HttpImposter(const HttpImposter&) = delete;
  HttpImposter& operator=(const HttpImposter&) = delete;

  std::uint16_t port() const;
  // "127.0.0.1:<port>" or "[::1]:<port>", as an entry of allowed_hosts.
  std::string host() const;
  // "http://" + host() + target.
  std::string url(std::string_view target) const;

  // How to answer: `next` replies are used up in order, then `handle` or `always` decides; the default is 200
  // "{}".
  void next(ImposterReply reply);
  void always(ImposterReply reply);
  void handle(std::function<ImposterReply(const ImposterRequest&)> handler);

  std::vector<ImposterRequest> requests() const;
  // Waits until `count` requests have been read; false after ten seconds.
  bool wait_for_requests(std::size_t count) const;
  std::size_t connections() const;
  // Waits until no connection is open (the other side has closed); false after ten seconds.
  bool wait_until_closed() const;
  // The server name that the last TLS client asked for.
  std::string last_server_name() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace assistiv::test
