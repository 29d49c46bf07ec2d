#include "inference/responses/response_items.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::inference {

namespace {

constexpr std::size_t kInputItemsMax = 5000;
constexpr std::size_t kMcpServersMax = 16;
constexpr std::size_t kToolNamesMax = 500;

bool holds(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

void read_filter(const core::JsonReader& filter, std::vector<std::string>& names_out,
                 std::optional<bool>& read_only) {
  names_out = filter.strings("tool_names", kToolNamesMax);
  read_only = filter.optional_bool("read_only");
}

AllowedTools allowed_tools_of(const core::Json& tool, const std::string& pointer) {
  AllowedTools out;
  const auto it = tool.find("allowed_tools");
  if (it == tool.end() || it->is_null()) return out;
  if (it->is_array()) {
    out.names = core::JsonReader(tool, pointer).strings("allowed_tools", kToolNamesMax);
  } else if (it->is_object()) {
    const core::JsonReader filter(*it, pointer + "/allowed_tools");
    if (filter.has("tool_names")) out.names = filter.strings("tool_names", kToolNamesMax);
    out.read_only = filter.optional_bool("read_only");
  } else {
    throw core::bad_request("\"allowed_tools\" is a list of names or a filter.", pointer + "/allowed_tools");
  }
  return out;
}

// Absent is "always", as OpenAI has it.
ApprovalRule approval_rule_of(const core::Json& tool, const std::string& pointer) {
  ApprovalRule out;
  const auto it = tool.find("require_approval");
  if (it == tool.end() || it->is_null()) return out;
  if (it->is_string() && (*it == "always" || *it == "never")) {
    out.always = *it == "always";
    return out;
  }
  if (!it->is_object()) {
    throw core::bad_request("\"require_approval\" is \"always\", \"never\" or a filter.",
                            pointer + "/require_approval");
  }
  const core::JsonReader rule(*it, pointer + "/require_approval");
  if (const auto* never = rule.object("never")) {
    read_filter(core::JsonReader(*never, rule.pointer("never")), out.never_names, out.never_read_only);
  }
  if (const auto* always = rule.object("always")) {
    read_filter(core::JsonReader(*always, rule.pointer("always")), out.always_names, out.always_read_only);
  }
  return out;
}

core::Json function_call(const std::string& call_id, const std::string& name, const std::string& arguments) {
  return {{"type", "function_call"}, {"call_id", call_id}, {"name", name}, {"arguments", arguments}};
}

core::Json function_output(const std::string& call_id, const std::string& output) {
  return {{"type", "function_call_output"}, {"call_id", call_id}, {"output", output}};
}

}  // namespace

std::string text_member(const core::Json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

core::Json input_items_of(const core::Json& body, const std::string& prefix) {
  core::Json out = core::Json::array();
  const auto input = body.find("input");
  if (input == body.end() || input->is_null()) return out;
  if (input->is_string()) {
    out.push_back(
        {{"type", "message"}, {"role", "user"}, {"content", {{{"type", "input_text"}, {"text", *input}}}}});
  } else {
    out = *input;
  }
  if (out.size() > kInputItemsMax) throw core::bad_request("At most 5000 input items are taken.", "/input");
  for (std::size_t i = 0; i < out.size(); ++i) {
    auto& item = out[i];
    if (!item.is_object()) {
      throw core::bad_request("An input item is an object.", "/input/" + std::to_string(i));
    }
    if (!item.contains("type")) item["type"] = "message";
    if (text_member(item, "id").empty()) item["id"] = prefix + std::to_string(i);
  }
  return out;
}

bool ApprovalRule::needed(const McpServerTool& tool) const {
  if (holds(never_names, tool.name)) return false;
  if (holds(always_names, tool.name)) return true;
  if (never_read_only && *never_read_only == tool.read_only) return false;
  if (always_read_only && *always_read_only == tool.read_only) return true;
  return always;
}

bool AllowedTools::allows(const McpServerTool& tool) const {
  if (read_only && *read_only != tool.read_only) return false;
  return !names || holds(*names, tool.name);
}

std::vector<McpEntry> mcp_entries_of(const core::Json& body) {
  std::vector<McpEntry> out;
  const auto tools = body.find("tools");
  if (tools == body.end() || !tools->is_array()) return out;
  for (std::size_t i = 0; i < tools->size(); ++i) {
    const auto& tool = (*tools)[i];
    if (!tool.is_object() || text_member(tool, "type") != "mcp") continue;
    const std::string pointer = "/tools/" + std::to_string(i);
    const core::JsonReader read(tool, pointer);
    McpEntry entry;
    entry.server.label = read.string("server_label", 1, 64);
    if (!read.has("server_url")) {
      throw core::bad_request("Name the server with \"server_url\"; connectors of others are not run here.",
                              pointer + "/server_url");
    }
    entry.server.url = read.string("server_url", 1, 2048);
    entry.server.authorization = core::Secret(read.optional_string("authorization").value_or(""));
    entry.allowed = allowed_tools_of(tool, pointer);
    entry.approval = approval_rule_of(tool, pointer);
    for (const auto& other : out) {
      if (other.server.label == entry.server.label) {
        throw core::bad_request("Two servers have this label.", pointer + "/server_label");
      }
    }
    out.push_back(std::move(entry));
  }
  if (out.size() > kMcpServersMax) throw core::bad_request("At most 16 MCP servers are allowed.", "/tools");
  return out;
}

core::Json other_tools_of(const core::Json& body) {
  core::Json out = core::Json::array();
  const auto tools = body.find("tools");
  if (tools == body.end() || !tools->is_array()) return out;
  for (const auto& tool : *tools) {
    if (!tool.is_object() || text_member(tool, "type") != "mcp") out.push_back(tool);
  }
  return out;
}

std::vector<ApprovalAnswer> approval_answers_of(const core::Json& items) {
  std::vector<ApprovalAnswer> out;
  for (const auto& item : items) {
    if (text_member(item, "type") != "mcp_approval_response") continue;
    const auto approve = item.find("approve");
    out.push_back({text_member(item, "approval_request_id"),
                   approve != item.end() && approve->is_boolean() && approve->get<bool>()});
  }
  return out;
}

core::Json approval_request_of(const core::Json& items, const std::string& id) {
  for (const auto& item : items) {
    if (text_member(item, "type") == "mcp_approval_request" && text_member(item, "id") == id) return item;
  }
  return nullptr;
}

core::Json model_items_of(const core::Json& items, const FunctionNamer& namer) {
  core::Json out = core::Json::array();
  for (const auto& item : items) {
    const auto type = text_member(item, "type");
    if (type == "mcp_list_tools" || type == "mcp_approval_request" || type == "mcp_approval_response")
      continue;
    if (type != "mcp_call") {
      out.push_back(item);
      continue;
    }
    const auto id = text_member(item, "id");
    const auto error = item.find("error");
    const bool failed = error != item.end() && !error->is_null();
    out.push_back(function_call(id, namer(text_member(item, "server_label"), text_member(item, "name")),
                                text_member(item, "arguments")));
    out.push_back(function_output(id, text_member(item, failed ? "error" : "output")));
  }
  return out;
}

core::Json denied_call_items(const core::Json& approval_request, const FunctionNamer& namer) {
  const auto id = text_member(approval_request, "id");
  core::Json out = core::Json::array();
  out.push_back(function_call(
      id, namer(text_member(approval_request, "server_label"), text_member(approval_request, "name")),
      text_member(approval_request, "arguments")));
  out.push_back(function_output(id, "The user did not allow this call."));
  return out;
}

core::Json listed_tools(const std::vector<McpServerTool>& tools) {
  core::Json out = core::Json::array();
  for (const auto& tool : tools) {
    out.push_back({{"name", tool.name},
                   {"description", tool.description},
                   {"input_schema", tool.input_schema},
                   {"annotations", tool.annotations}});
  }
  return out;
}

}  // namespace assistiv::inference
