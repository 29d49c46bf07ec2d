#pragma once
// A tool call that goes on after its request was answered (extension io.modelcontextprotocol/tasks,
// SEP-2663). A task is a row and a rule for what comes next: a turn calls the door again with the stored
// call, and what the door says either ends the task or parks it. Between turns it is nothing but the row.
// Pure.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/ids.h"
#include "core/json.h"
#include "mcp/tools/tool.h"
#include "oauth/principal.h"

namespace assistiv::mcp {

enum class TaskStatus { Working, InputRequired, Completed, Failed, Cancelled };
std::string_view task_status_name(TaskStatus status);  // as on the wire
std::optional<TaskStatus> parse_task_status(std::string_view name);

// Whose task it is. With any other key of the same end user, or at another app's URL, it does not exist.
struct TaskOwner {
  core::PlatformId platform;
  core::EndUserId end_user;
  core::KeyId key;       // the key, or the authorization behind the access token, that made the call
  std::string endpoint;  // the app of /mcp/{app}, "" for /mcp
  auto operator<=>(const TaskOwner&) const = default;
};
// All zero for the anonymous caller of the fixtures.
TaskOwner task_owner(const oauth::PrincipalPtr& caller, const std::optional<std::string>& app);

// What the door is called with.
struct TaskCall {
  std::string tool;
  std::string arguments_json;
  std::string state;           // CallContext::input_state of the next turn
  std::string requests_json;   // InputRequired: what the client is still asked, by the keys it sees
  std::string responses_json;  // its answers of this round, by the door's keys; "" without
  std::string selection;       // as selection_text() gives it
  ClientAbilities client;
  std::string request_id;
  bool operator==(const TaskCall&) const = default;
};

struct ToolTask {
  TaskOwner owner;
  std::string id;
  TaskStatus status = TaskStatus::Working;
  std::string message;  // for people: what it waits for, or why it failed
  core::Time created_at, updated_at, expires_at;
  TaskCall call;
  std::string outcome_json;  // Completed: the CallToolResult; Failed: the JSON-RPC error

  std::optional<core::Time> due_at;          // the next turn; while one runs, when its node counts as dead
  std::optional<core::ApprovalId> approval;  // a decision on it makes the task due
  std::string runner;                        // the node that runs a turn, "" for none
  bool acting = false;        // the turn may have changed something that a second one would change again
  bool cancel_asked = false;  // while a turn runs
  bool orphaned = false;      // not stored: the turn before this one never ended
  int turns = 0;              // begun so far

  bool over() const;
};

inline constexpr std::size_t kTaskCallBytesMax = 256 << 10;  // arguments
inline constexpr std::size_t kTaskOutcomeBytesMax = 512 << 10;

// What may happen to a task. Each says nothing about who may do it.
void complete(ToolTask& task, std::string result_json, core::Time now);
void fail(ToolTask& task, int code, std::string message, core::Time now, std::string data_json = {});
// The next turn is due when the wait says so.
void park(ToolTask& task, const ToolWait& wait, core::Time now);
// The turn is given back undone: any node may take it again at once.
void release(ToolTask& task, core::Time now);
// `requests` as in ToolCallResult. The keys that the client sees are unique over the life of the task.
void ask(ToolTask& task, const core::Json& requests, std::string state, core::Time now);
// Takes the answers to what is outstanding, ignores the rest; with the last one the task is due. False when
// nothing changed.
bool answer(ToolTask& task, const core::Json& responses, core::Time now);
// At once where no turn runs, else the turn is asked to stop. False when nothing changed.
bool cancel(ToolTask& task, core::Time now);

// The members of a Task object (schema of the extension), without braces; with the requests, the result or
// the error for DetailedTask.
enum class TaskDetail { Brief, Full };
std::string task_members(const ToolTask& task, TaskDetail detail, std::chrono::milliseconds poll_interval);

}  // namespace assistiv::mcp
