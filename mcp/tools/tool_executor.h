#pragma once
// What runs a tool after the door has let the call through: the REST executor of mcp/connectors, a fake in
// tests.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/ids.h"
#include "core/json.h"
#include "core/task.h"
#include "mcp/tools/result_keeper.h"

namespace assistiv::mcp {

class Catalog;

// No result is held to less: it needs room beside its items.
inline constexpr std::size_t kResultTokensMin = 600;

// One authorized call. Arguments are valid against the tool's input schema.
struct ToolInvocation {
  core::PlatformId platform_id;
  core::EndUserId end_user_id;
  core::ConnectionId connection_id;
  std::shared_ptr<const Catalog> catalog;  // of the platform: it has the app and the tool
  std::string app;
  std::string tool;
  std::shared_ptr<const core::Json> arguments;  // an object
  std::string request_id;
  std::string traceparent;
  std::size_t result_tokens_max = 0;  // what the caller asked for, from kResultTokensMin on; 0: nothing
  KeepResult keep;                    // for the whole of a result that is cut; may be empty
  bool resource_links = false;        // the result may carry a resource_link to what was kept
  std::stop_token stop;
  std::function<core::Task<>(double, std::optional<double>, std::string)> progress;  // may be empty
};

enum class ExecutionOutcome {
  Done,         // result_json is the CallToolResult
  ToolError,    // the same, with isError
  NeedsReauth,  // the connection's grant is gone: the end user must connect again
};

struct ToolExecution {
  ExecutionOutcome outcome = ExecutionOutcome::Done;
  std::string result_json;             // {"content":[...],"structuredContent":...,"isError":...}
  std::string code;                    // of a ToolError: "not_found", "rate_limited", ...
  std::optional<int> upstream_status;  // of the last exchange, for the audit trail
  bool timed_out = false;              // a ToolError because the upstream did not answer in time
  bool outcome_unknown = false;        // a ToolError, and a change may have been made all the same
  // A ToolError because the upstream wants to be asked later; it did nothing, and the call may be repeated
  // then.
  std::optional<std::chrono::seconds> retry_after = {};
  // A ToolError because the end user has to grant these; the next connect link asks for them.
  std::vector<std::string> scopes_wanted = {};
};

class ToolExecutor {
 public:
  virtual ~ToolExecutor() = default;
  // Never throws for what the upstream did; throws core::Error for our faults.
  virtual core::Task<ToolExecution> execute(ToolInvocation invocation) = 0;
};

}  // namespace assistiv::mcp
