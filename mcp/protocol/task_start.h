#pragma once
// A tools/call that is answered with a task (2026-07-28 with the extension io.modelcontextprotocol/tasks).
#include <optional>

#include "mcp/protocol/call.h"

namespace assistiv::mcp {

// Whether this request may be answered with a task: the client declared the extension with it.
bool takes_tasks(const Call& call);
// The task is on record when this returns. None when the end user has too many that are not over, or the
// arguments are too large to be kept.
core::Task<std::optional<Reply>> start_task(CallPtr call, ToolWait wait);

// -32021: the client must declare the extension.
Fault tasks_not_declared();
Fault too_many_tasks();

}  // namespace assistiv::mcp
