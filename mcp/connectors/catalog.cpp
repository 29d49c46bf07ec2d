#include "mcp/connectors/catalog.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/encoding.h"
#include "mcp/connectors/manifest_merge.h"
#include "mcp/connectors/manifest_node.h"
#include "mcp/connectors/plan.h"
#include "mcp/connectors/plan_parser.h"
#include "mcp/connectors/prompt.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kAppToolsMax = 100;

std::string fault_lines(const std::vector<ManifestFault>& faults) {
  std::string out = "The connector manifests have faults:";
  for (const auto& fault : faults) {
    out += "\n  " + fault.file + "#" + fault.pointer + ": " + fault.message;
  }
  return out;
}

void lint_app(const ManifestNode& node, const App& app, ManifestOwner owner) {
  const bool plain = app.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  if (app.id.size() < 2 || app.id.size() > 40 || !plain || app.id[0] < 'a') {
    node["id"].fault("must be 2 to 40 lowercase letters, digits and \"_\"");
  }
  if (owner == ManifestOwner::Server && oauth::is_own_app(app.id)) {
    node["id"].fault("must not begin with \"own_\": such ids belong to the platforms' own apps");
  }
  if (owner == ManifestOwner::Platform && !oauth::is_own_app_id(app.id)) {
    node["id"].fault("must be \"own_\" and at least two lowercase letters, digits and \"_\"");
  }
  if (app.tools.empty() || app.tools.size() > kAppToolsMax) {
    node["tools"].fault("must have 1 to " + std::to_string(kAppToolsMax) + " tools");
  }
  std::size_t bytes = 0;
  for (const auto& tool : app.tools) bytes += tool.definition_json.size();
  if (bytes / 4 > kAppTokensMax) {
    node["tools"].fault("is too much for a model's context: about " + std::to_string(bytes / 4) +
                        " tokens, at most " + std::to_string(kAppTokensMax));
  }
}

void read_icons(const ManifestNode& node, const std::string& base, App& app) {
  auto icons = parse_icons(node);
  if (!base.empty()) app.icon_files = serve_icons(icons, base);
  app.icons_json = icons_text(icons);
  for (auto& tool : app.tools) tool.icons_json = app.icons_json;
}

AppPtr parse_app(const ManifestDocument& document, const std::string& override_url, ManifestOwner owner,
                 const std::string& icon_base, std::vector<ManifestFault>& faults) {
  const ManifestNode node(*document.json, document.file, faults);
  node.only({"manifest", "id", "extends", "title", "version", "description", "icons", "vars", "hosts",
             "oauth", "api", "paginators", "arguments", "shapes", "tools", "prompts"});
  if (node["manifest"].json() != 1) node["manifest"].fault("must be 1");
  auto out = std::make_shared<App>();
  App& app = *out;
  app.id = node["id"].text(2, 40);
  app.title = node["title"].text(1, 80);
  app.version = node["version"].text(1, 40);
  app.description = node["description"].text(10, 400);
  app.manifest_file = document.file;
  app.document = document.json;
  const std::size_t before = faults.size();
  auto api = parse_api(node, override_url);
  ManifestParts parts{app.id, api, parse_paginators(node["paginators"]), ShapeTable(node["shapes"]),
                      faults.size() == before};
  app.api = api;
  app.connector = {api, &api->spec};
  app.token_scopes = !api->spec.oauth.scope.param.empty();
  for (const auto& [name, title] : api->spec.oauth.scope.titles) app.scopes.push_back({name, title});
  node["tools"].each_item([&](const ManifestNode& tool) { app.tools.push_back(parse_tool(tool, parts)); });
  read_icons(node["icons"], icon_base, app);
  for (auto& tool : app.tools) {
    tool.token_scopes = app.token_scopes;
    tool.definition_sha256 = core::sha256(tool.definition_json + tool.icons_json);
  }
  lint_app(node, app, owner);
  parse_prompts(node["prompts"], app);  // for their faults; who needs them reads them from the document
  return out;
}

void check_unique_names(const std::vector<AppPtr>& apps, std::vector<ManifestFault>& faults) {
  std::map<std::string, const App*> owners;
  for (const auto& app : apps) {
    for (std::size_t i = 0; i < app->tools.size(); ++i) {
      const auto [it, added] = owners.emplace(app->tools[i].name, app.get());
      if (added) continue;
      faults.push_back({app->manifest_file, "/tools/" + std::to_string(i) + "/name",
                        "is the name of a tool in " + it->second->manifest_file + " too"});
    }
  }
}

}  // namespace

ManifestError::ManifestError(std::vector<ManifestFault> faults)
    : std::runtime_error(fault_lines(faults)), faults_(std::move(faults)) {}

bool Tool::allowed_by(const std::vector<std::string>& granted_scopes) const {
  if (!token_scopes || scopes_any.empty()) return true;
  const auto covered = [&](const std::string& scope) {
    return plan->api->spec.covers(granted_scopes, scope);
  };
  return std::any_of(scopes_any.begin(), scopes_any.end(), [&](const std::vector<std::string>& set) {
    return std::all_of(set.begin(), set.end(), covered);
  });
}

const Tool* App::find_tool(std::string_view name) const {
  const auto it =
      std::find_if(tools.begin(), tools.end(), [name](const Tool& tool) { return tool.name == name; });
  return it == tools.end() ? nullptr : &*it;
}

Catalog Catalog::load(const std::vector<ManifestFile>& files, const ApiOverrides& overrides,
                      ManifestOwner owner, const std::string& icon_base) {
  std::vector<ManifestFault> faults;
  std::vector<AppPtr> apps;
  for (const auto& document : merge_manifests(files, faults)) {
    const auto override_url = overrides.find((*document.json)["id"].get<std::string>());
    apps.push_back(parse_app(document, override_url == overrides.end() ? "" : override_url->second, owner,
                             icon_base, faults));
  }
  check_unique_names(apps, faults);
  if (!faults.empty()) throw ManifestError(std::move(faults));
  return Catalog(std::move(apps));
}

Catalog::Catalog(std::vector<AppPtr> apps) : apps_(std::move(apps)) {
  std::sort(apps_.begin(), apps_.end(), [](const AppPtr& a, const AppPtr& b) { return a->id < b->id; });
  for (const auto& app : apps_) {
    for (const auto& tool : app->tools) tools_.emplace(tool.name, &tool);
  }
}

Catalog Catalog::with(const std::vector<AppPtr>& others) const {
  std::set<std::string_view> apps, tools;
  for (const auto& app : apps_) apps.insert(app->id);
  for (const auto& [name, tool] : tools_) tools.insert(name);
  std::vector<AppPtr> all = apps_;
  for (const auto& app : others) {
    const auto taken = [&tools](const Tool& tool) { return tools.contains(tool.name); };
    if (apps.contains(app->id) || std::any_of(app->tools.begin(), app->tools.end(), taken)) continue;
    apps.insert(app->id);
    for (const auto& tool : app->tools) tools.insert(tool.name);
    all.push_back(app);
  }
  return Catalog(std::move(all));
}

const App* Catalog::find_app(std::string_view id) const {
  const auto it =
      std::lower_bound(apps_.begin(), apps_.end(), id,
                       [](const AppPtr& app, std::string_view wanted) { return app->id < wanted; });
  return it == apps_.end() || (*it)->id != id ? nullptr : it->get();
}

const Tool* Catalog::find_tool(std::string_view name) const {
  const auto it = tools_.find(name);
  return it == tools_.end() ? nullptr : it->second;
}

const IconFile* Catalog::find_icon(std::string_view name) const {
  for (const auto& app : apps_) {
    for (const auto& file : app->icon_files) {
      if (file.name == name) return &file;
    }
  }
  return nullptr;
}

}  // namespace assistiv::mcp
