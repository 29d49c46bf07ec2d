#pragma once
// One JSON-RPC request to a remote server and the answer to it, which comes as JSON or on an event stream.
#include <chrono>
#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/json.h"
#include "core/task.h"
#include "mcp/protocol/version.h"
#include "mcp/remote/remote_client.h"

namespace assistiv::mcp {

// One operation (a call, a list with its pages) and what it has used up. For one coroutine at a time.
struct Talk {
  core::UpstreamClient* upstream = nullptr;
  const RemoteClientOptions* options = nullptr;
  RemoteTarget target;
  Version version = Version::v2026_07_28;
  std::string session;
  bool safe = true;
  std::string traceparent;
  std::chrono::steady_clock::time_point deadline;
  std::stop_token stop;
  std::function<core::Task<>(double, std::optional<double>, std::string)> progress;
  std::size_t bytes_left = 0;
  int declined = 0;
};
using TalkPtr = std::shared_ptr<Talk>;

struct RpcRequest {
  std::string method;
  core::Json params = core::Json::object();
  // Modern: the headers that repeat parts of the body, beside the version and the method.
  std::vector<std::pair<std::string, std::string>> headers;
  bool modern = true;
};

struct RpcError {
  int code = 0;
  std::string message;  // cleaned and cut
};

// What HTTP said, and the JSON-RPC answer when there was one.
struct RpcReply {
  int status = 0;
  std::string session;  // Mcp-Session-Id
  std::optional<std::chrono::seconds> retry_after;
  std::vector<std::string> scopes_wanted;  // of a 403 with insufficient_scope (RFC 6750 section 3.1)
  std::optional<core::Json> result;
  std::optional<RpcError> error;
};

using RpcOutcome = std::variant<RpcReply, Failure>;

core::Task<RpcOutcome> exchange(TalkPtr talk, RpcRequest request);
// A message that wants no answer. What becomes of it does not matter.
core::Task<> notify_server(TalkPtr talk, std::string body, std::chrono::milliseconds time);

// A header's value, with =?base64?...?= around what headers cannot carry (2026-07-28 Streamable HTTP).
std::string encode_header_value(const std::string& value);

}  // namespace assistiv::mcp
