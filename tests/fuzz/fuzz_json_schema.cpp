// Input: a schema and a value, separated by a NUL byte. Nothing may crash, hang or overflow the stack.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/json_read.h"
#include "mcp/schema/json_schema.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto split = input.find('\0');
  if (split == std::string_view::npos) return 0;
  const auto schema = assistiv::core::try_parse_json(input.substr(0, split));
  const auto value = assistiv::core::try_parse_json(input.substr(split + 1));
  if (!schema || !value) return 0;
  assistiv::mcp::SchemaLimits limits;
  limits.steps_max = 20'000;
  const auto compiled = assistiv::mcp::JsonSchema::compile(*schema, assistiv::mcp::Formats::Assert, limits);
  if (compiled.schema != nullptr) compiled.schema->check(*value);
  return 0;
}
