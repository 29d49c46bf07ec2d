#include "api/loop_tools.h"

#include <nlohmann/json.hpp>

#include "api/config.h"
#include "core/error.h"
#include "core/http.h"
#include "core/json_read.h"
#include "oauth/identity/authenticator.h"

namespace assistiv::api {

namespace {

inference::McpServerTool tool_of(const mcp::ToolView& view) {
  const auto definition = core::parse_json(view.definition_json);
  inference::McpServerTool out;
  out.name = view.name;
  out.description = definition.value("description", "");
  out.input_schema = definition.value("inputSchema", core::Json::object());
  out.annotations = definition.value("annotations", core::Json());
  out.read_only = out.annotations.is_object() && out.annotations.value("readOnlyHint", false);
  return out;
}

// What a model reads of a CallToolResult.
std::string text_of_result(const std::string& result_json) {
  const auto result = core::try_parse_json(result_json);
  if (!result || !result->is_object()) return result_json;
  std::string out;
  if (const auto content = result->find("content"); content != result->end() && content->is_array()) {
    for (const auto& part : *content) {
      if (part.is_object() && part.value("type", "") == "text") {
        out += (out.empty() ? "" : "\n") + part.value("text", "");
      }
    }
  }
  return out.empty() ? result_json : out;
}

bool is_error_result(const std::string& result_json) {
  const auto result = core::try_parse_json(result_json);
  return result && result->is_object() && result->value("isError", false);
}

}  // namespace

std::optional<std::string> LoopTools::app_of(const std::string& url) const {
  for (const auto& base : {config_.mcp_public_url, config_.public_url}) {
    const std::string root = base + "/mcp";
    if (url == root || url == root + "/") return std::string();
    if (!url.starts_with(root + "/")) continue;
    auto app = url.substr(root.size() + 1);
    if (app.find_first_of("/?#") == std::string::npos) return app;
  }
  return {};
}

core::Task<mcp::CallContext> LoopTools::context(inference::McpCaller caller, inference::McpServer server) {
  const auto app = app_of(server.url);
  if (!app) {
    throw core::bad_request("Only this server's own MCP endpoint, " + config_.mcp_public_url +
                                "/mcp, can be used as a tool of a response.",
                            "/tools");
  }
  mcp::CallContext out;
  out.principal = caller.principal;
  if (!server.authorization.empty()) {
    std::string key = server.authorization.reveal();
    if (key.size() > 7 && core::equals_ignore_case(std::string_view(key).substr(0, 7), "Bearer "))
      key.erase(0, 7);
    out.principal = co_await authenticator_.authenticate(key);
    // It is bound to one URL and to what its holder may do there; another door would know neither.
    if (!out.principal->audience.empty())
      throw core::forbidden("Give an end user's key here: an access token is good at its own URL only.");
    const bool same_platform = out.principal->platform_id == caller.principal->platform_id;
    const bool same_user = caller.principal->kind == oauth::PrincipalKind::Platform ||
                           out.principal->end_user_id == caller.principal->end_user_id;
    if (!same_platform || !same_user) {
      throw core::forbidden("The \"authorization\" of an MCP tool must be a key of the same end user.");
    }
  }
  if (out.principal->kind != oauth::PrincipalKind::EndUser) {
    throw core::forbidden(
        "MCP tools act for an end user: call with an sk-eu_ key, or give one as the tool's "
        "\"authorization\".");
  }
  if (!out.principal->has_scope("mcp")) throw core::forbidden("This key lacks the scope \"mcp\".");
  if (!app->empty()) out.app = *app;
  out.request_id = std::move(caller.request_id);
  out.traceparent = std::move(caller.traceparent);
  out.stop = caller.stop;
  co_return out;
}

core::Task<std::vector<inference::McpServerTool>> LoopTools::list(inference::McpCaller caller,
                                                                  inference::McpServer server) {
  const auto list = co_await tools_.list(co_await context(std::move(caller), std::move(server)));
  std::vector<inference::McpServerTool> out;
  for (const auto& view : list->tools) out.push_back(tool_of(view));
  co_return out;
}

core::Task<inference::McpOutcome> LoopTools::call(inference::McpCaller caller, inference::McpServer server,
                                                  std::string name, core::Json arguments) {
  auto where = co_await context(std::move(caller), std::move(server));
  const auto result = co_await tools_.call(std::move(where), name, std::move(arguments));
  switch (result.outcome) {
    case mcp::ToolOutcome::Done:
      co_return inference::McpOutcome{is_error_result(result.result_json),
                                      text_of_result(result.result_json)};
    case mcp::ToolOutcome::ToolError:
    case mcp::ToolOutcome::NotConnected:
      co_return inference::McpOutcome{true, text_of_result(result.result_json)};
    case mcp::ToolOutcome::Unknown:
      co_return inference::McpOutcome{true, "There is no tool \"" + name + "\" for this user."};
    case mcp::ToolOutcome::InputRequired:
    case mcp::ToolOutcome::ProtocolError:
    case mcp::ToolOutcome::TaskRequired:
      break;
  }
  co_return inference::McpOutcome{true,
                                  result.message.empty() ? "The tool cannot be run here." : result.message};
}

}  // namespace assistiv::api
