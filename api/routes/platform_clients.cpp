// Confidential OAuth clients that a platform registers: they get tokens without a browser.
#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "core/json_read.h"
#include "oauth/authorize/authorization_server.h"
#include "oauth/identity/identity_service.h"

namespace assistiv::api {

namespace {

core::Json platform_client_view(const oauth::PlatformClient& row) {
  return {{"client_id", row.client_id},
          {"name", row.name},
          {"end_user_id", row.end_user_id ? core::Json(row.end_user_id->str()) : core::Json()},
          {"token_endpoint_auth_method", to_string(row.auth)},
          {"grant_types",
           core::Json::array({row.end_user_id ? oauth::kClientCredentialsGrant : oauth::kJwtBearerGrant})},
          {"created_at", core::format_time(row.created_at)}};
}

core::Task<core::HttpReply> create_platform_client(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  oauth::NewPlatformClient input;
  input.name = body.string("name", 1, 400);
  if (const auto id = body.optional_string("end_user_id")) {
    input.end_user_id = core::EndUserId::parse(*id);
    if (!input.end_user_id) throw core::bad_request("Must be an id.", "/end_user_id");
    co_await s->identity.get_end_user(call.platform_id(), *input.end_user_id);
  }
  if (body.optional_string("token_endpoint_auth_method").value_or("") == "private_key_jwt")
    input.auth = oauth::PlatformClientAuth::PrivateKeyJwt;
  if (const auto* jwks = body.object("jwks")) input.jwks = core::dump_json(*jwks);
  const auto made = co_await s->authorization->platform_clients().add(call.platform_id(), std::move(input),
                                                                      audit_context(call));
  auto view = platform_client_view(made.client);
  if (!made.secret.empty()) view["client_secret"] = made.secret.reveal();
  co_return data_reply(201, view);
}

core::Task<core::HttpReply> list_platform_clients(Services* s, Call call) {
  const auto page =
      co_await s->authorization->platform_clients().list(call.platform_id(), page_request(call));
  core::Json rows = core::Json::array();
  for (const auto& row : page.items) rows.push_back(platform_client_view(row));
  co_return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> delete_platform_client(Services* s, Call call) {
  co_await s->authorization->platform_clients().remove(call.platform_id(), call.params.at("client_id"),
                                                       audit_context(call));
  co_return no_content();
}

Route platform_client_route(Services& services, std::string method, std::string path, std::string id,
                            std::string summary, ServiceHandler handler) {
  Route out;
  out.method = std::move(method);
  out.path = "/v1/platforms/{platform_id}/oauth-clients" + path;
  out.access = Access::Platform;
  out.scope = "management";
  out.operation_id = std::move(id);
  out.tag = "OAuth clients";
  out.summary = std::move(summary);
  out.reply_schema = "OAuthClient";
  out.handle = with_services(services, handler);
  return out;
}

}  // namespace

void add_platform_client_routes(RouteTable& table, Services& services) {
  auto create = platform_client_route(services, "POST", "", "createOAuthClient",
                                      "Register a confidential client; its secret is shown here only.",
                                      create_platform_client);
  create.body_schema = "OAuthClientCreate";
  create.success = 201;
  table.push_back(create);
  auto list = platform_client_route(services, "GET", "", "listOAuthClients", "The registered clients.",
                                    list_platform_clients);
  list.paginated = true;
  table.push_back(list);
  auto remove = platform_client_route(services, "DELETE", "/{client_id}", "removeOAuthClient",
                                      "Remove it: its tokens end at once.", delete_platform_client);
  remove.success = 204;
  remove.reply_schema = "";
  remove.reply_type = "";
  table.push_back(remove);
}

}  // namespace assistiv::api
