#pragma once
// How a tool call waits as a task: for a decision, for an upstream that wants to be asked later, for a seat.
// The state that leads from one turn to the next. Pure.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/ids.h"
#include "mcp/connectors/catalog.h"
#include "mcp/grants/approval_service.h"
#include "mcp/tools/tool.h"

namespace assistiv::mcp {

// Longer waits are not worth a task: the call fails with what the upstream said.
inline constexpr std::chrono::seconds kUpstreamWaitMax{3600};

// Where a task stands with the approval that its call needs.
struct ApprovalStage {
  core::ApprovalId approval;
  bool used = false;  // by this task: the call may be sent without another one
};
std::optional<ApprovalStage> read_stage(std::string_view state);

ToolWait wait_for_approval(const Approval& approval);
// None when it is too long.
std::optional<ToolWait> wait_for_upstream(const App& app, std::chrono::seconds time,
                                          std::optional<core::ApprovalId> used);
// The turn comes again, in the same state.
ToolWait wait_for_seat(std::string state);

}  // namespace assistiv::mcp
