#include "mcp/tools/tool_selection.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "mcp/tools/tool_search.h"

namespace assistiv::mcp {

namespace {

bool has_name(const std::vector<std::string>& names, std::string_view name) {
  return std::binary_search(names.begin(), names.end(), name, std::less<>());
}

bool in_toolsets(const std::vector<std::string>& toolsets, const ToolSelection::Traits& tool) {
  if (toolsets.empty() || tool.app.empty() || has_name(toolsets, tool.app)) return true;
  if (tool.group.empty()) return false;
  return has_name(toolsets, tool.group) ||
         has_name(toolsets, std::string(tool.app) + ":" + std::string(tool.group));
}

std::shared_ptr<const ToolList> list_of(const SelectedTools& selected, const ToolSelection& selection) {
  auto out = std::make_shared<ToolList>();
  if (selection.search) out->tools = search_mode_tools(selected.admitted);
  for (const ToolView* tool : selected.admitted) {
    if (selection.lists(traits_of(*tool))) out->tools.push_back(*tool);
  }
  join_definitions(*out);
  out->etag = core::sha256_hex("selected\n" + out->joined_json).substr(0, 32);
  return out;
}

SelectedToolsPtr select(const std::shared_ptr<const ToolList>& whole, const ToolSelection& selection) {
  auto out = std::make_shared<SelectedTools>();
  out->whole = whole;
  for (const auto& tool : whole->tools) {
    if (selection.admits(traits_of(tool))) out->admitted.push_back(&tool);
  }
  out->listed = list_of(*out, selection);
  if (selection.search) out->index = std::make_shared<const ToolIndex>(out->admitted);
  return out;
}

// What it keeps alive: its own list (every definition is in it twice), the index, and the whole list.
std::size_t weight_of(const SelectedTools& selected) {
  const std::size_t whole = selected.whole->joined_json.size();
  return whole + 2 * selected.listed->joined_json.size() + (selected.index ? whole : 0);
}

}  // namespace

bool ToolSelection::admits(const Traits& tool) const {
  if (!search && !tools.empty() && !has_name(tools, tool.name)) return false;
  if (tool.app.empty()) return true;
  return in_toolsets(toolsets, tool) && (!read_only || tool.read_only);
}

bool ToolSelection::lists(const Traits& tool) const {
  if (!admits(tool)) return false;
  return !search || tool.app.empty() || has_name(tools, tool.name);
}

std::string selection_text(const ToolSelectionPtr& selection) {
  if (!selection || *selection == ToolSelection{}) return {};
  return core::dump_json({{"search", selection->search},
                          {"tools", selection->tools},
                          {"toolsets", selection->toolsets},
                          {"read_only", selection->read_only},
                          {"result_tokens_max", selection->result_tokens_max}});
}

ToolSelectionPtr stored_selection(std::string_view text) {
  if (text.empty()) return nullptr;
  const auto stored = core::try_parse_json(text);
  if (!stored || !stored->is_object()) throw core::internal("a stored selection of tools cannot be read");
  try {
    auto out = std::make_shared<ToolSelection>();
    stored->at("search").get_to(out->search);
    stored->at("tools").get_to(out->tools);
    stored->at("toolsets").get_to(out->toolsets);
    stored->at("read_only").get_to(out->read_only);
    stored->at("result_tokens_max").get_to(out->result_tokens_max);
    return out;
  } catch (const core::Json::exception&) {
    throw core::internal("a stored selection of tools cannot be read");
  }
}

ToolSelection::Traits traits_of(const ToolView& tool) {
  return {tool.name, tool.app, tool.group, tool.read_only};
}

const ToolView* SelectedTools::find(std::string_view name) const {
  for (const ToolView* tool : admitted) {
    if (tool->name == name) return tool;
  }
  return nullptr;
}

SelectedToolsPtr SelectionCache::get(const std::shared_ptr<const ToolList>& whole,
                                     const ToolSelectionPtr& selection) {
  // How long results may be is nothing of the list.
  const auto wish = std::make_shared<ToolSelection>(*selection);
  wish->result_tokens_max = 0;
  const std::string key = whole->etag + "\n" + selection_text(wish);
  if (auto kept = kept_.find(key)) return kept;
  const auto generation = kept_.generation();
  auto selected = select(whole, *wish);
  kept_.keep(key, {selected, weight_of(*selected)}, generation);
  return selected;
}

}  // namespace assistiv::mcp
