#include "mcp/remote/remote_oauth.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/url_text.h"
#include "mcp/remote/remote_server.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr std::string_view kPlainScheme = "http://";
// Nobody can be asked whose account a token is: MCP has no such request.
constexpr char kOauthAccount[] = "Account";
constexpr std::int64_t kLifeWithoutWord = 3600;

// The engine's URLs are https; what is plain (loopback, in tests) is moved back after it has read them.
std::string as_https(const std::string& url) {
  return url.starts_with(kPlainScheme) ? "https://" + url.substr(kPlainScheme.size()) : url;
}

std::string lower_origin(const std::string& url) {
  std::string out = core::url_origin(url);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

// Scheme and host in lower case, as the engine's templates are.
std::string in_lower_host(const std::string& url) {
  const auto origin = lower_origin(url);
  return as_https(origin + url.substr(origin.size()));
}

Json hosts_of(const RemoteOauth& oauth, const std::string& url) {
  Json out = Json::array();
  for (const auto& one :
       {oauth.authorization_endpoint, oauth.token_endpoint, oauth.revocation_endpoint, url}) {
    if (one.empty()) continue;
    const auto host = core::url_authority(lower_origin(one));
    if (std::find(out.begin(), out.end(), host) == out.end()) out.push_back(host);
  }
  return out;
}

// RFC 6749 section 3.1: a query of the endpoint is kept.
Json authorize_of(const RemoteOauth& oauth) {
  const auto url = in_lower_host(oauth.authorization_endpoint);
  const auto mark = url.find('?');
  Json params = {{"resource", oauth.resource}};
  if (mark != std::string::npos) {
    const auto fields = core::form_decode(url.substr(mark + 1));
    if (!fields) throw core::bad_request("the query of its authorization endpoint cannot be read");
    for (const auto& [name, value] : *fields) params[name] = value;
  }
  return {{"url", url.substr(0, mark)}, {"params", std::move(params)}};
}

Json scope_of(const RemoteOauth& oauth) {
  if (oauth.scopes.empty()) return Json::object();
  Json titles = Json::object();
  for (const auto& scope : oauth.scopes) titles[scope] = scope;
  return {{"param", "scope"}, {"always", oauth.scopes}, {"titles", std::move(titles)}};
}

// RFC 7009 section 2.1.
Json revoke_of(const RemoteOauth& oauth) {
  Json body = {{"token", "{any_token}"}};
  if (oauth.revocation_auth != "basic") body["client_id"] = "{client_id}";
  if (oauth.revocation_auth == "body") body["client_secret"] = "{client_secret}";
  return {{"token",
           {{"method", "POST"},
            {"url", in_lower_host(oauth.revocation_endpoint)},
            {"auth", oauth.revocation_auth == "basic" ? "client_basic" : "none"},
            {"encoding", "form"},
            {"body", std::move(body)},
            {"ok_status", {200}}}}};
}

Json oauth_member(const RemoteOauth& oauth) {
  const Json slot = {{"access", "/access_token"},
                     {"refresh", "/refresh_token"},
                     {"scope", "/scope"},
                     {"expires_in", {{"path", "/expires_in"}, {"default", kLifeWithoutWord}}}};
  const Json resource = {{"resource", oauth.resource}};
  Json out = {{"client", {{"auth", oauth.client_auth}}},
              {"pkce", "S256"},
              {"issuer", oauth.issuer},
              {"issuer_required", oauth.issuer_required},
              {"scope", scope_of(oauth)},
              {"authorize", authorize_of(oauth)},
              {"token", {{"url", in_lower_host(oauth.token_endpoint)}, {"params", resource}}},
              {"refresh", {{"mode", "rotating"}, {"params", resource}, {"min_interval_s", 1}}},
              {"slots", {{"main", slot}}},
              {"ok", {{"absent", {"/error"}}}},
              {"errors",
               {{"permanent", {"invalid_grant"}},
                {"config", {"invalid_client", "unauthorized_client"}},
                {"throttled", {"slow_down", "temporarily_unavailable"}}}},
              {"identity", {{"fixed", kOauthAccount}}}};
  if (!oauth.revocation_endpoint.empty()) out["revoke"] = revoke_of(oauth);
  return out;
}

bool is_plain(const std::string& url) {
  return url.starts_with(kPlainScheme);
}

}  // namespace

RemoteOauth make_remote_oauth(const oauth::DiscoveredServer& server, const oauth::ObtainedClient& client) {
  RemoteOauth out;
  out.resource = server.resource;
  out.issuer = server.issuer;
  out.authorization_endpoint = server.authorization_endpoint;
  out.token_endpoint = server.token_endpoint;
  out.revocation_endpoint = server.revocation_endpoint;
  out.scopes = server.scopes;
  out.client_auth = oauth::client_auth_name(client.auth);
  out.registration = client.registration;
  out.issuer_required = server.always_names_issuer;
  const auto& methods = server.revocation_auth_methods;
  const bool basic = std::find(methods.begin(), methods.end(), "client_secret_basic") != methods.end();
  out.revocation_auth = client.auth == oauth::ClientAuth::None ? "none" : basic ? "basic" : "body";
  return out;
}

Json to_json(const RemoteOauth& oauth) {
  return {{"resource", oauth.resource},
          {"issuer", oauth.issuer},
          {"authorization_endpoint", oauth.authorization_endpoint},
          {"token_endpoint", oauth.token_endpoint},
          {"revocation_endpoint", oauth.revocation_endpoint},
          {"scopes", oauth.scopes},
          {"client_auth", oauth.client_auth},
          {"revocation_auth", oauth.revocation_auth},
          {"registration", oauth.registration},
          {"issuer_required", oauth.issuer_required}};
}

RemoteOauth remote_oauth_of(const Json& stored) {
  const core::JsonReader reader(stored);
  RemoteOauth out;
  out.resource = reader.string("resource");
  out.issuer = reader.string("issuer");
  out.authorization_endpoint = reader.string("authorization_endpoint");
  out.token_endpoint = reader.string("token_endpoint");
  out.revocation_endpoint = reader.string("revocation_endpoint");
  out.scopes = reader.strings("scopes");
  out.client_auth = reader.string("client_auth");
  out.revocation_auth = reader.string("revocation_auth");
  out.registration = reader.string("registration");
  out.issuer_required = reader.optional_bool("issuer_required").value_or(false);
  return out;
}

oauth::ConnectorPtr remote_connector(const RemoteServer& server) {
  const RemoteOauth& oauth = *server.oauth;
  const bool plain = is_plain(server.url);
  for (const auto& url : {oauth.authorization_endpoint, oauth.token_endpoint, oauth.revocation_endpoint}) {
    if (!url.empty() && is_plain(url) != plain)
      throw core::bad_request("its addresses and those of its authorization server differ in http and https");
  }
  const auto base = in_lower_host(server.url);
  const Json document = {{"id", server.app},
                         {"title", server.title},
                         {"version", "1"},
                         {"hosts", hosts_of(oauth, server.url)},
                         {"oauth", oauth_member(oauth)},
                         {"api", {{"base", core::url_origin(base)}, {"auth_header", "Bearer {token}"}}}};
  auto spec = std::make_shared<oauth::ConnectorSpec>(oauth::ConnectorSpec::parse(document));
  spec->source_json = core::dump_json(document);
  if (plain) {
    spec->moved_to = "http://{host}";
    oauth::apply_host_override(*spec, spec->moved_to);
    // Which moved the issuer only where it had been written with https, and kept one host of several.
    spec->oauth.issuer = oauth.issuer;
    spec->hosts.clear();
    for (const auto& host : document["hosts"])
      spec->hosts.push_back(oauth::TextTemplate::parse(host.get<std::string>(), "/hosts"));
  }
  return spec;
}

}  // namespace assistiv::mcp
