// Sign-in links that a platform makes, and the authorizations that an end user gave.
#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "api/wire/views.h"
#include "core/json_read.h"
#include "oauth/authorize/authorization_server.h"
#include "oauth/identity/identity_service.h"

namespace assistiv::api {

namespace {

core::Json authorization_view(const oauth::Authorization& row) {
  return {{"id", row.id.str()},
          {"client",
           {{"id", row.client_id},
            {"name", row.client_name.empty() ? core::Json() : core::Json(row.client_name)},
            {"redirect_host", oauth::redirect_host(row.redirect_uri)}}},
          {"resource", row.resource},
          {"scopes", row.scopes},
          {"tools", core::parse_json(row.tools_json)},
          {"created_at", core::format_time(row.created_at)},
          {"last_used_at", time_or_null(row.last_used_at)},
          {"expires_at", core::format_time(row.expires_at)}};
}

core::Task<core::HttpReply> create_sign_in_link(Services* s, Call call) {
  const auto platform = call.platform_id();
  const auto end_user = end_user_param(call);
  co_await s->identity.get_end_user(platform, end_user);
  const auto link =
      co_await s->authorization->sign_ins().create_link(platform, end_user, audit_context(call));
  co_return data_reply(201, {{"url", link.url}, {"expires_at", core::format_time(link.expires_at)}});
}

core::Task<core::HttpReply> list_authorizations(Services* s, Call call) {
  const auto page = co_await s->authorization->authorizations().list(
      call.principal->platform_id, *call.principal->end_user_id, page_request(call));
  core::Json rows = core::Json::array();
  for (const auto& row : page.items) rows.push_back(authorization_view(row));
  co_return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> revoke_authorization(Services* s, Call call) {
  const auto id = call.id<core::KeyId>("authorization_id", "authorization");
  co_await s->authorization->authorizations().revoke(call.principal->platform_id,
                                                     *call.principal->end_user_id, id, audit_context(call));
  co_return no_content();
}

}  // namespace

void add_authorization_routes(RouteTable& table, Services& services) {
  table.push_back(
      {.method = "POST",
       .path = "/v1/platforms/{platform_id}/end-users/{end_user_id}/sign-in-links",
       .access = Access::Platform,
       .scope = "management",
       .operation_id = "createSignInLink",
       .tag = "End users",
       .summary = "A one-time link, good for ten minutes, that signs the end user in on our pages.",
       .success = 201,
       .reply_schema = "SignInLink",
       .handle = with_services(services, create_sign_in_link)});
  table.push_back({.method = "GET",
                   .path = "/v1/me/authorizations",
                   .access = Access::EndUser,
                   .scope = "connections",
                   .operation_id = "listMyAuthorizations",
                   .tag = "Me",
                   .summary = "The applications that the caller let use its tools.",
                   .paginated = true,
                   .reply_schema = "Authorization",
                   .handle = with_services(services, list_authorizations)});
  table.push_back({.method = "DELETE",
                   .path = "/v1/me/authorizations/{authorization_id}",
                   .access = Access::EndUser,
                   .scope = "connections",
                   .operation_id = "revokeMyAuthorization",
                   .tag = "Me",
                   .summary = "Take it back: its tokens stop working everywhere within a second.",
                   .success = 204,
                   .reply_schema = "",
                   .reply_type = "",
                   .handle = with_services(services, revoke_authorization)});
}

}  // namespace assistiv::api
