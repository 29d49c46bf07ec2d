#include "api/routes/thread_commands.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "agents/service/assistant_service.h"
#include "agents/store/event_log.h"
#include "agents/store/run_store.h"
#include "agents/store/thread_store.h"
#include "api/routes/thread_command_work.h"
#include "api/wire/thread_protocol.h"
#include "core/clock.h"
#include "core/error.h"

namespace assistiv::api {

namespace thread_commands {
namespace {

using core::Json;

// How long an answer waits for its question to be committed: clients hear of it before.
constexpr std::chrono::seconds kCommitWait{10};

constexpr std::string_view kFaultCodes[] = {"invalid_argument",   "unknown_command",      "unknown_error",
                                            "no_such_run",        "no_such_namespace",    "no_such_interrupt",
                                            "no_such_checkpoint", "no_such_subscription", "permission_denied",
                                            "not_supported"};

// What a run of this protocol tells of itself.
const Json& told_modes() {
  static const Json modes = {"values", "updates", "messages", "tools", "checkpoints", "tasks", "custom"};
  return modes;
}

// ---- runs ----

// The members that every run of this protocol has; the thread is the path's, whatever the config says.
Json run_body(const Work& work, const std::string& assistant) {
  auto config = object_param(work.params, "config");
  auto& configurable = config["configurable"];
  if (!configurable.is_object()) configurable = Json::object();
  configurable["thread_id"] = work.thread().str();
  Json out = {{"assistant_id", assistant},
              {"config", std::move(config)},
              {"metadata", object_param(work.params, "metadata")},
              {"stream_mode", told_modes()},
              {"stream_subgraphs", true},
              {"on_disconnect", "continue"},
              {"multitask_strategy", "enqueue"}};
  for (const char* name : {"context", "durability", "webhook"}) {
    if (const auto& given = param(work.params, name); !given.is_null()) out[name] = given;
  }
  return out;
}

core::Task<agents::CreatedRun> create_run(const Work* work, Json body, std::string key) {
  agents::RunRequest request;
  request.thread = work->thread();
  request.body = std::move(body);
  if (!key.empty()) request.idempotency_key = std::move(key);
  co_return co_await work->gateway.runs.create(work->command.caller, std::move(request));
}

core::Task<std::string> begin_run(const Work* work, Json body) {
  const auto created = co_await create_run(work, std::move(body), work->command.idempotency_key);
  co_return created.run.id.str();
}

core::Task<> need_assistant(const Work* work, std::string name) {
  std::string missing;
  try {
    co_await work->gateway.assistants.resolve(work->reach(), std::move(name));
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::NotFound) throw;
    missing = error.message();
  }
  if (!missing.empty()) throw command_fault("invalid_argument", std::move(missing));
}

bool waits_for_an_answer(const std::optional<agents::Thread>& thread) {
  return thread && thread->status == "interrupted" && thread->interrupts.is_object() &&
         !thread->interrupts.empty();
}

// A fork's checkpoint stands in the config; of the run's body it is a member of its own.
bool take_checkpoint(Json& body) {
  auto& configurable = body["config"]["configurable"];
  const auto found = configurable.find("checkpoint_id");
  if (found == configurable.end()) return false;
  const bool given = !found->is_null();
  if (given) body["checkpoint_id"] = checkpoint_of(*found).str();
  configurable.erase("checkpoint_id");
  return given;
}

core::Task<Answer> start_run(const Work* work) {
  const auto assistant = text_param(work->params, "assistant_id");
  auto body = run_body(*work, assistant);
  for (const char* name : {"multitaskStrategy", "multitask_strategy"}) {
    if (const auto& given = param(work->params, name); !given.is_null()) body["multitask_strategy"] = given;
  }
  body["if_not_exists"] = "create";
  const bool forks = take_checkpoint(body);
  const auto thread = co_await work->gateway.threads.find(work->reach(), work->thread());
  co_await need_assistant(work, assistant);
  const auto& input = param(work->params, "input");
  if (waits_for_an_answer(thread) && !forks && !input.is_null()) {
    body["command"] = {{"resume", input}};
  } else {
    body["input"] = input;
  }
  Answer out;
  out.applied_through = thread ? thread->last_seq : 0;
  out.result = {{"run_id", co_await begin_run(work, std::move(body))}};
  co_return out;
}

// ---- input ----

// {interrupt id: answer}
Json answers_of(const Json& params) {
  auto out = Json::object();
  const auto read = [&](const Json& one) {
    if (!one.is_object()) throw command_fault("invalid_argument", "\"responses\" is a list of objects.");
    namespace_param(one);
    if (!one.contains("response")) throw command_fault("invalid_argument", "\"response\" is missing.");
    out[text_param(one, "interrupt_id")] = one["response"];
  };
  const auto& many = param(params, "responses");
  if (many.is_null()) {
    read(params);
    return out;
  }
  if (!many.is_array() || many.empty() || many.size() > 256)
    throw command_fault("invalid_argument", "\"responses\" is a list of 1 to 256 answers.");
  for (const auto& one : many) read(one);
  return out;
}

bool asks_for(const agents::Thread& thread, const std::string& interrupt) {
  if (!thread.interrupts.is_object()) return false;
  for (const auto& [task, list] : thread.interrupts.items()) {
    for (const auto& one : list)
      if (one.value("id", "") == interrupt) return true;
  }
  return false;
}

bool asks_for_all(const agents::Thread& thread, const Json& answers) {
  for (const auto& [interrupt, answer] : answers.items())
    if (!asks_for(thread, interrupt)) return false;
  return thread.status != "busy";
}

core::Error no_such_interrupt() {
  return command_fault("no_such_interrupt", "The thread does not wait for this answer.");
}

struct Asked {
  agents::Run run;  // that asks
  agents::Thread thread;
};

// Once the thread waits for these answers; clients may hear of a question before it is committed.
core::Task<Asked> when_asked(const Work* work, const Json* answers) {
  using Steady = std::chrono::steady_clock;
  const auto deadline = Steady::now() + kCommitWait;
  std::unique_ptr<agents::EventFollower> follower;
  while (true) {
    auto run = co_await last_run(work);
    auto thread = co_await work->gateway.threads.get(work->reach(), work->thread());
    if (asks_for_all(thread, *answers)) co_return Asked{std::move(run), std::move(thread)};
    if (thread.status != "busy" || Steady::now() >= deadline || work->command.gone.stop_requested())
      throw no_such_interrupt();
    if (!follower)
      follower = co_await work->gateway.events.follow(work->reach(), work->thread(), thread.last_seq);
    const auto left = std::min<Steady::duration>(deadline - Steady::now(), std::chrono::seconds(1));
    co_await follower->next(left, work->command.gone);
  }
}

core::Task<Answer> respond(const Work* work) {
  const auto answers = answers_of(work->params);
  const auto asked = co_await when_asked(work, &answers);
  auto body = run_body(*work, asked.run.assistant.str());
  body["command"] = {{"resume", answers}};
  for (const char* name : {"update", "goto"}) {
    if (const auto& given = param(work->params, name); !given.is_null()) body["command"][name] = given;
  }
  // Of two who answer a run at once one is first, and the other's question is gone.
  body["multitask_strategy"] = "reject";
  bool late = false;
  try {
    late = (co_await create_run(work, std::move(body), "answer to " + asked.run.id.str())).repeated;
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::Conflict) throw;
    late = true;
  }
  if (late) throw no_such_interrupt();
  Answer out;
  out.applied_through = asked.thread.last_seq;
  co_return out;
}

core::Task<Answer> inject(const Work* work) {
  auto message = param(work->params, "message");
  if (message.is_null()) message = param(work->params, "data");
  if (!message.is_object() && !message.is_string())
    throw command_fault("invalid_argument", "\"message\" is missing.");
  if (!namespace_param(work->params).empty())
    throw command_fault("not_supported", "Input goes to the root of the thread only.");
  const auto thread = co_await work->gateway.threads.get(work->reach(), work->thread());
  if (thread.status != "busy") throw command_fault("no_such_run", "No run is active on the thread.");
  auto body = run_body(*work, (co_await last_run(work)).assistant.str());
  body["input"] = {{"messages", Json::array({std::move(message)})}};
  co_await begin_run(work, std::move(body));
  Answer out;
  out.applied_through = thread.last_seq;
  co_return out;
}

// ---- forks ----

core::Task<Answer> fork_state(const Work* work) {
  const auto checkpoint = checkpoint_of(param(work->params, "checkpoint_id"));
  const auto thread = co_await work->gateway.threads.get(work->reach(), work->thread());
  if (!co_await work->gateway.threads.state(work->reach(), work->thread(), "", checkpoint))
    throw command_fault("no_such_checkpoint", "There is no such checkpoint.");
  auto body = run_body(*work, (co_await last_run(work)).assistant.str());
  body["config"]["configurable"].erase("checkpoint_id");
  body["checkpoint_id"] = checkpoint.str();
  body["input"] = param(work->params, "input");
  Answer out;
  out.applied_through = thread.last_seq;
  out.result = {{"run_id", co_await begin_run(work, std::move(body))}, {"thread_id", work->thread().str()}};
  co_return out;
}

// ---- all of them ----

using CommandHandler = core::Task<Answer> (*)(const Work*);

CommandHandler handler_of(const std::string& method) {
  static const std::map<std::string, CommandHandler, std::less<>> handlers = {
      {"run.start", start_run},
      {"input.respond", respond},
      {"input.inject", inject},
      {"state.get", get_state},
      {"state.listCheckpoints", list_checkpoints},
      {"state.fork", fork_state},
      {"agent.getTree", get_tree}};
  if (const auto found = handlers.find(method); found != handlers.end()) return found->second;
  if (method.starts_with("subscription."))
    throw command_fault("not_supported", "Subscriptions are streams here: POST .../stream/events.");
  throw command_fault("unknown_command", "There is no such command.");
}

// The code of the protocol for what went wrong with the command; nothing: it is the caller's.
std::optional<std::string> fault_code(const core::Error& error) {
  using core::ErrorKind;
  if (std::find(std::begin(kFaultCodes), std::end(kFaultCodes), error.code()) != std::end(kFaultCodes))
    return std::string(error.code());
  if (error.kind() == ErrorKind::InvalidArgument || error.kind() == ErrorKind::Unprocessable)
    return "invalid_argument";
  if (error.kind() == ErrorKind::Conflict) return "unknown_error";
  return std::nullopt;
}

Json command_id(const Json& body) {
  const auto& given = param(body, "id");
  const bool fits =
      given.is_number_unsigned() || (given.is_number_integer() && given.get<std::int64_t>() >= 0);
  return fits ? given : Json();
}

core::Task<Answer> carry_out(AgentGateway& gateway, const ThreadCommand* command) {
  static const Json nothing = Json::object();
  if (command_id(command->body).is_null())
    throw command_fault("invalid_argument", "\"id\" is a whole number.");
  const auto& method = param(command->body, "method");
  if (!method.is_string()) throw command_fault("invalid_argument", "\"method\" is missing.");
  const auto& params = param(command->body, "params");
  if (!params.is_null() && !params.is_object())
    throw command_fault("invalid_argument", "\"params\" is an object.");
  const auto handler = handler_of(method.get<std::string>());
  const Work work{gateway, *command, params.is_null() ? nothing : params};
  co_return co_await handler(&work);
}

}  // namespace
}  // namespace thread_commands

core::Task<core::Json> answer_command(AgentGateway& gateway, ThreadCommand command) {
  const auto id = thread_commands::command_id(command.body);
  try {
    auto answer = co_await thread_commands::carry_out(gateway, &command);
    core::Json meta = {{"thread_id", command.thread.str()}};
    if (answer.applied_through) meta["applied_through_seq"] = through_seq(*answer.applied_through);
    co_return core::Json{
        {"type", "success"}, {"id", id}, {"result", std::move(answer.result)}, {"meta", std::move(meta)}};
  } catch (const core::Error& error) {
    const auto code = thread_commands::fault_code(error);
    if (!code) throw;
    co_return core::Json{{"type", "error"},
                         {"id", id},
                         {"error", *code},
                         {"message", error.message()},
                         {"meta", {{"thread_id", command.thread.str()}}}};
  }
}

}  // namespace assistiv::api
