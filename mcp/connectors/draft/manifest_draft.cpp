#include "mcp/connectors/draft/manifest_draft.h"

#include <algorithm>

#include "core/error.h"
#include "core/url_text.h"
#include "mcp/connectors/catalog.h"
#include "mcp/connectors/draft/draft_text.h"
#include "mcp/connectors/draft/draft_tool.h"
#include "oauth/connect/text_template.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr std::size_t kPathsMax = 20'000, kScopesMax = 100;
constexpr char kNobody[] = "api.example.com";  // RFC 2606: belongs to nobody

// "https://host/path" of an absolute URL without a query; "" for anything that a manifest could not have.
std::string usable_url(std::string url) {
  url.resize(std::min({url.size(), url.find('?'), url.find('#')}));
  while (url.ends_with('/')) url.pop_back();
  try {
    const auto parsed = oauth::UrlTemplate::parse(url, "");
    return parsed.names().empty() && url.size() <= 400 ? url : "";
  } catch (const core::Error&) {
    return {};
  }
}

// The first server, with the standard values of its variables.
std::string server_url(const Json& document) {
  const auto& servers = structured_member(document, "servers");
  if (!servers.is_array() || servers.empty()) return {};
  auto url = text_member(servers[0], "url");
  if (url.size() > 1000) return {};
  const auto& variables = structured_member(servers[0], "variables");
  if (!variables.is_object()) return usable_url(url);
  for (const auto& [name, variable] : variables.items()) {
    const auto mark = "{" + name + "}";
    const auto value = text_member(variable, "default");
    for (auto at = url.find(mark); at != std::string::npos && url.size() < 2000;
         at = url.find(mark, at + value.size())) {
      url.replace(at, mark.size(), value);
    }
  }
  return usable_url(url);
}

struct OauthFacts {
  std::string scheme, authorize, token, refresh;
  std::vector<std::pair<std::string, std::string>> scopes;  // with what they are for
};

OauthFacts oauth_facts(const Json& document) {
  OauthFacts out;
  const auto& schemes = structured_member(structured_member(document, "components"), "securitySchemes");
  if (!schemes.is_object()) return out;
  for (const auto& [name, scheme] : schemes.items()) {
    const auto& flow = structured_member(structured_member(scheme, "flows"), "authorizationCode");
    if (text_member(scheme, "type") != "oauth2" || flow.empty()) continue;
    out.scheme = name;
    out.authorize = usable_url(text_member(flow, "authorizationUrl"));
    out.token = usable_url(text_member(flow, "tokenUrl"));
    out.refresh = usable_url(text_member(flow, "refreshUrl"));
    const auto& scopes = structured_member(flow, "scopes");
    if (!scopes.is_object()) break;
    for (const auto& [scope, about] : scopes.items()) {
      const bool plain =
          !scope.empty() && scope.size() <= 200 && scope.find_first_of(" \"\\") == std::string::npos;
      if (!plain || out.scopes.size() >= kScopesMax) continue;
      const auto words = plain_line(about.is_string() ? about.get<std::string>() : "", 200);
      out.scopes.emplace_back(scope, words.empty() ? scope : words);
    }
    break;
  }
  return out;
}

// Who is connected: an operation that looks as if it said so.
std::string identity_path(const Json& document) {
  const auto& paths = structured_member(document, "paths");
  for (const char* path :
       {"/me", "/user", "/users/me", "/account", "/v1/me", "/users/current", "/userinfo"}) {
    if (paths.is_object() && paths.contains(path) && paths[path].is_object() && paths[path].contains("get"))
      return path;
  }
  return {};
}

DraftJson draft_scope_rules(const OauthFacts& facts) {
  if (facts.scopes.empty()) return DraftJson::object();
  DraftJson titles = DraftJson::object(), all = DraftJson::array();
  for (const auto& [scope, words] : facts.scopes) {
    titles[scope] = words;
    all.push_back(scope);
  }
  return {{"param", "scope"}, {"separator", " "}, {"default", all}, {"titles", titles}};
}

DraftJson draft_oauth(const Json& document, const OauthFacts& facts, const std::string& host,
                      DraftSchemas& schemas) {
  if (facts.scheme.empty())
    schemas.note("/oauth", "the document has no authorization code flow: fill in the URLs and the scopes");
  if (!facts.scheme.empty() && (facts.authorize.empty() || facts.token.empty())) {
    schemas.note("/oauth", "the document's URLs are not absolute https URLs without a query: fill them in");
  }
  if (facts.scopes.empty()) schemas.note("/oauth/scope", "no scopes are known");
  schemas.note("/oauth/client", "where the client secret goes: \"body\" or \"basic\"");
  schemas.note("/oauth/pkce", "\"S256\", or \"off\" when the provider knows no PKCE");
  schemas.note("/oauth/scope/default", "ask for as little as most tools need");
  schemas.note("/oauth/refresh", "\"rotating\", \"static\" or \"none\", and how long tokens live");
  schemas.note("/oauth/errors", "the error codes that end a grant");
  schemas.note("/oauth/revoke", "how a token is revoked, and \"notices\" if the provider tells by itself");
  const auto identity = identity_path(document);
  schemas.note("/oauth/identity",
               identity.empty() ? "which request says whose account it is"
                                : "check that the request says whose account it is, and where the id is");
  DraftJson refresh = {{"mode", "rotating"}};
  if (!facts.refresh.empty()) refresh["url"] = facts.refresh;
  DraftJson out = DraftJson::object();
  out["client"] = {{"auth", "body"}};
  out["pkce"] = "S256";
  out["scope"] = draft_scope_rules(facts);
  out["authorize"] = {
      {"url", facts.authorize.empty() ? "https://" + host + "/oauth/authorize" : facts.authorize}};
  out["token"] = {{"url", facts.token.empty() ? "https://" + host + "/oauth/token" : facts.token},
                  {"encoding", "form"}};
  out["refresh"] = refresh;
  out["slots"]["main"] = {{"access", "/access_token"},
                          {"refresh", "/refresh_token"},
                          {"scope", "/scope"},
                          {"expires_in", {{"path", "/expires_in"}, {"default", 3600}}}};
  out["ok"] = {{"status", {200}}, {"absent", {"/error"}}};
  out["errors"] = {{"permanent", {"invalid_grant"}}, {"config", {"invalid_client", "unauthorized_client"}}};
  out["identity"] = {{"request", {{"method", "GET"}, {"path", identity.empty() ? "/me" : identity}}},
                     {"id", {"/id"}}};
  return out;
}

std::vector<DraftOperation> operations_of(const Json& document, const DraftOptions& options,
                                          DraftSchemas& schemas) {
  std::vector<DraftOperation> out;
  const auto& paths = structured_member(document, "paths");
  if (!paths.is_object()) return out;
  std::size_t seen = 0, left_out = 0;
  for (const auto& [path, node] : paths.items()) {
    if (++seen > kPathsMax) break;
    const auto& item = schemas.resolve(node);
    for (const char* method : {"get", "post", "put", "patch", "delete"}) {
      const auto operation = item.find(method);
      if (operation == item.end() || !operation->is_object()) continue;
      std::string upper = method;
      std::transform(upper.begin(), upper.end(), upper.begin(),
                     [](char c) { return static_cast<char>(c - 'a' + 'A'); });
      const DraftOperation found{upper, path, &item, &*operation};
      const auto id = text_member(*operation, "operationId");
      const auto wanted = [&](const std::string& pattern) {
        return matches_glob(pattern, found.where()) || (!id.empty() && matches_glob(pattern, id));
      };
      if (!options.include.empty() && std::none_of(options.include.begin(), options.include.end(), wanted))
        continue;
      if (out.size() < kDraftToolsMax) {
        out.push_back(found);
      } else {
        ++left_out;
      }
    }
  }
  if (left_out > 0) {
    schemas.note(
        "paths",
        std::to_string(left_out) +
            " more operations were left out: choose with --include; a tool per task, not per endpoint");
  }
  return out;
}

void name_hosts(DraftJson& manifest) {
  DraftJson hosts = DraftJson::array();
  const auto& oauth = manifest["oauth"];
  std::vector<std::string> urls{manifest["api"]["base"], oauth["authorize"]["url"], oauth["token"]["url"]};
  if (oauth["refresh"].contains("url")) urls.push_back(oauth["refresh"]["url"]);
  for (const auto& url : urls) {
    const auto host = core::url_authority(url);
    if (std::find(hosts.begin(), hosts.end(), host) == hosts.end()) hosts.push_back(host);
  }
  manifest["hosts"] = hosts;
}

DraftJson draft_head(const Json& document, const DraftOptions& options, DraftSchemas& schemas) {
  const auto& info = structured_member(document, "info");
  const auto title = plain_line(text_member(info, "title"), 80);
  auto id = options.id.empty() ? snake_name(title, 30) : options.id;
  if (id.size() < 2) id = "my_app";
  auto about = plain_line(text_member(info, "description"), 300);
  if (about.empty()) {
    schemas.note("/description", "say in a sentence what the app is");
    about = title.empty() ? id : title + ".";
  }
  DraftJson out = DraftJson::object();
  out["manifest"] = 1;
  out["id"] = id;
  out["title"] = title.empty() ? id : title;
  out["version"] = "1";
  out["description"] = about;
  out["hosts"] = DraftJson::array();
  return out;
}

// What the loader counts for this tool, which it shows as more than the draft says (schema of the result,
// arguments of the engine); of one that it refuses, about as much.
std::size_t context_bytes(DraftJson manifest, const DraftJson& tool) {
  manifest["tools"] = DraftJson::array({tool});
  try {
    const auto id = manifest["id"].get<std::string>();
    const auto catalog = Catalog::load({{id + ".json", manifest.dump()}});
    return catalog.find_app(id)->tools[0].definition_json.size();
  } catch (const ManifestError&) {
    return tool.dump().size();
  }
}

// Leaves out the tools that would make the app too large to load.
DraftJson fitting_tools(const DraftJson& manifest, const DraftJson& tools,
                        std::vector<std::string>& undecided) {
  DraftJson out = DraftJson::array();
  std::size_t bytes = 0;
  for (const auto& tool : tools) {
    const auto more = context_bytes(manifest, tool);
    if ((bytes + more) / 4 > kAppTokensMax) continue;
    bytes += more;
    out.push_back(tool);
  }
  const auto left_out = tools.size() - out.size();
  // First of all notes: the end of a long list is cut.
  if (left_out > 0) {
    undecided.insert(undecided.begin(), "tools: " + std::to_string(left_out) +
                                            " more would be too much for a " +
                                            "model's context and were left out: choose with --include");
  }
  return out;
}

void check_draft(ManifestDraft& draft) {
  try {
    static_cast<void>(Catalog::load({{draft.id + ".json", draft.text}}));
  } catch (const ManifestError& error) {
    for (const auto& fault : error.faults()) draft.faults.push_back(fault.pointer + ": " + fault.message);
  }
}

}  // namespace

ManifestDraft draft_manifest(const Json& openapi, const DraftOptions& options) {
  if (!text_member(openapi, "openapi").starts_with("3.")) {
    throw core::bad_request("This is no OpenAPI 3 document: its member \"openapi\" does not say 3.0 or 3.1.");
  }
  if (!options.id.empty() && (snake_name(options.id, 30) != options.id || options.id.size() < 2)) {
    throw core::bad_request("An app's id has 2 to 30 lowercase letters, digits and \"_\".");
  }
  ManifestDraft out;
  DraftBook book(openapi, out.undecided);
  auto manifest = draft_head(openapi, options, book.schemas);
  book.id = out.id = manifest["id"].get<std::string>();
  auto base = server_url(openapi);
  if (base.empty()) {
    base = std::string("https://") + kNobody;
    book.schemas.note("/api/base", "the document names no https server: fill in the address of the API");
  }
  const auto facts = oauth_facts(openapi);
  book.oauth_scheme = facts.scheme;
  for (const auto& [scope, words] : facts.scopes) book.scopes.insert(scope);
  manifest["oauth"] = draft_oauth(openapi, facts, core::url_authority(base), book.schemas);
  manifest["api"] = {{"base", base},
                     {"auth_header", "Bearer {token}"},
                     {"headers", {{"Accept", "application/json"}, {"User-Agent", "assistiv"}}}};
  book.schemas.note("/api", "\"error\", \"failures\" and \"rate\": how the app says no");
  manifest["paginators"] = DraftJson::object();
  DraftJson tools = DraftJson::array();
  for (const auto& operation : operations_of(openapi, options, book.schemas)) {
    if (auto tool = draft_tool(book, operation)) tools.push_back(std::move(*tool));
  }
  manifest["paginators"] = book.paginators;
  name_hosts(manifest);
  tools = fitting_tools(manifest, tools, out.undecided);
  if (tools.empty()) throw core::bad_request("No operation of the document became a tool.");
  manifest["tools"] = tools;
  out.tools = tools.size();
  out.text = manifest.dump(2, ' ', false, DraftJson::error_handler_t::replace) + "\n";
  check_draft(out);
  return out;
}

}  // namespace assistiv::mcp
