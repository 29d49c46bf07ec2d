// A model that calls tools until it has an answer. Each call of the model and of a tool is an act of its own
// with its own record: after a crash, and after an approval, the loop is gone through again and finds what it
// did.
#include <utility>

#include "agents/runtime/act_record.h"
#include "agents/runtime/acts.h"
#include "agents/runtime/run_state.h"

namespace assistiv::agents {
namespace {

struct Calls {
  std::vector<core::Json> answers;  // one tool message for each call
  std::vector<pregel::Interrupt> waits;
  std::exception_ptr failure;
};

struct AgentLoop {
  const AgentNode* node = nullptr;
  std::vector<ToolOffer> offers;
  core::Json messages;                     // as the model sees them
  core::Json fresh = core::Json::array();  // what this node adds
  int turns = 0;
  std::string stop_reason;
  std::string model;
};

core::Json tool_message(const std::string& call_id, const std::string& name, const core::Json& result) {
  return {{"type", "tool"},
          {"tool_call_id", call_id},
          {"name", name},
          {"content", result.value("text", std::string())},
          {"status", result.value("is_error", false) ? "error" : "success"}};
}

core::Json failed_result(const std::string& why) {
  return {{"text", why}, {"json", nullptr}, {"content", nullptr}, {"is_error", true}};
}

core::Json calls_in(const core::Json& message, const char* member) {
  auto out = message.value(member, core::Json::array());
  return out.is_array() ? out : core::Json::array();
}

// The model is told, so that it can write the call again.
core::Json answer_to_unreadable(const core::Json& call) {
  return tool_message(call.value("id", std::string()), call.value("name", std::string()),
                      failed_result("The arguments of this call are no JSON object. Nothing was done."));
}

// Codes that end the run rather than being told to the model.
bool ends_the_run(const core::Error& error) {
  return error.kind() == core::ErrorKind::Cancelled || error.kind() == core::ErrorKind::Conflict ||
         error.code().starts_with("limit_") || error.kind() == core::ErrorKind::Internal;
}

core::Task<ActOutcome> call_one(TaskRun task, const AgentLoop* loop, const core::Json* call,
                                std::string key) {
  ActOutcome out;
  // What was done stays done, also when the tool is not offered any more.
  if (const auto* known = recorded(task, key)) {
    out.value = known->json();
    co_return out;
  }
  const auto name = call->value("name", std::string());
  const ToolOffer* offer = nullptr;
  for (const auto& one : loop->offers) {
    if (one.called == name) offer = &one;
  }
  if (offer == nullptr) {
    out.value = failed_result("There is no tool " + name.substr(0, 128) + ".");
    co_return out;
  }
  ToolAct act;
  act.key = std::move(key);
  act.call_id = call->value("id", std::string());
  act.alias = offer->toolset;
  act.from = toolset_of(task, offer->toolset);
  act.tool = offer->name;
  act.arguments = call->value("args", core::Json::object());
  act.side_effect = offer->side_effect;
  try {
    out = co_await act_tool(task, std::move(act));
  } catch (const core::Error& error) {
    if (ends_the_run(error)) throw;
    out.value = failed_result(error.message());
    task.run->recorder.event("tools", task.level->head.ns, task.node->id,
                             {{"event", "tool-error"},
                              {"tool_call_id", call->value("id", std::string())},
                              {"message", error.message()}});
  }
  co_return out;
}

core::Task<void> place_one(TaskRun task, const AgentLoop* loop, const core::Json* call, std::string key,
                           std::shared_ptr<Calls> calls, std::size_t index) {
  try {
    auto done = co_await call_one(task, loop, call, std::move(key));
    if (done.waits) {
      calls->waits.push_back(std::move(*done.waits));
    } else {
      calls->answers[index] =
          tool_message(call->value("id", std::string()), call->value("name", std::string()), done.value);
    }
  } catch (...) {
    calls->failure = std::current_exception();
  }
}

std::string tool_key(const AgentLoop& loop, std::size_t index) {
  return "tool:" + std::to_string(loop.turns) + ":" + std::to_string(index);
}

core::Task<std::shared_ptr<Calls>> place_calls(TaskRun task, const AgentLoop* loop, const core::Json* list) {
  auto calls = std::make_shared<Calls>();
  calls->answers.resize(list->size());
  std::vector<std::function<core::Task<void>()>> jobs;
  for (std::size_t i = 0; i < list->size(); ++i) {
    jobs.emplace_back([task, loop, call = &(*list)[i], key = tool_key(*loop, i), calls, i] {
      return place_one(task, loop, call, key, calls, i);
    });
  }
  if (loop->node->parallel_tools) {
    co_await run_all(task.run, std::move(jobs));
  } else {
    for (auto& job : jobs) {
      co_await job();
      if (calls->failure || !calls->waits.empty()) break;
    }
  }
  if (calls->failure) std::rethrow_exception(calls->failure);
  co_return calls;
}

void add_message(AgentLoop& loop, core::Json message) {
  loop.messages.push_back(message);
  loop.fresh.push_back(std::move(message));
}

// `told`: those that who watches has heard of before.
void add_answers(const TaskRun& task, AgentLoop& loop, const std::string& key,
                 std::vector<core::Json> answers, const std::vector<bool>& told) {
  for (std::size_t i = 0; i < answers.size(); ++i) {
    auto& message = answers[i];
    message["id"] =
        pregel::task_id(task.task->id, key, loop.turns, "answer", pregel::TaskKind::Pull, loop.fresh.size());
    if (!told[i]) tell_message(task, message);
    add_message(loop, std::move(message));
  }
}

// One turn. True: the loop is over, or waits (then `out` has interrupts).
core::Task<bool> take_turn(TaskRun task, std::shared_ptr<AgentLoop> loop, NodeOutcome* out) {
  ModelCall call;
  call.model = model_of(task, loop->node->model);
  call.params = call.model.params.is_object() ? call.model.params : core::Json::object();
  if (loop->node->params.is_object()) call.params.update(loop->node->params);
  call.response_schema = loop->node->response_schema;
  call.messages = loop->messages;
  call.tools = loop->offers;
  call.piece = shown_pieces(task);
  const auto key = "model:" + std::to_string(loop->turns);
  const bool again = task.record().steps.contains(key);
  auto answer = co_await act_model(task, key, std::move(call));
  loop->model = answer["model"].get<std::string>();
  if (!again) tell_message(task, answer["message"]);
  const auto tool_calls = calls_in(answer["message"], "tool_calls");
  const auto unreadable = calls_in(answer["message"], "invalid_tool_calls");
  add_message(*loop, std::move(answer["message"]));
  if (tool_calls.empty() && unreadable.empty()) {
    loop->stop_reason = "done";
    co_return true;
  }
  std::vector<bool> told;
  for (std::size_t i = 0; i < tool_calls.size(); ++i)
    told.push_back(task.record().steps.contains(tool_key(*loop, i)));
  auto calls = co_await place_calls(task, loop.get(), &tool_calls);
  if (!calls->waits.empty()) {
    out->interrupts = std::move(calls->waits);
    co_return true;
  }
  for (const auto& one : unreadable) {
    calls->answers.push_back(answer_to_unreadable(one));
    told.push_back(again);
  }
  add_answers(task, *loop, key, std::move(calls->answers), told);
  ++loop->turns;
  co_return false;
}

// What the model said last.
std::string last_text(const AgentLoop& loop) {
  for (auto it = loop.fresh.rbegin(); it != loop.fresh.rend(); ++it) {
    if (it->value("type", "") == "ai") return text_of(it->value("content", core::Json()));
  }
  return "";
}

bool stops_now(const TaskRun& task, const AgentLoop& loop) {
  if (!loop.node->stop_when || loop.turns == 0) return false;
  Bindings names(task);
  auto text = last_text(loop);
  auto json = loop.node->response_schema.is_null() ? core::Json() : parsed_answer(text);
  names.set("result", {{"messages", loop.fresh},
                       {"turns", loop.turns},
                       {"text", std::move(text)},
                       {"json", std::move(json)},
                       {"stop_reason", ""}});
  return names.test(*loop.node->stop_when, "stop_when");
}

// Only the last model call is made again when its answer cannot be used: what tools did stays done.
core::Json answer_json(const TaskRun& task, const AgentLoop& loop, const std::string& text) {
  if (loop.node->response_schema.is_null()) return nullptr;
  auto json = parsed_answer(text);
  if (loop.stop_reason != "done") return json;
  try {
    check_answer_json(json, loop.node->response_check);
  } catch (...) {
    task.record().steps.erase("model:" + std::to_string(loop.turns));
    throw;
  }
  return json;
}

}  // namespace

core::Task<NodeOutcome> run_agent(TaskRun task) {
  const auto* node = std::get_if<AgentNode>(&task.node->body);
  NodeOutcome out;
  Bindings names(task);
  auto loop = std::make_shared<AgentLoop>();
  loop->node = node;
  loop->messages = messages_of(task, names, node->messages, node->instructions);
  loop->offers = co_await offers_of(task, node->tools);
  loop->stop_reason = "max_turns";
  while (loop->turns < node->max_turns) {
    if (stops_now(task, *loop)) {
      loop->stop_reason = "stop_when";
      break;
    }
    if (co_await take_turn(task, loop, &out)) break;
  }
  if (!out.interrupts.empty()) co_return out;
  const auto text = loop->fresh.empty() ? std::string() : text_of(loop->fresh.back()["content"]);
  names.set("result", {{"text", text},
                       {"json", answer_json(task, *loop, text)},
                       {"messages", loop->fresh},
                       {"turns", loop->turns + (loop->stop_reason == "done" ? 1 : 0)},
                       {"stop_reason", loop->stop_reason}});
  const auto* key = std::get_if<std::string>(&node->messages);
  if (task.node->write.empty() && key != nullptr) add_write(task, *key, loop->fresh, out.result);
  add_writes(task, names, out.result);
  co_return out;
}

}  // namespace assistiv::agents
