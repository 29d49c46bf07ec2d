#include "oauth/identity/key_store.h"

#include <utility>

#include "core/encoding.h"
#include "core/error.h"
#include "oauth/identity/input.h"
#include "oauth/identity/key_rows.h"
#include "storage/text_array.h"

namespace assistiv::oauth {

namespace {

// A key, and whether its platform and its end user, if any, are active.
std::string select_credential() {
  return "select " + std::string(kApiKeyColumns) +
         ", (select p.is_active from platform p where p.platform_id = k.platform_id) and "
         "coalesce((select u.is_active from end_user u where u.platform_id = k.platform_id and "
         "u.end_user_id = k.end_user_id), true) owner_active from api_key k ";
}

storage::Param id_param(const std::optional<core::EndUserId>& id) {
  return id ? storage::Param(id->str()) : std::nullopt;
}

// Also serializes the issuing of keys per owner, so that the count below holds.
void lock_owner(storage::Transaction& tx, const KeyOwner& owner) {
  const auto rows = owner.end_user_id
                        ? tx.exec(
                              "select 1 from end_user where platform_id = $1::uuid and end_user_id = "
                              "$2::uuid for no key update",
                              {owner.platform_id.str(), owner.end_user_id->str()})
                        : tx.exec("select 1 from platform where platform_id = $1::uuid for no key update",
                                  {owner.platform_id.str()});
  if (rows.empty()) throw core::not_found(owner.end_user_id ? "No such end user." : "No such platform.");
}

void check_room(storage::Transaction& tx, const KeyOwner& owner, PrincipalKind kind) {
  const auto count = tx.exec(
      "select count(*) total from api_key where platform_id = $1::uuid and kind = $2 "
      "and end_user_id is not distinct from $3::uuid",
      {owner.platform_id.str(), std::string(to_string(kind)), id_param(owner.end_user_id)});
  if (count[0].integer("total") < KeyStore::kMaxKeysPerOwner) return;
  throw core::conflict("There are 100 keys already. Delete keys that are no longer used, then try again.");
}

std::string one_key(const KeyOwner& owner) {
  return std::string(" where platform_id = $1::uuid and key_id = $2::uuid") +
         (owner.end_user_id ? " and end_user_id = $3::uuid" : "");
}

std::vector<storage::Param> key_params(const KeyOwner& owner, core::KeyId id) {
  std::vector<storage::Param> out{owner.platform_id.str(), id.str()};
  if (owner.end_user_id) out.push_back(owner.end_user_id->str());
  return out;
}

std::optional<ChangedKey> changed_of(const storage::Result& rows) {
  if (rows.empty()) return std::nullopt;
  return ChangedKey{api_key_of(rows[0]), rows[0].text("hash")};
}

}  // namespace

IssuedKey KeyStore::issue(storage::Transaction& tx, const KeyOwner& owner, const NewKey& input) const {
  const auto kind = owner.end_user_id ? PrincipalKind::EndUser : PrincipalKind::Platform;
  const auto fresh = make_fresh_key(kind, input, clock_, random_);
  lock_owner(tx, owner);
  check_room(tx, owner, kind);
  const auto rows = tx.exec(
      "insert into api_key (platform_id, end_user_id, kind, key_id, key_prefix, key_hash, name, scopes, "
      "expires_at, created_at) values ($1::uuid, $2::uuid, $3, $4::uuid, $5, decode($6, 'hex'), $7, "
      "string_to_array($8, ' '), assistiv_time($9::bigint), assistiv_time($10::bigint)) returning " +
          std::string(kApiKeyColumns),
      {owner.platform_id.str(), id_param(owner.end_user_id), std::string(to_string(kind)), fresh.id.str(),
       visible_prefix(fresh.raw.reveal()), core::sha256_hex(fresh.raw.reveal()), fresh.name, fresh.scopes,
       fresh.expires_ms, fresh.created_ms});
  return {api_key_of(rows[0]), fresh.raw};
}

Page<ApiKey> KeyStore::list(storage::Transaction& tx, core::PlatformId platform, PrincipalKind kind,
                            std::optional<core::EndUserId> end_user, PageRequest page) const {
  page.check();
  const std::string filter = std::string(" from api_key where platform_id = $1::uuid and kind = $2") +
                             (end_user ? " and end_user_id = $3::uuid" : "");
  std::vector<storage::Param> params{platform.str(), std::string(to_string(kind))};
  if (end_user) params.push_back(end_user->str());
  Page<ApiKey> out{.page = page.page, .limit = page.limit};
  out.total = tx.exec("select count(*) total" + filter, params)[0].integer("total");
  for (const auto row :
       tx.exec("select " + std::string(kApiKeyColumns) + filter + " order by key_id desc limit " +
                   std::to_string(page.limit) + " offset " + page.offset(),
               params)) {
    out.items.push_back(api_key_of(row));
  }
  return out;
}

std::optional<ChangedKey> KeyStore::update(storage::Transaction& tx, const KeyOwner& owner, core::KeyId id,
                                           const KeyPatch& patch) const {
  const std::string hash = ", encode(key_hash, 'hex') hash";
  auto found = changed_of(tx.exec("select " + std::string(kApiKeyColumns) + hash + " from api_key" +
                                      one_key(owner) + " for no key update",
                                  key_params(owner, id)));
  if (!found) return std::nullopt;
  if (patch.name) {
    const auto name = checked_text(*patch.name, 0, kMaxKeyName, "/name");
    found->key.name = name.empty() ? std::nullopt : std::optional(name);
  }
  if (patch.is_active) found->key.is_active = *patch.is_active;
  tx.exec(
      "update api_key set name = $3, is_active = $4::boolean where platform_id = $1::uuid and key_id = "
      "$2::uuid",
      {owner.platform_id.str(), id.str(), found->key.name, found->key.is_active ? "true" : "false"});
  return found;
}

std::optional<ChangedKey> KeyStore::revoke(storage::Transaction& tx, const KeyOwner& owner,
                                           core::KeyId id) const {
  return changed_of(tx.exec("delete from api_key" + one_key(owner) + " returning " +
                                std::string(kApiKeyColumns) + ", encode(key_hash, 'hex') hash",
                            key_params(owner, id)));
}

std::optional<Credential> KeyStore::find(storage::Transaction& tx, core::PlatformId platform,
                                         core::KeyId id) const {
  const auto rows = tx.exec(select_credential() + "where k.platform_id = $1::uuid and k.key_id = $2::uuid",
                            {platform.str(), id.str()});
  if (rows.empty()) return std::nullopt;
  return Credential{api_key_of(rows[0]), rows[0].boolean("owner_active")};
}

std::optional<Credential> KeyStore::find_by_hash(storage::Transaction& tx, PrincipalKind kind,
                                                 std::string_view hash) const {
  if (kind == PrincipalKind::Operator) {
    const auto rows = tx.exec("select " + std::string(kOperatorKeyColumns) +
                                  " from operator_key where key_hash = decode($1, 'hex')",
                              {std::string(hash)});
    return rows.empty() ? std::nullopt : std::optional(Credential{api_key_of(rows[0]), true});
  }
  const auto rows = tx.exec(select_credential() + "where k.key_hash = decode($1, 'hex') and k.kind = $2",
                            {std::string(hash), std::string(to_string(kind))});
  if (rows.empty()) return std::nullopt;
  return Credential{api_key_of(rows[0]), rows[0].boolean("owner_active")};
}

void KeyStore::record_uses(storage::Transaction& tx, const std::vector<KeyUse>& uses) const {
  storage::TextArray platforms, keys, times, operator_keys, operator_times;
  for (const auto& use : uses) {
    if (use.platform_id) platforms.add(use.platform_id->str());
    (use.platform_id ? keys : operator_keys).add(use.key_id.str());
    (use.platform_id ? times : operator_times).add(std::to_string(core::to_epoch_ms(use.at)));
  }
  tx.exec(
      "update api_key k set last_used_at = greatest(k.last_used_at, assistiv_time(u.at)) "
      "from unnest($1::uuid[], $2::uuid[], $3::bigint[]) u(platform_id, key_id, at) "
      "where k.platform_id = u.platform_id and k.key_id = u.key_id",
      {platforms.take(), keys.take(), times.take()});
  tx.exec(
      "update operator_key k set last_used_at = greatest(k.last_used_at, assistiv_time(u.at)) "
      "from unnest($1::uuid[], $2::bigint[]) u(key_id, at) where k.key_id = u.key_id",
      {operator_keys.take(), operator_times.take()});
}

}  // namespace assistiv::oauth
