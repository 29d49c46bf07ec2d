#include "agents/runtime/acts.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "agents/definition/toolset.h"
#include "agents/pregel/messages.h"
#include "agents/runtime/call_note.h"
#include "core/encoding.h"

namespace assistiv::agents {
namespace {

constexpr std::size_t kFunctionNameMax = 64;  // at OpenAI, Anthropic and Google

// Holds one of the run's places for acts beside each other.
class Slot {
 public:
  explicit Slot(std::shared_ptr<RunState> run) : run_(std::move(run)) { --run_->slots; }
  ~Slot() {
    ++run_->slots;
    run_->slot_free.set();
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

 private:
  std::shared_ptr<RunState> run_;
};

core::Task<std::unique_ptr<Slot>> take_slot(std::shared_ptr<RunState> run, std::stop_token stop) {
  while (run->slots <= 0) {
    if (stop.stop_requested()) throw cancelled_error();
    co_await run->slot_free.wait_for(std::chrono::seconds(1), stop);
  }
  co_return std::make_unique<Slot>(run);
}

const pregel::Value* recorded(const TaskRun& task, const std::string& key) {
  const auto& steps = task.record().steps;
  const auto found = steps.find(key);
  return found == steps.end() ? nullptr : &found->second;
}

void keep(const TaskRun& task, const std::string& key, const core::Json& value) {
  task.moved();
  task.record().steps.insert_or_assign(key, pregel::Value(value));
  record_fact(task, Fact::Step, key, value);
}

// Records of earlier acts are durable before the next one begins: a crash repeats at most one. `told`: those
// who watch are to hear now what was said of this one.
core::Task<void> before_act(TaskRun task, bool told = false) {
  if (task.stop.stop_requested()) throw cancelled_error();
  const bool has_records =
      std::any_of(task.run->recorder.buffer().tasks.begin(), task.run->recorder.buffer().tasks.end(),
                  [](const auto& row) { return row.fact == Fact::Step; });
  if (has_records || told) co_await task.run->recorder.flush(false);
}

bool rule_asks(const TaskRun& task, const ToolAct& act) {
  const auto* rule = approval_rule(*act.from, act.tool);
  if (rule == nullptr || !rule->when) return rule != nullptr && rule->always;
  Bindings names(task);
  names.set("arguments", act.arguments);
  return names.test(*rule->when);
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
    const auto reason = said.is_object() ? said.value("reason", std::string()) : std::string();
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
  const auto action = said.is_object()   ? said.value("action", std::string())
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

core::Task<Called> place_call(TaskRun task, ToolAct act, bool unsafe) {
  auto& run = *task.run;
  const auto slot = co_await take_slot(task.run, task.stop);
  run.meter.take_tool();
  run.meter.take_same_call(act.alias + "/" + act.tool, act.arguments);
  if (unsafe && run.spec.durability != Durability::Exit) {
    const auto key = act.key + "#" + std::to_string(times_started(task, act.key) + 1);
    task.record().started.insert(key);
    record_fact(task, Fact::Started, key, nullptr);
    co_await run.recorder.flush(true);
    if (task.stop.stop_requested()) throw cancelled_error();
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

// What calls beside this one hold comes back when they end: it waits for that rather than fail.
core::Task<Quote> reserve(TaskRun task, Quote wanted) {
  auto& run = *task.run;
  for (;;) {
    if (auto granted = run.meter.reserve_model(wanted)) co_return *granted;
    if (task.stop.stop_requested()) throw cancelled_error();
    co_await run.slot_free.wait_for(std::chrono::seconds(1), task.stop);
  }
}

// Where a message was made, as clients are told with it.
core::Json place_of(const TaskRun& task) {
  return {{"step", task.level->head.step + 1}, {"task", task.task->id}, {"triggers", task.task->triggers}};
}

std::size_t args_size(const core::Json& chunks) {
  std::size_t out = 0;
  for (const auto& chunk : chunks) {
    if (chunk.is_object() && chunk.contains("args") && chunk["args"].is_string())
      out += chunk["args"].get_ref<const std::string&>().size();
  }
  return out;
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

core::Task<core::Json> act_model(TaskRun task, std::string key, ModelCall call) {
  if (const auto* known = recorded(task, key)) co_return known->json();
  co_await before_act(task);
  const auto slot = co_await take_slot(task.run, task.stop);
  call.act = act_of(task, key);
  auto& run = *task.run;
  const bool limited = run.meter.limits_models();
  Quote wanted;
  if (limited) wanted = co_await run.world.effects.quote(call);
  const auto granted = co_await reserve(task, wanted);
  if (limited) call.cap = granted;
  CallNote note(task, key, {{"kind", "model"}, {"name", call.model.model}});
  ModelAnswer answer;
  try {
    answer = co_await run.world.effects.call_model(std::move(call));
  } catch (const ModelFailure& failure) {
    run.meter.settle_model(granted, failure.cost_nano_usd, failure.tokens);
    note.failed(failure.what());
    throw;
  } catch (const std::exception& error) {
    run.meter.settle_model(granted, 0, 0);
    note.failed(error.what());
    throw;
  }
  note.done({{"name", answer.model}, {"tokens", answer.tokens}, {"cost_nano_usd", answer.cost_nano_usd}});
  run.meter.settle_model(granted, answer.cost_nano_usd, answer.tokens);
  run.meter.count_tokens(answer.message);
  auto message = pregel::coerce_messages(answer.message, run.world.random)[0];
  core::Json out = {{"message", std::move(message)},
                    {"model", answer.model},
                    {"usage", {{"cost_nano_usd", answer.cost_nano_usd}, {"tokens", answer.tokens}}}};
  keep(task, key, out);
  co_return out;
}

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
  const bool unsafe =
      declared_side_effect(*act.from, act.tool).value_or(act.side_effect) == SideEffect::Unsafe;
  if (unsafe && !certain(task, act, out)) {
    if (out.waits) co_return out;
    keep(task, act.key, out.value);
    tell_tool_ends(task, act, out.value);
    co_return out;
  }
  tell_tool_starts(task, act);
  co_await before_act(task, task.run->recorder.wants("tools"));
  auto called = co_await place_call(task, act, unsafe);
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

core::Task<core::Json> act_http(TaskRun task, std::string key, HttpCall call) {
  if (const auto* known = recorded(task, key)) co_return known->json();
  co_await before_act(task);
  const auto slot = co_await take_slot(task.run, task.stop);
  task.run->meter.take_tool();
  call.act = act_of(task, key);
  CallNote note(task, key,
                {{"kind", "http"}, {"name", call.method + " " + call.url.substr(0, call.url.find('?'))}});
  HttpAnswer answer;
  try {
    answer = co_await task.run->world.effects.call_http(std::move(call));
  } catch (const std::exception& error) {
    note.failed(error.what());
    throw;
  }
  note.done({{"result", std::to_string(answer.status)}});
  auto json = core::Json::parse(answer.text, nullptr, false);
  if (json.is_discarded()) json = nullptr;
  core::Json out = {{"status", answer.status},
                    {"headers", std::move(answer.headers)},
                    {"json", std::move(json)},
                    {"text", std::move(answer.text)}};
  keep(task, key, out);
  co_return out;
}

std::function<void(core::Json)> shown_pieces(const TaskRun& task) {
  // Readers tell by the pieces and the bytes before a piece whether they have missed one.
  struct Before {
    std::string message;
    std::size_t content = 0, args = 0, pieces = 0;
  };
  return [task, before = std::make_shared<Before>()](core::Json piece) {
    task.moved();
    if (!piece.is_object() || !task.run->recorder.wants("messages")) return;
    auto id = piece.value("id", std::string());
    if (id != before->message) *before = {std::move(id)};
    auto place = place_of(task);
    place["content"] = before->content;
    place["args"] = before->args;
    place["piece"] = before->pieces++;
    before->content += text_of(piece.value("content", core::Json())).size();
    if (piece.contains("tool_call_chunks")) before->args += args_size(piece["tool_call_chunks"]);
    piece["langgraph"] = std::move(place);
    task.run->recorder.show("messages", task.level->head.ns, task.node->id, std::move(piece));
  };
}

void tell_message(const TaskRun& task, core::Json message) {
  if (!task.run->recorder.wants("messages")) return;
  message["langgraph"] = place_of(task);
  task.run->recorder.event("messages", task.level->head.ns, task.node->id, std::move(message));
}

core::Task<std::vector<ToolOffer>> offers_of(TaskRun task, std::vector<std::string> aliases) {
  std::vector<ToolOffer> out;
  std::set<std::string> taken;
  for (const auto& alias : aliases) {
    const auto* from = toolset_of(task, alias);
    if (from == nullptr) continue;
    for (auto& offer : co_await task.run->world.effects.tools(act_of(task, "tools"), alias, *from)) {
      if (!toolset_allows(*from, offer.name)) continue;
      if (offer.called.empty()) offer.called = offer.name;
      // Two sets of one app: the second one's tool has the alias in its name, and none when that is taken,
      // too.
      if (!taken.insert(offer.called).second) {
        offer.called = (alias + "_" + offer.name).substr(0, kFunctionNameMax);
        if (!taken.insert(offer.called).second) continue;
      }
      out.push_back(std::move(offer));
    }
  }
  co_return out;
}

core::Json messages_of(const TaskRun& task, const Bindings& names, const MessagesFrom& from,
                       const std::optional<cel::Template>& instructions) {
  auto list = core::Json::array();
  if (const auto* key = std::get_if<std::string>(&from)) {
    const auto found = task.level->head.values.find(*key);
    if (found != task.level->head.values.end()) list = found->second.json();
  } else {
    for (const auto& one : std::get<std::vector<MessageTemplate>>(from)) {
      list.push_back({{"role", one.role}, {"content", names.render(one.content)}});
    }
  }
  list = pregel::coerce_messages(list, task.run->world.random);
  for (auto& answer :
       pregel::answers_for_open_calls(list, "No answer: the call was ended.", task.run->world.random)) {
    list.push_back(std::move(answer));
  }
  if (instructions) {
    list.insert(list.begin(), core::Json{{"type", "system"}, {"content", names.text(*instructions)}});
  }
  return list;
}

const Toolset* toolset_of(const TaskRun& task, const std::string& alias) {
  const auto& tools = task.level->program->graph().tools;
  const auto found = tools.find(alias);
  return found == tools.end() ? nullptr : &found->second;
}

const ModelAlias& model_of(const TaskRun& task, const std::string& alias) {
  const auto& models = task.level->program->graph().models;
  const auto found = models.find(alias);
  if (found == models.end()) throw core::bad_request("there is no model \"" + alias + "\"");
  return found->second;
}

Act act_of(const TaskRun& task, std::string key) {
  Act act;
  act.run = task.run->spec.run;
  act.thread = task.run->spec.thread;
  act.ns = task.level->head.ns;
  act.node = task.node->id;
  act.task = task.task->id;
  act.idempotency_key = core::sha256_hex(act.thread + "\n" + act.task + "\n" + key).substr(0, 32);
  act.key = std::move(key);
  act.stop = task.stop;
  return act;
}

std::string text_of(const core::Json& content) {
  if (content.is_string()) return content.get<std::string>();
  std::string out;
  if (content.is_array()) {
    for (const auto& block : content) {
      if (block.is_object() && block.value("type", "") == "text") out += block.value("text", std::string());
    }
  }
  return out;
}

std::optional<pregel::Value> answer_to(const TaskRun& task, const std::string& call) {
  const auto& answers = task.run->answers;
  const auto found = answers.find(pregel::interrupt_id(task.level->head.ns, task.task->id, call));
  return found == answers.end() ? std::nullopt : std::optional(found->second);
}

pregel::Interrupt ask(const TaskRun& task, const std::string& call, core::Json value) {
  return {pregel::interrupt_id(task.level->head.ns, task.task->id, call), task.level->head.ns,
          pregel::Value(std::move(value))};
}

}  // namespace assistiv::agents
