#include "mcp/tasks/task.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json_read.h"
#include "mcp/tools/tool_result.h"

namespace assistiv::mcp {

namespace {

constexpr std::array<std::string_view, 5> kTaskStatuses = {"working", "input_required", "completed", "failed",
                                                           "cancelled"};

std::string quote_text(std::string_view text) {
  return core::dump_json(core::Json(text));
}

// A task that is over keeps its outcome and nothing of what led to it.
void end(ToolTask& task, TaskStatus status, core::Time now) {
  task.status = status;
  task.updated_at = now;
  task.due_at.reset();
  task.approval.reset();
  task.runner.clear();
  task.acting = task.cancel_asked = false;
  task.call = {.tool = task.call.tool};
}

// The part of a client's key that is the door's.
std::string door_key(const std::string& key) {
  return key.substr(0, key.rfind('.'));
}

core::Json object_or_empty(const std::string& json) {
  auto parsed = core::try_parse_json(json);
  return parsed && parsed->is_object() ? std::move(*parsed) : core::Json::object();
}

}  // namespace

std::string_view task_status_name(TaskStatus status) {
  return kTaskStatuses[static_cast<std::size_t>(status)];
}

std::optional<TaskStatus> parse_task_status(std::string_view name) {
  const auto found = std::find(kTaskStatuses.begin(), kTaskStatuses.end(), name);
  if (found == kTaskStatuses.end()) return {};
  return static_cast<TaskStatus>(found - kTaskStatuses.begin());
}

TaskOwner task_owner(const oauth::PrincipalPtr& caller, const std::optional<std::string>& app) {
  TaskOwner out{};
  if (caller) {
    out.platform = caller->platform_id;
    out.end_user = caller->end_user_id.value_or(core::EndUserId{});
    out.key = caller->key_id;
  }
  out.endpoint = app.value_or("");
  return out;
}

bool ToolTask::over() const {
  return status != TaskStatus::Working && status != TaskStatus::InputRequired;
}

void complete(ToolTask& task, std::string result_json, core::Time now) {
  if (result_json.size() > kTaskOutcomeBytesMax) {
    result_json = error_result("result_too_large",
                               "The tool ran, and its result is too large to be kept (" +
                                   std::to_string(result_json.size()) + " bytes).",
                               core::Json::object());
  }
  end(task, TaskStatus::Completed, now);
  task.message.clear();
  task.outcome_json = std::move(result_json);
}

void fail(ToolTask& task, int code, std::string message, core::Time now, std::string data_json) {
  end(task, TaskStatus::Failed, now);
  task.outcome_json = R"({"code":)" + std::to_string(code) + R"(,"message":)" + quote_text(message);
  if (!data_json.empty()) task.outcome_json += R"(,"data":)" + data_json;
  task.outcome_json += "}";
  task.message = std::move(message);
}

void park(ToolTask& task, const ToolWait& wait, core::Time now) {
  task.status = TaskStatus::Working;
  task.message = wait.message;
  task.updated_at = now;
  task.due_at = wait.until ? *wait.until : now + wait.after;
  task.approval = wait.approval;
  task.runner.clear();
  task.acting = false;
  task.call.state = wait.state;
  task.call.responses_json.clear();
}

void release(ToolTask& task, core::Time now) {
  task.due_at = now;
  task.runner.clear();
}

void ask(ToolTask& task, const core::Json& requests, std::string state, core::Time now) {
  core::Json shown = core::Json::object();
  for (const auto& [key, request] : requests.items()) shown[key + "." + std::to_string(task.turns)] = request;
  task.status = TaskStatus::InputRequired;
  task.message.clear();
  task.updated_at = now;
  task.due_at.reset();
  task.approval.reset();
  task.runner.clear();
  task.acting = false;
  task.call.state = std::move(state);
  task.call.requests_json = core::dump_json(shown);
  task.call.responses_json.clear();
}

bool answer(ToolTask& task, const core::Json& responses, core::Time now) {
  if (task.status != TaskStatus::InputRequired) return false;
  core::Json outstanding = object_or_empty(task.call.requests_json);
  core::Json given = object_or_empty(task.call.responses_json);
  const auto before = outstanding.size();
  for (const auto& [key, response] : responses.items()) {
    if (outstanding.erase(key) != 0) given[door_key(key)] = response;
  }
  if (outstanding.size() == before) return false;
  task.updated_at = now;
  task.call.responses_json = core::dump_json(given);
  task.call.requests_json = core::dump_json(outstanding);
  if (!outstanding.empty()) return true;
  task.call.requests_json.clear();
  task.status = TaskStatus::Working;
  task.due_at = now;
  return true;
}

bool cancel(ToolTask& task, core::Time now) {
  if (task.over() || task.cancel_asked) return false;
  if (task.runner.empty()) {
    end(task, TaskStatus::Cancelled, now);
    task.message.clear();
  } else {
    task.cancel_asked = true;
  }
  return true;
}

std::string task_members(const ToolTask& task, TaskDetail detail, std::chrono::milliseconds poll_interval) {
  std::string out = R"("taskId":)" + quote_text(task.id) + R"(,"status":")";
  out.append(task_status_name(task.status)).append("\"");
  if (!task.message.empty()) out += R"(,"statusMessage":)" + quote_text(task.message);
  out += R"(,"createdAt":")" + core::format_time(task.created_at) + R"(","lastUpdatedAt":")" +
         core::format_time(task.updated_at) + R"(","ttlMs":)" +
         std::to_string(core::to_epoch_ms(task.expires_at) - core::to_epoch_ms(task.created_at)) +
         R"(,"pollIntervalMs":)" + std::to_string(poll_interval.count());
  if (detail == TaskDetail::Brief) return out;
  if (task.status == TaskStatus::InputRequired) out += R"(,"inputRequests":)" + task.call.requests_json;
  if (task.status == TaskStatus::Completed) out += R"(,"result":)" + task.outcome_json;
  if (task.status == TaskStatus::Failed) out += R"(,"error":)" + task.outcome_json;
  return out;
}

}  // namespace assistiv::mcp
