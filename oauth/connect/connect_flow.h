#pragma once
// From "this end user wants this app" to a connection, through the end user's browser.
//
//   create_link  one-time link (256 bits, stored hashed, ten minutes)
//   page         what the link shows; changes nothing, so that link previews do not use it up
//   cancel       the other button: uses the link up and tells the platform
//   start        the button: uses the link up, binds the flow to the browser, gives the provider's URL
//   finish       the provider's callback: every check, the exchange, the identity probe, the connection
//   confirm      only with the platform setting `connect_verifier_url`: the platform says who its user is
//
// Why the browser is bound (cookie + state + PKCE) and why there can be a verifier: whoever forwards a link
// or a provider URL must not receive the victim's tokens (RFC 9700 section 4.7; MCP 2026-07-28, URL
// elicitation).
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/encoding.h"
#include "core/ids.h"
#include "core/task.h"
#include "oauth/connect/connector_spec.h"
#include "oauth/identity/audit_context.h"
#include "storage/database.h"

namespace assistiv::oauth {

struct ClaimedFlow;
struct ClientCredentials;
struct ConnectWorld;
struct FlowRow;
struct GrantRecord;
class ProviderClient;
class RevocationQueue;

struct NewLink {
  std::string app;
  std::optional<std::string> return_url;  // one of the app's; its first one when absent
  Values vars;                            // of source "link"
  // Repairs this connection: another account than its own is refused (account_mismatch).
  std::optional<core::ConnectionId> connection_id;
  // Gives the end user's live link to this app again while it is good for five more minutes, so that asking
  // over and over does not make link after link. For callers that act for the end user.
  bool reuse = false;
};

struct ConnectLink {
  std::string url, app;
  core::Time expires_at;
};

// Why a flow did not end in a connection. Stable words (flow_reason) go to the return URL.
enum class FlowReason {
  AccessDenied,     // the user said no
  Expired,          // the link or the flow is too old, or its app or end user is gone
  InvalidState,     // no such flow, or it belongs to another callback path or issuer
  WrongBrowser,     // another browser than the one that started
  AlreadyUsed,      // a link or a callback that was used before
  ProviderError,    // the provider sent an error, or no code
  ExchangeFailed,   // the provider refused the code, or did not answer
  IdentityFailed,   // the tokens do not say whose they are
  AccountMismatch,  // a repair was asked for and another account was chosen
};
std::string_view flow_reason(FlowReason reason);

struct ScopeLine {
  std::string scope;  // empty for a line that stands for no single scope
  std::string title;
};

// What the connect page asks the end user: a variable of source "link" that the link does not carry.
struct AskedVar {
  std::string name, title, hint;
};

// What GET /connect/{token} shows, or why it cannot.
struct ConnectPage {
  std::optional<FlowReason>
      fault;  // Expired, AlreadyUsed, InvalidState; then only the app's title may be set
  std::string platform_name, end_user_label, app, app_title;
  std::string provider_host;  // where the person signs in next; "..." stands for what is not known yet
  std::vector<ScopeLine> scopes;
  std::vector<AskedVar> asks;
  bool asks_label = false;  // it is a further account of this app: it may be given a name
  std::string cookie;       // the browser's value: the one it sent, or a fresh one; set it with set_cookie()
  std::string csrf;         // goes into the form; ties the form to the cookie and the link
};

struct StartedFlow {
  std::optional<FlowReason> fault;
  std::string refused_var;   // this answer is missing or not allowed; the link is still good: ask again
  std::string provider_url;  // 303 to it
  std::string cookie;
};

struct CancelledLink {
  std::optional<FlowReason> fault;  // the link could not be ended: as for start()
  std::string app;
  std::optional<std::string> return_to;  // with status=error&reason=access_denied; none: our own page
};

struct CallbackRequest {
  std::optional<std::string> app;  // what follows /oauth/callback/ in the path; none for /oauth/callback
  core::FormFields query;
  std::string cookie;  // the browser's value, "" when it sent none
  std::string request_id;
};

struct CallbackOutcome {
  std::optional<FlowReason> fault;  // none: connected, or waiting for the platform's confirmation
  bool awaiting_confirmation = false;
  std::string app, app_title;
  std::optional<core::ConnectionId> connection_id;
  std::optional<core::FlowId> flow_id;
  // Where to send the browser; none: show our own page. Never set for a flow that was not verified.
  std::optional<std::string> redirect_to;
};

struct ConfirmedFlow {
  core::ConnectionId connection_id;
  std::string app;
  std::optional<std::string> return_url;  // with status=connected, for the platform to send its user to
};

// Thread-safe.
class ConnectFlow {
 public:
  ConnectFlow(ConnectWorld& world, ProviderClient& provider, RevocationQueue& revocations);

  // Throws Error{NotFound} when the end user or the app is not there (or not active), Error{InvalidArgument}
  // for a return URL that the app does not list and for faulty variables.
  core::Task<ConnectLink> create_link(core::PlatformId platform, core::EndUserId end_user, NewLink input,
                                      AuditContext context);
  core::Task<ConnectPage> page(std::string token, std::string cookie);
  // `csrf` is what page() gave for this cookie and token; a wrong one is WrongBrowser. `answers` are the
  // values of what the page asked; `label` is what the end user calls the account, checked by the caller.
  core::Task<StartedFlow> start(std::string token, std::string cookie, std::string csrf,
                                std::string request_id, Values answers = {},
                                std::optional<std::string> label = {});
  // The no on our own page: uses the link up. `csrf` as for start().
  core::Task<CancelledLink> cancel(std::string token, std::string cookie, std::string csrf,
                                   std::string request_id);
  // Throws only for our own faults (no database); everything that the world outside did is an outcome.
  core::Task<CallbackOutcome> finish(CallbackRequest request);
  // Throws Error{NotFound} for a flow that does not wait (any more), Error{PermissionDenied} with the code
  // "end_user_mismatch" when it belongs to another end user: then it is discarded and its tokens revoked.
  core::Task<ConfirmedFlow> confirm(core::PlatformId platform, core::FlowId flow, core::EndUserId end_user,
                                    AuditContext context);

  // "__Host-assistiv_connect", or without the prefix where public_url is plain http.
  std::string cookie_name() const;
  // The Set-Cookie value: HttpOnly, SameSite=Lax, Secure with https, 15 minutes.
  std::string set_cookie(std::string_view value) const;

 private:
  struct Obtained;
  struct Claim;
  Claim claim(storage::Transaction& tx, const CallbackRequest& request, const std::string& state) const;
  core::Task<Obtained> obtain(ClaimedFlow claimed, CallbackRequest request, ClientCredentials client);
  core::Task<CallbackOutcome> settle(ClaimedFlow claimed, GrantRecord grant,
                                     std::optional<std::string> verifier_url, std::string request_id);
  core::Task<> discard(FlowRow flow, GrantRecord grant, FlowReason reason, std::string request_id);
  // Without an actor in `context`: the end user's browser.
  core::ConnectionId save(storage::Transaction& tx, const FlowRow& flow, const GrantRecord& grant,
                          const AuditContext& context) const;
  // "connect.failed" for a flow that has ended.
  void record_failure(storage::Transaction& tx, const FlowRow& flow, FlowReason reason,
                      const std::string& request_id) const;
  void record_refusal(storage::Transaction& tx, const FlowRow& flow, const std::string& request_id) const;

  ConnectWorld& world_;
  ProviderClient& provider_;
  RevocationQueue& revocations_;
};

}  // namespace assistiv::oauth
