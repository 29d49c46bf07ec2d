#include "mcp/schema/json_schema.h"

#include "mcp/schema/node.h"

namespace assistiv::mcp {

struct JsonSchema::Impl {
  schema::Program program;
};

JsonSchema::JsonSchema(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JsonSchema::~JsonSchema() = default;

JsonSchema::Compiled JsonSchema::compile(const core::Json& document, Formats formats, SchemaLimits limits) {
  auto impl = std::make_unique<Impl>();
  impl->program.limits = limits;
  auto faults = schema::compile_program(document, formats, impl->program);
  if (!faults.empty()) return {nullptr, std::move(faults)};
  return {std::shared_ptr<const JsonSchema>(new JsonSchema(std::move(impl))), {}};
}

std::vector<SchemaFault> JsonSchema::check(const core::Json& value) const {
  return schema::check_program(impl_->program, value);
}

std::string describe(const std::vector<SchemaFault>& faults) {
  std::string out;
  for (const auto& fault : faults) {
    if (!out.empty()) out += "; ";
    out += (fault.pointer.empty() ? "the value" : fault.pointer) + " " + fault.message;
  }
  return out;
}

}  // namespace assistiv::mcp
