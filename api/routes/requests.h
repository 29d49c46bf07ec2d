#pragma once
// How handlers read what several of them need.
#include <optional>
#include <string>

#include "api/http/route.h"
#include "oauth/identity/audit_context.h"
#include "oauth/identity/page.h"

namespace assistiv::api {

inline oauth::AuditContext audit_context(const Call& call) {
  return {call.principal, call.request.request_id};
}
inline oauth::PageRequest page_request(const Call& call) {
  return {call.page(), call.limit()};
}

inline core::EndUserId end_user_param(const Call& call) {
  return call.id<core::EndUserId>("end_user_id", "end user");
}
inline core::KeyId key_param(const Call& call) {
  return call.id<core::KeyId>("key_id", "key");
}

}  // namespace assistiv::api
