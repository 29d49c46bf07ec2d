#include "inference/responses/response_run.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::inference {

namespace {

// What is the door's and no model's.
constexpr const char* kDoorMembers[] = {"previous_response_id", "store", "max_tool_calls", "background",
                                        "metadata"};
constexpr const char* kNotOffered[] = {"background", "conversation", "prompt"};

std::string bare_id(const std::string& id) {
  return id.substr(id.find('_') + 1);
}

}  // namespace

ResponseRun::ResponseRun(std::string id, std::shared_ptr<const core::Json> body)
    : id_(std::move(id)), body_(std::move(body)) {
  const core::JsonReader read(*body_);
  for (const auto* name : kNotOffered) {
    const auto it = body_->find(name);
    if (it != body_->end() && !it->is_null() && *it != false) {
      throw core::bad_request("\"" + std::string(name) + "\" is not offered here.", read.pointer(name));
    }
  }
  previous_id_ = read.optional_string("previous_response_id", 0, 128).value_or("");
  store_ = read.optional_bool("store").value_or(true);
  stream_ = read.optional_bool("stream").value_or(false);
  read.array("tools");  // refuses another type
  entries_ = mcp_entries_of(*body_);
  input_ = input_items_of(*body_, "in_" + bare_id(id_) + "_");
}

int ResponseRun::tool_calls_max(int standard) const {
  const auto given = core::JsonReader(*body_).optional_integer("max_tool_calls", 0, 1'000'000);
  return given && *given < standard ? static_cast<int>(*given) : standard;
}

void ResponseRun::set_context(const std::vector<StoredResponse>& turns) {
  for (const auto& turn : turns) {
    for (auto& item : core::Json::parse(turn.input_json)) context_.push_back(std::move(item));
    auto response = core::Json::parse(turn.response_json);
    for (auto& item : response["output"]) context_.push_back(std::move(item));
  }
}

std::vector<McpServerTool> ResponseRun::set_tools(std::size_t entry, std::vector<McpServerTool> tools) {
  const auto& of = entries_[entry];
  std::erase_if(tools, [&](const McpServerTool& tool) { return !of.allowed.allows(tool); });
  for (const auto& tool : tools) functions_.emplace(function_name(of, tool), Function{entry, tool});
  return tools;
}

bool ResponseRun::listed(const std::string& label) const {
  return std::any_of(context_.begin(), context_.end(), [&](const core::Json& item) {
    return text_member(item, "type") == "mcp_list_tools" && text_member(item, "server_label") == label;
  });
}

std::optional<McpTool> ResponseRun::tool_of(std::string_view function_name) const {
  const auto it = functions_.find(function_name);
  if (it == functions_.end()) return {};
  const auto& entry = entries_[it->second.entry];
  return McpTool{entry.server.label, it->second.tool.name, entry.approval.needed(it->second.tool)};
}

std::optional<ResponseRun::Found> ResponseRun::find(std::string_view function_name) const {
  const auto it = functions_.find(function_name);
  if (it == functions_.end()) return {};
  return Found{it->second.entry, it->second.tool.name};
}

std::optional<ResponseRun::Found> ResponseRun::find(const std::string& label, const std::string& tool) const {
  for (const auto& [name, function] : functions_) {
    if (entries_[function.entry].server.label == label && function.tool.name == tool) {
      return Found{function.entry, tool};
    }
  }
  return {};
}

std::vector<ResponseRun::Approval> ResponseRun::approvals() const {
  std::vector<Approval> out;
  for (const auto& answer : approval_answers_of(input_)) {
    auto request = approval_request_of(context_, answer.request_id);
    if (request.is_null()) request = approval_request_of(input_, answer.request_id);
    if (request.is_null()) {
      throw core::bad_request("There is no such approval request in this conversation.", "/input");
    }
    out.push_back({std::move(request), answer.approve});
  }
  return out;
}

void ResponseRun::deny(const core::Json& approval_request) {
  const auto namer = [this](const std::string& label, const std::string& tool) {
    return known_name(label, tool);
  };
  for (auto& item : denied_call_items(approval_request, namer)) denied_.push_back(std::move(item));
}

// Two servers, or a server and the caller, may use one name.
std::string ResponseRun::function_name(const McpEntry& entry, const McpServerTool& tool) const {
  bool taken = functions_.contains(tool.name);
  for (const auto& own : other_tools_of(*body_)) {
    const auto function = own.find("function");
    taken = taken || text_member(own, "name") == tool.name ||
            (function != own.end() && text_member(*function, "name") == tool.name);
  }
  return taken ? entry.server.label + "__" + tool.name : tool.name;
}

std::string ResponseRun::known_name(const std::string& label, const std::string& tool) const {
  for (const auto& [name, function] : functions_) {
    if (entries_[function.entry].server.label == label && function.tool.name == tool) return name;
  }
  return tool;
}

core::Json ResponseRun::function_tools() const {
  core::Json out = other_tools_of(*body_);
  for (const auto& [name, function] : functions_) {
    out.push_back({{"type", "function"},
                   {"name", name},
                   {"description", function.tool.description},
                   {"parameters", function.tool.input_schema},
                   {"strict", false}});
  }
  return out;
}

// "required" and a named tool hold for the first turn: else the loop would never end.
core::Json ResponseRun::model_tool_choice() const {
  const auto it = body_->find("tool_choice");
  if (it == body_->end() || it->is_null()) return nullptr;
  const bool forces = *it == "required" || (it->is_object() && text_member(*it, "type") != "allowed_tools");
  if (forces && turns_ > 0) return "auto";
  if (text_member(*it, "type") != "mcp") return *it;
  const auto found = text_member(*it, "name");
  if (found.empty()) return "required";
  const auto label = text_member(*it, "server_label");
  if (!find(label, found)) throw core::bad_request("There is no such MCP tool in \"tools\".", "/tool_choice");
  return {{"type", "function"}, {"name", known_name(label, found)}};
}

core::Json ResponseRun::next_body(const core::Json& output) const {
  core::Json out = *body_;
  for (const auto* name : kDoorMembers) out.erase(name);
  if (text_member(out, "truncation") == "disabled") out.erase("truncation");
  const auto namer = [this](const std::string& label, const std::string& tool) {
    return known_name(label, tool);
  };
  out["input"] = model_items_of(context_, namer);
  for (const auto* items : {&input_, &denied_, &output}) {
    for (auto& item : model_items_of(*items, namer)) out["input"].push_back(std::move(item));
  }
  auto tools = function_tools();
  auto choice = model_tool_choice();
  out.erase("tools");
  out.erase("tool_choice");
  if (tools.empty()) return out;
  out["tools"] = std::move(tools);
  if (!choice.is_null()) out["tool_choice"] = std::move(choice);
  return out;
}

}  // namespace assistiv::inference
