// The OpenID providers that a platform's end users sign in with, and whose tokens are taken in place of keys.
#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "core/json_read.h"
#include "oauth/authorize/authorization_server.h"

namespace assistiv::api {

namespace {

core::Json issuer_view(Services* s, const oauth::RegisteredIssuer& row) {
  return {{"id", row.id.str()},
          {"platform_id", row.platform_id.str()},
          {"issuer", row.issuer},
          {"client_id", row.client_id},
          {"has_client_secret", row.client_secret.has_value()},
          {"audiences", row.audiences},
          {"end_user_claim", row.end_user_claim},
          {"creates_end_users", row.creates_end_users},
          {"sign_in", row.sign_in},
          {"own_audience", s->authorization->issuers().audience_of(row.platform_id)},
          {"redirect_uri", s->authorization->issuers().redirect_uri()},
          {"created_at", core::format_time(row.created_at)},
          {"updated_at", core::format_time(row.updated_at)}};
}

oauth::IssuerId issuer_param(const Call& call) {
  return call.id<oauth::IssuerId>("issuer_id", "issuer");
}

std::optional<core::Secret> secret_of(const core::JsonReader& body) {
  auto text = body.optional_string("client_secret", 1, 1024);
  return text ? std::optional(core::Secret(std::move(*text))) : std::nullopt;
}

core::Task<core::HttpReply> create_issuer(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  oauth::NewIssuer input;
  input.issuer = body.string("issuer", 1, 512);
  input.client_id = body.string("client_id", 1, 255);
  input.client_secret = secret_of(body);
  input.audiences = body.strings("audiences", 10, 255);
  input.end_user_claim = body.optional_string("end_user_claim", 1, 100).value_or("sub");
  input.creates_end_users = body.optional_bool("creates_end_users").value_or(false);
  input.sign_in = body.optional_bool("sign_in").value_or(true);
  const auto row =
      co_await s->authorization->issuers().add(call.platform_id(), std::move(input), audit_context(call));
  co_return data_reply(201, issuer_view(s, row));
}

core::Task<core::HttpReply> list_issuers(Services* s, Call call) {
  core::Json rows = core::Json::array();
  for (const auto& row : co_await s->authorization->issuers().list(call.platform_id()))
    rows.push_back(issuer_view(s, row));
  co_return data_reply(200, rows);
}

core::Task<core::HttpReply> get_issuer(Services* s, Call call) {
  co_return data_reply(
      200, issuer_view(s, co_await s->authorization->issuers().get(call.platform_id(), issuer_param(call))));
}

core::Task<core::HttpReply> patch_issuer(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  oauth::IssuerPatch patch;
  patch.client_secret = secret_of(body);
  if (body.has("audiences")) patch.audiences = body.strings("audiences", 10, 255);
  patch.creates_end_users = body.optional_bool("creates_end_users");
  const auto row = co_await s->authorization->issuers().update(call.platform_id(), issuer_param(call),
                                                               std::move(patch), audit_context(call));
  co_return data_reply(200, issuer_view(s, row));
}

core::Task<core::HttpReply> delete_issuer(Services* s, Call call) {
  co_await s->authorization->issuers().remove(call.platform_id(), issuer_param(call), audit_context(call));
  co_return no_content();
}

Route issuer_route(Services& services, std::string method, std::string path, std::string id,
                   std::string summary, ServiceHandler handler) {
  Route out;
  out.method = std::move(method);
  out.path = "/v1/platforms/{platform_id}/issuers" + path;
  out.access = Access::Platform;
  out.scope = "management";
  out.operation_id = std::move(id);
  out.tag = "Issuers";
  out.summary = std::move(summary);
  out.reply_schema = "Issuer";
  out.handle = with_services(services, handler);
  return out;
}

}  // namespace

void add_issuer_routes(RouteTable& table, Services& services) {
  auto create = issuer_route(services, "POST", "", "registerIssuer",
                             "Register the platform's own OpenID provider; its metadata is read at once.",
                             create_issuer);
  create.body_schema = "IssuerCreate";
  create.success = 201;
  table.push_back(create);
  auto list = issuer_route(services, "GET", "", "listIssuers", "The registered issuers.", list_issuers);
  list.reply_schema = "Issuers";
  table.push_back(list);
  table.push_back(issuer_route(services, "GET", "/{issuer_id}", "getIssuer", "Read one.", get_issuer));
  auto patch =
      issuer_route(services, "PATCH", "/{issuer_id}", "updateIssuer",
                   "Change its secret, its audiences, or whether it creates end users.", patch_issuer);
  patch.body_schema = "IssuerPatch";
  table.push_back(patch);
  auto remove = issuer_route(
      services, "DELETE", "/{issuer_id}", "removeIssuer",
      "Remove it: its tokens, and what was allowed after a sign-in there, end at once.", delete_issuer);
  remove.success = 204;
  remove.reply_schema = "";
  remove.reply_type = "";
  table.push_back(remove);
}

}  // namespace assistiv::api
