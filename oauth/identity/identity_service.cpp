#include "oauth/identity/identity_service.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "core/log.h"

namespace assistiv::oauth {

namespace {

using core::Json;
using storage::Scope;
using storage::Transaction;

core::Error no_platform() {
  return core::not_found("No such platform.");
}
core::Error no_end_user() {
  return core::not_found("No such end user.");
}
core::Error no_key() {
  return core::not_found("No such API key.");
}

std::string end_user_topic(core::PlatformId platform, core::EndUserId id) {
  return platform.str() + "/" + id.str();
}

Json key_details(const ApiKey& key) {
  Json out = {{"kind", to_string(key.kind)}, {"key_prefix", key.key_prefix}, {"scopes", key.scopes}};
  if (key.name) out["name"] = *key.name;
  if (key.expires_at) out["expires_at"] = core::format_time(*key.expires_at);
  return out;
}

// The names of what a patch changes: values may be personal and stay out of the trail.
template <class... Fields>
Json changed_fields(const Fields&... fields) {
  Json out = Json::array();
  const auto add = [&out](const auto& field) {
    if (field.second) out.push_back(field.first);
  };
  (add(fields), ...);
  return {{"changed", out}};
}

}  // namespace

IdentityService::IdentityService(storage::Database& database, storage::AuditLog& audit,
                                 const core::Clock& clock, core::Random& random, IdentityHooks hooks)
    : database_(database),
      audit_(audit),
      platforms_(clock, random),
      end_users_(clock, random),
      keys_(clock, random),
      hooks_(std::move(hooks)) {}

void IdentityService::changed(std::string_view topic, const std::string& payload) const {
  if (hooks_.changed) hooks_.changed(topic, payload);
}

core::Task<CreatedPlatform> IdentityService::create_platform(NewPlatform input, AuditContext context) {
  // System scope: the tenant does not exist yet.
  co_return co_await database_.run(Scope::system(), [this, input, context](Transaction& tx) {
    auto platform = platforms_.create(tx, input);
    auto issued = keys_.issue(tx, {platform.id, std::nullopt}, {.name = "default"});
    audit_.append(tx, platform.id,
                  audit_event(context, "platform.created", {}, platform.id.str(), {{"slug", platform.slug}}));
    audit_.append(tx, platform.id,
                  audit_event(context, "key.created", {}, issued.key.id.str(), key_details(issued.key)));
    return CreatedPlatform{std::move(platform), std::move(issued)};
  });
}

core::Task<Platform> IdentityService::get_platform(core::PlatformId id) {
  auto found = co_await database_.run(Scope::tenant(id),
                                      [this, id](Transaction& tx) { return platforms_.get(tx, id); });
  if (!found) throw no_platform();
  co_return std::move(*found);
}

core::Task<Page<Platform>> IdentityService::list_platforms(PageRequest page) {
  // System scope: only the operator lists tenants.
  co_return co_await database_.run(Scope::system(),
                                   [this, page](Transaction& tx) { return platforms_.list(tx, page); });
}

core::Task<Platform> IdentityService::update_platform(core::PlatformId id, PlatformPatch patch,
                                                      AuditContext context) {
  auto updated = co_await database_.run(Scope::tenant(id), [this, id, patch, context](Transaction& tx) {
    auto platform = platforms_.update(tx, id, patch);
    if (!platform) throw no_platform();
    tx.notify("platform", id.str());
    audit_.append(tx, id,
                  audit_event(context, "platform.updated", {}, id.str(),
                              changed_fields(std::pair("name", patch.name.has_value()),
                                             std::pair("slug", patch.slug.has_value()),
                                             std::pair("settings", patch.settings_json.has_value()),
                                             std::pair("is_active", patch.is_active.has_value()))));
    return std::move(*platform);
  });
  changed("platform", id.str());
  co_return updated;
}

core::Task<> IdentityService::remove_platform(core::PlatformId id, AuditContext context) {
  const auto platform = co_await get_platform(id);
  if (hooks_.before_remove) co_await hooks_.before_remove(id, std::nullopt, context);
  co_await database_.run(Scope::tenant(id), [this, id, context, slug = platform.slug](Transaction& tx) {
    audit_.append(tx, id, audit_event(context, "platform.removed", {}, id.str(), {{"slug", slug}}));
    if (!platforms_.remove(tx, id)) throw no_platform();
    tx.notify("platform", id.str());
  });
  // The tenant's audit trail may have gone with it; the log keeps who did it.
  core::log::info("platform.removed", {{"platform_id", id.str()},
                                       {"slug", platform.slug},
                                       {"request_id", context.request_id},
                                       {"key_id", context.actor ? context.actor->key_id.str() : ""},
                                       {"actor", context.actor ? to_string(context.actor->kind) : "system"}});
  changed("platform", id.str());
}

std::pair<EndUser, bool> IdentityService::create_or_get(Transaction& tx, core::PlatformId platform,
                                                        const NewEndUser& input,
                                                        const AuditContext& context) const {
  auto [user, created] = end_users_.create_or_get(tx, platform, input);
  if (created) {
    audit_.append(tx, platform,
                  audit_event(context, "end_user.created", user.id, user.id.str(), Json::object()));
    if (hooks_.end_user_created) {
      hooks_.end_user_created(tx, user, platforms_.get(tx, platform).value().settings_json, context);
    }
  }
  return {std::move(user), created};
}

core::Task<ProvisionedEndUser> IdentityService::provision_end_user(core::PlatformId platform,
                                                                   NewEndUser input, AuditContext context) {
  co_return co_await database_.run(Scope::tenant(platform), [this, platform, input,
                                                             context](Transaction& tx) {
    auto [user, created] = create_or_get(tx, platform, input, context);
    auto issued = keys_.issue(tx, {platform, user.id}, {.name = "default"});
    audit_.append(tx, platform,
                  audit_event(context, "key.created", user.id, issued.key.id.str(), key_details(issued.key)));
    return ProvisionedEndUser{std::move(user), created, std::move(issued)};
  });
}

core::Task<std::optional<EndUser>> IdentityService::find_end_user(core::PlatformId platform, NewEndUser input,
                                                                  bool create, AuditContext context) {
  try {
    co_return co_await database_.run(
        Scope::tenant(platform),
        [this, platform, input, create, context](Transaction& tx) -> std::optional<EndUser> {
          auto found = end_users_.list(tx, platform, input.external_id, {1, 1});
          if (!found.items.empty()) return std::move(found.items.front());
          if (!create) return std::nullopt;
          return create_or_get(tx, platform, input, context).first;
        });
  } catch (const core::Error& e) {
    if (e.kind() != core::ErrorKind::InvalidArgument) throw;
  }
  co_return std::nullopt;
}

core::Task<EndUser> IdentityService::get_end_user(core::PlatformId platform, core::EndUserId id) {
  auto found = co_await database_.run(Scope::tenant(platform), [this, platform, id](Transaction& tx) {
    return end_users_.get(tx, platform, id);
  });
  if (!found) throw no_end_user();
  co_return std::move(*found);
}

core::Task<Page<EndUser>> IdentityService::list_end_users(core::PlatformId platform,
                                                          std::optional<std::string> external_id,
                                                          PageRequest page) {
  co_return co_await database_.run(Scope::tenant(platform),
                                   [this, platform, external_id, page](Transaction& tx) {
                                     return end_users_.list(tx, platform, external_id, page);
                                   });
}

core::Task<EndUser> IdentityService::update_end_user(core::PlatformId platform, core::EndUserId id,
                                                     EndUserPatch patch, AuditContext context) {
  auto updated =
      co_await database_.run(Scope::tenant(platform), [this, platform, id, patch, context](Transaction& tx) {
        auto user = end_users_.update(tx, platform, id, patch);
        if (!user) throw no_end_user();
        tx.notify("end_user", end_user_topic(platform, id));
        audit_.append(tx, platform,
                      audit_event(context, "end_user.updated", id, id.str(),
                                  changed_fields(std::pair("display_name", patch.display_name.has_value()),
                                                 std::pair("metadata", patch.metadata_json.has_value()),
                                                 std::pair("is_active", patch.is_active.has_value()))));
        return std::move(*user);
      });
  changed("end_user", end_user_topic(platform, id));
  co_return updated;
}

core::Task<> IdentityService::remove_end_user(core::PlatformId platform, core::EndUserId id,
                                              AuditContext context) {
  co_await get_end_user(platform, id);
  if (hooks_.before_remove) co_await hooks_.before_remove(platform, id, context);
  co_await database_.run(Scope::tenant(platform), [this, platform, id, context](Transaction& tx) {
    if (!end_users_.remove(tx, platform, id)) throw no_end_user();
    tx.notify("end_user", end_user_topic(platform, id));
    audit_.append(tx, platform, audit_event(context, "end_user.removed", id, id.str(), Json::object()));
  });
  changed("end_user", end_user_topic(platform, id));
}

core::Task<IssuedKey> IdentityService::issue_key(KeyOwner owner, NewKey input, AuditContext context) {
  co_return co_await database_.run(Scope::tenant(owner.platform_id),
                                   [this, owner, input, context](Transaction& tx) {
                                     auto issued = keys_.issue(tx, owner, input);
                                     audit_.append(tx, owner.platform_id,
                                                   audit_event(context, "key.created", owner.end_user_id,
                                                               issued.key.id.str(), key_details(issued.key)));
                                     return issued;
                                   });
}

core::Task<Page<ApiKey>> IdentityService::list_keys(core::PlatformId platform, PrincipalKind kind,
                                                    std::optional<core::EndUserId> end_user,
                                                    PageRequest page) {
  co_return co_await database_.run(Scope::tenant(platform),
                                   [this, platform, kind, end_user, page](Transaction& tx) {
                                     if (end_user && !end_users_.get(tx, platform, *end_user))
                                       throw no_end_user();
                                     return keys_.list(tx, platform, kind, end_user, page);
                                   });
}

core::Task<ApiKey> IdentityService::update_key(KeyOwner owner, core::KeyId id, KeyPatch patch,
                                               AuditContext context) {
  const auto updated = co_await database_.run(
      Scope::tenant(owner.platform_id), [this, owner, id, patch, context](Transaction& tx) {
        auto key = keys_.update(tx, owner, id, patch);
        if (!key) throw no_key();
        tx.notify("key", key->hash);
        auto details = key_details(key->key);
        details["is_active"] = key->key.is_active;
        audit_.append(tx, owner.platform_id,
                      audit_event(context, "key.updated", key->key.end_user_id, id.str(), details));
        return std::move(*key);
      });
  changed("key", updated.hash);
  co_return updated.key;
}

core::Task<> IdentityService::revoke_key(KeyOwner owner, core::KeyId id, AuditContext context) {
  const auto revoked = co_await database_.run(Scope::tenant(owner.platform_id), [this, owner, id,
                                                                                 context](Transaction& tx) {
    auto key = keys_.revoke(tx, owner, id);
    if (!key) throw no_key();
    tx.notify("key", key->hash);
    audit_.append(tx, owner.platform_id,
                  audit_event(context, "key.revoked", key->key.end_user_id, id.str(), key_details(key->key)));
    return std::move(*key);
  });
  changed("key", revoked.hash);
}

}  // namespace assistiv::oauth
