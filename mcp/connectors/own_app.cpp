#include "mcp/connectors/own_app.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "mcp/connectors/own_app_lint.h"
#include "oauth/connect/connector_spec.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr char kPlainHttp[] = "http://{host}";

Json parse_own(const std::string& text) {
  if (text.size() > kOwnManifestBytesMax) {
    throw ManifestError({{kOwnManifestName, "", "is too big: at most 128 KiB"}});
  }
  try {
    Json document = core::parse_json(text, 32);
    if (document.is_object()) return document;
  } catch (const core::Error& error) {
    throw ManifestError({{kOwnManifestName, "", error.message()}});
  }
  throw ManifestError({{kOwnManifestName, "", "must be an object"}});
}

bool all_loopback(const Json& manifest) {
  const auto hosts = manifest.find("hosts");
  return hosts != manifest.end() && hosts->is_array() && !hosts->empty() &&
         std::all_of(hosts->begin(), hosts->end(), [](const Json& host) {
           return host.is_string() && is_loopback_host(host.get_ref<const std::string&>());
         });
}

// The reader takes https only; what was plain is moved back after it.
void say_https(Json& value) {
  constexpr std::string_view kPlain = "http://";
  if (value.is_string()) {
    const auto text = value.get<std::string>();
    if (text.starts_with(kPlain)) value = "https://" + text.substr(kPlain.size());
  } else if (value.is_structured()) {
    for (auto& inner : value) say_https(inner);
  }
}

// What ConnectorSpec::parse reads.
std::string connector_source(const Json& document) {
  Json out = Json::object();
  for (const char* name : {"manifest", "id", "title", "version", "vars", "hosts", "oauth"}) {
    if (document.contains(name)) out[name] = document[name];
  }
  for (const char* name : {"base", "auth_header", "headers"}) {
    if (document["api"].contains(name)) out["api"][name] = document["api"][name];
  }
  return core::dump_json(out);
}

oauth::ConnectorPtr own_connector(const Json& document, bool plain) {
  auto spec = std::make_shared<oauth::ConnectorSpec>(oauth::ConnectorSpec::parse(document));
  spec->source_json = connector_source(document);
  if (plain) {
    spec->moved_to = kPlainHttp;
    oauth::apply_host_override(*spec, spec->moved_to);
  }
  return spec;
}

}  // namespace

AppPtr read_own_app(const std::string& text, const OwnAppRules& rules) {
  Json document = parse_own(text);
  if (auto faults = own_cost_faults(document); !faults.empty()) throw ManifestError(std::move(faults));
  auto faults = own_rule_faults(document, rules.loopback);
  const bool plain = rules.loopback && all_loopback(document);
  if (plain) say_https(document);
  ApiOverrides overrides;
  const auto id = document.find("id");
  if (plain && id != document.end() && id->is_string()) overrides[id->get<std::string>()] = kPlainHttp;
  try {
    const auto catalog =
        Catalog::load({{kOwnManifestName, core::dump_json(document)}}, overrides, ManifestOwner::Platform);
    if (faults.empty()) {
      auto app = std::make_shared<App>(*catalog.apps().front());
      app->connector = own_connector(*app->document, plain);
      return app;
    }
  } catch (const ManifestError& error) {
    faults.insert(faults.end(), error.faults().begin(), error.faults().end());
  }
  throw ManifestError(std::move(faults));
}

std::vector<ManifestFault> imitation_faults(const App& app, const Catalog& built_in) {
  std::vector<ManifestFault> out;
  const auto name = app.id.substr(std::min(app.id.size(), oauth::kOwnAppPrefix.size()));
  const auto title = folded_title(app.title);
  for (const auto& other : built_in.apps()) {
    if (name == other->id || name.starts_with(other->id + "_")) {
      out.push_back({kOwnManifestName, "/id", "looks like \"" + other->id + "\", an app of this server"});
    }
    const auto known = folded_title(other->title);
    if (!known.empty() && title.starts_with(known)) {
      out.push_back(
          {kOwnManifestName, "/title", "looks like \"" + other->title + "\", an app of this server"});
    }
  }
  return out;
}

}  // namespace assistiv::mcp
