#include "mcp/content/app_docs.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "mcp/connectors/catalog.h"
#include "mcp/content/content_uri.h"

namespace assistiv::mcp {

namespace {

using core::Json;

std::string in_cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out;
}

std::string text_of(const Json& schema, const char* name) {
  const auto it = schema.find(name);
  return it != schema.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// "integer", "array of string", "string or null".
std::string type_in_words(const Json& schema) {
  if (!schema.is_object()) return "any";
  const auto type = schema.find("type");
  std::string out = "any";
  if (type != schema.end() && type->is_string()) {
    out = type->get<std::string>();
  } else if (type != schema.end() && type->is_array()) {
    out.clear();
    for (const auto& one : *type)
      out += (out.empty() ? "" : " or ") + (one.is_string() ? one.get<std::string>() : "any");
  }
  const auto items = schema.find("items");
  if (out == "array" && items != schema.end()) out += " of " + type_in_words(*items);
  return out;
}

std::string limits_in_words(const Json& schema) {
  std::string out;
  const auto choices = schema.find("enum");
  if (choices != schema.end()) out += " One of " + core::dump_json(*choices) + ".";
  const auto otherwise = schema.find("default");
  if (otherwise != schema.end()) out += " Default " + core::dump_json(*otherwise) + ".";
  return out;
}

bool names_item(const Json& list, const std::string& name) {
  for (const auto& one : list) {
    if (one == name) return true;
  }
  return false;
}

std::string arguments_table(const Json& input) {
  const Json none = Json::object();
  const auto found = input.find("properties");
  const Json& properties = found != input.end() && found->is_object() ? *found : none;
  if (properties.empty()) return "It takes no arguments.\n";
  const Json required = input.value("required", Json::array());
  std::string out = "| name | type | required | what it is |\n| --- | --- | --- | --- |\n";
  for (const auto& [name, schema] : properties.items()) {
    const Json& described = schema.is_object() ? schema : none;
    out += "| `" + in_cell(name) + "` | " + in_cell(type_in_words(described)) + " | " +
           (names_item(required, name) ? "yes" : "no") + " | " +
           in_cell(text_of(described, "description") + limits_in_words(described)) + " |\n";
  }
  return out;
}

std::string hints_in_words(const Hints& hints) {
  if (hints.read_only) return "It only reads.";
  std::string out =
      hints.destructive ? "It may change or remove what is there." : "It adds, and removes nothing.";
  out += hints.idempotent ? " Repeating it changes nothing further." : " Repeating it acts again.";
  return out;
}

std::string scopes_line(const Tool& tool) {
  if (tool.scopes_any.empty()) return "none";
  std::string out;
  for (const auto& set : tool.scopes_any) {
    if (!out.empty()) out += ", or ";
    for (std::size_t i = 0; i < set.size(); ++i) out += (i == 0 ? "`" : " and `") + set[i] + "`";
  }
  return out;
}

std::string state_in_words(const AppAccess& access) {
  switch (access.state) {
    case ConnectionState::None:
      return "not connected";
    case ConnectionState::Active:
      return "connected";
    case ConnectionState::NeedsReauth:
      break;
  }
  return "has to be connected again";
}

std::string standing_of(const VisibleApp& app, const Tool& tool) {
  const AppAccess& access = *app.access;
  const auto at = static_cast<std::size_t>(&tool - access.app->tools.data());
  std::string out = "The app is " + state_in_words(access) + ".";
  if (access.decisions[at].verdict == Verdict::Approval)
    out += " Each call needs an approval of the platform.";
  if (access.state != ConnectionState::Active) return out;
  if (!access.accounts.empty() && !tool.allowed_by(access.accounts.front().scopes))
    out += " The default account lacks the permission: a call gives a link to add it.";
  return out;
}

}  // namespace

Json connection_json(const VisibleApp& app, const Account& account) {
  return {{"id", account.id.str()},
          {"app", app.access->app->id},
          {"app_title", app.access->app->title},
          {"label", account.label},
          {"account_id", account.account_id},
          {"status", account.state == ConnectionState::Active ? "active" : "needs_reauth"},
          {"is_default", &account == &app.access->accounts.front()},
          {"scopes", account.scopes},
          {"uri", connection_uri(account.id.str())}};
}

std::string app_document(const VisibleApp& app) {
  const App& about = *app.access->app;
  std::string out = "# " + about.title + " (`" + about.id + "`)\n\n" + about.description + "\n\nThe app is " +
                    state_in_words(*app.access) + ".\n";
  if (!about.scopes.empty()) {
    out += "\n## Permissions\n\n| name | what it allows |\n| --- | --- |\n";
    for (const auto& scope : about.scopes)
      out += "| `" + in_cell(scope.name) + "` | " + in_cell(scope.description) + " |\n";
  }
  out += "\n## Tools\n\n| tool | what it does | risk | documentation |\n| --- | --- | --- | --- |\n";
  for (const Tool* tool : app.tools) {
    out += "| `" + tool->name + "` | " + in_cell(tool->title) + " | " + std::string(risk_name(tool->risk)) +
           " | " + tool_uri(tool->name) + " |\n";
  }
  return out;
}

std::string tool_document(const VisibleApp& app, const Tool& tool) {
  const Json definition = core::parse_json(tool.definition_json);
  const Json none = Json::object();
  const auto input = definition.find("inputSchema");
  std::string out = "# " + tool.title + " (`" + tool.name + "`)\n\n" + tool.description + "\n\n";
  out += "- App: " + app.access->app->title + ", " + app_uri(tool.app) + "\n";
  if (!tool.group.empty()) out += "- Group: `" + tool.group + "`\n";
  out += "- Risk: " + std::string(risk_name(tool.risk)) + ". " + hints_in_words(tool.hints) + "\n";
  out += "- Permissions: " + scopes_line(tool) + "\n";
  out += "- " + standing_of(app, tool) + "\n";
  out += "\n## Arguments\n\n" + arguments_table(input == definition.end() ? none : *input);
  const auto output = definition.find("outputSchema");
  if (output != definition.end())
    out += "\n## Result\n\nA JSON Schema of `structuredContent`:\n\n```json\n" + core::dump_json(*output) +
           "\n```\n";
  return out;
}

}  // namespace assistiv::mcp
