#include "mcp/connectors/own_app_store.h"

namespace assistiv::mcp {

namespace {

constexpr char kManifestColumns[] =
    " platform_id, manifest_id, app, number, title, version, status, reason, fault,"
    " assistiv_ms(created_at) as created_ms, assistiv_ms(decided_at) as decided_ms ";

OwnManifest read_own_manifest(const storage::Row& row) {
  OwnManifest out;
  out.platform_id = row.id<core::PlatformId>("platform_id");
  out.id = row.id<ManifestId>("manifest_id");
  out.app = row.text("app");
  out.number = row.integer("number");
  out.title = row.text("title");
  out.version = row.text("version");
  out.status = parse_manifest_status(row.text("status")).value_or(ManifestStatus::Withdrawn);
  out.reason = row.text("reason");
  if (out.status == ManifestStatus::Serving) out.fault = row.optional_text("fault").value_or("");
  out.created_at = row.time("created_ms");
  out.decided_at = row.optional_time("decided_ms");
  return out;
}

storage::Param platform_param(const std::optional<core::PlatformId>& platform) {
  return platform ? storage::Param(platform->str()) : std::nullopt;
}

std::string ms_text(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

}  // namespace

void OwnAppStore::lock_platform(storage::Transaction& tx, core::PlatformId platform) const {
  tx.exec("select pg_advisory_xact_lock(hashtextextended($1, 0))", {"own apps " + platform.str()});
}

std::int64_t OwnAppStore::count_apps(storage::Transaction& tx, core::PlatformId platform) const {
  return tx
      .exec("select count(distinct app) as total from own_app_manifest where platform_id = $1::uuid",
            {platform.str()})[0]
      .integer("total");
}

std::vector<OwnManifest> OwnAppStore::versions(storage::Transaction& tx, core::PlatformId platform,
                                               const std::string& app) const {
  const auto rows = tx.exec(std::string("select") + kManifestColumns +
                                ", document from own_app_manifest where platform_id = $1::uuid and app = $2"
                                " order by number desc",
                            {platform.str(), app});
  std::vector<OwnManifest> out;
  for (const auto& row : rows) {
    out.push_back(read_own_manifest(row));
    out.back().document = row.text("document");
  }
  return out;
}

void OwnAppStore::insert(storage::Transaction& tx, const OwnManifest& manifest) const {
  tx.exec(
      "insert into own_app_manifest (platform_id, manifest_id, app, number, title, version, document, status,"
      " created_at) values ($1::uuid, $2::uuid, $3, $4::integer, $5, $6, $7, $8, assistiv_time($9::bigint))",
      {manifest.platform_id.str(), manifest.id.str(), manifest.app, std::to_string(manifest.number),
       manifest.title, manifest.version, manifest.document,
       std::string(manifest_status_name(manifest.status)), ms_text(manifest.created_at)});
}

void OwnAppStore::set_status(storage::Transaction& tx, const OwnManifest& manifest) const {
  tx.exec(
      "update own_app_manifest set status = $3, reason = $4, decided_at = assistiv_time($5::bigint)"
      " where platform_id = $1::uuid and manifest_id = $2::uuid",
      {manifest.platform_id.str(), manifest.id.str(), std::string(manifest_status_name(manifest.status)),
       manifest.reason.empty() ? storage::Param() : storage::Param(manifest.reason),
       manifest.decided_at ? storage::Param(ms_text(*manifest.decided_at)) : storage::Param()});
}

void OwnAppStore::remove(storage::Transaction& tx, core::PlatformId platform, ManifestId id) const {
  tx.exec("delete from own_app_manifest where platform_id = $1::uuid and manifest_id = $2::uuid",
          {platform.str(), id.str()});
}

bool OwnAppStore::remove_app(storage::Transaction& tx, core::PlatformId platform,
                             const std::string& app) const {
  return tx.exec("delete from own_app_manifest where platform_id = $1::uuid and app = $2",
                 {platform.str(), app})
             .affected() > 0;
}

oauth::Page<OwnManifest> OwnAppStore::list(storage::Transaction& tx, std::optional<core::PlatformId> platform,
                                           const ManifestFilter& filter, oauth::PageRequest page) const {
  const std::string where =
      " from own_app_manifest where ($1::uuid is null or platform_id = $1::uuid)"
      " and ($2::text is null or status = $2) and ($3::text is null or app = $3)";
  const storage::Param status =
      filter.status ? storage::Param(std::string(manifest_status_name(*filter.status))) : storage::Param();
  std::vector<storage::Param> params = {platform_param(platform), status, filter.app};
  oauth::Page<OwnManifest> out;
  out.page = page.page;
  out.limit = page.limit;
  out.total = tx.exec("select count(*) as total" + where, params)[0].integer("total");
  params.emplace_back(std::to_string(page.limit));
  params.emplace_back(page.offset());
  const auto rows =
      tx.exec(std::string("select") + kManifestColumns + where +
                  " order by created_at desc, number desc, manifest_id desc limit $4::int offset $5::int",
              std::move(params));
  for (const auto& row : rows) out.items.push_back(read_own_manifest(row));
  return out;
}

std::optional<OwnManifest> OwnAppStore::get(storage::Transaction& tx,
                                            std::optional<core::PlatformId> platform, ManifestId id) const {
  const auto rows = tx.exec(std::string("select") + kManifestColumns +
                                ", document from own_app_manifest where manifest_id = $1::uuid"
                                " and ($2::uuid is null or platform_id = $2::uuid)",
                            {id.str(), platform_param(platform)});
  if (rows.empty()) return {};
  auto out = read_own_manifest(rows[0]);
  out.document = rows[0].text("document");
  return out;
}

std::vector<ServingManifest> OwnAppStore::serving(storage::Transaction& tx, core::PlatformId platform) const {
  const auto rows = tx.exec(
      "select app, document from own_app_manifest where platform_id = $1::uuid and status = 'serving'"
      " order by app",
      {platform.str()});
  std::vector<ServingManifest> out;
  for (const auto& row : rows) out.push_back({row.text("app"), row.text("document")});
  return out;
}

LeftOut OwnAppStore::faults(storage::Transaction& tx, core::PlatformId platform) const {
  LeftOut out;
  for (const auto row : tx.exec("select app, fault from own_app_manifest where platform_id = $1::uuid"
                                " and status = 'serving' and fault is not null",
                                {platform.str()})) {
    out.emplace(row.text("app"), row.text("fault"));
  }
  return out;
}

bool OwnAppStore::set_fault(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
                            const std::optional<std::string>& fault) const {
  return tx.exec(
               "update own_app_manifest set fault = $3 where platform_id = $1::uuid and app = $2"
               " and status = 'serving' and fault is distinct from $3",
               {platform.str(), app, fault})
             .affected() > 0;
}

}  // namespace assistiv::mcp
