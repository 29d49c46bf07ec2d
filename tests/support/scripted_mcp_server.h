#pragma once
// A remote MCP server without sockets: what it answers to each method is scripted, in either era, as JSON or
// as a stream. Thread-safe.
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/http_client.h"
#include "core/json.h"
#include "core/upstream.h"

namespace assistiv::test {

// One HTTP answer. "$ID" in a piece becomes the id of the request.
struct RemoteAnswer {
  int status = 200;
  core::HttpHeaders headers;
  std::vector<std::string> pieces;              // of the body, one per read
  bool endless = false;                         // the last piece again and again
  bool hangs = false;                           // after the pieces, until the call is stopped
  std::optional<core::OutboundFailure> breaks;  // after the pieces, instead of the end

  static RemoteAnswer json(std::string body, int status = 200);
  static RemoteAnswer result(const core::Json& result);  // of the request
  static RemoteAnswer error(int code, const std::string& message, int status = 200);
  static RemoteAnswer events(std::vector<std::string> data);  // one event for each
  static RemoteAnswer text(int status, std::string type, std::string body);
  RemoteAnswer with(const std::string& header, const std::string& value) &&;
};

struct RemoteRequest {
  core::HttpHeaders headers;
  core::Json message;
  std::string method;  // of JSON-RPC; "" for an answer; "GET" for a stream, which has no message
};

class ScriptedMcpServer final : public core::UpstreamClient {
 public:
  using Handler = std::function<RemoteAnswer(const RemoteRequest&)>;

  // Answers the method from now on. Methods without a handler: 202 for notifications and answers, 404 with
  // -32601 for modern requests, 200 with -32601 for legacy ones.
  void on(const std::string& method, Handler handler);
  void on(const std::string& method, RemoteAnswer answer);
  // server/discover of 2026-07-28.
  void be_modern();
  // initialize that gives this version and session ("": none).
  void be_legacy(const std::string& version = "2025-11-25", const std::string& session = "session-1");

  std::vector<RemoteRequest> requests(const std::string& method) const;
  std::vector<std::string> methods() const;  // of everything that came, in order

  core::Task<std::unique_ptr<core::UpstreamReply>> open(core::UpstreamRequest request) override;

 private:
  RemoteAnswer answer_to(const RemoteRequest& request);
  mutable std::mutex mutex_;
  std::map<std::string, Handler> handlers_;
  std::vector<RemoteRequest> requests_;
};

}  // namespace assistiv::test
