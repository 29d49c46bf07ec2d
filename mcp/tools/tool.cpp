#include "mcp/tools/tool.h"

#include "mcp/tools/icon.h"

namespace assistiv::mcp {

void join_definitions(ToolList& list) {
  list.joined_json.clear();
  for (const auto& tool : list.tools) {
    if (!list.joined_json.empty()) list.joined_json += ",";
    append_with_icons(list.joined_json, tool.definition_json, tool.icons_json);
    list.has_icons = list.has_icons || !tool.icons_json.empty();
  }
}

}  // namespace assistiv::mcp
