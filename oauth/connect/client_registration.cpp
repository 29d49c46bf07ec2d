#include "oauth/connect/client_registration.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "core/url_text.h"

namespace assistiv::oauth {

namespace {

using core::Json;

constexpr std::size_t kRegistrationMax = 64 * 1024;
constexpr std::chrono::milliseconds kRegistrationTime{10'000};
constexpr std::size_t kClientIdMax = 256;
constexpr std::size_t kClientSecretMax = 1024;

bool offers(const std::vector<std::string>& methods, std::string_view wanted) {
  return std::find(methods.begin(), methods.end(), wanted) != methods.end();
}

ClientAuth auth_with_secret(const DiscoveredServer& server) {
  const bool basic = offers(server.auth_methods, "client_secret_basic");
  return basic || !offers(server.auth_methods, "client_secret_post") ? ClientAuth::Basic : ClientAuth::Body;
}

bool is_visible(std::string_view text, std::size_t max) {
  return !text.empty() && text.size() <= max &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

core::Error not_registered(const std::string& why) {
  return core::bad_request("The authorization server did not register this server as a client: " + why +
                               " Register one there yourself and give its client_id.",
                           "/auth");
}

const char* wanted_method(const DiscoveredServer& server) {
  if (offers(server.auth_methods, "client_secret_basic")) return "client_secret_basic";
  return offers(server.auth_methods, "client_secret_post") ? "client_secret_post" : "none";
}

Json registration_of(const DiscoveredServer& server, const WantedClient& wanted) {
  Json out = {{"client_name", kClientName},
              {"redirect_uris", {wanted.redirect_uri}},
              {"grant_types", {"authorization_code", "refresh_token"}},
              {"response_types", {"code"}},
              {"token_endpoint_auth_method", wanted_method(server)}};
  std::string scope;
  for (const auto& one : server.scopes) scope += (scope.empty() ? "" : " ") + one;
  if (!scope.empty()) out["scope"] = scope;
  return out;
}

ObtainedClient read_registration(const Json& reply, const DiscoveredServer& server) {
  const auto text = [&](const char* name) {
    const auto it = reply.find(name);
    return it != reply.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  ObtainedClient out;
  out.registration = "dynamic";
  out.client_id = text("client_id");
  out.client_secret = core::Secret(text("client_secret"));
  if (!is_visible(out.client_id, kClientIdMax)) throw not_registered("its answer has no usable client_id.");
  const auto method = text("token_endpoint_auth_method");
  if (out.client_secret.empty() || method == "none") {
    out.client_secret = {};
    return out;
  }
  if (!is_visible(out.client_secret.reveal(), kClientSecretMax))
    throw not_registered("its answer has no usable client_secret.");
  out.auth = method == "client_secret_post"    ? ClientAuth::Body
             : method == "client_secret_basic" ? ClientAuth::Basic
                                               : auth_with_secret(server);
  return out;
}

core::Task<ObtainedClient> register_client(core::HttpClient* http, DiscoveredServer server,
                                           WantedClient wanted) {
  core::OutboundRequest request;
  request.method = "POST";
  request.url = server.registration_endpoint;
  request.allowed_hosts = {core::url_authority(request.url)};
  request.headers.set("Accept", "application/json");
  request.headers.set("Content-Type", "application/json");
  request.headers.set("User-Agent", "assistiv");
  request.timeout = kRegistrationTime;
  request.response_bytes_max = kRegistrationMax;
  request.body = core::dump_json(registration_of(server, wanted));
  try {
    const auto response = co_await http->send(std::move(request));
    const auto reply = core::try_parse_json(response.body, 16);
    if (response.status != 200 && response.status != 201)
      throw not_registered("it answered with status " + std::to_string(response.status) + ".");
    if (!reply || !reply->is_object()) throw not_registered("its answer is no JSON object.");
    co_return read_registration(*reply, server);
  } catch (const core::OutboundError& e) {
    core::log::info("discovery.registration_failed", {{"detail", e.what()}});
  }
  throw not_registered("it did not answer.");
}

}  // namespace

std::string_view client_auth_name(ClientAuth auth) {
  switch (auth) {
    case ClientAuth::Body:
      return "body";
    case ClientAuth::Basic:
      return "basic";
    case ClientAuth::None:
      return "none";
  }
  return "none";
}

Json client_document(const std::string& document_url, const std::string& redirect_uri) {
  return {{"client_id", document_url},       {"client_name", kClientName},
          {"redirect_uris", {redirect_uri}}, {"grant_types", {"authorization_code", "refresh_token"}},
          {"response_types", {"code"}},      {"token_endpoint_auth_method", "none"}};
}

core::Task<ObtainedClient> obtain_client(core::HttpClient* http, DiscoveredServer server,
                                         WantedClient wanted) {
  ObtainedClient out;
  if (!wanted.client_id.empty()) {
    if (!is_visible(wanted.client_id, kClientIdMax))
      throw core::bad_request("This must be 1 to 256 visible ASCII characters.", "/auth/client_id");
    out.client_id = wanted.client_id;
    out.client_secret = wanted.client_secret;
    out.registration = "given";
    if (!out.client_secret.empty()) {
      if (!is_visible(out.client_secret.reveal(), kClientSecretMax))
        throw core::bad_request("This must be 1 to 1024 visible ASCII characters.", "/auth/client_secret");
      out.auth = auth_with_secret(server);
    }
    co_return out;
  }
  if (server.takes_documents && !wanted.document_url.empty()) {
    out.client_id = wanted.document_url;
    out.registration = "document";
    co_return out;
  }
  if (server.registration_endpoint.empty()) {
    throw core::bad_request(
        "The authorization server takes clients neither by a metadata document nor by registration. Register "
        "one there, with the redirect URI " +
            wanted.redirect_uri + ", and give its client_id.",
        "/auth/client_id");
  }
  co_return co_await register_client(http, std::move(server), std::move(wanted));
}

}  // namespace assistiv::oauth
