#include "api/wire/connections.h"

#include <nlohmann/json.hpp>

#include "api/wire/views.h"

namespace assistiv::api {

core::Json connection_view(const oauth::Connection& connection) {
  return {{"id", connection.id.str()},
          {"end_user_id", connection.end_user_id.str()},
          {"app", connection.app},
          {"status", oauth::connection_status(connection.status)},
          {"account", {{"id", connection.account_id}, {"label", connection.account_label}}},
          {"label", oauth::shown_label(connection)},
          {"is_default", connection.is_default},
          {"scopes", connection.scopes},
          {"created_at", core::format_time(connection.created_at)},
          {"updated_at", core::format_time(connection.updated_at)},
          {"last_used_at", time_or_null(connection.last_used_at)}};
}

core::Json disconnected_view(const oauth::Disconnected& result) {
  core::Json out = {{"id", result.id.str()}, {"revoked_upstream", result.revoked_upstream}};
  if (result.reason) out["reason"] = *result.reason;
  return out;
}

}  // namespace assistiv::api
