#include "mcp/content/resource_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/encoding.h"
#include "core/json_read.h"
#include "mcp/connectors/catalog.h"
#include "mcp/content/app_docs.h"
#include "mcp/content/content_uri.h"
#include "mcp/content/kept_result_store.h"
#include "mcp/content/visible_apps.h"
#include "mcp/tools/icon.h"
#include "mcp/tools/tool_access.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr char kJsonType[] = "application/json";
constexpr char kMarkdownType[] = "text/markdown";

DefinitionListPtr finished_list(const std::vector<Json>& items) {
  auto out = std::make_shared<DefinitionList>();
  std::string content;
  for (const auto& item : items) content += out->items.emplace_back(core::dump_json(item)) + "\n";
  out->etag = core::sha256_hex(content).substr(0, 32);
  return out;
}

ReadResult text_content_result(const std::string& uri, const char* type, std::string text) {
  ReadResult out;
  out.result_json = core::dump_json(
      {{"contents", Json::array({{{"uri", uri}, {"mimeType", type}, {"text", std::move(text)}}})}});
  return out;
}

ReadResult no_such_resource() {
  ReadResult out;
  out.outcome = ReadOutcome::Unknown;
  return out;
}

Json connection_definition(const VisibleApp& app, const Account& account) {
  const std::string& title = app.access->app->title;
  const std::string& shown = account.label.empty() ? account.account_id : account.label;
  return {
      {"uri", connection_uri(account.id.str())},
      {"name", app.access->app->id + "-connection-" + account.id.str()},
      {"title", title + ": " + shown},
      {"description", "The state of the user's " + title + " account: status, permissions, default or not."},
      {"mimeType", kJsonType}};
}

Json app_definition(const App& app) {
  return {{"uri", app_uri(app.id)},
          {"name", app.id + "-app"},
          {"title", app.title},
          {"description", "What " + app.title + " offers here: its permissions and its tools."},
          {"mimeType", kMarkdownType}};
}

Json template_definition(const char* uri, const char* name, const char* title, const char* description,
                         const char* type) {
  return {{"uriTemplate", uri},
          {"name", name},
          {"title", title},
          {"description", description},
          {"mimeType", type}};
}

std::string all_connections(const VisibleApps& apps) {
  Json list = Json::array();
  for (const auto& app : apps.apps) {
    for (const auto& account : app.own_accounts()) list.push_back(connection_json(app, account));
  }
  return core::dump_json({{"connections", std::move(list)}});
}

ReadResult read_connection(const VisibleApps& apps, const std::string& uri, const std::string& id) {
  for (const auto& app : apps.apps) {
    for (const auto& account : app.own_accounts()) {
      if (account.id.str() == id)
        return text_content_result(uri, kJsonType, core::dump_json(connection_json(app, account)));
    }
  }
  return no_such_resource();
}

bool has_account(const AppAccess& access, core::ConnectionId id) {
  return std::any_of(access.accounts.begin(), access.accounts.end(),
                     [id](const Account& account) { return account.id == id; });
}

ReadResult read_part(const std::string& uri, const ContentUri& wanted, const KeptResult& kept) {
  auto text = kept_part(kept.text, wanted.part);
  if (!text) return no_such_resource();
  const std::size_t parts = kept_parts(kept.text.size());
  Json content = {{"uri", uri},
                  {"mimeType", parts == 1 ? kJsonType : "text/plain"},
                  {"text", std::move(*text)},
                  {"_meta", {{"assistiv/part", wanted.part}, {"assistiv/parts", parts}}}};
  if (wanted.part < parts) content["_meta"]["assistiv/next"] = result_uri(wanted.name, wanted.part + 1);
  ReadResult out;
  out.result_json = core::dump_json({{"contents", Json::array({std::move(content)})}});
  return out;
}

}  // namespace

core::Task<DefinitionListPtr> ResourceService::list(CallContext context) {
  const auto apps = visible_apps(co_await access_.get(context.principal), context);
  std::vector<Json> items;
  items.push_back(
      {{"uri", kConnectionsUri},
       {"name", "connections"},
       {"title", "Connected accounts"},
       {"description", "The user's accounts at the apps: status, permissions, which is the default."},
       {"mimeType", kJsonType}});
  const auto add = [&](Json definition, const App& app) {
    items.push_back(context.icons ? with_icons(std::move(definition), app.icons_json)
                                  : std::move(definition));
  };
  for (const auto& app : apps.apps) {
    for (const auto& account : app.own_accounts()) add(connection_definition(app, account), *app.access->app);
  }
  for (const auto& app : apps.apps) add(app_definition(*app.access->app), *app.access->app);
  co_return finished_list(items);
}

core::Task<DefinitionListPtr> ResourceService::templates(CallContext) {
  static const auto list = finished_list(
      {template_definition("assistiv://connections/{connection_id}", "connection", "One connected account",
                           "Status, permissions and label of one of the user's accounts.", kJsonType),
       template_definition("assistiv://apps/{app}", "app", "Documentation of an app",
                           "The permissions and the tools of an app.", kMarkdownType),
       template_definition("assistiv://tools/{tool}", "tool", "Documentation of a tool",
                           "What a tool does, its arguments, permissions, risk and result.", kMarkdownType),
       template_definition(
           "assistiv://results/{result_id}/{part}", "result", "The whole of a result that was cut",
           "A tool result that was too large for its reply, in parts from 1 on. The link in the "
           "result says how many there are.",
           "text/plain")});
  co_return list;
}

core::Task<ReadResult> ResourceService::read(CallContext context, std::string uri) {
  const auto wanted = parse_content_uri(uri);
  if (!wanted) co_return no_such_resource();
  const auto apps = visible_apps(co_await access_.get(context.principal), context);
  switch (wanted->kind) {
    case ContentKind::Connections:
      co_return text_content_result(uri, kJsonType, all_connections(apps));
    case ContentKind::Connection:
      co_return read_connection(apps, uri, wanted->name);
    case ContentKind::App:
      if (const VisibleApp* app = apps.find(wanted->name))
        co_return text_content_result(uri, kMarkdownType, app_document(*app));
      break;
    case ContentKind::Tool:
      if (const VisibleApp* app = apps.find_by_tool(wanted->name))
        co_return text_content_result(uri, kMarkdownType, tool_document(*app, *app->find(wanted->name)));
      break;
    case ContentKind::Result: {
      const auto kept = co_await results_.find(context.principal, wanted->name);
      // What was taken away since, by a grant or with the connection, is not given out any more.
      const VisibleApp* app = kept ? apps.find_by_tool(kept->tool) : nullptr;
      if (app != nullptr && has_account(*app->access, kept->connection))
        co_return read_part(uri, *wanted, *kept);
      break;
    }
  }
  co_return no_such_resource();
}

core::Task<bool> ResourceService::exists(CallContext context, std::string uri) {
  const auto result = co_await read(std::move(context), std::move(uri));
  co_return result.outcome == ReadOutcome::Done;
}

std::string_view ResourceService::changed_by(std::string_view topic) const {
  return topic == "connection" || topic == "grant" || topic == "app" ? kConnectionsUri : std::string_view();
}

}  // namespace assistiv::mcp
