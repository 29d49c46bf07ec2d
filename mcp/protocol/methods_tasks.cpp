// tasks/get, tasks/update, tasks/cancel, and how a task begins.
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json_read.h"
#include "mcp/protocol/methods.h"
#include "mcp/protocol/services.h"
#include "mcp/protocol/task_start.h"
#include "mcp/tasks/task_store.h"
#include "mcp/tools/tool_selection.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kTaskIdBytes = 32;
constexpr std::size_t kTaskIdMax = 128;
constexpr std::size_t kAnswersBytesMax = 64 << 10;

Fault no_such_task() {
  return {kInvalidParams, "There is no task of this id for this caller, or its time is over.", 200, {}};
}

TaskOwner owner_of_task(const Call& call) {
  return task_owner(call.incoming->principal, call.incoming->app);
}

// The id, or what is wrong with the request.
std::optional<Fault> read_task_id(const Call& call, std::string& id) {
  if (!call.abilities.tasks) return tasks_not_declared();
  const core::Json* params = call.params();
  const auto given = params == nullptr ? core::Json::const_iterator() : params->find("taskId");
  if (params == nullptr || given == params->end() || !given->is_string())
    return Fault{kInvalidParams, "params.taskId must be a string.", 200, {}};
  id = given->get<std::string>();
  if (id.empty() || id.size() > kTaskIdMax) return no_such_task();
  return {};
}

}  // namespace

Fault tasks_not_declared() {
  return {kMissingCapability,
          "This needs a client that declares the extension " + std::string(kTasksExtension) +
              " in the capabilities of its request.",
          400, R"({"requiredCapabilities":{"extensions":{")" + std::string(kTasksExtension) + R"(":{}}}})"};
}

Fault too_many_tasks() {
  return {
      kInternalError, "This user has too many open tasks. Wait for some to end, or cancel some.", 200, {}};
}

bool takes_tasks(const Call& call) {
  return call.modern() && call.abilities.tasks && call.services.doors.tasks != nullptr;
}

core::Task<std::optional<Reply>> start_task(CallPtr call, ToolWait wait) {
  const EndpointServices& services = call->services;
  const core::Json& params = *call->params();
  const auto arguments = params.find("arguments");
  const auto now = services.world.clock.now();
  ToolTask task;
  task.owner = owner_of_task(*call);
  task.id = core::random_token(services.world.random, kTaskIdBytes);
  task.created_at = now;
  task.expires_at = now + services.options.task_life;
  task.call.tool = params.at("name").get<std::string>();
  if (arguments != params.end() && arguments->is_object())
    task.call.arguments_json = core::dump_json(*arguments);
  task.call.selection = selection_text(call->selection);
  if (task.call.arguments_json.size() > kTaskCallBytesMax) co_return std::nullopt;
  task.call.client = call->abilities;
  task.call.request_id = call->incoming->http.request_id;
  park(task, wait, now);
  Reply reply{Reply::Kind::Task, task_members(task, TaskDetail::Brief, services.options.task_poll), {}};
  const bool made =
      co_await services.doors.tasks->create(std::move(task), services.options.tasks_per_user_max);
  co_return made ? std::optional(std::move(reply)) : std::nullopt;
}

core::Task<Reply> run_get_task(CallPtr call) {
  std::string id;
  if (auto fault = read_task_id(*call, id)) co_return failed(std::move(*fault));
  const auto task = co_await call->services.doors.tasks->find(owner_of_task(*call), id);
  if (!task) co_return failed(no_such_task());
  co_return completed(task_members(*task, TaskDetail::Full, call->services.options.task_poll));
}

core::Task<Reply> run_update_task(CallPtr call) {
  std::string id;
  if (auto fault = read_task_id(*call, id)) co_return failed(std::move(*fault));
  const auto responses = call->params()->find("inputResponses");
  if (responses == call->params()->end() || !responses->is_object())
    co_return failed(kInvalidParams, "params.inputResponses must be an object.");
  if (core::dump_json(*responses).size() > kAnswersBytesMax)
    co_return failed(kInvalidParams, "params.inputResponses is too large.");
  const auto now = call->services.world.clock.now();
  const auto given = std::make_shared<const core::Json>(*responses);
  const auto task = co_await call->services.doors.tasks->change(
      owner_of_task(*call), id, [given, now](ToolTask& task) { return answer(task, *given, now); });
  co_return task ? completed({}) : failed(no_such_task());
}

core::Task<Reply> run_cancel_task(CallPtr call) {
  std::string id;
  if (auto fault = read_task_id(*call, id)) co_return failed(std::move(*fault));
  const auto now = call->services.world.clock.now();
  const auto task = co_await call->services.doors.tasks->change(
      owner_of_task(*call), id, [now](ToolTask& task) { return cancel(task, now); });
  co_return task ? completed({}) : failed(no_such_task());
}

}  // namespace assistiv::mcp
