#include "oauth/connect/provider_notices.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "oauth/connect/app_store.h"
#include "oauth/connect/connect_world.h"
#include "oauth/connect/notice_store.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kGrantsPerRound = 200;
constexpr std::size_t kSecretMin = 8, kSecretMax = 256;
constexpr int kDepthMax = 32;

core::Error no_notices() {
  return core::not_found("This app is not activated on this platform, or its provider sends no notices.");
}

void check_webhook_secret(const core::Secret& secret) {
  const auto& text = secret.reveal();
  const bool plain = text.size() >= kSecretMin && text.size() <= kSecretMax &&
                     std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!plain) throw core::bad_request("This must be 8 to 256 visible ASCII characters.", "/secret");
}

void require_app(const ConnectWorld& world, storage::Transaction& tx, core::PlatformId platform,
                 const std::string& app) {
  if (!AppStore(world.vault).lock(tx, platform, app)) throw no_notices();
}

}  // namespace

core::Task<ConnectorPtr> ProviderNotices::spec_of(core::PlatformId platform, std::string app) const {
  auto spec = co_await world_.registry.find(platform, std::move(app));
  if (spec == nullptr || !spec->oauth.notices) throw no_notices();
  co_return spec;
}

ProviderWebhook ProviderNotices::view(core::PlatformId platform, const std::string& app,
                                      std::optional<core::Time> set_at) const {
  return {app, world_.public_url + "/webhooks/providers/" + platform.str() + "/" + app, set_at};
}

core::Task<ProviderWebhook> ProviderNotices::get(core::PlatformId platform, std::string app) {
  static_cast<void>(co_await spec_of(platform, app));
  const auto set_at = co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, app](storage::Transaction& tx) {
        require_app(world_, tx, platform, app);
        return NoticeStore(world_.vault, world_.clock).set_at(tx, platform, app);
      });
  co_return view(platform, app, set_at);
}

core::Task<ProviderWebhook> ProviderNotices::set_secret(core::PlatformId platform, std::string app,
                                                        core::Secret secret, AuditContext context) {
  static_cast<void>(co_await spec_of(platform, app));
  check_webhook_secret(secret);
  co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, app, secret, context](storage::Transaction& tx) {
        require_app(world_, tx, platform, app);
        NoticeStore(world_.vault, world_.clock).put(tx, platform, app, secret);
        world_.audit.append(
            tx, platform, audit_event(context, "app.updated", {}, app, {{"changed", {"provider_webhook"}}}));
      });
  co_return view(platform, app, world_.clock.now());
}

core::Task<> ProviderNotices::remove_secret(core::PlatformId platform, std::string app,
                                            AuditContext context) {
  co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, app, context](storage::Transaction& tx) {
        if (!NoticeStore(world_.vault, world_.clock).remove(tx, platform, app)) throw no_notices();
        world_.audit.append(
            tx, platform, audit_event(context, "app.updated", {}, app, {{"changed", {"provider_webhook"}}}));
      });
}

core::Task<std::string> ProviderNotices::receive(core::PlatformId platform, std::string app,
                                                 core::HttpHeaders headers, std::string body,
                                                 std::string request_id) {
  if (body.size() > kBodyMax) throw core::Error(core::ErrorKind::PayloadTooLarge, "This notice is too long.");
  const auto secret = co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, app](storage::Transaction& tx) {
        return NoticeStore(world_.vault, world_.clock).secret(tx, platform, app);
      });
  if (!secret) throw no_notices();
  // Only now: strangers' platform ids load no catalogues.
  const auto spec = co_await spec_of(platform, app);
  const auto& rules = *spec->oauth.notices;
  const auto fault = notice_fault(rules, *secret, headers, body, world_.clock.now());
  if (!fault.empty()) {
    core::log::warn(
        "connect.notice_refused",
        {{"app", app}, {"platform_id", platform.str()}, {"request_id", request_id}, {"why", fault}});
    throw core::forbidden("The signature of this notice, or its time, is not right.");
  }
  const auto notice = read_notice(rules, headers, core::parse_json(body, kDepthMax));
  if (notice.challenge) co_return *notice.challenge;
  if (notice.ends_anything()) {
    auto digest = core::sha256_hex(signed_notice_text(rules, headers, body));
    co_await apply(platform, std::move(app), &rules, notice, std::move(digest), std::move(request_id));
  }
  co_return std::string();
}

// A notice without a signed time can come again, by mistake or by malice, when its user has long consented
// anew, and looks the same as a second withdrawal. So what was seen before ends nothing: the refresh token is
// tried instead, by the worker, and the provider itself says whether it is good.
core::Task<> ProviderNotices::apply(core::PlatformId platform, std::string app, const NoticeRules* rules,
                                    Notice notice, std::string digest, std::string request_id) {
  const auto window = rules->time ? std::optional(rules->time->window) : std::nullopt;
  std::size_t total = 0;
  for (bool more = true; more;) {
    // The notice is remembered with the last round: a process that dies before that leaves it to the
    // provider's repetition.
    const auto ended = co_await world_.database.run(
        storage::Scope::tenant(platform),
        [this, platform, app, notice, digest, request_id, window](storage::Transaction& tx) {
          const NoticeStore store(world_.vault, world_.clock);
          std::vector<EndedGrant> grants;
          if (store.seen(tx, platform, app, digest)) {
            if (!window) store.check_soon(tx, platform, app, notice);
            return grants;
          }
          grants = store.end_grants(tx, platform, app, notice, kGrantsPerRound);
          if (grants.size() < kGrantsPerRound) store.remember(tx, platform, app, digest, window);
          for (const auto& grant : grants) {
            world_.audit.append(
                tx, platform,
                audit_event({nullptr, request_id}, "connection.needs_reauth", grant.end_user_id,
                            grant.connection_id.str(), {{"app", app}, {"reason", "revoked_at_provider"}}));
            tx.notify("connection", platform.str() + "/" + grant.end_user_id.str());
          }
          return grants;
        });
    for (const auto& grant : ended) announce_connection(world_, platform, grant.end_user_id);
    total += ended.size();
    more = ended.size() == kGrantsPerRound;
  }
  core::log::info(
      "connect.notice",
      {{"app", app}, {"platform_id", platform.str()}, {"request_id", request_id}, {"ended", total}});
}

}  // namespace assistiv::oauth
