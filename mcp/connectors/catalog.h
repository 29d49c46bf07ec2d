#pragma once
// Apps and their tools, made from manifests (docs/connectors.md). Immutable. The server has one catalogue
// from start; a platform with apps of its own has another, which shares the server's apps (app_book.h).
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "mcp/schema/json_schema.h"
#include "mcp/tools/risk.h"

namespace assistiv::oauth {
struct ConnectorSpec;
}

namespace assistiv::mcp {

struct ToolPlan;  // how to call the upstream: mcp/connectors/plan.h
struct ApiPlan;

// The four hints of an MCP tool, always explicit.
struct Hints {
  bool read_only = false;
  bool destructive = true;
  bool idempotent = false;
  bool open_world = true;
};

struct Tool {
  std::string app;
  std::string name;  // unique over all apps, at most 48 characters
  std::string title;
  std::string description;
  std::string group;
  Risk risk = Risk::Destructive;
  Hints hints;
  // Any one of these sets of scopes is enough; empty when the tool needs none. For an app whose tokens carry
  // no scopes (App::token_scopes is false) these are permissions of the app's registration.
  std::vector<std::vector<std::string>> scopes_any;
  // What tools/list shows, finished: name, title, description, inputSchema, outputSchema, annotations.
  std::string definition_json;
  std::string icons_json;                    // beside it, an array; "" for none (mcp/tools/icon.h)
  std::string definition_sha256;             // of both, 32 bytes
  std::shared_ptr<const JsonSchema> input;   // checks the arguments
  std::shared_ptr<const JsonSchema> output;  // what structuredContent conforms to
  std::shared_ptr<const ToolPlan> plan;      // of an app made from a manifest
  // What the argument is called that names one of several accounts (mcp/tools/accounts.h).
  std::string account_argument = "account";

  bool token_scopes = true;  // as App::token_scopes

  // True when a connection with these scopes can run the tool (or when it cannot be known).
  bool allowed_by(const std::vector<std::string>& granted_scopes) const;
};

struct AppScope {
  std::string name;
  std::string description;  // for people: what it lets the server do
};

// An image that the server gives out at /mcp/icons/<name>. The name says what is in it.
struct IconFile {
  std::string name, type, bytes;
};

// What stands behind an app, and so which ToolExecutor runs its tools (mcp/tools/executor_by_kind.h).
enum class AppKind {
  Manifest,  // an HTTP API, called as the manifest says
  Remote,    // an MCP server that the platform registered (mcp/remote)
};

struct App {
  AppKind kind = AppKind::Manifest;
  std::string id;
  std::string title;
  std::string version;
  std::string description;
  std::string manifest_file;
  std::string icons_json;            // as Tool::icons_json
  std::vector<IconFile> icon_files;  // that they point to
  std::vector<AppScope> scopes;
  bool token_scopes =
      true;  // false: access tokens carry no scopes, the app's registration decides (GitHub Apps)
  std::vector<Tool> tools;  // in the manifest's order
  std::shared_ptr<const ApiPlan> api;
  std::shared_ptr<const oauth::ConnectorSpec> connector;  // how an end user connects it
  bool shared_credential = false;  // the platform's, for every end user: there is nothing to connect
  // The whole manifest after "extends": oauth/connect reads "vars", "hosts" and "oauth" from it.
  std::shared_ptr<const core::Json> document;

  const Tool* find_tool(std::string_view name) const;
};

struct ManifestFile {
  std::string name;  // "github.json"
  std::string text;
};

struct ManifestFault {
  std::string file;
  std::string pointer;  // JSON pointer into the manifest after "extends"
  std::string message;
};

// Every fault of every manifest; what() lists them one per line as file#pointer: message.
class ManifestError : public std::runtime_error {
 public:
  explicit ManifestError(std::vector<ManifestFault> faults);
  const std::vector<ManifestFault>& faults() const { return faults_; }

 private:
  std::vector<ManifestFault> faults_;
};

// Replaces the origin ("http://127.0.0.1:4901", a path is a prefix) of an app's API calls; by app id. {host}
// in the path stands for the host that is replaced.
using ApiOverrides = std::map<std::string, std::string, std::less<>>;

// Whose manifests are read: ids of platforms' own apps begin with oauth::kOwnAppPrefix, others do not.
enum class ManifestOwner { Server, Platform };

using AppPtr = std::shared_ptr<const App>;

// What the tools of one app may cost in a model's context, estimated as bytes of definition_json / 4.
inline constexpr std::size_t kAppTokensMax = 30'000;

class Catalog {
 public:
  // Throws ManifestError. `overrides` of unknown apps are ignored. `icon_base` is the URL below which icons
  // that manifests carry as data are served; without it they stay data.
  static Catalog load(const std::vector<ManifestFile>& files, const ApiOverrides& overrides = {},
                      ManifestOwner owner = ManifestOwner::Server, const std::string& icon_base = {});
  // These apps and others, which are left out where an app or a tool of the name is there already.
  Catalog with(const std::vector<AppPtr>& others) const;

  const std::vector<AppPtr>& apps() const { return apps_; }  // by id
  const App* find_app(std::string_view id) const;
  const Tool* find_tool(std::string_view name) const;
  const IconFile* find_icon(std::string_view name) const;

 private:
  explicit Catalog(std::vector<AppPtr> apps);
  std::vector<AppPtr> apps_;
  std::map<std::string_view, const Tool*> tools_;  // the names are the tools' own
};

using CatalogPtr = std::shared_ptr<const Catalog>;

// The manifests compiled into the binary, and those (*.json) of `directory` (ASSISTIV_MANIFESTS_DIR) when it
// is not empty; a file there replaces an embedded one of the same name. Throws core::Error when the directory
// is not readable.
std::vector<ManifestFile> manifest_files(const std::string& directory);

}  // namespace assistiv::mcp
