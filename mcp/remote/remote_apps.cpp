#include "mcp/remote/remote_apps.h"

#include <memory>
#include <utility>

#include "core/encoding.h"
#include "core/error.h"
#include "core/log.h"
#include "mcp/remote/remote_server_store.h"
#include "oauth/crypto/vault.h"

namespace assistiv::mcp {

namespace {

std::shared_ptr<RemoteApp> make_remote_app(const RemoteServerRow& row, core::Secret header) {
  auto out = std::make_shared<RemoteApp>();
  const auto& server = row.server;
  out->kind = AppKind::Remote;
  out->id = server.app;
  out->title = server.title;
  out->version = server.server_version;
  out->description = server.description;
  out->token_scopes = false;
  out->shared_credential = server.auth == RemoteAuth::None || server.auth == RemoteAuth::SharedHeader;
  if (server.oauth) out->connector = remote_connector(server);
  out->url = server.url;
  out->auth = server.auth;
  out->header_name = server.header_name;
  // What an end user's call never uses stays where it is.
  if (server.auth == RemoteAuth::SharedHeader) out->header = std::move(header);
  return out;
}

void add_tool(RemoteApp& app, const RemoteToolDefinition& definition) {
  auto tool = make_tool(app.id, definition);
  if (!tool) {
    core::log::warn("remote_server.tool_not_usable", {{"app", app.id}, {"tool", definition.name}});
    return;
  }
  tool->definition_sha256 = core::sha256(tool->definition_json + tool->icons_json);
  app.plans[tool->name] = {definition.remote_name, definition.mirrored};
  app.tools.push_back(std::move(*tool));
}

}  // namespace

std::vector<AppPtr> RemoteApps::load(storage::Transaction& tx, core::PlatformId platform, LeftOut&) const {
  const RemoteServerStore store(vault_);
  std::map<std::string, std::shared_ptr<RemoteApp>> apps;
  for (const auto& row : store.all(tx, platform)) {
    try {
      apps[row.server.app] = make_remote_app(row, store.open(platform, row));
    } catch (const core::Error& error) {
      core::log::warn("remote_server.not_usable", {{"platform_id", platform.str()},
                                                   {"app", row.server.app},
                                                   {"error", error.what()},
                                                   {"detail", error.detail()}});
    }
  }
  if (apps.empty()) return {};
  for (const auto& [app, definition] : store.approved_tools(tx, platform)) {
    if (const auto it = apps.find(app); it != apps.end()) add_tool(*it->second, definition);
  }
  std::vector<AppPtr> out;
  for (auto& [id, app] : apps) out.push_back(std::move(app));
  return out;
}

}  // namespace assistiv::mcp
