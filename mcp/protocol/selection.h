#pragma once
// Which tools a client wants of an endpoint: by query parameters of the URL, or by headers, as long as the
// two do not differ.
//
//   tools=a,b               X-MCP-Tools              only these tools; the word "search" turns search mode
//   on,
//                                                    and tools named beside it stay listed
//   toolsets=github,issues  X-MCP-Toolsets           apps, groups of every app, or app:group
//   readonly=true           X-MCP-Readonly           only tools that change nothing
//   max_result_tokens=2000  X-MCP-Max-Result-Tokens  a bound for one result, below the server's own
//
// A legacy session keeps what its initialize said; everything else stands for its own request.
#include <optional>
#include <string>

#include "core/task.h"
#include "mcp/protocol/call.h"
#include "mcp/tools/tool_selection.h"

namespace assistiv::mcp {

struct SelectionReading {
  ToolSelectionPtr selection;  // null: none was asked for
  std::string fault;           // a whole sentence, for the caller
};
SelectionReading read_selection(const RequestHead& head, std::string_view query);

// What is wrong with the request's selection (a 400 that names it), also names that the tools do not know.
core::Task<std::optional<Fault>> check_selection(EndpointServices& services, IncomingPtr incoming);

}  // namespace assistiv::mcp
