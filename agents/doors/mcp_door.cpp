#include "agents/doors/mcp_door.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/doors/mcp_shapes.h"
#include "agents/store/agent_service.h"
#include "agents/store/event_log.h"
#include "agents/store/run_store.h"
#include "agents/store/thread_store.h"
#include "core/encoding.h"
#include "core/json_read.h"
#include "core/log.h"
#include "mcp/tools/tool_result.h"

namespace assistiv::agents {

namespace {

using core::Json;
using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::seconds kBeforeTask{5};  // a run that takes longer becomes a task
constexpr std::chrono::seconds kTurn{60};       // of a task
constexpr std::chrono::hours kCall{24};         // the endpoint has a limit of its own
constexpr std::chrono::seconds kEventWait{5};
constexpr int kRoundsMax = 6;  // of asking; fewer than the protocol's own, so that its end is a result

RunCaller caller_of(const mcp::CallContext& context) {
  RunCaller out;
  out.principal = context.principal;
  out.reach = {context.principal->platform_id, context.principal->end_user_id};
  out.request_id = context.request_id;
  out.traceparent = context.traceparent;
  return out;
}

// What leads from one turn of a call to the next.
struct Stage {
  RunId run;
  int asked = 0;  // rounds in which the client was asked
};
std::string written(const Stage& stage) {
  return core::dump_json({{"run", stage.run.str()}, {"asked", stage.asked}});
}
std::optional<Stage> read_stage(const std::string& state) {
  const auto json = core::try_parse_json(state);
  if (!json || !json->is_object()) return std::nullopt;
  const auto run = RunId::parse(json->value("run", std::string()));
  if (!run) return std::nullopt;
  return Stage{*run, json->value("asked", 0)};
}

mcp::ToolCallResult finished(mcp::ToolOutcome outcome, std::string json) {
  mcp::ToolCallResult out;
  out.outcome = outcome;
  out.result_json = std::move(json);
  return out;
}

// One turn of a call.
struct AgentCall {
  AgentCall(DoorWorld w, mcp::CallContext c, const std::atomic<bool>* d)
      : world(w), context(std::move(c)), caller(caller_of(context)), draining(d) {}
  DoorWorld world;
  mcp::CallContext context;
  RunCaller caller;
  DoorAgent agent;
  Json arguments;
  const std::atomic<bool>* draining;
  int asked = 0;
};
using CallPtr = std::shared_ptr<AgentCall>;

core::Task<Run> start_run(CallPtr call, std::optional<ThreadId> thread, Json body,
                          std::optional<std::string> once) {
  RunRequest request;
  request.thread = thread;
  request.body = std::move(body);
  request.body["assistant_id"] = call->agent.agent.slug;
  request.body["on_completion"] = "keep";  // what waits for somebody can only go on where it stands
  request.body["metadata"] = {{"door", "mcp"}};
  request.body["stream_mode"] = {"updates"};
  request.idempotency_key = std::move(once);
  co_return (co_await call->world.runs.create(call->caller, std::move(request))).run;
}

core::Task<Run> begin(CallPtr call) {
  const auto& arguments = call->arguments;
  const auto named = arguments.value("thread_id", Json());
  if (named.is_null())
    co_return co_await start_run(
        call, std::nullopt, {{"input", input_of_arguments(*call->agent.graph, arguments)}}, std::nullopt);
  const auto id = named.is_string() ? ThreadId::parse(named.get<std::string>()) : std::nullopt;
  if (!id) throw core::bad_request("A thread's id is a UUID.", "thread_id");
  const auto thread = co_await call->world.threads.get(call->caller.reach, *id);
  // After a run that failed over an answer only what says that it is one is an answer.
  const bool may_wait = thread.status == "interrupted" ||
                        (thread.status == "error" && says_answer(*call->agent.graph, arguments));
  const auto waiting = may_wait ? waiting_of(thread.interrupts) : std::vector<Waiting>();
  if (waiting.empty())
    co_return co_await start_run(call, id, {{"input", input_of_arguments(*call->agent.graph, arguments)}},
                                 std::nullopt);
  co_return co_await start_run(call, id, {{"command", {{"resume", answer_of_arguments(waiting, arguments)}}}},
                               std::nullopt);
}

// The client was asked: goes on with its answers, or with the run that has not ended yet.
core::Task<Run> go_on(CallPtr call, Stage stage) {
  call->asked = stage.asked;
  const auto run = co_await call->world.run_rows.get(call->caller.reach, stage.run);
  const auto& responses = call->context.input_responses;
  if (!run.is_over() || !responses || responses->empty()) co_return run;
  const auto thread = co_await call->world.threads.get(call->caller.reach, run.thread);
  const auto waiting = waiting_of(thread.interrupts);
  if (declined_sign_in(waiting, *responses)) call->asked = kRoundsMax;
  const auto answers = answers_of_responses(waiting, *responses);
  // Answered elsewhere in the meantime: the same request again would only start it anew.
  if (answers.empty()) co_return run;
  const auto once = "mcp:" + run.id.str() + ":" + core::sha256_hex(core::dump_json(answers)).substr(0, 16);
  co_return co_await start_run(call, run.thread, {{"command", {{"resume", answers}}}}, once);
}

// Tells of each node that ended.
core::Task<> report(CallPtr call, Run run, SteadyClock::time_point until) {
  const auto follower =
      co_await call->world.events.follow(call->caller.reach, run.thread, run.base_seq, run.id);
  int steps = 0;
  bool over = false;
  while (SteadyClock::now() < until && !call->context.stop.stop_requested()) {
    const auto events =
        co_await follower->next(over ? SteadyClock::duration(0) : kEventWait, call->context.stop);
    for (const auto& logged : events) {
      if (logged.event.method == "end") co_return;
      if (logged.event.method != "updates" || logged.event.node.empty()) continue;
      steps += 1;
      co_await call->context.progress(steps, std::nullopt, logged.event.node);
    }
    if (!events.empty()) continue;
    if (over) co_return;
    // One that was rolled back is gone with its events: that throws NotFound.
    over =
        (co_await call->world.run_rows.await_row(call->caller.reach, run.id, call->context.stop)).is_over();
  }
}

core::Task<std::optional<RunResult>> wait_for(CallPtr call, Run run) {
  const bool may_become_task = call->context.client.tasks && !call->context.in_task;
  const auto until = SteadyClock::now() + (call->context.in_task ? SteadyClock::duration(kTurn)
                                           : may_become_task     ? SteadyClock::duration(kBeforeTask)
                                                                 : SteadyClock::duration(kCall));
  if (call->context.progress && !may_become_task) co_await report(call, run, until);
  co_return co_await call->world.runs.wait(call->caller.reach, run.id, until, call->context.stop);
}

mcp::ToolCallResult wait_longer(const CallPtr& call, const Run& run) {
  auto out = finished(mcp::ToolOutcome::Done, "");
  out.result_json.clear();
  out.wait = mcp::ToolWait{.state = written({run.id, call->asked}),
                           .until = {},
                           .after = std::chrono::milliseconds(0),
                           .approval = {},
                           .message = "The agent is at work."};
  return out;
}

mcp::ToolCallResult result_of(const CallPtr& call, const RunResult& result) {
  const auto answer = answer_of(*call->agent.graph, result);
  if (answer.waiting.empty())
    return finished(mcp::ToolOutcome::Done, done_result(*call->agent.graph, answer, result.run));
  const auto requests =
      call->asked < kRoundsMax ? input_requests(answer.waiting, call->context.client) : std::optional<Json>();
  if (!requests) return finished(mcp::ToolOutcome::Done, waiting_result(answer, result.run));
  mcp::ToolCallResult out;
  out.outcome = mcp::ToolOutcome::InputRequired;
  out.input_requests_json = core::dump_json(*requests);
  out.input_state = written({result.run.id, call->asked + 1});
  return out;
}

core::Task<> cancel_run(CallPtr call, RunId run) {
  try {
    co_await call->world.runs.cancel(call->caller.reach, run, CancelAction::Interrupt, false, {});
  } catch (const core::Error& error) {
    core::log::warn("agents.cancel_failed", {{"run", run.str()}, {"error", error.what()}});
  }
}

core::Task<mcp::ToolCallResult> take_turn(CallPtr call) {
  const auto stage = read_stage(call->context.input_state);
  const auto run = stage ? co_await go_on(call, *stage) : co_await begin(call);
  const auto result = co_await wait_for(call, run);
  if (result) co_return result_of(call, *result);
  if (!call->context.stop.stop_requested()) co_return wait_longer(call, run);
  if (!call->context.in_task || !*call->draining) co_await cancel_run(call, run.id);
  throw core::Error(core::ErrorKind::Cancelled, "The call was cancelled.");
}

bool is_our_fault(const core::Error& error) {
  return error.kind() == core::ErrorKind::Internal || error.kind() == core::ErrorKind::Unavailable ||
         error.kind() == core::ErrorKind::Cancelled;
}

}  // namespace

core::Task<std::shared_ptr<const mcp::ToolList>> AgentTools::list(mcp::CallContext context) {
  const auto caller = caller_of(context);
  auto out = std::make_shared<mcp::ToolList>();
  for (const auto& agent : co_await usable_agents(world_, caller.reach)) {
    const auto graph = co_await world_.agents.graph(caller.reach.platform, agent.id, agent.active_version);
    mcp::ToolView view;
    view.name = agent.slug;
    view.title = agent.name;
    view.description = agent.description;
    view.definition_json = core::dump_json(tool_definition(agent, *graph));
    out->joined_json += (out->joined_json.empty() ? "" : ",") + view.definition_json;
    out->tools.push_back(std::move(view));
  }
  out->etag = core::sha256_hex(out->joined_json).substr(0, 32);
  co_return out;
}

core::Task<mcp::ToolCallResult> AgentTools::call(mcp::CallContext context, std::string name,
                                                 core::Json arguments) {
  auto call = std::make_shared<AgentCall>(world_, std::move(context), &draining_);
  call->arguments = arguments.is_object() ? std::move(arguments) : Json::object();
  try {
    call->agent = co_await find_agent(world_, call->caller.reach, name);
    if (call->agent.agent.slug != name) co_return finished(mcp::ToolOutcome::Unknown, "");
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::NotFound) throw;
    co_return finished(mcp::ToolOutcome::Unknown, "");
  }
  try {
    co_return co_await take_turn(call);
  } catch (const core::Error& error) {
    if (is_our_fault(error)) throw;
    const bool wrong = error.kind() == core::ErrorKind::InvalidArgument;
    co_return finished(mcp::ToolOutcome::ToolError, mcp::error_result(wrong ? "validation" : error.code(),
                                                                      error.message(), Json::object()));
  }
}

mcp::ToolDoor& ToolsOfEndpoint::of(const mcp::CallContext& context) const {
  return agents_ != nullptr && context.app && *context.app == kAgentsEndpoint ? *agents_ : apps_;
}

core::Task<std::shared_ptr<const mcp::ToolList>> ToolsOfEndpoint::list(mcp::CallContext context) {
  auto& door = of(context);
  return door.list(std::move(context));
}

core::Task<mcp::ToolCallResult> ToolsOfEndpoint::call(mcp::CallContext context, std::string name,
                                                      core::Json arguments) {
  auto& door = of(context);
  return door.call(std::move(context), std::move(name), std::move(arguments));
}

core::Task<std::vector<std::string>> ToolsOfEndpoint::unknown_names(mcp::CallContext context) {
  auto& door = of(context);
  return door.unknown_names(std::move(context));
}

const std::vector<mcp::MirroredArgument>* ToolsOfEndpoint::mirrored(const std::string& name) const {
  return apps_.mirrored(name);
}

}  // namespace assistiv::agents
