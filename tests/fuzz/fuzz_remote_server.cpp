// What a remote MCP server sends: bodies, streams in any split, lists of tools, results. Nothing may crash,
// what is kept of a tool must read back as it was, and no call goes on for ever.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/json_read.h"
#include "core/upstream.h"
#include "mcp/remote/remote_client.h"
#include "mcp/remote/remote_result.h"
#include "mcp/remote/tool_definition.h"

// Boost 1.74 forgets <utility>; the above brings it.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace {

namespace core = assistiv::core;
namespace mcp = assistiv::mcp;

class FuzzReply final : public core::UpstreamReply {
 public:
  FuzzReply(std::string bytes, std::size_t piece, bool stream) : bytes_(std::move(bytes)), piece_(piece) {
    headers_.set("content-type", stream ? "text/event-stream" : "application/json");
  }
  int status() const override { return 200; }
  const core::HttpHeaders& headers() const override { return headers_; }
  core::Task<std::string> read(std::size_t max) override {
    const auto taken = bytes_.substr(0, std::min(piece_, max));
    bytes_.erase(0, taken.size());
    co_return taken;
  }
  core::Task<std::optional<std::string>> read_within(std::size_t max, std::chrono::milliseconds,
                                                     std::stop_token) override {
    co_return co_await read(max);
  }

 private:
  core::HttpHeaders headers_;
  std::string bytes_;
  std::size_t piece_;
};

// Gives the same to every request, with the request's id where it says $ID.
class FuzzServer final : public core::UpstreamClient {
 public:
  FuzzServer(std::string_view bytes, std::size_t piece, bool stream)
      : bytes_(bytes), piece_(piece), stream_(stream) {}
  core::Task<std::unique_ptr<core::UpstreamReply>> open(core::UpstreamRequest request) override {
    if (const auto message = core::try_parse_json(request.body); message && message->contains("id"))
      id_ = message->at("id").dump();
    std::string bytes = bytes_;
    for (auto at = bytes.find("$ID"); at != std::string::npos; at = bytes.find("$ID", at + id_.size()))
      bytes.replace(at, 3, id_);
    co_return std::make_unique<FuzzReply>(std::move(bytes), piece_, stream_);
  }

 private:
  std::string bytes_, id_;
  std::size_t piece_;
  bool stream_;
};

void check_tools(const std::vector<core::Json>& tools) {
  for (const auto& tool : mcp::read_definitions("own_fuzz", tools)) {
    if (!tool.definition) continue;
    const auto again = mcp::definition_of("own_fuzz", mcp::to_json(*tool.definition));
    if (again.digest != tool.definition->digest || again.name.size() > 64) __builtin_trap();
    mcp::make_tool("own_fuzz", again);
  }
}

core::Task<> talk(FuzzServer* server) {
  mcp::RemoteClientOptions options;
  options.bytes_max = 1 << 20;
  options.events_max = 100;
  options.resume_wait = options.resume_wait_max = std::chrono::milliseconds(0);
  mcp::RemoteClient client(*server, options);
  mcp::RemoteTarget target;
  target.session_key = "fuzz";
  target.url = "https://mcp.test/mcp";
  target.title = "Fuzz";
  const auto listed = co_await client.list_tools(target, {});
  if (const auto* listing = std::get_if<mcp::RemoteListing>(&listed)) check_tools(listing->tools);
  mcp::RemoteCall call;
  call.tool = "tool";
  call.arguments = std::make_shared<const core::Json>(core::Json::object());
  const auto result = co_await client.call_tool(target, std::move(call));
  if (const auto* object = std::get_if<core::Json>(&result))
    mcp::shape_remote_result("Fuzz", *object, nullptr);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  FuzzServer server({reinterpret_cast<const char*>(data) + 1, size - 1}, 1 + data[0] / 2, data[0] % 2 == 1);
  boost::asio::io_context io(1);
  std::exception_ptr thrown;
  boost::asio::co_spawn(io, talk(&server), [&](std::exception_ptr error) { thrown = error; });
  io.run();
  if (thrown) std::rethrow_exception(thrown);
  return 0;
}
