#include "api/wire/views.h"

#include <nlohmann/json.hpp>

namespace assistiv::api {

namespace {

core::Json text_or_null(const std::optional<std::string>& text) {
  return text ? core::Json(*text) : core::Json(nullptr);
}

template <class AnyId>
core::Json id_or_null(const std::optional<AnyId>& id) {
  return id ? core::Json(id->str()) : core::Json(nullptr);
}

std::string_view key_kind(oauth::PrincipalKind kind) {
  return kind == oauth::PrincipalKind::EndUser ? "end_user" : "platform";
}

}  // namespace

core::Json time_or_null(const std::optional<core::Time>& time) {
  return time ? core::Json(core::format_time(*time)) : core::Json(nullptr);
}

core::Json platform_view(const oauth::Platform& platform) {
  return {{"id", platform.id.str()},
          {"name", platform.name},
          {"slug", platform.slug},
          {"settings", core::Json::parse(platform.settings_json)},
          {"is_active", platform.is_active},
          {"created_at", core::format_time(platform.created_at)},
          {"updated_at", core::format_time(platform.updated_at)}};
}

core::Json key_view(const oauth::ApiKey& key) {
  return {{"id", key.id.str()},
          {"platform_id", id_or_null(key.platform_id)},
          {"end_user_id", id_or_null(key.end_user_id)},
          {"kind", key_kind(key.kind)},
          {"key_prefix", key.key_prefix},
          {"name", text_or_null(key.name)},
          {"scopes", key.scopes},
          {"is_active", key.is_active},
          {"last_used_at", time_or_null(key.last_used_at)},
          {"expires_at", time_or_null(key.expires_at)},
          {"created_at", core::format_time(key.created_at)}};
}

core::Json issued_key_view(const oauth::IssuedKey& issued) {
  core::Json out = key_view(issued.key);
  out["raw_key"] = issued.raw.reveal();
  return out;
}

core::Json end_user_view(const oauth::EndUser& user) {
  return {{"id", user.id.str()},
          {"platform_id", user.platform_id.str()},
          {"external_id", user.external_id},
          {"display_name", text_or_null(user.display_name)},
          {"metadata", core::Json::parse(user.metadata_json)},
          {"is_active", user.is_active},
          {"created_at", core::format_time(user.created_at)},
          {"updated_at", core::format_time(user.updated_at)}};
}

core::Json audit_view(const storage::AuditEntry& entry) {
  return {{"seq", entry.seq},
          {"at", core::format_time(entry.at)},
          {"event", entry.event.event},
          {"actor", {{"kind", entry.event.actor_kind}, {"key_id", id_or_null(entry.event.key_id)}}},
          {"end_user_id", id_or_null(entry.event.end_user_id)},
          {"subject", entry.event.subject},
          {"details", entry.event.details_json.empty() ? core::Json::object()
                                                       : core::Json::parse(entry.event.details_json)},
          {"request_id", entry.event.request_id},
          {"prev_hash", entry.prev_hash},
          {"hash", entry.hash}};
}

}  // namespace assistiv::api
