#pragma once
// Completions for the arguments of resource templates and prompts: names that the caller may see, and no
// others.
#include <string>

#include "core/json.h"
#include "core/task.h"
#include "mcp/protocol/doors.h"

namespace assistiv::mcp {

class ToolAccess;

// Thread-safe.
class CompletionService final : public CompletionDoor {
 public:
  // `access` must outlive it.
  explicit CompletionService(ToolAccess& access) : access_(access) {}

  core::Task<ReadResult> complete(CallContext context, core::Json params) override;

 private:
  ToolAccess& access_;
};

}  // namespace assistiv::mcp
