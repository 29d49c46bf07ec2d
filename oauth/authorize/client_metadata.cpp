#include "oauth/authorize/client_metadata.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "oauth/authorize/oauth_error.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kUriBytesMax = 2048;
constexpr std::size_t kNameCharactersMax = 100;

// MCP clients in use whose scheme has no dot (decision 47).
constexpr std::array<std::string_view, 4> kKnownApplications = {"cursor", "vscode", "vscode-insiders",
                                                                "windsurf"};

struct UriParts {
  std::string scheme;     // lower case
  std::string_view host;  // without port and brackets; "" when there is no authority
  std::string_view port;  // with its colon
  std::string_view rest;  // path and query
};

bool is_scheme_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

bool is_uri_char(char c) {
  return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f && c != '"' &&
         c != '<' && c != '>' && c != '\\' && c != '^' && c != '`' && c != '{' && c != '|' && c != '}';
}

// Host and port of "//user@host:port"; false with user information.
bool split_authority(std::string_view authority, UriParts& out) {
  if (authority.find('@') != std::string_view::npos) return false;
  const auto close = authority.starts_with('[') ? authority.find(']') : std::string_view::npos;
  const auto colon = authority.find(':', close == std::string_view::npos ? 0 : close);
  out.host = authority.substr(0, colon);
  if (colon != std::string_view::npos) out.port = authority.substr(colon);
  return std::all_of(out.port.begin() + (out.port.empty() ? 0 : 1), out.port.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<UriParts> split_uri(std::string_view uri) {
  if (uri.size() > kUriBytesMax || !std::all_of(uri.begin(), uri.end(), is_uri_char)) return std::nullopt;
  UriParts out;
  const auto colon = uri.find(':');
  if (colon == std::string_view::npos || colon == 0 || uri.find('#') != std::string_view::npos)
    return std::nullopt;
  out.scheme = std::string(uri.substr(0, colon));
  for (char& c : out.scheme) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  if (out.scheme[0] < 'a' || out.scheme[0] > 'z' ||
      !std::all_of(out.scheme.begin(), out.scheme.end(), is_scheme_char))
    return std::nullopt;
  out.rest = uri.substr(colon + 1);
  if (out.rest.starts_with("//")) {
    const auto end = std::min(out.rest.find_first_of("/?", 2), out.rest.size());
    if (!split_authority(out.rest.substr(2, end - 2), out)) return std::nullopt;
    out.rest.remove_prefix(end);
  }
  return out;
}

bool is_loopback_name(std::string_view host) {
  return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
}

bool is_web(const UriParts& uri) {
  return uri.scheme == "https" || uri.scheme == "http";
}

// Without control characters, cut at a whole character. Pages isolate it besides.
std::string clean_name(const std::string& text) {
  std::string out;
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f) continue;
    if ((byte & 0xC0) != 0x80 && ++characters > kNameCharactersMax) break;
    out.push_back(text[i]);
  }
  return out;
}

OAuthError bad_metadata(std::string what) {
  return {"invalid_client_metadata", std::move(what)};
}

std::vector<std::string> read_list(const core::JsonReader& reader, std::string_view name) {
  try {
    return reader.strings(name, 32, kUriBytesMax);
  } catch (const core::Error& e) {
    throw bad_metadata(e.message());
  }
}

std::vector<std::string> read_redirects(const core::JsonReader& reader) {
  auto uris = read_list(reader, "redirect_uris");
  if (uris.empty() || uris.size() > kRedirectUrisMax) {
    throw OAuthError("invalid_redirect_uri", "redirect_uris must have 1 to 10 entries.");
  }
  for (const auto& uri : uris) {
    if (is_good_redirect_uri(uri)) continue;
    throw OAuthError("invalid_redirect_uri",
                     "A redirect URI must be https, http on a loopback address, or of a native application's "
                     "own scheme with a "
                     "dot in it (com.example.app:/done), without fragment and user information.");
  }
  return uris;
}

std::optional<std::string> read_text(const core::JsonReader& reader, std::string_view name) {
  try {
    return reader.optional_string(name, 0, kUriBytesMax);
  } catch (const core::Error& e) {
    throw bad_metadata(e.message());
  }
}

EndpointAuth read_auth(const core::JsonReader& reader, EndpointAuth when_absent) {
  const auto method = read_text(reader, "token_endpoint_auth_method");
  if (!method) return when_absent;
  for (const auto auth : {EndpointAuth::None, EndpointAuth::SecretBasic, EndpointAuth::SecretPost}) {
    if (*method == to_string(auth)) return auth;
  }
  throw bad_metadata("token_endpoint_auth_method must be none, client_secret_basic or client_secret_post.");
}

bool lists(const std::vector<std::string>& list, std::string_view entry) {
  return std::find(list.begin(), list.end(), entry) != list.end();
}

}  // namespace

std::string_view to_string(EndpointAuth auth) {
  switch (auth) {
    case EndpointAuth::None:
      return "none";
    case EndpointAuth::SecretBasic:
      return "client_secret_basic";
    case EndpointAuth::SecretPost:
      break;
  }
  return "client_secret_post";
}

ClientMetadata read_client_metadata(const core::Json& body, EndpointAuth auth_when_absent) {
  if (!body.is_object()) throw bad_metadata("Send one JSON object.");
  const core::JsonReader reader(body);
  ClientMetadata out;
  out.redirect_uris = read_redirects(reader);
  if (const auto name = read_text(reader, "client_name")) out.name = clean_name(*name);
  const auto grants = read_list(reader, "grant_types");
  if (!grants.empty() && !lists(grants, "authorization_code"))
    throw bad_metadata("grant_types must contain authorization_code.");
  out.refreshes = lists(grants, "refresh_token");
  const auto responses = read_list(reader, "response_types");
  if (!responses.empty() && !lists(responses, "code"))
    throw bad_metadata("response_types must contain code.");
  out.auth = read_auth(reader, auth_when_absent);
  return out;
}

core::Json to_json(const ClientMetadata& metadata) {
  core::Json grants = core::Json::array({"authorization_code"});
  if (metadata.refreshes) grants.push_back("refresh_token");
  core::Json out = {{"redirect_uris", metadata.redirect_uris},
                    {"grant_types", std::move(grants)},
                    {"response_types", core::Json::array({"code"})},
                    {"token_endpoint_auth_method", to_string(metadata.auth)}};
  if (!metadata.name.empty()) out["client_name"] = metadata.name;
  return out;
}

bool is_good_redirect_uri(std::string_view text) {
  const auto uri = split_uri(text);
  if (!uri) return false;
  if (uri->scheme == "https") return !uri->host.empty();
  if (uri->scheme == "http") return is_loopback_name(uri->host);
  // RFC 8252 section 7.1: a reversed domain name. Whatever browsers run, show or send elsewhere has no dot.
  const auto dot = uri->scheme.find('.');
  if (dot != std::string::npos) return dot > 0 && dot + 1 < uri->scheme.size();
  return std::find(kKnownApplications.begin(), kKnownApplications.end(), uri->scheme) !=
         kKnownApplications.end();
}

bool is_loopback_redirect(std::string_view text) {
  const auto uri = split_uri(text);
  return uri && is_web(*uri) && is_loopback_name(uri->host);
}

bool is_registered_redirect(const std::vector<std::string>& registered, std::string_view text) {
  if (lists(registered, text)) return true;
  const auto wanted = split_uri(text);
  if (!wanted || wanted->scheme != "http" || !is_loopback_name(wanted->host)) return false;
  return std::any_of(registered.begin(), registered.end(), [&](const std::string& known) {
    const auto uri = split_uri(known);
    return uri && uri->scheme == "http" && uri->host == wanted->host && uri->rest == wanted->rest;
  });
}

std::string redirect_host(std::string_view text) {
  const auto uri = split_uri(text);
  if (!uri) return {};
  return is_web(*uri) ? std::string(uri->host) : uri->scheme + ":";
}

bool is_document_client_id(std::string_view client_id, bool allow_loopback) {
  const auto uri = split_uri(client_id);
  if (!uri || uri->host.empty() || uri->rest.size() < 2 || uri->rest[0] != '/') return false;
  const auto path = uri->rest.substr(0, uri->rest.find('?'));
  for (const auto* step : {"/./", "/../"}) {
    if ((std::string(path) + "/").find(step) != std::string::npos) return false;
  }
  return uri->scheme == "https" || (allow_loopback && uri->scheme == "http" && is_loopback_name(uri->host));
}

}  // namespace assistiv::oauth
