#pragma once
// The resources of /mcp for end users: their connections, the documentation of their apps and tools, and
// results that were too large for a reply. A caller sees what its grants, its address (/mcp/{app}) and its
// selection let it use, and nothing else: what is hidden and what does not exist look the same.
#include <memory>
#include <string>
#include <string_view>

#include "core/task.h"
#include "mcp/protocol/doors.h"

namespace assistiv::mcp {

class KeptResults;
class ToolAccess;

// Thread-safe.
class ResourceService final : public ResourceDoor {
 public:
  // Both must outlive it.
  ResourceService(ToolAccess& access, KeptResults& results) : access_(access), results_(results) {}

  core::Task<DefinitionListPtr> list(CallContext context) override;
  core::Task<DefinitionListPtr> templates(CallContext context) override;
  core::Task<ReadResult> read(CallContext context, std::string uri) override;
  core::Task<bool> exists(CallContext context, std::string uri) override;
  bool subscribable() const override { return true; }
  std::string_view changed_by(std::string_view topic) const override;

 private:
  ToolAccess& access_;
  KeptResults& results_;
};

}  // namespace assistiv::mcp
