#pragma once
// A graph of agentgraph/1 (docs/agents.md) that has been read and checked: what the planner and the executor
// work from. Immutable after it was parsed and shared between threads.
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agents/cel/expression.h"
#include "agents/cel/template.h"
#include "core/json.h"

namespace assistiv::mcp {
class JsonSchema;
}

namespace assistiv::agents {

// A schema of the document, compiled; null: nothing is checked.
using SchemaCheck = std::shared_ptr<const mcp::JsonSchema>;

inline constexpr std::string_view kStart = "__start__";
inline constexpr std::string_view kEnd = "__end__";

// ---- state ----

// How the writes of one super-step become the value of a key. Last takes one writer for each step.
enum class Reducer { Last, Messages, Append, Merge, DeepMerge, Union, Sum, Min, Max, And, Or, Any };
std::string_view to_string(Reducer reducer);  // "last", ..., "deep_merge", ...: x-reducer

// Durable is in every checkpoint; Ephemeral lives for the step after the one that wrote it; Untracked is
// never in a checkpoint.
enum class Channel { Durable, Ephemeral, Untracked };
std::string_view to_string(Channel channel);  // "durable", ...: x-channel

struct StateKey {
  std::string name;
  Reducer reducer = Reducer::Last;
  Channel channel = Channel::Durable;
  int max_items =
      0;  // 0: no bound of its own. The oldest go; a call of a tool goes together with its answer.
  bool redact = false;
  core::Json schema;   // of the value, without the x- members
  core::Json initial;  // its "default"; null: none
};

// ---- policies ----

enum class RetryOn { Timeout, RateLimit, ServerError, Network, ToolError, InvalidOutput };

struct RetryPolicy {
  int max_attempts = 3;
  std::chrono::milliseconds initial_interval{500};
  double backoff_factor = 2;
  std::chrono::milliseconds max_interval{128'000};
  bool jitter = true;
  std::vector<RetryOn> retry_on;  // empty: Timeout, RateLimit, ServerError, Network
};

// Either 0: none.
struct TimeoutPolicy {
  std::chrono::milliseconds run{0};   // for the whole attempt
  std::chrono::milliseconds idle{0};  // without progress
};

struct CachePolicy {
  std::optional<cel::Expression> key;  // of the node's input; absent: the input itself
  std::chrono::seconds ttl{3600};
  bool per_platform = false;  // else for each end user
};

struct Policies {
  std::optional<RetryPolicy> retry;
  std::optional<TimeoutPolicy> timeout;
  std::optional<CachePolicy> cache;
  std::string on_error;  // node; "": the run fails
};

// What a run may use up, each bound checked before the act (docs/agents.md). Absent: the platform's own
// bound.
// Of a document that does not say "max_active_s".
inline constexpr std::chrono::seconds kUsualActive{3600};

struct Limits {
  int max_supersteps = 50;
  std::optional<std::int64_t> max_cost_nano_usd;
  std::optional<std::int64_t> max_tokens;
  std::optional<std::int64_t> max_llm_calls;
  std::optional<std::int64_t> max_tool_calls;
  std::optional<std::chrono::milliseconds> max_active;  // running
  std::optional<std::chrono::milliseconds> max_wait;    // parked
  int max_fanout = 64;                                  // tasks that one map may make
  int max_parallel = 8;                                 // calls at a time
  std::int64_t max_state_bytes = 1 << 20;
  int max_depth = 4;  // of subgraphs
  int same_call_limit = 3;
};

// ---- models and tools by alias ----

struct ModelAlias {
  std::string model;  // slug of the inference router
  std::vector<std::string> fallbacks;
  core::Json params;  // object
};

// Absent in a toolset: from the tool's own hints.
enum class SideEffect { None, Idempotent, Keyed, Unsafe };

// Never, Always, or when the expression is true (it sees `arguments`).
struct ApprovalRule {
  std::string pattern;  // tool name or glob
  bool always = false;
  std::optional<cel::Expression> when;
};

struct Toolset {
  std::string connector;           // slug of the app
  std::vector<std::string> allow;  // names or globs without the app's prefix; empty: none
  std::vector<std::string> deny;
  std::vector<ApprovalRule> approval;  // longest match first
  std::vector<std::pair<std::string, SideEffect>> side_effects;
  // The agent's own list of tools, in the form of `allow`; absent: it has none. See toolset.h.
  std::optional<std::vector<std::string>> only;
  bool as_platform = false;  // identity: "platform"
};

// ---- nodes ----

struct MessageTemplate {
  std::string role;  // system, user, assistant, tool
  cel::Template content;
};
// The messages a model sees: those of a state key ("" for none), or listed ones.
using MessagesFrom = std::variant<std::string, std::vector<MessageTemplate>>;

struct LlmNode {
  std::string model;                          // alias, a key of Graph::models
  std::optional<cel::Template> instructions;  // the node's or the agent's
  MessagesFrom messages;
  core::Json response_schema;  // null: text
  SchemaCheck response_check;
  std::vector<std::string> tools;  // aliases of toolsets
  core::Json params;
  bool stream = true;
};

struct ToolNode {
  std::string toolset;  // alias
  cel::Template tool;   // name without the app's prefix
  cel::Template arguments;
};

// A model that calls tools until it has an answer.
struct AgentNode {
  std::string model;
  std::optional<cel::Template> instructions;
  MessagesFrom messages;
  std::vector<std::string> tools;
  core::Json response_schema;
  SchemaCheck response_check;
  int max_turns = 12;
  bool parallel_tools = true;
  std::optional<cel::Expression> stop_when;
  core::Json params;
};

struct Branch {
  std::optional<cel::Expression> when;  // absent: else
  std::vector<std::string> to;
  std::string label;
};

// The first branch that is true.
struct RouterNode {
  std::vector<Branch> branches;
};

enum class ItemError { Fail, Skip, Collect };

// One task of `node` for each item (LangGraph's Send).
struct MapNode {
  cel::Expression over;
  std::string as = "item";
  std::string node;
  std::optional<cel::Template> input;  // of a task; absent: {<as>: item}
  std::string on_empty;                // node or kEnd when `over` is empty; "": what follows the mapped node
  int max_parallel = 0;                // of its tasks; 0: no bound but that of the run's calls
  ItemError on_item_error = ItemError::Fail;
};

struct Graph;

struct SubgraphNode {
  std::string graph;                   // local name, or "agent:<slug>@<version>"
  std::shared_ptr<const Graph> local;  // either; a version of an agent never changes
  std::optional<cel::Template> input;  // absent: keys of the same name
  bool remembers = false;              // memory: "thread"
};

enum class Approver { EndUser, Platform, Both };

struct ApprovalNode {
  std::optional<cel::Template> prompt;
  std::optional<cel::Template> payload;
  core::Json response_schema;
  Approver who = Approver::EndUser;
  std::optional<std::chrono::seconds> expires;
  std::string on_expire;  // node; "": the run fails
};

struct TransformNode {};

struct HttpNode {
  std::string method;
  cel::Template url;
  std::vector<std::pair<std::string, cel::Template>> headers;
  std::optional<cel::Template> query;
  std::optional<cel::Template> body;
  std::string auth;  // no document names a secret: always ""
  std::int64_t max_bytes = 1 << 20;
};

struct EndNode {
  bool failure = false;
  std::optional<cel::Template> error;
};

using NodeBody = std::variant<LlmNode, ToolNode, AgentNode, RouterNode, MapNode, SubgraphNode, ApprovalNode,
                              TransformNode, HttpNode, EndNode>;

struct Node {
  std::string id;
  std::string title;
  std::string description;
  std::optional<cel::Expression> when;  // false: no act and no writes; its edges are taken all the same
  bool defer = false;
  Policies policies;  // the node's own over the graph's defaults
  // State key to value, in the order of the keys. With none given the node writes what is usual for its type:
  // see written_keys().
  std::vector<std::pair<std::string, cel::Template>> write;
  std::optional<cel::Template> emit;  // told as the event "custom"
  NodeBody body;

  std::string_view type() const;  // "llm", "tool", ...
};

// ---- the graph ----

struct Edge {
  std::string from;  // kStart or a node
  std::vector<std::string> to;
};

// Waits for all of `from`.
struct Join {
  std::vector<std::string> from;
  std::string to;
};

struct Graph {
  std::string name;
  std::string description;
  core::Json metadata;
  std::vector<StateKey> state;      // by name
  std::vector<std::string> input;   // keys
  std::vector<std::string> output;  // keys
  core::Json input_schema;
  core::Json output_schema;
  core::Json context_schema;  // null: anything
  SchemaCheck input_check, context_check;
  std::map<std::string, ModelAlias> models;
  std::map<std::string, Toolset> tools;
  Limits limits;
  std::vector<Node> nodes;  // by id
  std::vector<Edge> edges;
  std::vector<Join> joins;
  std::vector<std::string> interrupt_before;
  std::vector<std::string> interrupt_after;
  std::map<std::string, std::shared_ptr<const Graph>> subgraphs;

  const Node* node(std::string_view id) const;         // null: none
  const StateKey* key(std::string_view wanted) const;  // null: none
};
using GraphPtr = std::shared_ptr<const Graph>;

// Whether an approval in it, or in a graph within it, is not the end user's alone to give.
bool asks_platform(const Graph& graph);

// The state keys that a node writes: those of `write`, or without it an llm's and an agent's messages key and
// a subgraph's output keys that the graph has too.
std::vector<std::string> written_keys(const Graph& graph, const Node& node);

}  // namespace assistiv::agents
