// A call of a tool: who must be asked first, what is known of earlier tries, and what was answered.
#include <algorithm>
#include <utility>

#include "agents/definition/toolset.h"
#include "agents/runtime/act_record.h"
#include "agents/runtime/acts.h"
#include "agents/runtime/call_note.h"

namespace assistiv::agents {
namespace {

bool rule_asks(const TaskRun& task, const ToolAct& act) {
  const auto* rule = approval_rule(*act.from, act.tool);
  if (rule == nullptr || !rule->when) return rule != nullptr && rule->always;
  Bindings names(task);
  names.set("arguments", act.arguments);
  return names.test(*rule->when, "approval of /tools/" + act.alias);
}

core::Json call_facts(const TaskRun& task, const ToolAct& act, const char* type) {
  return {{"type", type},
          {"node", task.node->id},
          {"toolset", act.alias},
          {"tool", act.tool},
          {"arguments", act.arguments}};
}

core::Json tool_result(std::string text, bool is_error, core::Json json = nullptr,
                       core::Json content = nullptr) {
  return {{"text", std::move(text)},
          {"json", std::move(json)},
          {"content", std::move(content)},
          {"is_error", is_error}};
}

// Answers come from outside: a member may be of any type.
std::string text_of_member(const core::Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool says_yes(const core::Json& answer) {
  if (answer.is_boolean()) return answer.get<bool>();
  if (answer.is_string()) return answer == "approve" || answer == "yes" || answer == "accept";
  if (!answer.is_object()) return false;
  if (answer.contains("approved")) return answer["approved"] == true;
  for (const char* name : {"type", "decision", "action"}) {
    if (answer.contains(name))
      return answer[name] == "approve" || answer[name] == "accept" || answer[name] == "edit";
  }
  return false;
}

// Approval by the graph's own rule; sets changed arguments. True: go on; false: `outcome` is the end of it.
bool approved(const TaskRun& task, ToolAct& act, ActOutcome& outcome) {
  if (!rule_asks(task, act)) return true;
  const auto call = "approve:" + act.key;
  const auto answer = answer_to(task, call);
  if (!answer) {
    outcome.waits = ask(task, call, call_facts(task, act, "tool_approval"));
    return false;
  }
  const auto& said = answer->json();
  if (!says_yes(said)) {
    const auto reason = said.is_object() ? text_of_member(said, "reason") : std::string();
    outcome.value = tool_result("The call was refused." + (reason.empty() ? "" : " " + reason), true);
    return false;
  }
  if (said.is_object() && said.contains("arguments") && said["arguments"].is_object())
    act.arguments = said["arguments"];
  return true;
}

int times_started(const TaskRun& task, const std::string& key) {
  int n = 0;
  while (task.record().started.contains(key + "#" + std::to_string(n + 1))) ++n;
  return n;
}

// An unsafe call that may have happened is not repeated before somebody says so.
bool certain(const TaskRun& task, const ToolAct& act, ActOutcome& outcome) {
  const int started = times_started(task, act.key);
  if (started == 0) return true;
  const auto call = "uncertain:" + act.key + "#" + std::to_string(started);
  const auto answer = answer_to(task, call);
  if (!answer) {
    auto facts = call_facts(task, act, "uncertain_effect");
    facts["options"] = {"happened", "retry", "abort"};
    outcome.waits = ask(task, call, std::move(facts));
    return false;
  }
  const auto& said = answer->json();
  const auto action = said.is_object()   ? text_of_member(said, "action")
                      : said.is_string() ? said.get<std::string>()
                                         : "";
  if (action == "retry") return true;
  if (action == "happened") {
    const auto result = said.is_object() && said.contains("result") ? said["result"] : core::Json();
    outcome.value =
        tool_result(result.is_string() ? result.get<std::string>() : result.dump(), false, result);
    return false;
  }
  throw core::Error(core::ErrorKind::Conflict, "the call of " + act.tool + " was given up")
      .with_code("aborted");
}

// Whether the far side may have done it although no answer came.
bool may_have_happened(const core::Error& error) {
  return error.kind() == core::ErrorKind::DeadlineExceeded ||
         error.kind() == core::ErrorKind::UpstreamFailed || error.kind() == core::ErrorKind::Cancelled;
}

// It is known that nothing was done.
void withdraw_start(const TaskRun& task, const std::string& key) {
  const auto last = key + "#" + std::to_string(times_started(task, key));
  if (task.record().started.erase(last) > 0) record_fact(task, Fact::Started, last, false);
}

void tell_tool(const TaskRun& task, const ToolAct& act, core::Json data) {
  if (!task.run->recorder.wants("tools")) return;
  data["tool_call_id"] = act.call_id.empty() ? task.task->id + ":" + act.key : act.call_id;
  task.run->recorder.event("tools", task.level->head.ns, task.node->id, std::move(data));
}

void tell_tool_starts(const TaskRun& task, const ToolAct& act) {
  tell_tool(task, act, {{"event", "tool-started"}, {"tool_name", act.tool}, {"input", act.arguments}});
}

void tell_tool_ends(const TaskRun& task, const ToolAct& act, const core::Json& result) {
  const auto text = result.value("text", std::string());
  if (result.value("is_error", false)) {
    return tell_tool(task, act, {{"event", "tool-error"}, {"message", text}});
  }
  tell_tool(task, act,
            {{"event", "tool-finished"},
             {"output", text.empty() ? result.value("json", core::Json()) : core::Json(text)}});
}

void tell_answer(CallNote& note, const ToolAnswer& answer) {
  if (answer.kind == ToolAnswer::Kind::Connect) return note.failed("An account must be connected first.");
  if (answer.kind == ToolAnswer::Kind::Approve) return note.failed("It must be approved first.");
  core::Json facts = {{"result", answer.text.empty() ? answer.json : core::Json(answer.text)}};
  if (answer.is_error) return note.refused(std::move(facts));
  note.done(std::move(facts));
}

struct Called {
  ToolAnswer answer;
  bool uncertain = false;
};

core::Task<Called> place_call(TaskRun task, ToolAct act, SideEffect effect) {
  const bool unsafe = effect == SideEffect::Unsafe;
  auto& run = *task.run;
  const auto slot = co_await take_slot(task.run, task.stop);
  task.meter().take_tool();
  task.meter().take_same_call(act.alias + "/" + act.tool, act.arguments);
  if (unsafe && run.spec.durability != Durability::Exit) {
    const auto key = act.key + "#" + std::to_string(times_started(task, act.key) + 1);
    task.record().started.insert(key);
    record_fact(task, Fact::Started, key, nullptr);
    co_await run.recorder.flush(true);
    if (task.stop.stop_requested()) throw cancelled_error();
  } else if (effect == SideEffect::Keyed) {
    co_await before_keyed_act(task);
  }
  ToolCall call{act_of(task, act.key), act.alias, *act.from, act.tool, act.arguments, true};
  CallNote note(
      task, act.key,
      {{"kind", "tool"}, {"name", act.from->connector + "_" + act.tool}, {"arguments", act.arguments}});
  Called out;
  try {
    out.answer = co_await run.world.effects.call_tool(std::move(call));
    tell_answer(note, out.answer);
  } catch (const core::Error& error) {
    note.failed(error.message());
    if (unsafe && !may_have_happened(error)) withdraw_start(task, act.key);
    if (!unsafe || run.spec.durability == Durability::Exit || !may_have_happened(error) ||
        task.stop.stop_requested()) {
      throw;
    }
    out.uncertain = true;
  }
  co_return out;
}

// The far side wants something of the end user first; asked anew each time it does.
int times_asked(const TaskRun& task, const ToolAct& act) {
  int times = 0;
  while (answer_to(task, "gate:" + act.key + "#" + std::to_string(times + 1))) ++times;
  return times;
}

pregel::Interrupt gate(const TaskRun& task, const ToolAct& act, ToolAnswer answer) {
  auto facts = call_facts(
      task, act, answer.kind == ToolAnswer::Kind::Connect ? "connection_required" : "approval_required");
  facts["ask"] = std::move(answer.ask);
  return ask(task, "gate:" + act.key + "#" + std::to_string(times_asked(task, act) + 1), std::move(facts));
}

// Somebody answered that it shall not be; every other answer means to try again.
bool declined(const TaskRun& task, const ToolAct& act) {
  const int times = times_asked(task, act);
  if (times == 0) return false;
  const auto answer = answer_to(task, "gate:" + act.key + "#" + std::to_string(times))->json();
  const auto no = [](const core::Json& word) {
    return word == false || word == "reject" || word == "deny" || word == "decline" || word == "no" ||
           word == "cancel";
  };
  if (!answer.is_object()) return no(answer);
  for (const char* name : {"approved", "type", "decision", "action"}) {
    if (answer.contains(name) && no(answer[name])) return true;
  }
  return false;
}

// Nobody did what the far side wanted before the time was over.
bool gate_expired(const TaskRun& task, const std::string& key) {
  for (int times = 1;; ++times) {
    const auto answer = answer_to(task, "gate:" + key + "#" + std::to_string(times));
    if (!answer) return false;
    if (answer->json().is_object() && answer->json().value("__expired__", core::Json()) == true) return true;
  }
}

}  // namespace

core::Task<ActOutcome> act_tool(TaskRun task, ToolAct act) {
  ActOutcome out;
  if (const auto* known = recorded(task, act.key)) {
    out.value = known->json();
    co_return out;
  }
  if (!toolset_allows(*act.from, act.tool)) {
    out.value = tool_result("The tool " + act.tool + " is not allowed here.", true);
    tell_tool_starts(task, act);
    tell_tool_ends(task, act, out.value);
    co_return out;
  }
  if (!approved(task, act, out)) {
    if (!out.waits) {
      tell_tool_starts(task, act);
      tell_tool_ends(task, act, out.value);
    }
    co_return out;
  }
  if (gate_expired(task, act.key)) {
    out.value = tool_result("Nobody allowed the call of " + act.tool + " in time.", true);
    tell_tool_starts(task, act);
    tell_tool_ends(task, act, out.value);
    keep(task, act.key, out.value);
    co_return out;
  }
  if (declined(task, act)) {
    out.value = tool_result("The call was refused.", true);
    keep(task, act.key, out.value);
    tell_tool_ends(task, act, out.value);
    co_return out;
  }
  const auto effect = declared_side_effect(*act.from, act.tool).value_or(act.side_effect);
  const bool unsafe = effect == SideEffect::Unsafe;
  if (unsafe && !certain(task, act, out)) {
    if (out.waits) co_return out;
    keep(task, act.key, out.value);
    tell_tool_ends(task, act, out.value);
    co_return out;
  }
  tell_tool_starts(task, act);
  co_await before_act(task, task.run->recorder.wants("tools"));
  auto called = co_await place_call(task, act, effect);
  if (called.uncertain) {
    (void)certain(task, act, out);  // asks
    co_return out;
  }
  if (called.answer.kind != ToolAnswer::Kind::Done) {
    if (unsafe) withdraw_start(task, act.key);
    out.waits = gate(task, act, std::move(called.answer));
    co_return out;
  }
  out.value = tool_result(std::move(called.answer.text), called.answer.is_error,
                          std::move(called.answer.json), std::move(called.answer.content));
  keep(task, act.key, out.value);
  tell_tool_ends(task, act, out.value);
  co_return out;
}

}  // namespace assistiv::agents
