#include "mcp/tools/call_wait.h"

#include <algorithm>
#include <utility>

namespace assistiv::mcp {

namespace {
constexpr std::string_view kWaiting = "approval:";
constexpr std::string_view kUsed = "approved:";
constexpr std::string_view kRetry = "retry";
constexpr std::chrono::seconds kUpstreamWaitMin{1};
}  // namespace

std::optional<ApprovalStage> read_stage(std::string_view state) {
  const bool used = state.starts_with(kUsed);
  if (!used && !state.starts_with(kWaiting)) return {};
  const auto id = core::ApprovalId::parse(state.substr(used ? kUsed.size() : kWaiting.size()));
  if (!id) return {};
  return ApprovalStage{*id, used};
}

ToolWait wait_for_approval(const Approval& approval) {
  return {.state = std::string(kWaiting) + approval.id.str(),
          .until = approval.expires_at,
          .approval = approval.id,
          .message = "Waits for an approval (" + approval.id.str() + ", until " +
                     core::format_time(approval.expires_at) + "). Tell the user."};
}

std::optional<ToolWait> wait_for_upstream(const App& app, std::chrono::seconds time,
                                          std::optional<core::ApprovalId> used) {
  if (time > kUpstreamWaitMax) return {};
  return ToolWait{.state = used ? std::string(kUsed) + used->str() : std::string(kRetry),
                  .after = std::max(time, kUpstreamWaitMin),
                  .message = app.title + " wants to be asked again in " + std::to_string(time.count()) +
                             " seconds; the call goes on then."};
}

ToolWait wait_for_seat(std::string state) {
  return {.state = std::move(state), .after = std::chrono::seconds(1)};
}

}  // namespace assistiv::mcp
