#pragma once
// What a remote tool gave, as the caller gets it: known kinds of content only, cleaned, within a budget.
// Pure.
#include <cstddef>
#include <string>

#include "core/json.h"
#include "mcp/schema/json_schema.h"
#include "mcp/tools/tool_executor.h"

namespace assistiv::mcp {

struct RemoteResultLimits {
  std::size_t text_bytes_max = 32'000;    // about 8,000 tokens; of all text, and again of structuredContent
  std::size_t media_bytes_max = 2 << 20;  // of all base64
  std::size_t blocks_max = 100;
};

// `result` is an object. `output` is the schema that clients were shown, or null.
ToolExecution shape_remote_result(const std::string& title, const core::Json& result,
                                  const JsonSchema* output, const RemoteResultLimits& limits = {});

}  // namespace assistiv::mcp
