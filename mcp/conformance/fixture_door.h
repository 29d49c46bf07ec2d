#pragma once
// The tools, resources, prompts and completions that the MCP conformance suite expects of a server under test
// (@modelcontextprotocol/conformance 0.2.0-alpha.12: the descriptions of its server scenarios). Nobody's
// data: the doors know no caller.
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mcp/protocol/doors.h"
#include "mcp/protocol/endpoint.h"
#include "mcp/tools/tool.h"

namespace assistiv::mcp {

class FixtureTools final : public ToolDoor {
 public:
  // Called by the fixtures that pretend that a list has changed.
  using Changed = std::function<void(ListKind)>;
  explicit FixtureTools(Changed changed);

  core::Task<std::shared_ptr<const ToolList>> list(CallContext context) override;
  core::Task<ToolCallResult> call(CallContext context, std::string name, core::Json arguments) override;
  const std::vector<MirroredArgument>* mirrored(const std::string& name) const override;
  const Changed& changed() const { return changed_; }

 private:
  Changed changed_;
  std::shared_ptr<const ToolList> list_;
};

class FixtureResources final : public ResourceDoor {
 public:
  core::Task<DefinitionListPtr> list(CallContext context) override;
  core::Task<DefinitionListPtr> templates(CallContext context) override;
  core::Task<ReadResult> read(CallContext context, std::string uri) override;
  bool subscribable() const override { return true; }
};

class FixturePrompts final : public PromptDoor, public CompletionDoor {
 public:
  core::Task<DefinitionListPtr> list(CallContext context) override;
  core::Task<ReadResult> get(CallContext context, std::string name, core::Json arguments) override;
  core::Task<ReadResult> complete(CallContext context, core::Json params) override;
};

}  // namespace assistiv::mcp
