#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "api/wire/views.h"
#include "core/json_read.h"
#include "oauth/identity/identity_service.h"

namespace assistiv::api {

namespace {

std::optional<std::string> metadata_text(const core::JsonReader& body) {
  const core::Json* metadata = body.object("metadata");
  return metadata == nullptr ? std::nullopt : std::optional<std::string>(core::dump_json(*metadata));
}

core::Task<core::HttpReply> provision_end_user(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  const auto made = co_await s->identity.provision_end_user(
      call.platform_id(),
      {body.string("external_id"), body.optional_string("display_name"), metadata_text(body)},
      audit_context(call));
  core::Json view = end_user_view(made.end_user);
  view["api_key"] = issued_key_view(made.api_key);
  co_return data_reply(made.created ? 201 : 200, view);
}

core::Task<core::HttpReply> list_end_users(Services* s, Call call) {
  std::optional<std::string> external_id;
  if (call.query.contains("external_id")) external_id = call.query.at("external_id");
  const auto page = co_await s->identity.list_end_users(call.platform_id(), external_id, page_request(call));
  core::Json rows = core::Json::array();
  for (const auto& user : page.items) rows.push_back(end_user_view(user));
  co_return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> get_end_user(Services* s, Call call) {
  co_return data_reply(
      200, end_user_view(co_await s->identity.get_end_user(call.platform_id(), end_user_param(call))));
}

core::Task<core::HttpReply> patch_end_user(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  oauth::EndUserPatch patch;
  if (call.body->contains("display_name"))
    patch.display_name = body.optional_string("display_name").value_or("");
  patch.metadata_json = metadata_text(body);
  patch.is_active = body.optional_bool("is_active");
  co_return data_reply(200, end_user_view(co_await s->identity.update_end_user(
                                call.platform_id(), end_user_param(call), patch, audit_context(call))));
}

core::Task<core::HttpReply> delete_end_user(Services* s, Call call) {
  co_await s->identity.remove_end_user(call.platform_id(), end_user_param(call), audit_context(call));
  co_return no_content();
}

}  // namespace

void add_end_user_routes(RouteTable& table, Services& services) {
  const std::string base = "/v1/platforms/{platform_id}/end-users";
  const std::string one = base + "/{end_user_id}";
  table.push_back(
      {.method = "POST",
       .path = base,
       .access = Access::Platform,
       .scope = "management",
       .operation_id = "provisionEndUser",
       .tag = "End users",
       .summary = "Create an end user, or find the one with this external_id (200); both give a fresh key.",
       .body_schema = "EndUserCreate",
       .success = 201,
       .also_success = 200,
       .reply_schema = "EndUserCreated",
       .handle = with_services(services, provision_end_user)});
  table.push_back({.method = "GET",
                   .path = base,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "listEndUsers",
                   .tag = "End users",
                   .summary = "List end users.",
                   .query = {{"external_id", "Only the end user with this id of yours.", {}}},
                   .paginated = true,
                   .reply_schema = "EndUser",
                   .handle = with_services(services, list_end_users)});
  table.push_back({.method = "GET",
                   .path = one,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "getEndUser",
                   .tag = "End users",
                   .summary = "Read an end user.",
                   .reply_schema = "EndUser",
                   .handle = with_services(services, get_end_user)});
  table.push_back({.method = "PATCH",
                   .path = one,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "updateEndUser",
                   .tag = "End users",
                   .summary = "Change an end user; deactivation refuses all its keys.",
                   .body_schema = "EndUserPatch",
                   .reply_schema = "EndUser",
                   .handle = with_services(services, patch_end_user)});
  table.push_back({.method = "DELETE",
                   .path = one,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "deleteEndUser",
                   .tag = "End users",
                   .summary = "Delete an end user; its connections are revoked upstream first.",
                   .success = 204,
                   .handle = with_services(services, delete_end_user)});
}

}  // namespace assistiv::api
