#include "oauth/identity/end_user_store.h"

#include "core/error.h"
#include "oauth/identity/input.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kMaxMetadata = 16 * 1024;
constexpr std::size_t kMaxExternalId = 255;
constexpr std::size_t kMaxDisplayName = 100;
constexpr int kProvisionTries = 3;

constexpr std::string_view kEndUserColumns =
    "platform_id, end_user_id, external_id, display_name, metadata, is_active, assistiv_ms(created_at) "
    "created_at, "
    "assistiv_ms(updated_at) updated_at";

EndUser end_user_of(const storage::Row& row) {
  return {.id = row.id<core::EndUserId>("end_user_id"),
          .platform_id = row.id<core::PlatformId>("platform_id"),
          .external_id = row.text("external_id"),
          .display_name = row.optional_text("display_name"),
          .metadata_json = row.text("metadata"),
          .is_active = row.boolean("is_active"),
          .created_at = row.time("created_at"),
          .updated_at = row.time("updated_at")};
}

std::optional<EndUser> first_end_user(const storage::Result& rows) {
  return rows.empty() ? std::nullopt : std::optional(end_user_of(rows[0]));
}

}  // namespace

std::pair<EndUser, bool> EndUserStore::create_or_get(storage::Transaction& tx, core::PlatformId platform,
                                                     const NewEndUser& input) const {
  const auto external_id = checked_text(input.external_id, 1, kMaxExternalId, "/external_id");
  storage::Param display_name;
  if (input.display_name)
    display_name = checked_text(*input.display_name, 1, kMaxDisplayName, "/display_name");
  const auto metadata = checked_object(input.metadata_json.value_or("{}"), kMaxMetadata, "/metadata");
  const auto id = core::EndUserId::make(clock_, random_);
  const auto now = std::to_string(core::to_epoch_ms(clock_.now()));
  // The insert waits for a concurrent one of the same external_id; it is then there to be read, unless it was
  // removed in between.
  for (int i = 0; i < kProvisionTries; ++i) {
    const auto made = tx.exec(
        "insert into end_user (platform_id, end_user_id, external_id, display_name, metadata, "
        "created_at, updated_at) values ($1::uuid, $2::uuid, $3, $4, $5::jsonb, "
        "assistiv_time($6::bigint), assistiv_time($6::bigint)) "
        "on conflict (platform_id, external_id) do nothing returning " +
            std::string(kEndUserColumns),
        {platform.str(), id.str(), external_id, display_name, metadata, now});
    if (!made.empty()) return {end_user_of(made[0]), true};
    const auto found = tx.exec("select " + std::string(kEndUserColumns) +
                                   " from end_user where platform_id = $1::uuid and external_id = $2",
                               {platform.str(), external_id});
    if (!found.empty()) return {end_user_of(found[0]), false};
  }
  throw core::conflict("This end user is being created and removed at the same time. Try again.");
}

std::optional<EndUser> EndUserStore::get(storage::Transaction& tx, core::PlatformId platform,
                                         core::EndUserId id) const {
  return first_end_user(tx.exec("select " + std::string(kEndUserColumns) +
                                    " from end_user where platform_id = $1::uuid and end_user_id = $2::uuid",
                                {platform.str(), id.str()}));
}

Page<EndUser> EndUserStore::list(storage::Transaction& tx, core::PlatformId platform,
                                 const std::optional<std::string>& external_id, PageRequest page) const {
  page.check();
  storage::Param wanted;
  if (external_id) wanted = checked_text(*external_id, 1, kMaxExternalId, "external_id");
  const std::string filter =
      std::string(" from end_user where platform_id = $1::uuid") + (wanted ? " and external_id = $2" : "");
  std::vector<storage::Param> params{platform.str()};
  if (wanted) params.push_back(wanted);
  Page<EndUser> out{.page = page.page, .limit = page.limit};
  out.total = tx.exec("select count(*) total" + filter, params)[0].integer("total");
  for (const auto row :
       tx.exec("select " + std::string(kEndUserColumns) + filter + " order by end_user_id desc limit " +
                   std::to_string(page.limit) + " offset " + page.offset(),
               params)) {
    out.items.push_back(end_user_of(row));
  }
  return out;
}

std::optional<EndUser> EndUserStore::update(storage::Transaction& tx, core::PlatformId platform,
                                            core::EndUserId id, const EndUserPatch& patch) const {
  auto user =
      first_end_user(tx.exec("select " + std::string(kEndUserColumns) +
                                 " from end_user where platform_id = $1::uuid and end_user_id = $2::uuid "
                                 "for no key update",
                             {platform.str(), id.str()}));
  if (!user) return std::nullopt;
  if (patch.display_name) {
    const auto name = checked_text(*patch.display_name, 0, kMaxDisplayName, "/display_name");
    user->display_name = name.empty() ? std::nullopt : std::optional(name);
  }
  if (patch.metadata_json) {
    user->metadata_json = merged_object(user->metadata_json, *patch.metadata_json, kMaxMetadata, "/metadata");
  }
  if (patch.is_active) user->is_active = *patch.is_active;
  user->updated_at = clock_.now();
  tx.exec(
      "update end_user set display_name = $3, metadata = $4::jsonb, is_active = $5::boolean, "
      "updated_at = assistiv_time($6::bigint) where platform_id = $1::uuid and end_user_id = $2::uuid",
      {platform.str(), id.str(), user->display_name, user->metadata_json, user->is_active ? "true" : "false",
       std::to_string(core::to_epoch_ms(user->updated_at))});
  return user;
}

bool EndUserStore::remove(storage::Transaction& tx, core::PlatformId platform, core::EndUserId id) const {
  return tx.exec("delete from end_user where platform_id = $1::uuid and end_user_id = $2::uuid",
                 {platform.str(), id.str()})
             .affected() > 0;
}

}  // namespace assistiv::oauth
