#include "api/openapi/schemas.h"

#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "core/embedded.h"
#include "core/error.h"
#include "core/json_read.h"
#include "mcp/schema/json_schema.h"

namespace assistiv::api {

struct BodySchemas::Impl {
  core::Json components;
  std::map<std::string, std::shared_ptr<const mcp::JsonSchema>> compiled;
};

namespace {

core::Json embedded_component_schemas() {
  for (const auto& file : embedded_components()) {
    if (file.path == "components.json") return core::parse_json(file.content);
  }
  throw std::logic_error("components.json is not part of the binary");
}

}  // namespace

BodySchemas::BodySchemas() : impl_(std::make_unique<Impl>()) {
  impl_->components = embedded_component_schemas();
  for (const auto& [name, schema] : impl_->components.items()) {
    const core::Json document = {{"$ref", "#/components/schemas/" + name},
                                 {"components", {{"schemas", impl_->components}}}};
    auto compiled = mcp::JsonSchema::compile(document, mcp::Formats::Assert);
    if (!compiled.schema)
      throw std::logic_error("components.json, " + name + ": " + mcp::describe(compiled.faults));
    impl_->compiled[name] = std::move(compiled.schema);
  }
}

BodySchemas::~BodySchemas() = default;

void BodySchemas::check(const std::string& name, const core::Json& body) const {
  const auto faults = impl_->compiled.at(name)->check(body);
  if (faults.empty()) return;
  const auto& first = faults.front();
  throw core::bad_request(
      "The body is not valid: " + (first.pointer.empty() ? "it" : first.pointer) + " " + first.message + ".",
      first.pointer);
}

const core::Json& BodySchemas::components() const {
  return impl_->components;
}

}  // namespace assistiv::api
