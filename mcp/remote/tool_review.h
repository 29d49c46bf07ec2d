#pragma once
// What a refresh changes about the tools of a server, and what state each is in. Pure.
#include <cstddef>
#include <string>
#include <vector>

#include "core/clock.h"
#include "mcp/remote/remote_server.h"
#include "mcp/remote/remote_server_store.h"
#include "mcp/remote/tool_definition.h"

namespace assistiv::mcp {

struct ToolChanges {
  std::vector<RemoteToolRow> put;    // new, changed, refused or gone
  std::vector<std::string> removed;  // gone, and never approved
  std::size_t added = 0, changed = 0, refused = 0, gone = 0;
  bool empty() const { return put.empty() && removed.empty(); }
};

ToolChanges compare_tools(const std::vector<RemoteToolRow>& known, const std::vector<ReadTool>& found,
                          core::Time now);

RemoteTool reviewed(const RemoteToolRow& row);

}  // namespace assistiv::mcp
