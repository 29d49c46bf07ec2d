#pragma once
// The acts of a run on the world outside, each recorded under a key of its task: what has a record is never
// done again. Internal to runtime/.
#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "agents/runtime/bindings.h"
#include "agents/runtime/run_state.h"

namespace assistiv::agents {

// What an act gave, or what it waits for.
struct ActOutcome {
  core::Json value;
  std::optional<pregel::Interrupt> waits;
};

// {"message", "model", "usage"}.
core::Task<core::Json> act_model(TaskRun task, std::string key, ModelCall call);

struct ToolAct {
  std::string key;
  std::string call_id;  // of the model's call, by which those who watch know it; empty: one is made
  std::string alias;
  const Toolset* from = nullptr;  // of the graph, which outlives the run
  std::string tool;
  core::Json arguments;
  SideEffect side_effect = SideEffect::Unsafe;  // of the offer, where the graph says none
};
// {"text", "json", "content", "is_error"}. Asks first where a rule says so, where the user must connect, and
// where an earlier call may have happened that must not happen twice.
core::Task<ActOutcome> act_tool(TaskRun task, ToolAct act);

// {"status", "headers", "json", "text"}
core::Task<core::Json> act_http(TaskRun task, std::string key, HttpCall call);

// The tools of the aliases that the graph allows and the user may use. Each `called` occurs once.
core::Task<std::vector<ToolOffer>> offers_of(TaskRun task, std::vector<std::string> aliases);
// Of the task's own graph; null: there is none.
const Toolset* toolset_of(const TaskRun& task, const std::string& alias);

// The messages of a node, open calls of tools closed, instructions first.
core::Json messages_of(const TaskRun& task, const Bindings& names, const MessagesFrom& from,
                       const std::optional<cel::Template>& instructions);
// What the model says goes to those who watch as it comes; afterwards the message as a whole.
std::function<void(core::Json)> shown_pieces(const TaskRun& task);
void tell_message(const TaskRun& task, core::Json message);
const ModelAlias& model_of(const TaskRun& task, const std::string& alias);
Act act_of(const TaskRun& task, std::string key);
// Text of a message's content.
std::string text_of(const core::Json& content);
// The JSON that a text is; null: it is none.
core::Json parsed_answer(const std::string& text);
// Throws invalid_output for an answer that is none, or does not fit.
void check_answer_json(const core::Json& json, const SchemaCheck& schema);

// An interrupt of this task: `value` when nobody has answered it.
std::optional<pregel::Value> answer_to(const TaskRun& task, const std::string& call);
pregel::Interrupt ask(const TaskRun& task, const std::string& call, core::Json value);

}  // namespace assistiv::agents
