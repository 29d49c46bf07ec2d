#include "agents/runtime/acts.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "agents/definition/toolset.h"
#include "agents/pregel/messages.h"
#include "agents/runtime/act_record.h"
#include "agents/runtime/call_note.h"
#include "core/encoding.h"

namespace assistiv::agents {
namespace {

constexpr std::size_t kFunctionNameMax = 64;  // at OpenAI, Anthropic and Google

// What calls beside this one hold comes back when they end: it waits for that rather than fail.
core::Task<Quote> reserve(TaskRun task, Quote wanted) {
  auto& run = *task.run;
  for (;;) {
    if (auto granted = task.meter().reserve_model(wanted)) co_return *granted;
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

}  // namespace

core::Task<core::Json> act_model(TaskRun task, std::string key, ModelCall call) {
  if (const auto* known = recorded(task, key)) co_return known->json();
  co_await before_act(task);
  const auto slot = co_await take_slot(task.run, task.stop);
  call.act = act_of(task, key);
  auto& run = *task.run;
  const bool limited = task.meter().limits_models();
  Quote wanted;
  if (limited) wanted = co_await run.world.effects.quote(call);
  const auto granted = co_await reserve(task, wanted);
  if (limited) call.cap = granted;
  CallNote note(task, key, {{"kind", "model"}, {"name", call.model.model}});
  ModelAnswer answer;
  try {
    answer = co_await run.world.effects.call_model(std::move(call));
  } catch (const ModelFailure& failure) {
    task.meter().settle_model(granted, failure.cost_nano_usd, failure.tokens);
    note.failed(failure.what());
    throw;
  } catch (const std::exception& error) {
    task.meter().settle_model(granted, 0, 0);
    note.failed(error.what());
    throw;
  }
  note.done({{"name", answer.model}, {"tokens", answer.tokens}, {"cost_nano_usd", answer.cost_nano_usd}});
  task.meter().settle_model(granted, answer.cost_nano_usd, answer.tokens);
  task.meter().count_tokens(answer.message);
  auto message = pregel::coerce_messages(answer.message, run.world.random)[0];
  core::Json out = {{"message", std::move(message)},
                    {"model", answer.model},
                    {"usage", {{"cost_nano_usd", answer.cost_nano_usd}, {"tokens", answer.tokens}}}};
  keep(task, key, out);
  co_return out;
}

core::Task<core::Json> act_http(TaskRun task, std::string key, HttpCall call) {
  if (const auto* known = recorded(task, key)) co_return known->json();
  co_await before_act(task);
  const auto slot = co_await take_slot(task.run, task.stop);
  task.meter().take_tool();
  if (call.method != "GET") co_await before_keyed_act(task);
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
      const auto field = "messages/" + std::to_string(list.size()) + "/content";
      list.push_back({{"role", one.role}, {"content", names.render(one.content, field)}});
    }
  }
  list = pregel::coerce_messages(list, task.run->world.random);
  for (auto& answer :
       pregel::answers_for_open_calls(list, "No answer: the call was ended.", task.run->world.random)) {
    list.push_back(std::move(answer));
  }
  if (instructions) {
    list.insert(list.begin(),
                core::Json{{"type", "system"}, {"content", names.text(*instructions, "instructions")}});
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
  auto once = act.thread + "\n" + act.task + "\n" + key;
  // An answer that could not be used is not asked for again.
  if (const int round = task.record().thrown_away; round > 0) once += "\n" + std::to_string(round);
  act.idempotency_key = core::sha256_hex(once).substr(0, 32);
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
