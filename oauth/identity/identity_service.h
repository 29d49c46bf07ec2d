#pragma once
// Platforms, end users and keys as the REST API offers them: one transaction per call with its audit entry
// and the notice that drops caches on every node. What does not exist, or belongs to another tenant, throws
// Error{NotFound}.
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/task.h"
#include "oauth/identity/audit_context.h"
#include "oauth/identity/end_user_store.h"
#include "oauth/identity/key_store.h"
#include "oauth/identity/platform_store.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::oauth {

// What lies outside of this folder; api/ plugs it in.
struct IdentityHooks {
  // Awaited before an end user (or, without one, a whole platform) is removed: revokes its connections
  // upstream. An exception keeps the row.
  std::function<core::Task<>(core::PlatformId, std::optional<core::EndUserId>, AuditContext)> before_remove;
  // Called in the transaction that made an end user, with its platform's settings (a JSON object).
  std::function<void(storage::Transaction&, const EndUser&, const std::string& settings_json,
                     const AuditContext&)>
      end_user_created;
  // Called after a commit with what Transaction::notify sent, so that this node's caches do not wait for the
  // round trip. Same duties as a storage::Notifier callback.
  std::function<void(std::string_view topic, std::string_view payload)> changed;
};

struct CreatedPlatform {
  Platform platform;
  IssuedKey api_key;
};

struct ProvisionedEndUser {
  EndUser end_user;
  bool created = false;  // false: the external_id existed
  IssuedKey api_key;     // fresh in both cases
};

// Thread-safe.
class IdentityService {
 public:
  IdentityService(storage::Database& database, storage::AuditLog& audit, const core::Clock& clock,
                  core::Random& random, IdentityHooks hooks);

  core::Task<CreatedPlatform> create_platform(NewPlatform input, AuditContext context);
  core::Task<Platform> get_platform(core::PlatformId id);
  core::Task<Page<Platform>> list_platforms(PageRequest page);
  core::Task<Platform> update_platform(core::PlatformId id, PlatformPatch patch, AuditContext context);
  core::Task<> remove_platform(core::PlatformId id, AuditContext context);

  core::Task<ProvisionedEndUser> provision_end_user(core::PlatformId platform, NewEndUser input,
                                                    AuditContext context);
  // The end user with input's external_id, made as by provision_end_user() but without a key where `create`
  // says so; nothing when there is none, or when the id is none that an end user can have.
  core::Task<std::optional<EndUser>> find_end_user(core::PlatformId platform, NewEndUser input, bool create,
                                                   AuditContext context);
  core::Task<EndUser> get_end_user(core::PlatformId platform, core::EndUserId id);
  core::Task<Page<EndUser>> list_end_users(core::PlatformId platform, std::optional<std::string> external_id,
                                           PageRequest page);
  core::Task<EndUser> update_end_user(core::PlatformId platform, core::EndUserId id, EndUserPatch patch,
                                      AuditContext context);
  core::Task<> remove_end_user(core::PlatformId platform, core::EndUserId id, AuditContext context);

  core::Task<IssuedKey> issue_key(KeyOwner owner, NewKey input, AuditContext context);
  // As KeyStore::list; an unknown end user throws Error{NotFound}.
  core::Task<Page<ApiKey>> list_keys(core::PlatformId platform, PrincipalKind kind,
                                     std::optional<core::EndUserId> end_user, PageRequest page);
  core::Task<ApiKey> update_key(KeyOwner owner, core::KeyId id, KeyPatch patch, AuditContext context);
  core::Task<> revoke_key(KeyOwner owner, core::KeyId id, AuditContext context);

 private:
  std::pair<EndUser, bool> create_or_get(storage::Transaction& tx, core::PlatformId platform,
                                         const NewEndUser& input, const AuditContext& context) const;
  void changed(std::string_view topic, const std::string& payload) const;

  storage::Database& database_;
  storage::AuditLog& audit_;
  PlatformStore platforms_;
  EndUserStore end_users_;
  KeyStore keys_;
  IdentityHooks hooks_;
};

}  // namespace assistiv::oauth
