#include "oauth/connect/discovery.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "core/url_text.h"

namespace assistiv::oauth {

namespace {

using core::Json;

constexpr std::size_t kDocumentMax = 64 * 1024;
constexpr std::size_t kAnswerMax = 256 * 1024;
constexpr std::size_t kAddressMax = 2048;
constexpr std::size_t kScopesAsked = 50;
constexpr std::size_t kScopeMax = 100;
constexpr std::chrono::milliseconds kDocumentTime{5000};

core::Error undiscoverable(const std::string& why) {
  return core::bad_request("Sign-in at this address cannot be set up: " + why, "/url");
}

std::string path_part(const std::string& url) {
  const auto start = url.find('/', url.find("://") + 3);
  const auto path =
      start == std::string::npos ? std::string() : url.substr(start, url.find_first_of("?#") - start);
  return path == "/" ? std::string() : path;
}

std::string well_known(const std::string& url, const char* name) {
  auto path = path_part(url);
  while (path.ends_with('/')) path.pop_back();
  return core::url_origin(url) + "/.well-known/" + name + path;
}

// For messages: what a stranger wrote, in the characters of an address.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 200)) out.push_back(c > 0x20 && c < 0x7f ? c : '?');
  return "\"" + out + "\"";
}

std::string text_of(const Json& document, const char* name) {
  const auto it = document.find(name);
  return it != document.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::vector<std::string> texts_of(const Json& document, const char* name) {
  std::vector<std::string> out;
  const auto it = document.find(name);
  if (it == document.end() || !it->is_array()) return out;
  for (const auto& item : *it) {
    if (item.is_string() && out.size() < 100) out.push_back(item.get<std::string>());
  }
  return out;
}

bool flag_of(const Json& document, const char* name) {
  const auto it = document.find(name);
  return it != document.end() && it->is_boolean() && it->get<bool>();
}

bool has(const std::vector<std::string>& list, std::string_view wanted) {
  return std::find(list.begin(), list.end(), wanted) != list.end();
}

void skip_blanks(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.front() == ','))
    text.remove_prefix(1);
}

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

std::string_view take_name(std::string_view& text) {
  std::size_t end = 0;
  while (end < text.size() && is_name_char(text[end])) ++end;
  const auto name = text.substr(0, end);
  text.remove_prefix(end);
  return name;
}

// A token or a quoted string (RFC 9110 section 5.6).
std::string take_value(std::string_view& text) {
  std::string out;
  if (text.empty() || text.front() != '"') {
    const auto end = std::min(text.find_first_of(", \t"), text.size());
    out = text.substr(0, end);
    text.remove_prefix(end);
    return out;
  }
  text.remove_prefix(1);
  while (!text.empty() && text.front() != '"') {
    if (text.front() == '\\' && text.size() > 1) text.remove_prefix(1);
    out.push_back(text.front());
    text.remove_prefix(1);
  }
  if (!text.empty()) text.remove_prefix(1);
  return out;
}

// One field may hold several challenges; the parameters of the first Bearer one count.
std::optional<BearerChallenge> challenge_in(std::string_view text) {
  std::optional<BearerChallenge> out;
  while (true) {
    skip_blanks(text);
    if (text.empty()) return out;
    const auto name = take_name(text);
    if (name.empty()) return out;
    if (text.starts_with('=')) {
      text.remove_prefix(1);
      auto value = take_value(text);
      if (!out) continue;
      if (name == "resource_metadata") out->resource_metadata = std::move(value);
      if (name == "scope") out->scope = std::move(value);
      if (name == "error") out->error = std::move(value);
    } else if (core::equals_ignore_case(name, "bearer")) {
      if (out) return out;
      out.emplace();
    } else if (out) {
      return out;
    }
  }
}

void check_endpoint(const DiscoveryRules& rules, const std::string& name, const std::string& url) {
  if (url.empty()) return;
  std::string fault;
  if (url.size() > kAddressMax) {
    fault = "is too long";
  } else if (url.find_first_of("{}#@\\") != std::string::npos) {
    fault = "has characters that do not belong there";
  } else if (const auto refused = rules.url_fault(url)) {
    fault = *refused;
  }
  if (!fault.empty())
    throw undiscoverable("the authorization server's " + name + " " + shown(url) + " " + fault + ".");
}

core::OutboundRequest document_request(const std::string& url) {
  core::OutboundRequest request;
  request.url = url;
  request.headers.set("Accept", "application/json");
  request.headers.set("User-Agent", "assistiv");
  request.allowed_hosts = {core::url_authority(url)};
  request.timeout = kDocumentTime;
  request.response_bytes_max = kDocumentMax;
  return request;
}

// The document at the first of these addresses that has one. An address that must not be called and a
// document that is too large are no reasons to look elsewhere.
core::Task<std::optional<Json>> first_document(core::HttpClient* http, DiscoveryRules rules,
                                               std::vector<std::string> urls) {
  for (const auto& url : urls) {
    if (url.size() > kAddressMax) throw undiscoverable("the address of its metadata is too long.");
    if (const auto fault = rules.url_fault(url))
      throw undiscoverable("the address of its metadata, " + shown(url) + ", " + *fault + ".");
    try {
      const auto response = co_await http->send(document_request(url));
      if (response.status != 200) continue;
      auto document = core::try_parse_json(response.body, 16);
      if (!document || !document->is_object())
        throw undiscoverable("what " + shown(url) + " gives is no JSON object.");
      co_return document;
    } catch (const core::OutboundError& e) {
      core::log::info("discovery.document_not_fetched", {{"url", shown(url)}, {"detail", e.what()}});
      if (e.failure() == core::OutboundFailure::Refused)
        throw undiscoverable("this server may not connect to " + shown(url) + ".");
      if (e.failure() == core::OutboundFailure::TooLarge)
        throw undiscoverable("the document at " + shown(url) + " is too large.");
    }
  }
  co_return std::nullopt;
}

// What the resource says to somebody without a token. Nothing when it says nothing of use: then the
// well-known addresses are left.
core::Task<BearerChallenge> knock(core::HttpClient* http, std::string url) {
  auto request = document_request(url);
  request.method = "POST";
  request.headers.set("Accept", "application/json, text/event-stream");
  request.headers.set("Content-Type", "application/json");
  request.response_bytes_max = kAnswerMax;
  request.body = core::dump_json({{"jsonrpc", "2.0"},
                                  {"id", 1},
                                  {"method", "initialize"},
                                  {"params",
                                   {{"protocolVersion", "2025-11-25"},
                                    {"capabilities", Json::object()},
                                    {"clientInfo", {{"name", "assistiv-gateway"}, {"version", "1"}}}}}});
  try {
    const auto response = co_await http->send(std::move(request));
    if (response.status == 401) co_return read_challenge(response.headers).value_or(BearerChallenge());
  } catch (const core::OutboundError& e) {
    if (e.failure() == core::OutboundFailure::Refused)
      throw undiscoverable("this server may not connect to it.");
    if (e.failure() == core::OutboundFailure::ConnectFailed) throw undiscoverable("it cannot be reached.");
  }
  co_return BearerChallenge();
}

}  // namespace

std::optional<BearerChallenge> read_challenge(const core::HttpHeaders& headers) {
  for (const auto& [name, value] : headers.fields()) {
    if (!core::equals_ignore_case(name, "www-authenticate")) continue;
    if (auto found = challenge_in(std::string_view(value).substr(0, 8192))) return found;
  }
  return {};
}

std::vector<std::string> read_scopes(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty() && out.size() < kScopesAsked) {
    const auto end = std::min(text.find(' '), text.size());
    const auto scope = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const bool good = !scope.empty() && scope.size() <= kScopeMax &&
                      std::all_of(scope.begin(), scope.end(),
                                  [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
    if (good && !has(out, scope)) out.emplace_back(scope);
  }
  return out;
}

std::vector<std::string> resource_metadata_urls(const std::string& resource) {
  constexpr char kName[] = "oauth-protected-resource";
  std::vector<std::string> out{well_known(resource, kName)};
  const auto root = core::url_origin(resource) + "/.well-known/" + kName;
  if (root != out.front()) out.push_back(root);
  return out;
}

std::vector<std::string> authorization_metadata_urls(const std::string& issuer) {
  std::vector<std::string> out{well_known(issuer, "oauth-authorization-server"),
                               well_known(issuer, "openid-configuration")};
  auto path = path_part(issuer);
  while (path.ends_with('/')) path.pop_back();
  if (!path.empty()) out.push_back(core::url_origin(issuer) + path + "/.well-known/openid-configuration");
  return out;
}

void read_resource_metadata(const Json& document, const std::string& url, DiscoveredServer& out) {
  const auto resource = text_of(document, "resource");
  // RFC 9728 section 3.3; a server may speak for everything below a path of its own.
  auto base = resource;
  while (base.ends_with('/')) base.pop_back();
  const bool same =
      resource == url || base == url ||
      (url.starts_with(base) && !base.empty() && core::url_origin(base) == core::url_origin(url) &&
       (url[base.size()] == '/' || url[base.size()] == '?'));
  if (!same || resource.find_first_of("{}#") != std::string::npos) {
    throw undiscoverable("its metadata is about another resource, " + shown(resource) + ".");
  }
  out.resource = resource;
  const auto servers = texts_of(document, "authorization_servers");
  if (servers.empty()) throw undiscoverable("its metadata names no authorization server.");
  out.issuer = servers.front();
  if (out.scopes.empty()) {
    std::string all;
    for (const auto& scope : texts_of(document, "scopes_supported")) all += scope + " ";
    out.scopes = read_scopes(all);
  }
}

void read_authorization_metadata(const Json& document, const DiscoveryRules& rules, DiscoveredServer& out) {
  // RFC 8414 section 3.3: what another issuer says of itself is not for us.
  if (const auto issuer = text_of(document, "issuer"); issuer != out.issuer) {
    throw undiscoverable("the metadata of the authorization server " + shown(out.issuer) +
                         " names another issuer, " + shown(issuer) + ".");
  }
  out.authorization_endpoint = text_of(document, "authorization_endpoint");
  out.token_endpoint = text_of(document, "token_endpoint");
  out.registration_endpoint = text_of(document, "registration_endpoint");
  out.revocation_endpoint = text_of(document, "revocation_endpoint");
  if (out.authorization_endpoint.empty() || out.token_endpoint.empty())
    throw undiscoverable("the authorization server names no authorization or token endpoint.");
  check_endpoint(rules, "authorization_endpoint", out.authorization_endpoint);
  check_endpoint(rules, "token_endpoint", out.token_endpoint);
  check_endpoint(rules, "registration_endpoint", out.registration_endpoint);
  check_endpoint(rules, "revocation_endpoint", out.revocation_endpoint);
  if (!has(texts_of(document, "code_challenge_methods_supported"), "S256"))
    throw undiscoverable("the authorization server does not say that it supports PKCE with S256.");
  out.auth_methods = texts_of(document, "token_endpoint_auth_methods_supported");
  // RFC 8414 section 2: the default when absent.
  if (out.auth_methods.empty()) out.auth_methods = {"client_secret_basic"};
  out.revocation_auth_methods = texts_of(document, "revocation_endpoint_auth_methods_supported");
  if (out.revocation_auth_methods.empty()) out.revocation_auth_methods = out.auth_methods;
  out.takes_documents = flag_of(document, "client_id_metadata_document_supported");
  out.always_names_issuer = flag_of(document, "authorization_response_iss_parameter_supported");
  const bool offline = has(texts_of(document, "scopes_supported"), "offline_access");
  if (offline && !has(out.scopes, "offline_access")) out.scopes.emplace_back("offline_access");
}

core::Task<DiscoveredServer> discover(core::HttpClient* http, DiscoveryRules rules, std::string url) {
  DiscoveredServer out;
  const auto challenge = co_await knock(http, url);
  out.scopes = read_scopes(challenge.scope);
  auto places = challenge.resource_metadata.empty() ? resource_metadata_urls(url)
                                                    : std::vector{challenge.resource_metadata};
  const auto resource = co_await first_document(http, rules, std::move(places));
  if (!resource) throw undiscoverable("it gives no protected resource metadata (RFC 9728).");
  read_resource_metadata(*resource, url, out);
  if (const auto fault = rules.url_fault(out.issuer))
    throw undiscoverable("its authorization server " + shown(out.issuer) + " " + *fault + ".");
  const auto server = co_await first_document(http, rules, authorization_metadata_urls(out.issuer));
  if (!server)
    throw undiscoverable("its authorization server " + shown(out.issuer) + " gives no metadata (RFC 8414).");
  read_authorization_metadata(*server, rules, out);
  co_return out;
}

}  // namespace assistiv::oauth
