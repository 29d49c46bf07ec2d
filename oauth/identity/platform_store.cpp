#include "oauth/identity/platform_store.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "oauth/identity/input.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kMaxSettings = 64 * 1024;
constexpr std::size_t kMaxName = 100;
constexpr std::size_t kMaxSlug = 63;
constexpr std::size_t kMaxSlugOfName = 48;  // leaves room for a suffix
constexpr int kSlugTries = 6;

constexpr std::string_view kPlatformColumns =
    "platform_id, name, slug, settings, is_active, assistiv_ms(created_at) created_at, "
    "assistiv_ms(updated_at) updated_at";

Platform platform_of(const storage::Row& row) {
  return {.id = row.id<core::PlatformId>("platform_id"),
          .name = row.text("name"),
          .slug = row.text("slug"),
          .settings_json = row.text("settings"),
          .is_active = row.boolean("is_active"),
          .created_at = row.time("created_at"),
          .updated_at = row.time("updated_at")};
}

bool is_slug_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

std::string checked_slug(const std::string& slug) {
  const bool good = !slug.empty() && slug.size() <= kMaxSlug && slug.front() != '-' && slug.back() != '-' &&
                    std::all_of(slug.begin(), slug.end(), [](char c) { return c == '-' || is_slug_char(c); });
  if (!good) {
    throw core::bad_request("slug must be 1 to 63 lowercase letters, digits and inner hyphens.", "/slug");
  }
  return slug;
}

std::string slug_of_name(std::string_view name) {
  std::string out;
  for (char c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (is_slug_char(c)) {
      out.push_back(c);
    } else if (!out.empty() && out.back() != '-') {
      out.push_back('-');
    }
    if (out.size() == kMaxSlugOfName) break;
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "platform" : out;
}

core::Error slug_taken() {
  return core::conflict("Another platform has this slug. Choose another one.").with_field("/slug");
}

}  // namespace

Platform PlatformStore::create(storage::Transaction& tx, const NewPlatform& input) const {
  const auto name = checked_text(input.name, 1, kMaxName, "/name");
  const auto settings = checked_object(input.settings_json.value_or("{}"), kMaxSettings, "/settings");
  const auto wanted = input.slug ? checked_slug(*input.slug) : slug_of_name(name);
  const auto id = core::PlatformId::make(clock_, random_);
  const auto now = std::to_string(core::to_epoch_ms(clock_.now()));
  auto slug = wanted;
  for (int i = 0; i < kSlugTries; ++i) {
    const auto rows = tx.exec(
        "insert into platform (platform_id, name, slug, settings, created_at, updated_at) "
        "values ($1::uuid, $2, $3, $4::jsonb, assistiv_time($5::bigint), "
        "assistiv_time($5::bigint)) on conflict (slug) do nothing returning " +
            std::string(kPlatformColumns),
        {id.str(), name, slug, settings, now});
    if (!rows.empty()) return platform_of(rows[0]);
    if (input.slug) break;
    slug = wanted + "-" + core::random_hex(random_, 3);
  }
  throw slug_taken();
}

std::optional<Platform> PlatformStore::get(storage::Transaction& tx, core::PlatformId id) const {
  const auto rows = tx.exec(
      "select " + std::string(kPlatformColumns) + " from platform where platform_id = $1::uuid", {id.str()});
  return rows.empty() ? std::nullopt : std::optional(platform_of(rows[0]));
}

Page<Platform> PlatformStore::list(storage::Transaction& tx, PageRequest page) const {
  page.check();
  Page<Platform> out{.page = page.page, .limit = page.limit};
  out.total = tx.exec("select count(*) total from platform")[0].integer("total");
  for (const auto row :
       tx.exec("select " + std::string(kPlatformColumns) +
                   " from platform order by platform_id desc limit $1::int offset $2::bigint",
               {std::to_string(page.limit), page.offset()})) {
    out.items.push_back(platform_of(row));
  }
  return out;
}

std::optional<Platform> PlatformStore::update(storage::Transaction& tx, core::PlatformId id,
                                              const PlatformPatch& patch) const {
  const auto rows = tx.exec("select " + std::string(kPlatformColumns) +
                                " from platform where platform_id = $1::uuid for no key update",
                            {id.str()});
  if (rows.empty()) return std::nullopt;
  auto platform = platform_of(rows[0]);
  if (patch.name) platform.name = checked_text(*patch.name, 1, kMaxName, "/name");
  if (patch.slug) platform.slug = checked_slug(*patch.slug);
  if (patch.settings_json) {
    platform.settings_json =
        merged_object(platform.settings_json, *patch.settings_json, kMaxSettings, "/settings");
  }
  if (patch.is_active) platform.is_active = *patch.is_active;
  platform.updated_at = clock_.now();
  try {
    tx.exec(
        "update platform set name = $2, slug = $3, settings = $4::jsonb, is_active = $5::boolean, "
        "updated_at = assistiv_time($6::bigint) where platform_id = $1::uuid",
        {id.str(), platform.name, platform.slug, platform.settings_json,
         platform.is_active ? "true" : "false", std::to_string(core::to_epoch_ms(platform.updated_at))});
  } catch (const core::Error& e) {
    if (e.kind() == core::ErrorKind::Conflict) throw slug_taken();
    throw;
  }
  return platform;
}

bool PlatformStore::remove(storage::Transaction& tx, core::PlatformId id) const {
  // The rows of a large platform take longer than a request's statement may.
  tx.exec("set local statement_timeout = '10min'");
  return tx.exec("delete from platform where platform_id = $1::uuid", {id.str()}).affected() > 0;
}

}  // namespace assistiv::oauth
