#pragma once
// The authorization server for MCP clients, put together, with its background work: expired rows are swept,
// signing keys rotate.
#include <stop_token>

#include "core/async.h"
#include "core/task.h"
#include "oauth/authorize/access_tokens.h"
#include "oauth/authorize/attempt_limit.h"
#include "oauth/authorize/authorization_service.h"
#include "oauth/authorize/authorize_world.h"
#include "oauth/authorize/client_registry.h"
#include "oauth/authorize/external_tokens.h"
#include "oauth/authorize/issuer_service.h"
#include "oauth/authorize/key_sets.h"
#include "oauth/authorize/platform_clients.h"
#include "oauth/authorize/provider_sign_in.h"
#include "oauth/authorize/sign_in_service.h"
#include "oauth/authorize/signing_keys.h"

namespace assistiv::oauth {

class AuthorizationServer {
 public:
  // Reads the signing keys, making the first one when there is none. Blocks.
  explicit AuthorizationServer(AuthorizeWorld world);
  ~AuthorizationServer();  // stop()

  AuthorizeWorld& world() { return world_; }
  SigningKeys& keys() { return keys_; }
  ClientRegistry& clients() { return clients_; }
  SignInService& sign_ins() { return sign_ins_; }
  AuthorizationService& authorizations() { return authorizations_; }
  AccessTokens& tokens() { return tokens_; }
  IssuerService& issuers() { return issuers_; }
  ProviderSignIn& providers() { return providers_; }
  PlatformClients& platform_clients() { return platform_clients_; }
  // Of keys that somebody pastes, by address.
  AttemptLimit& pasted_keys() { return pasted_keys_; }

  // As storage::Notifier's callback.
  void on_notify(std::string_view topic);
  // The sweeper, on processes with the role "worker".
  void start(core::AnyExecutor executor);
  void stop();
  // One round now.
  core::Task<> sweep();

 private:
  core::Task<> loop(std::stop_token stop);

  AuthorizeWorld world_;
  SigningKeys keys_;
  ClientRegistry clients_;
  SignInService sign_ins_;
  AuthorizationService authorizations_;
  KeySets key_sets_;
  ExternalTokens external_;
  AccessTokens tokens_;
  IssuerService issuers_;
  ProviderSignIn providers_;
  PlatformClients platform_clients_;
  AttemptLimit pasted_keys_;
  core::TaskGroup group_{"authorize"};
};

}  // namespace assistiv::oauth
