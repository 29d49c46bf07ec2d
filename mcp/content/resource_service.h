#pragma once
// The resources of /mcp for end users: their connections, the documentation of their apps and tools. A caller
// sees what its grants, its address (/mcp/{app}) and its selection let it use, and nothing else: what is
// hidden and what does not exist look the same. Nothing is stored between requests.
#include <memory>
#include <string>
#include <string_view>

#include "core/task.h"
#include "mcp/protocol/doors.h"

namespace assistiv::mcp {

class ToolAccess;

// Thread-safe.
class ResourceService final : public ResourceDoor {
 public:
  // `access` must outlive it.
  explicit ResourceService(ToolAccess& access) : access_(access) {}

  core::Task<DefinitionListPtr> list(CallContext context) override;
  core::Task<DefinitionListPtr> templates(CallContext context) override;
  core::Task<ReadResult> read(CallContext context, std::string uri) override;
  core::Task<bool> exists(CallContext context, std::string uri) override;
  bool subscribable() const override { return true; }
  std::string_view changed_by(std::string_view topic) const override;

 private:
  ToolAccess& access_;
};

}  // namespace assistiv::mcp
