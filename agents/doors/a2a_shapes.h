#pragma once
// A2A 1.0 (a2aproject/A2A, docs/specification.md) in JSON: the card of an agent, messages, tasks and events.
// Pure. A task is a run with the runs that went on with it; its context is their thread.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/doors/agent_door.h"
#include "core/json.h"

namespace assistiv::agents::a2a {

// Section 5.4.
inline constexpr int kTaskNotFound = -32001;
inline constexpr int kTaskNotCancelable = -32002;
inline constexpr int kPushNotSupported = -32003;
inline constexpr int kUnsupportedOperation = -32004;
inline constexpr int kContentTypeNotSupported = -32005;
inline constexpr int kVersionNotSupported = -32009;
inline constexpr int kParseError = -32700;
inline constexpr int kInvalidRequest = -32600;
inline constexpr int kMethodNotFound = -32601;
inline constexpr int kInvalidParams = -32602;
inline constexpr int kInternalError = -32603;

struct Fault {
  int code;
  std::string message;
};
core::Json error_reply(const core::Json& id, const Fault& fault);
core::Json result_reply(const core::Json& id, core::Json result);

// `url` is where its JSON-RPC is.
core::Json agent_card(const Agent& agent, const Graph& graph, const std::string& url);

// A message of the client, read and checked. Throws Fault.
struct Incoming {
  std::string message_id;
  std::optional<RunId> task;
  std::optional<ThreadId> context;
  std::string text;   // of all text parts
  core::Json data;    // of the only data part; null: none
  core::Json blocks;  // the parts as content of a LangChain message
};
Incoming read_message(const core::Json& params);
// What a new run gets of it, and what one that waits is answered with. The first throws Fault.
core::Json input_of(const Graph& graph, const Incoming& incoming);
core::Json answer_of(const std::vector<Waiting>& waiting, const Incoming& incoming);

// How a task stands: `first` names it, `last` is the run that says how it stands.
struct TaskView {
  Run first, last;
  core::Json values;      // of the thread; null: not read
  core::Json interrupts;  // of the thread, while the last run waits
  core::Json output;      // of the last run, when it is known
};
std::string state_of(const Run& run, const core::Json& interrupts);
bool is_terminal(std::string_view state);
core::Json status_of(const TaskView& view);
// With artifacts when it is completed, and the newest `history` messages.
core::Json task_json(const Graph& graph, const TaskView& view, int history, bool with_artifacts);
// The answer as an artifact, or a piece of it.
core::Json artifact_of(const Graph& graph, const TaskView& view);
core::Json artifact_piece(const TaskView& view, const std::string& text, bool first);

}  // namespace assistiv::agents::a2a
