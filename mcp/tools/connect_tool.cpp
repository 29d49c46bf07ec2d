#include "mcp/tools/connect_tool.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "mcp/connectors/catalog.h"
#include "mcp/tools/tool_result.h"

namespace assistiv::mcp {

namespace {

constexpr std::string_view kInputSchema = R"({
  "type": "object",
  "properties": {
    "app": {"type": "string", "maxLength": 64,
            "description": "Id of the app to connect, as in the list. May be left out to see the list."}},
  "additionalProperties": false})";

constexpr std::string_view kOutputSchema = R"({
  "type": "object",
  "required": ["apps"],
  "properties": {
    "apps": {"type": "array", "items": {"type": "object", "required": ["app", "title", "status"], "properties": {
      "app": {"type": "string"}, "title": {"type": "string"},
      "status": {"type": "string", "enum": ["not_connected", "needs_reauth", "active"]}}}},
    "app": {"type": "string", "description": "The app that the link is for."},
    "connect_url": {"type": "string", "description": "The user opens it in a browser. Works once."},
    "expires_at": {"type": "string"}}})";

std::string_view status_name(ConnectionState state) {
  switch (state) {
    case ConnectionState::None:
      return "not_connected";
    case ConnectionState::NeedsReauth:
      return "needs_reauth";
    case ConnectionState::Active:
      break;
  }
  return "active";
}

bool connectable(const AppAccess& access) {
  return access.usable() && access.by_link() && access.state != ConnectionState::Active;
}

std::string connectable_names(const AccessSnapshot& access) {
  std::string out;
  for (const auto& app : access.apps) {
    if (connectable(app)) out += (out.empty() ? "" : ", ") + app.app->id;
  }
  return out;
}

}  // namespace

std::string_view connect_tool_definition() {
  static const std::string definition =
      core::dump_json({{"name", kConnectTool},
                       {"title", "Connect an app"},
                       {"description",
                        "Lists the apps that can be connected for this user and gives a link with which the "
                        "user connects one. Show "
                        "the link to the user; after they have opened it and agreed, the app's tools appear "
                        "in the list of tools."},
                       {"inputSchema", core::parse_json(kInputSchema)},
                       {"outputSchema", core::parse_json(kOutputSchema)},
                       {"annotations",
                        {{"title", "Connect an app"},
                         {"readOnlyHint", false},
                         {"destructiveHint", false},
                         {"idempotentHint", true},
                         {"openWorldHint", false}}}});
  return definition;
}

const JsonSchema& connect_tool_input() {
  static const std::shared_ptr<const JsonSchema> schema =
      JsonSchema::compile(core::parse_json(kInputSchema)).schema;
  if (!schema) throw core::internal("the schema of the connect tool does not compile");
  return *schema;
}

ConnectChoice choose_app(const AccessSnapshot& access, const core::Json& arguments) {
  const auto named = core::JsonReader(arguments).optional_string("app");
  ConnectChoice out;
  if (named) {
    const AppAccess* app = access.find(*named);
    if (app != nullptr && app->usable() && app->by_link()) {
      out.app = app;
    } else {
      const std::string names = connectable_names(access);
      out.fault = "There is no app \"" + *named + "\" to connect." +
                  (names.empty() ? "" : " There are: " + names + ".");
    }
    return out;
  }
  for (const auto& app : access.apps) {
    if (!connectable(app)) continue;
    if (out.app != nullptr) return {};  // a choice is for the user to make
    out.app = &app;
  }
  return out;
}

std::string connect_result(const AccessSnapshot& access, const AppAccess* chosen,
                           const std::optional<ConnectLink>& link) {
  core::Json out = {{"apps", core::Json::array()}};
  for (const auto& app : access.apps) {
    if (!app.usable()) continue;
    out["apps"].push_back(
        {{"app", app.app->id}, {"title", app.app->title}, {"status", status_name(app.state)}});
  }
  std::string text;
  if (link) {
    out["app"] = chosen->app->id;
    out["connect_url"] = link->url;
    out["expires_at"] = core::format_time(link->expires_at);
    text = "Ask the user to open this link in a browser to connect " + chosen->app->title + ": " + link->url;
  } else if (chosen != nullptr) {
    text = chosen->app->title + " is connected already; use its tools.";
  } else {
    const std::string names = connectable_names(access);
    text = names.empty()
               ? "There is no app left to connect."
               : "These apps can be connected: " + names + ". Call this tool with one of them as \"app\".";
  }
  return structured_result(out, text);
}

}  // namespace assistiv::mcp
