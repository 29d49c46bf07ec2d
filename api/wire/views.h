#pragma once
// Domain values as the management API shows them (the shapes of openapi/components/components.json).
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/json.h"
#include "oauth/identity/api_key.h"
#include "oauth/identity/end_user_store.h"
#include "oauth/identity/platform_store.h"
#include "storage/audit.h"

namespace assistiv::api {

core::Json time_or_null(const std::optional<core::Time>& time);
core::Json platform_view(const oauth::Platform& platform);
core::Json key_view(const oauth::ApiKey& key);
// With `raw_key`: for the one reply that carries it.
core::Json issued_key_view(const oauth::IssuedKey& issued);
core::Json end_user_view(const oauth::EndUser& user);
core::Json audit_view(const storage::AuditEntry& entry);

}  // namespace assistiv::api
