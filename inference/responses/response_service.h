#pragma once
// The Responses API with its state: remembered responses, and MCP tools that are run here. One usage row per
// model turn: the first has the request's id, the others "<id>-2", "<id>-3", ...
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/json.h"
#include "core/random.h"
#include "core/task.h"
#include "inference/engine/inference_service.h"
#include "inference/responses/mcp_tools.h"
#include "storage/database.h"

namespace assistiv::inference {

class PlatformTargets;

struct ResponseOptions {
  int turns_max = 16;       // model turns of one response
  int tool_calls_max = 64;  // MCP calls of one response; a request's max_tool_calls may be less
  int chain_turns_max = 500;
  std::int64_t chain_bytes_max = 8 << 20;
  std::size_t turn_bytes_max = 4 << 20;  // of what is stored of one turn
  std::chrono::milliseconds keep_alive{12'000};
  std::size_t tools_max = 512;  // that all MCP servers of one request offer together
};

// Everything outlives the service.
struct ResponseWorld {
  storage::Database& database;
  InferenceService& models;
  PlatformTargets& targets;
  McpTools& tools;
  core::Clock& clock;
  core::Random& random;
};

struct ResponseCall {
  InferenceCall call;  // without `request`
  std::shared_ptr<const core::Json> body;
};

struct InputItemsQuery {
  std::string after;
  bool descending = true;
  int limit = 20;
};

// Thread-safe. Responses are those of the caller's tenant and end user; others do not exist (NotFound).
class ResponseService {
 public:
  ResponseService(ResponseOptions options, ResponseWorld world);
  ~ResponseService();

  // Throws core::Error before the first byte; later faults end the stream with response.failed.
  core::Task<core::HttpReply> create(ResponseCall call);
  core::Task<std::string> get(oauth::PrincipalPtr principal, std::string id);
  core::Task<> remove(oauth::PrincipalPtr principal, std::string id);
  core::Task<std::string> input_items(oauth::PrincipalPtr principal, std::string id, InputItemsQuery query);

  // Deletes what has expired, in bounded pieces. For a background coroutine.
  core::Task<> sweep();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace assistiv::inference
