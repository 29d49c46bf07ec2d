#pragma once
// CallToolResult texts: a page of results or one, within the budget, or a failure.
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/json.h"
#include "mcp/connectors/failure.h"
#include "mcp/connectors/shape.h"
#include "mcp/tools/tool_executor.h"

namespace assistiv::mcp {

// Which results of an upstream page are wanted: from number `skip`, at most `limit`, at most `bytes` of JSON.
struct Window {
  std::int64_t skip = 0;
  std::int64_t limit = 0;
  std::size_t bytes = 0;
};

struct TakenItems {
  std::int64_t used = 0;   // upstream results from the start of the page that are done with
  std::int64_t of = 0;     // how many the page had
  bool truncated = false;  // the budget left some out, or cut one
};

// Appends to `items`, at least one when there is one left: a single result that is too big is cut.
TakenItems take_items(const ResultPlan& plan, const core::Json& page, const Bindings& bindings,
                      const FieldChoice& choice, const Window& window, core::Json& items);

// The text copy is the same JSON, for clients that read only text.
// `block_json` is a further content block, or "".
ToolExecution succeeded(const core::Json& structured, int upstream_status,
                        const std::string& block_json = {});
ToolExecution failed(const Failure& failure);

}  // namespace assistiv::mcp
