#pragma once
// How an end user signs in on our pages: with a one-time link that its platform made, with one of its own
// keys, or at its platform's provider (provider_sign_in.h). What a browser gets for it is a session of an
// hour that does nothing but show consent pages.
#include <optional>
#include <string>
#include <vector>

#include "core/secret.h"
#include "core/task.h"
#include "oauth/authorize/authorize_world.h"
#include "oauth/identity/audit_context.h"
#include "oauth/principal.h"

namespace assistiv::oauth {

struct SignInLink {
  std::string url;
  core::Time expires_at;
};

enum class SignInFault { Unknown, Expired, Used, WrongBrowser };

// Whoever a link or a session is for, as pages show it.
struct SignedIn {
  core::PlatformId platform_id;
  core::EndUserId end_user_id;
  std::optional<core::KeyId> key_id;
  std::string platform_name, end_user_label;
  std::optional<core::KeyId> issuer_id = {};  // of the provider that they signed in with
};

struct SignInPage {
  std::optional<SignInFault> fault;
  SignedIn who;
  std::string cookie, csrf;
};

// Thread-safe.
class SignInService {
 public:
  explicit SignInService(AuthorizeWorld& world) : world_(world) {}

  // NotFound when the end user is not the platform's.
  core::Task<SignInLink> create_link(core::PlatformId platform, core::EndUserId end_user,
                                     AuditContext context);
  // What a link's page shows; changes nothing, so that a preview in a chat does not use it up.
  core::Task<SignInPage> page(std::string token, std::string cookie);
  // Uses the link up. `fault`, or the new session's cookie.
  core::Task<SignInPage> use_link(std::string token, std::string cookie, std::string csrf,
                                  std::string request_id);
  // A session for the end user whose key this is; gives its cookie.
  core::Task<std::string> use_key(PrincipalPtr principal, std::string request_id);
  // A session for the end user that a platform's provider names; gives its cookie.
  core::Task<std::string> use_provider(core::PlatformId platform, core::EndUserId end_user,
                                       core::KeyId issuer, std::string request_id);
  // Nothing when there is no such session, or its end user may not come in (any more).
  core::Task<std::optional<SignedIn>> session(std::string cookie);
  core::Task<> sign_out(std::string cookie);

  // The browser's secret, before and after it signs in (another one each).
  std::string cookie_name() const;
  std::string set_cookie(std::string_view value) const;
  std::string new_browser_secret() const;
  static bool is_browser_secret(std::string_view text);

 private:
  AuthorizeWorld& world_;
};

}  // namespace assistiv::oauth
