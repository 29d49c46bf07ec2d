#pragma once
// The provider's OAuth endpoints as a connector describes them. No state, no database, no retries: one call
// is one request. Outcomes are values; only our own faults throw.
#include <chrono>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/http_client.h"
#include "core/secret.h"
#include "core/task.h"
#include "oauth/connect/connector_spec.h"

namespace assistiv::oauth {

struct ClientCredentials {
  std::string client_id;
  core::Secret client_secret;
};

// One credential as a token response gave it. Times are lifetimes from the moment of the response.
struct TokenSet {
  core::Secret access;
  std::optional<core::Secret> refresh;
  std::optional<std::chrono::seconds> expires_in, refresh_expires_in;
  std::optional<std::vector<std::string>> scopes;  // none: the response did not say
};

enum class TokenReplyKind {
  Ok,
  Permanent,  // the provider says that the grant (or code) is dead
  Config,     // the provider refuses our client
  Throttled,
  Transient,  // it failed and certainly changed nothing
  Unknown,    // no usable answer: the provider may have acted
};

struct TokenReply {
  TokenReplyKind kind = TokenReplyKind::Transient;
  std::map<std::string, TokenSet> slots;  // with Ok
  Values vars;                            // of source "token", accepted
  std::string code;                       // the provider's error code, cut and cleaned for the log
  std::optional<std::chrono::seconds> retry_after;
};

struct Identity {
  bool ok = false;
  std::string id, label;
  Values vars;  // of source "identity", accepted
};

enum class RevokeOutcome {
  Done,     // also: it was dead already
  Refused,  // asking again will not help
  Away,     // ask again later
};

struct RevokeReply {
  RevokeOutcome outcome = RevokeOutcome::Refused;
  std::optional<std::chrono::seconds> retry_after;  // with Away, when the provider says
};

// Pure parts, for tests and for the client below.
bool matches(const OkRule& rule, int status, const core::Json& body);
// Where the answer is in the body; null when it is not there.
const core::Json* find_answer(const ProbeRules& rules, const core::Json& body);
// A token response in JSON or form encoding. `slots` are the mapping of the exchange or of the refresh.
TokenReply read_token_reply(const ConnectorSpec& spec, const std::map<std::string, SlotSpec>& slots,
                            const core::OutboundResponse& response);
// Seconds only; the form with a date is ignored.
std::optional<std::chrono::seconds> read_retry_after(const core::HttpHeaders& headers);
std::vector<std::string> split_scopes(std::string_view text, std::string_view separator);

// Thread-safe.
class ProviderClient {
 public:
  explicit ProviderClient(core::HttpClient& http) : http_(http) {}

  // Where to send the browser. `verifier` is empty without PKCE.
  static std::string authorize_url(const ConnectorSpec& spec, const Values& vars,
                                   const std::string& client_id, const std::string& redirect_uri,
                                   const std::vector<std::string>& scopes, const core::Secret& state,
                                   const core::Secret& verifier);

  core::Task<TokenReply> exchange(const ConnectorSpec* spec, Values vars, ClientCredentials client,
                                  core::Secret code, std::string redirect_uri, core::Secret verifier);
  core::Task<TokenReply> refresh(const ConnectorSpec* spec, Values vars, ClientCredentials client,
                                 std::string slot, core::Secret refresh_token,
                                 std::chrono::milliseconds timeout, std::stop_token stop = {});
  // The variables that oauth.lookup gives; empty when it has no good answer.
  core::Task<std::optional<Values>> look_up(const ConnectorSpec* spec, Values vars, core::Secret access);
  core::Task<Identity> identify(const ConnectorSpec* spec, Values vars, core::Secret access);
  core::Task<RevokeReply> revoke(const ConnectorSpec* spec, const RevokeRequest* request, Values vars,
                                 ClientCredentials client, core::Secret access, core::Secret refresh);

 private:
  core::HttpClient& http_;
};

}  // namespace assistiv::oauth
