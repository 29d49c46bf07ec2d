#pragma once
// What a run does outside of itself: models, tools, HTTP. Bound to inference and mcp by the service; scripted
// in tests. Each call ends early when its `stop` is requested (a tool call in flight may end first, so that
// its result is kept), and throws core::Error when it could not be made.
#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "agents/definition/graph.h"
#include "core/error.h"
#include "core/json.h"
#include "core/task.h"

namespace assistiv::agents {

// Who acts, for logs, traces and the far side's idempotency.
struct Act {
  std::string run;
  std::string thread;
  std::string ns;
  std::string node;
  std::string task;
  std::string key;              // of the act within its task: "model:2", "tool:call_1"
  std::string idempotency_key;  // the same each time this act is tried
  std::stop_token stop;
};

// A tool that this end user may use now.
struct ToolOffer {
  std::string toolset;  // alias
  std::string name;     // without the app's prefix
  std::string description;
  core::Json schema;                            // of its arguments
  SideEffect side_effect = SideEffect::Unsafe;  // from its hints
  std::string called = {};  // what models call it; "": its name. One tool in the offers of a node has it
};

// The most that a call can use up.
struct Quote {
  std::int64_t cost_nano_usd = 0;
  std::int64_t tokens = 0;
  // What it takes for a short answer at all; absent: as much.
  std::optional<std::int64_t> least_cost_nano_usd = {};
  std::optional<std::int64_t> least_tokens = {};
};

struct ModelCall {
  Act act;
  ModelAlias model;
  core::Json messages;  // LangChain's form, instructions first as a system message
  std::vector<ToolOffer> tools;
  core::Json response_schema;  // null: text
  core::Json params;           // object
  // Each piece of the answer as it comes: {type "AIMessageChunk", id (the message's), content: text,
  // tool_call_chunks?: [{index, id?, name?, args, type "tool_call_chunk"}]}. Empty: not streamed.
  std::function<void(core::Json)> piece;
  std::optional<Quote> cap;  // what was reserved for it; absent: the run has no such limits
};
struct ModelAnswer {
  core::Json message;  // {type: "ai", content, tool_calls?, usage_metadata?, ...}
  std::string model;   // that answered
  std::int64_t cost_nano_usd = 0;
  std::int64_t tokens = 0;
};

// A call that came to nothing and was billed, or may have been.
class ModelFailure final : public core::Error {
 public:
  ModelFailure(core::Error error, std::int64_t cost, std::int64_t used)
      : core::Error(std::move(error)), cost_nano_usd(cost), tokens(used) {}
  std::int64_t cost_nano_usd;
  std::int64_t tokens;
};

struct ToolCall {
  Act act;
  std::string toolset;  // alias
  Toolset from;
  std::string tool;
  core::Json arguments;
  bool approved = false;  // the graph's own approval rule was satisfied
};
struct ToolAnswer {
  // Connect and Approve: nothing was done yet; `ask` is what the end user must see (a link, an approval's
  // id).
  enum class Kind { Done, Connect, Approve };
  Kind kind = Kind::Done;
  std::string text;
  core::Json json;     // structured content, or null
  core::Json content;  // blocks
  bool is_error = false;
  core::Json ask;
};

struct HttpCall {
  Act act;
  std::string method;
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  core::Json query;  // object or null
  core::Json body;
  std::string auth;  // name of a stored secret
  std::int64_t max_bytes = 1 << 20;
};
struct HttpAnswer {
  int status = 0;
  core::Json headers;  // {lower-case name: value}
  std::string text;
};

// What an earlier execution of a node is found by, within one version of the agent.
struct CacheKey {
  std::string node;           // and the nodes that it is within
  std::string of;             // hash of what makes two executions the same
  bool per_platform = false;  // shared by all end users
};

// Used by all coroutines of a run at a time, on one thread.
class Effects {
 public:
  virtual ~Effects() = default;
  // Asked only when the run has a limit that it matters to.
  virtual core::Task<Quote> quote(ModelCall call) = 0;
  virtual core::Task<ModelAnswer> call_model(ModelCall call) = 0;
  // What of the toolset's app the end user may use; the graph's own allow and deny lists come on top.
  virtual core::Task<std::vector<ToolOffer>> tools(Act act, std::string alias, Toolset from) = 0;
  virtual core::Task<ToolAnswer> call_tool(ToolCall call) = 0;
  virtual core::Task<HttpAnswer> call_http(HttpCall call) = 0;
  // Whether the run may be in the agent "agent:<slug>@<version>": it is switched on, and for this end user.
  virtual core::Task<bool> may_enter(std::string reference, std::stop_token stop) = 0;
  // What a node gave earlier (`cache`); nothing when it is not kept, or not any more.
  virtual std::optional<core::Json> recall(const CacheKey&) { return std::nullopt; }
  virtual void remember(const CacheKey&, core::Json, std::chrono::seconds) {}
};

}  // namespace assistiv::agents
