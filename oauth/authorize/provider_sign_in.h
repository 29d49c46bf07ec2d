#pragma once
// Signing in at a platform's own OpenID provider (OpenID Connect Core 1.0 section 3.1, RFC 7636, RFC 9207) on
// the way to the consent page: out with start(), back with finish().
#include <optional>
#include <string>

#include "core/task.h"
#include "oauth/authorize/attempt_limit.h"
#include "oauth/authorize/authorize_world.h"
#include "oauth/authorize/external_tokens.h"
#include "oauth/authorize/issuer_store.h"
#include "oauth/authorize/sign_in_service.h"

namespace assistiv::oauth {

enum class ProviderFault {
  UnknownPlatform,  // no platform of that name signs in here
  TooMany,          // from this address
  Unknown,          // no such sign-in is under way, in this browser or at all
  Denied,           // the provider says no
  Failed,           // its answer is not good, or it does not answer
  NoEndUser,        // whoever it is, the platform does not know them
};

// What the provider sent the browser back with.
struct ProviderAnswer {
  std::string state, code, error, issuer;  // "" when absent
};

struct ProviderResult {
  std::optional<ProviderFault> fault;
  std::string url;     // start(): where the browser goes
  std::string query;   // finish(): the authorization request to go on with; "" when that is not known
  std::string cookie;  // finish(): the new session's
};

// Thread-safe.
class ProviderSignIn {
 public:
  ProviderSignIn(AuthorizeWorld& world, ExternalTokens& tokens, SignInService& sign_ins);

  core::Task<ProviderOffer> offer();
  // `cookie` is the browser's secret: it must bring it back.
  core::Task<ProviderResult> start(std::string platform_slug, std::string cookie, std::string query,
                                   std::string address);
  core::Task<ProviderResult> finish(ProviderAnswer answer, std::string cookie, std::string request_id);

 private:
  struct Flow {
    RegisteredIssuer issuer;
    std::string query;
  };
  std::string redirect_uri() const { return world_.issuer + "/oauth/sign-in/callback"; }
  // What only we can make of a state: the nonce and the code verifier.
  std::string made_of(std::string_view purpose, const std::string& state) const;
  core::Task<std::optional<Flow>> take(std::string state, std::string cookie);
  core::Task<std::optional<ExternalClaims>> redeem(RegisteredIssuer issuer, std::string code,
                                                   std::string state);

  AuthorizeWorld& world_;
  ExternalTokens& tokens_;
  SignInService& sign_ins_;
  AttemptLimit starts_;
};

}  // namespace assistiv::oauth
