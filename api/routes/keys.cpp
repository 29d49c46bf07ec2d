#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "api/wire/views.h"
#include "core/json_read.h"
#include "oauth/identity/identity_service.h"

namespace assistiv::api {

namespace {

// The same handlers serve a platform's keys and one end user's: the path says whose.
oauth::KeyOwner key_owner(const Call& call) {
  oauth::KeyOwner owner{call.platform_id(), {}};
  if (call.params.contains("end_user_id")) owner.end_user_id = end_user_param(call);
  return owner;
}

oauth::NewKey read_new_key(const core::JsonReader& body) {
  oauth::NewKey key;
  key.name = body.optional_string("name");
  if (body.has("scopes")) key.scopes = body.strings("scopes");
  if (const auto text = body.optional_string("expires_at")) {
    key.expires_at = core::parse_time(*text);
    if (!key.expires_at) throw core::bad_request("\"expires_at\" must be an RFC 3339 time.", "/expires_at");
  }
  return key;
}

core::Task<core::HttpReply> list_keys(Services* s, Call call) {
  const auto owner = key_owner(call);
  const bool end_users = owner.end_user_id || call.query_or("type", "platform") == "end_user";
  const auto kind = end_users ? oauth::PrincipalKind::EndUser : oauth::PrincipalKind::Platform;
  const auto page =
      co_await s->identity.list_keys(owner.platform_id, kind, owner.end_user_id, page_request(call));
  core::Json rows = core::Json::array();
  for (const auto& key : page.items) rows.push_back(key_view(key));
  co_return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> create_key(Services* s, Call call) {
  const auto issued = co_await s->identity.issue_key(
      key_owner(call), read_new_key(core::JsonReader(*call.body)), audit_context(call));
  co_return data_reply(201, issued_key_view(issued));
}

core::Task<core::HttpReply> patch_key(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  const oauth::KeyPatch patch{body.optional_string("name"), body.optional_bool("is_active")};
  co_return data_reply(200, key_view(co_await s->identity.update_key(key_owner(call), key_param(call), patch,
                                                                     audit_context(call))));
}

core::Task<core::HttpReply> delete_key(Services* s, Call call) {
  co_await s->identity.revoke_key(key_owner(call), key_param(call), audit_context(call));
  co_return no_content();
}

void add_routes_at(RouteTable& table, Services& services, const std::string& base, const std::string& noun,
                   std::vector<QueryParam> list_query) {
  table.push_back({.method = "GET",
                   .path = base,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "list" + noun + "Keys",
                   .tag = "Keys",
                   .summary = "List keys; secrets are never shown.",
                   .query = std::move(list_query),
                   .paginated = true,
                   .reply_schema = "Key",
                   .handle = with_services(services, list_keys)});
  table.push_back({.method = "POST",
                   .path = base,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "create" + noun + "Key",
                   .tag = "Keys",
                   .summary = "Make a key; `raw_key` is shown once.",
                   .body_schema = "KeyCreate",
                   .success = 201,
                   .reply_schema = "KeyCreated",
                   .handle = with_services(services, create_key)});
  table.push_back({.method = "PATCH",
                   .path = base + "/{key_id}",
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "update" + noun + "Key",
                   .tag = "Keys",
                   .summary = "Rename, deactivate or reactivate a key.",
                   .body_schema = "KeyPatch",
                   .reply_schema = "Key",
                   .handle = with_services(services, patch_key)});
  table.push_back({.method = "DELETE",
                   .path = base + "/{key_id}",
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "revoke" + noun + "Key",
                   .tag = "Keys",
                   .summary = "Revoke a key for good.",
                   .success = 204,
                   .handle = with_services(services, delete_key)});
}

}  // namespace

void add_key_routes(RouteTable& table, Services& services) {
  add_routes_at(table, services, "/v1/platforms/{platform_id}/api-keys", "Platform",
                {{"type", "Whose keys: the platform's own, or all end users'.", {"platform", "end_user"}}});
  add_routes_at(table, services, "/v1/platforms/{platform_id}/end-users/{end_user_id}/api-keys", "EndUser",
                {});
}

}  // namespace assistiv::api
