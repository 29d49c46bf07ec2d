#include "oauth/authorize/sign_in_service.h"

#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/metrics.h"
#include "oauth/authorize/sign_in_store.h"
#include "oauth/connect/platform_facts.h"

namespace assistiv::oauth {

namespace {

constexpr std::chrono::minutes kSignInLinkLife{10};
constexpr std::chrono::hours kSessionLife{1};
constexpr std::size_t kBrowserSecretBytes = 32;
constexpr std::size_t kBrowserSecretChars = 43;

std::string sign_in_csrf(std::string_view cookie, std::string_view token) {
  return core::base64url_encode(core::hmac_sha256(cookie, "sign-in " + std::string(token)));
}

void count_sign_in(const char* how) {
  core::metrics::counter("assistiv_oauth_sign_ins_total", "End users who signed in on our pages.",
                         {{"how", how}})
      .add();
}

// Fills in who it is; a platform or end user that is switched off is as good as an expired link.
std::optional<SignInFault> describe(storage::Transaction& tx, const std::optional<SignInLinkRow>& link,
                                    core::Time now, SignedIn& who) {
  if (!link) return SignInFault::Unknown;
  if (link->consumed) return SignInFault::Used;
  if (link->expires_at <= now) return SignInFault::Expired;
  const auto facts = platform_facts(tx, link->platform_id, link->end_user_id);
  if (!facts) return SignInFault::Expired;
  who = {link->platform_id, link->end_user_id, {}, facts->platform_name, facts->end_user_label, {}};
  return std::nullopt;
}

}  // namespace

std::string SignInService::cookie_name() const {
  return world_.issuer.starts_with("https://") ? "__Host-assistiv_sign_in" : "assistiv_sign_in";
}

std::string SignInService::set_cookie(std::string_view value) const {
  const bool secure = world_.issuer.starts_with("https://");
  return cookie_name() + "=" + std::string(value) + "; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax" +
         (secure ? "; Secure" : "");
}

std::string SignInService::new_browser_secret() const {
  return core::random_token(world_.random, kBrowserSecretBytes);
}

bool SignInService::is_browser_secret(std::string_view text) {
  return text.size() == kBrowserSecretChars && core::base64url_decode(text).has_value();
}

core::Task<SignInLink> SignInService::create_link(core::PlatformId platform, core::EndUserId end_user,
                                                  AuditContext context) {
  const core::Secret token(new_browser_secret());
  const auto expires_at = world_.clock.now() + kSignInLinkLife;
  co_await world_.database.run(storage::Scope::tenant(platform), [this, platform, end_user, context, token,
                                                                  expires_at](storage::Transaction& tx) {
    SignInLinkRow link{platform, end_user, {}, expires_at, false};
    if (context.actor) link.created_by = context.actor->key_id;
    SignInStore(world_.clock).insert_link(tx, link, token.reveal());
    world_.audit.append(
        tx, platform,
        audit_event(context, "sign_in.link_created", end_user, end_user.str(), core::Json::object()));
  });
  co_return SignInLink{world_.issuer + "/sign-in/" + token.reveal(), expires_at};
}

core::Task<SignInPage> SignInService::page(std::string token, std::string cookie) {
  // System scope, here and below: the secret that the browser brings says which tenant this is.
  auto page = co_await world_.database.run(storage::Scope::system(), [this, token](storage::Transaction& tx) {
    SignInPage out;
    out.fault = describe(tx, SignInStore(world_.clock).find_link(tx, token), world_.clock.now(), out.who);
    return out;
  });
  page.cookie = is_browser_secret(cookie) ? cookie : new_browser_secret();
  page.csrf = sign_in_csrf(page.cookie, token);
  co_return page;
}

core::Task<SignInPage> SignInService::use_link(std::string token, std::string cookie, std::string csrf,
                                               std::string request_id) {
  if (!is_browser_secret(cookie) || !core::constant_time_equal(csrf, sign_in_csrf(cookie, token)))
    co_return SignInPage{SignInFault::WrongBrowser, {}, {}, {}};
  const core::Secret session(new_browser_secret());
  auto page = co_await world_.database.run(storage::Scope::system(), [this, token, session,
                                                                      request_id](storage::Transaction& tx) {
    const SignInStore store(world_.clock);
    SignInPage out;
    const auto link = store.consume_link(tx, token);
    out.fault = describe(tx, link, world_.clock.now(), out.who);
    if (out.fault) return out;
    store.insert_session(tx, {link->platform_id, link->end_user_id, {}, world_.clock.now() + kSessionLife},
                         session.reveal());
    world_.audit.append(tx, link->platform_id,
                        browser_event("sign_in.completed", link->end_user_id, link->end_user_id.str(),
                                      request_id, with_link_maker(link->created_by, {{"how", "link"}})));
    return out;
  });
  if (page.fault) co_return page;
  page.cookie = session.reveal();
  count_sign_in("link");
  co_return page;
}

core::Task<std::string> SignInService::use_key(PrincipalPtr principal, std::string request_id) {
  const core::Secret session(new_browser_secret());
  const auto end_user = principal->end_user_id.value();
  co_await world_.database.run(
      storage::Scope::tenant(principal->platform_id),
      [this, principal, end_user, session, request_id](storage::Transaction& tx) {
        SignInStore(world_.clock)
            .insert_session(
                tx, {principal->platform_id, end_user, principal->key_id, world_.clock.now() + kSessionLife},
                session.reveal());
        world_.audit.append(tx, principal->platform_id,
                            audit_event({principal, request_id}, "sign_in.completed", end_user,
                                        end_user.str(), {{"how", "key"}}));
      });
  count_sign_in("key");
  co_return session.reveal();
}

core::Task<std::string> SignInService::use_provider(core::PlatformId platform, core::EndUserId end_user,
                                                    core::KeyId issuer, std::string request_id) {
  const core::Secret session(new_browser_secret());
  co_await world_.database.run(storage::Scope::tenant(platform), [this, platform, end_user, issuer, session,
                                                                  request_id](storage::Transaction& tx) {
    const SignInSessionRow row{platform, end_user, {}, world_.clock.now() + kSessionLife, issuer};
    SignInStore(world_.clock).insert_session(tx, row, session.reveal());
    world_.audit.append(tx, platform,
                        browser_event("sign_in.completed", end_user, end_user.str(), request_id,
                                      {{"how", "provider"}, {"issuer_id", issuer.str()}}));
  });
  count_sign_in("provider");
  co_return session.reveal();
}

core::Task<std::optional<SignedIn>> SignInService::session(std::string cookie) {
  if (!is_browser_secret(cookie)) co_return std::nullopt;
  co_return co_await world_.database.run(
      storage::Scope::system(), [this, cookie](storage::Transaction& tx) -> std::optional<SignedIn> {
        const auto row = SignInStore(world_.clock).find_session(tx, cookie);
        if (!row) return std::nullopt;
        const auto facts = platform_facts(tx, row->platform_id, row->end_user_id);
        if (!facts) return std::nullopt;
        return SignedIn{row->platform_id,     row->end_user_id,      row->key_id,
                        facts->platform_name, facts->end_user_label, row->issuer_id};
      });
}

core::Task<> SignInService::sign_out(std::string cookie) {
  co_await world_.database.run(storage::Scope::system(), [this, cookie](storage::Transaction& tx) {
    SignInStore(world_.clock).remove_session(tx, cookie);
  });
}

}  // namespace assistiv::oauth
