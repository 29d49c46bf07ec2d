#pragma once
// Which clients there are: those that registered here (RFC 7591) and those whose client_id is the address of
// their metadata document. Both are strangers until an end user allows one of them something.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "core/json.h"
#include "core/secret.h"
#include "core/task.h"
#include "oauth/authorize/attempt_limit.h"
#include "oauth/authorize/authorize_world.h"
#include "oauth/authorize/client_store.h"

namespace assistiv::oauth {

struct ClientRegistryOptions {
  // Registrations of one address (IPv6: one /64), of one /48, and of all addresses together.
  AttemptLimitOptions registrations{60, std::chrono::seconds(600), 10000};
  AttemptLimitOptions site_registrations{300, std::chrono::seconds(600), 10000};
  AttemptLimitOptions all_registrations{3000, std::chrono::seconds(600), 1};
  AttemptLimitOptions fetches{30, std::chrono::seconds(60), 10000};  // of documents, asked for by one address
  std::int64_t unused_max = 10000;  // registrations that nobody has used; then the oldest make room
};

struct RegisteredClient {
  OAuthClient client;
  core::Secret secret;  // empty for a public client
};

// Thread-safe.
class ClientRegistry {
 public:
  explicit ClientRegistry(AuthorizeWorld& world, ClientRegistryOptions options = {});

  // Throws OAuthError (invalid_redirect_uri, invalid_client_metadata) and Error{RateLimited}.
  core::Task<RegisteredClient> add(core::Json body, std::string address);
  // Nothing when there is no such client (any more). `address` asks; it pays for a document that must be
  // fetched. Throws OAuthError invalid_client_metadata when a document cannot be had or is not good.
  core::Task<std::optional<OAuthClient>> find(std::string client_id, std::string address);

 private:
  core::Task<OAuthClient> fetch(std::string url, std::string address);
  core::Task<std::optional<OAuthClient>> stored(std::string client_id);
  void make_room(storage::Transaction& tx, ClientKind kind) const;
  AuthorizeWorld& world_;
  ClientRegistryOptions options_;
  bool may_register(const std::string& address);
  AttemptLimit registrations_, site_registrations_, all_registrations_, fetches_;
};

// How long a document may be used without another look: Cache-Control's max-age (RFC 9111), from a minute to
// a day; an hour without it.
std::chrono::seconds document_lifetime(const core::HttpHeaders& headers);

}  // namespace assistiv::oauth
