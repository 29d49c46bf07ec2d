#pragma once
// The prompts of /mcp for end users: those of the manifests of their connected apps.
#include <string>

#include "core/json.h"
#include "core/task.h"
#include "mcp/protocol/doors.h"

namespace assistiv::mcp {

class ToolAccess;

// Thread-safe.
class PromptService final : public PromptDoor {
 public:
  // `access` must outlive it.
  explicit PromptService(ToolAccess& access) : access_(access) {}

  core::Task<DefinitionListPtr> list(CallContext context) override;
  core::Task<ReadResult> get(CallContext context, std::string name, core::Json arguments) override;

 private:
  ToolAccess& access_;
};

}  // namespace assistiv::mcp
