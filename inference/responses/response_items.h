#pragma once
// Items of the Responses API (https://platform.openai.com/docs/api-reference/responses) as JSON: what goes to
// a model, what is remembered. Pure.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "inference/responses/mcp_tools.h"

namespace assistiv::inference {

// `input` (a text, a list of items, or absent) as a list; each item gets an "id" when it has none, made of
// `prefix` and its position. Throws Error{InvalidArgument} with the pointer for what is no item.
core::Json input_items_of(const core::Json& body, const std::string& prefix);

// When a tool of an MCP server is run without asking: OpenAI's require_approval.
struct ApprovalRule {
  bool always = true;                     // for tools that neither list names
  std::vector<std::string> never_names;   // {"never": {"tool_names": [...]}}
  std::vector<std::string> always_names;  // {"always": {"tool_names": [...]}}
  std::optional<bool> never_read_only;    // {"never": {"read_only": true}}
  std::optional<bool> always_read_only;   // {"always": {"read_only": false}}
  bool needed(const McpServerTool& tool) const;
};

// Which of a server's tools the model may see: OpenAI's allowed_tools.
struct AllowedTools {
  std::optional<std::vector<std::string>> names;
  std::optional<bool> read_only;
  bool allows(const McpServerTool& tool) const;
};

struct McpEntry {
  McpServer server;
  AllowedTools allowed;
  ApprovalRule approval;
};

// The {"type": "mcp"} entries of `body`'s tools. Throws Error{InvalidArgument} with the pointer.
std::vector<McpEntry> mcp_entries_of(const core::Json& body);
// `body`'s tools without them.
core::Json other_tools_of(const core::Json& body);

// An answer to an mcp_approval_request.
struct ApprovalAnswer {
  std::string request_id;
  bool approve = false;
};
std::vector<ApprovalAnswer> approval_answers_of(const core::Json& items);
// The request with this id, null when there is none.
core::Json approval_request_of(const core::Json& items, const std::string& id);

// How the model knows a tool of a server.
using FunctionNamer = std::function<std::string(const std::string& label, const std::string& tool)>;
// What a model is to see of `items`: MCP calls as function calls with their outputs, nothing of lists and
// approvals.
core::Json model_items_of(const core::Json& items, const FunctionNamer& namer);
// What the model is told of a call that the user did not allow.
core::Json denied_call_items(const core::Json& approval_request, const FunctionNamer& namer);

// The tools of a server as an mcp_list_tools item shows them.
core::Json listed_tools(const std::vector<McpServerTool>& tools);

// The member as text; "" when it is absent or something else.
std::string text_member(const core::Json& object, const char* name);

}  // namespace assistiv::inference
