#include "agents/definition/published_schema.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "core/embedded.h"
#include "core/json_read.h"
#include "mcp/schema/json_schema.h"

namespace assistiv::agents {

namespace {

using CompiledSchema = std::shared_ptr<const mcp::JsonSchema>;

CompiledSchema compile_published(const core::Json& schema) {
  mcp::SchemaLimits limits;
  limits.faults_max = kDefinitionFaultsMax;
  limits.steps_max = 4'000'000;
  auto compiled = mcp::JsonSchema::compile(schema, mcp::Formats::Annotate, limits);
  if (!compiled.schema) throw std::logic_error("agentgraph-1.json: " + mcp::describe(compiled.faults));
  return compiled.schema;
}

std::vector<DefinitionFault> as_definition_faults(const std::vector<mcp::SchemaFault>& faults) {
  std::vector<DefinitionFault> out;
  for (const auto& fault : faults) out.push_back({fault.pointer, "schema", fault.message});
  return out;
}

}  // namespace

std::string_view published_schema_text() {
  for (const auto& file : embedded_schema()) {
    if (file.path == "agentgraph-1.json") return file.content;
  }
  throw std::logic_error("agentgraph-1.json is not part of the binary");
}

const core::Json& published_schema() {
  static const core::Json schema = core::parse_json(published_schema_text());
  return schema;
}

std::vector<DefinitionFault> schema_faults(const core::Json& document) {
  static const CompiledSchema compiled = compile_published(published_schema());
  return as_definition_faults(compiled->check(document));
}

std::vector<DefinitionFault> schema_faults(const core::Json& value, std::string_view definition) {
  const core::Json schema = {{"$ref", "#/$defs/" + std::string(definition)},
                             {"$defs", published_schema().at("$defs")}};
  return as_definition_faults(compile_published(schema)->check(value));
}

}  // namespace assistiv::agents
