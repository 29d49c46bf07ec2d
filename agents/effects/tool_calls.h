#pragma once
// Tools through the door of mcp/, which asks the end user's grants, approvals and connections as it does for
// every other caller. Internal to effects/.
#include <string>
#include <vector>

#include "agents/effects/run_context.h"
#include "mcp/tools/tool.h"

namespace assistiv::agents {

// None for a run that has no end user, or whose key lacks the scope "mcp".
core::Task<std::vector<ToolOffer>> list_tools(const RunContext* context, Act act, std::string alias,
                                              Toolset from);
// Throws DeadlineExceeded or UpstreamFailed ("outcome_unknown") when it may have been done although no answer
// came, and Cancelled.
core::Task<ToolAnswer> place_tool_call(const RunContext* context, ToolCall call);

// What the door said, as the run reads it; for a tool of the app `app`. Texts are cut at 256 KiB.
ToolAnswer tool_answer(const mcp::ToolCallResult& result, const std::string& app);

}  // namespace assistiv::agents
