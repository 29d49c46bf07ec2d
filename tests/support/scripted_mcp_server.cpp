#include "support/scripted_mcp_server.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/async.h"
#include "core/json_read.h"

namespace assistiv::test {

namespace {

using core::Json;

class RemoteReply final : public core::UpstreamReply {
 public:
  RemoteReply(RemoteAnswer answer, std::stop_token stop)
      : answer_(std::move(answer)), stop_(std::move(stop)) {}
  int status() const override { return answer_.status; }
  const core::HttpHeaders& headers() const override { return answer_.headers; }

  core::Task<std::string> read(std::size_t max) override {
    if (at_ < answer_.pieces.size()) {
      std::string out = answer_.pieces[at_].substr(0, max);
      answer_.pieces[at_].erase(0, out.size());
      if (answer_.endless && at_ + 1 == answer_.pieces.size()) {
        answer_.pieces[at_] += out;
      } else if (answer_.pieces[at_].empty()) {
        ++at_;
      }
      co_return out;
    }
    if (answer_.hangs) {
      co_await core::sleep_for(std::chrono::hours(1), stop_);
      throw core::OutboundError(core::OutboundFailure::Cancelled, "stopped");
    }
    if (answer_.breaks) throw core::OutboundError(*answer_.breaks, "scripted");
    co_return std::string();
  }

  core::Task<std::optional<std::string>> read_within(std::size_t max, std::chrono::milliseconds,
                                                     std::stop_token) override {
    co_return co_await read(max);
  }

 private:
  RemoteAnswer answer_;
  const std::stop_token stop_;
  std::size_t at_ = 0;
};

std::string with_id(std::string text, const std::string& id) {
  for (auto at = text.find("$ID"); at != std::string::npos; at = text.find("$ID", at))
    text.replace(at, 3, id);
  return text;
}

}  // namespace

RemoteAnswer RemoteAnswer::json(std::string body, int status) {
  return text(status, "application/json", std::move(body));
}

RemoteAnswer RemoteAnswer::result(const Json& result) {
  return json(R"({"jsonrpc":"2.0","id":$ID,"result":)" + core::dump_json(result) + "}");
}

RemoteAnswer RemoteAnswer::error(int code, const std::string& message, int status) {
  return json(
      R"({"jsonrpc":"2.0","id":$ID,"error":)" + core::dump_json({{"code", code}, {"message", message}}) + "}",
      status);
}

RemoteAnswer RemoteAnswer::events(std::vector<std::string> data) {
  RemoteAnswer out;
  out.headers.set("content-type", "text/event-stream");
  for (const auto& one : data) out.pieces.push_back("event: message\ndata: " + one + "\n\n");
  return out;
}

RemoteAnswer RemoteAnswer::text(int status, std::string type, std::string body) {
  RemoteAnswer out;
  out.status = status;
  out.headers.set("content-type", std::move(type));
  out.pieces = {std::move(body)};
  return out;
}

RemoteAnswer RemoteAnswer::with(const std::string& header, const std::string& value) && {
  headers.set(header, value);
  return std::move(*this);
}

void ScriptedMcpServer::on(const std::string& method, Handler handler) {
  std::lock_guard lock(mutex_);
  handlers_[method] = std::move(handler);
}

void ScriptedMcpServer::on(const std::string& method, RemoteAnswer answer) {
  on(method, [answer](const RemoteRequest&) { return answer; });
}

void ScriptedMcpServer::be_modern() {
  on("server/discover",
     RemoteAnswer::result({{"resultType", "complete"},
                           {"supportedVersions", {"2026-07-28", "2025-11-25"}},
                           {"capabilities", {{"tools", Json::object()}}},
                           {"_meta", {{"io.modelcontextprotocol/serverInfo", {{"name", "modern"}}}}}}));
}

void ScriptedMcpServer::be_legacy(const std::string& version, const std::string& session) {
  auto answer = RemoteAnswer::result({{"protocolVersion", version},
                                      {"capabilities", {{"tools", Json::object()}}},
                                      {"serverInfo", {{"name", "legacy"}, {"version", "1"}}}});
  if (!session.empty()) answer.headers.set("mcp-session-id", session);
  on("initialize", answer);
}

std::vector<RemoteRequest> ScriptedMcpServer::requests(const std::string& method) const {
  std::lock_guard lock(mutex_);
  std::vector<RemoteRequest> out;
  for (const auto& request : requests_) {
    if (request.method == method) out.push_back(request);
  }
  return out;
}

std::vector<std::string> ScriptedMcpServer::methods() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  for (const auto& request : requests_) out.push_back(request.method);
  return out;
}

RemoteAnswer ScriptedMcpServer::answer_to(const RemoteRequest& request) {
  Handler handler;
  {
    std::lock_guard lock(mutex_);
    requests_.push_back(request);
    if (const auto it = handlers_.find(request.method); it != handlers_.end()) handler = it->second;
  }
  if (handler) return handler(request);
  if (request.method == "GET") return RemoteAnswer{.status = 405};
  if (request.method.empty() || !request.message.contains("id")) return RemoteAnswer{.status = 202};
  return RemoteAnswer::error(-32601, "Method not found", request.headers.get("mcp-method") ? 404 : 200);
}

core::Task<std::unique_ptr<core::UpstreamReply>> ScriptedMcpServer::open(core::UpstreamRequest request) {
  RemoteRequest seen{request.headers, {}, request.method == "GET" ? "GET" : ""};
  if (request.method != "GET") seen.message = core::parse_json(request.body);
  if (seen.message.contains("method")) seen.method = seen.message["method"].get<std::string>();
  auto answer = answer_to(seen);
  const std::string id = seen.message.contains("id") ? core::dump_json(seen.message["id"]) : "null";
  for (auto& piece : answer.pieces) piece = with_id(std::move(piece), id);
  co_return std::make_unique<RemoteReply>(std::move(answer), request.stop);
}

}  // namespace assistiv::test
