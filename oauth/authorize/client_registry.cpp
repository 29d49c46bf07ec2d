#include "oauth/authorize/client_registry.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/url_text.h"
#include "oauth/authorize/oauth_error.h"
#include "oauth/authorize/outbound.h"

namespace assistiv::oauth {

namespace {

constexpr std::chrono::hours kUnusedLife{24};
constexpr std::chrono::minutes kUnusedKept{10};  // a flood must not push out who is just signing in
constexpr std::size_t kClientIdBytes = 16;
constexpr std::size_t kDocumentBytesMax = 16384;
constexpr std::chrono::milliseconds kDocumentTimeout{5000};
constexpr std::int64_t kRoomAtOnce = 100;
constexpr std::int64_t kDocumentSecondsMin = 60, kDocumentSecondsStandard = 3600, kDocumentSecondsMax = 86400;

core::metrics::Counter& clients_counter(const char* how, const char* result) {
  return core::metrics::counter("assistiv_oauth_clients_total",
                                "Registrations and metadata documents by outcome.",
                                {{"how", how}, {"result", result}});
}

core::Error too_many(const AttemptLimit& limit) {
  return core::Error(core::ErrorKind::RateLimited,
                     "Too many applications from this address. Try again later.")
      .with_retry_after(limit.window());
}

OAuthError bad_document(const std::string& why) {
  clients_counter("document", "refused").add();
  return {"invalid_client_metadata", "The client ID metadata document cannot be used: " + why};
}

OAuthClient read_document(const std::string& url, const core::OutboundResponse& response, core::Time now) {
  if (response.status != 200)
    throw bad_document("its address answered with status " + std::to_string(response.status));
  const auto json = core::try_parse_json(response.body, 16);
  if (!json || !json->is_object()) throw bad_document("it is not a JSON object");
  const auto id = json->find("client_id");
  if (id == json->end() || !id->is_string() || id->get_ref<const std::string&>() != url)
    throw bad_document("its client_id is not its own address");
  OAuthClient out;
  out.client_id = url;
  out.kind = ClientKind::Document;
  try {
    out.metadata = read_client_metadata(*json, EndpointAuth::None);
  } catch (const OAuthError& e) {
    throw bad_document(e.description());
  }
  if (out.metadata.name.empty()) throw bad_document("client_name is missing");
  if (out.metadata.auth != EndpointAuth::None) throw bad_document("token_endpoint_auth_method must be none");
  out.created_at = now;
  out.expires_at = now + document_lifetime(response.headers);
  return out;
}

}  // namespace

std::chrono::seconds document_lifetime(const core::HttpHeaders& headers) {
  const std::string text(headers.get("cache-control").value_or(""));
  std::int64_t seconds = kDocumentSecondsStandard;
  if (text.find("no-store") != std::string::npos || text.find("no-cache") != std::string::npos) {
    seconds = kDocumentSecondsMin;
  } else if (const auto at = text.find("max-age="); at != std::string::npos) {
    const char* const digits = text.data() + at + 8;
    const auto [end, error] = std::from_chars(digits, text.data() + text.size(), seconds);
    if (error != std::errc() || end == digits) seconds = kDocumentSecondsStandard;
  }
  return std::chrono::seconds(std::clamp(seconds, kDocumentSecondsMin, kDocumentSecondsMax));
}

ClientRegistry::ClientRegistry(AuthorizeWorld& world, ClientRegistryOptions options)
    : world_(world),
      options_(options),
      registrations_(world.clock, options.registrations),
      site_registrations_(world.clock, options.site_registrations),
      all_registrations_(world.clock, options.all_registrations),
      fetches_(world.clock, options.fetches) {}

void ClientRegistry::make_room(storage::Transaction& tx, ClientKind kind) const {
  const ClientStore store;
  if (store.count_unused(tx, kind, options_.unused_max) < options_.unused_max) return;
  if (store.discard_unused(tx, kind, world_.clock.now() - kUnusedKept, kRoomAtOnce) == 0)
    throw too_many(registrations_);
}

// The narrowest bound first: what it refuses does not use up the wider ones.
bool ClientRegistry::may_register(const std::string& address) {
  return registrations_.take(address_block(address)) && site_registrations_.take(address_site(address)) &&
         all_registrations_.take("");
}

core::Task<RegisteredClient> ClientRegistry::add(core::Json body, std::string address) {
  if (!may_register(address)) {
    clients_counter("registration", "limited").add();
    throw too_many(registrations_);
  }
  RegisteredClient out;
  out.client.metadata = read_client_metadata(body, EndpointAuth::SecretBasic);
  out.client.client_id = "mcp_" + core::random_hex(world_.random, kClientIdBytes);
  out.client.created_at = world_.clock.now();
  out.client.expires_at = out.client.created_at + kUnusedLife;
  if (out.client.metadata.auth != EndpointAuth::None) {
    out.secret = core::Secret(core::random_token(world_.random, 32));
    out.client.secret_hash = core::sha256_hex(out.secret.reveal());
  }
  // System scope: a client is of no tenant.
  co_await world_.database.run(storage::Scope::system(),
                               [this, client = out.client](storage::Transaction& tx) {
                                 make_room(tx, ClientKind::Registered);
                                 ClientStore().put(tx, client);
                               });
  clients_counter("registration", "made").add();
  co_return out;
}

core::Task<std::optional<OAuthClient>> ClientRegistry::stored(std::string client_id) {
  // System scope: as above.
  co_return co_await world_.database.run(storage::Scope::system(), [client_id](storage::Transaction& tx) {
    return ClientStore().find(tx, client_id);
  });
}

core::Task<std::optional<OAuthClient>> ClientRegistry::find(std::string client_id, std::string address) {
  const bool document = is_document_client_id(client_id, world_.allow_loopback_documents);
  if (!document && !client_id.starts_with("mcp_")) co_return std::nullopt;
  auto client = co_await stored(client_id);
  const bool fresh = client && world_.clock.now() < client->expires_at;
  if (fresh) co_return client;
  if (!document) co_return std::nullopt;
  co_return co_await fetch(std::move(client_id), std::move(address));
}

core::Task<OAuthClient> ClientRegistry::fetch(std::string url, std::string address) {
  if (!fetches_.take(address_block(address))) throw too_many(fetches_);
  core::OutboundRequest request;
  request.url = url;
  request.headers.set("Accept", "application/json");
  request.headers.set("User-Agent", "assistiv");
  request.allowed_hosts = {core::url_authority(url)};
  request.timeout = kDocumentTimeout;
  request.response_bytes_max = kDocumentBytesMax;
  OAuthClient client;
  try {
    client = read_document(url, co_await world_.http.send(std::move(request)), world_.clock.now());
  } catch (const core::OutboundError& e) {
    core::log::info("authorize.document_not_fetched", {{"detail", e.what()}});
    throw bad_document("its address does not answer, or may not be called");
  }
  co_await world_.database.run(storage::Scope::system(), [this, client](storage::Transaction& tx) {
    make_room(tx, ClientKind::Document);
    ClientStore().put(tx, client);
  });
  clients_counter("document", "fetched").add();
  co_return client;
}

}  // namespace assistiv::oauth
