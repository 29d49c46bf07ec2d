// What clients of the authorization server post to: /register (RFC 7591), /token (RFC 6749) and /revoke (RFC
// 7009).
#include <nlohmann/json.hpp>

#include "api/routes/routes.h"
#include "core/json_read.h"
#include "core/log.h"
#include "oauth/authorize/authorization_server.h"
#include "oauth/authorize/client_auth.h"
#include "oauth/authorize/oauth_error.h"

namespace assistiv::api {

namespace {

core::HttpReply oauth_reply(int status, const core::Json& body) {
  auto reply = core::json_reply(status, core::dump_json(body));
  reply.headers.add("cache-control", "no-store");
  reply.headers.add("pragma", "no-cache");
  return reply;
}

core::HttpReply oauth_error_reply(const oauth::OAuthError& error, bool basic) {
  auto reply =
      oauth_reply(error.status(), {{"error", error.code()}, {"error_description", error.description()}});
  if (error.status() == 401 && basic) reply.headers.add("www-authenticate", "Basic realm=\"token\"");
  return reply;
}

// Faults of ours and refusals for a while, in the shape that OAuth clients read.
core::HttpReply oauth_error_reply(const core::Error& error, const std::string& request_id) {
  const int status = core::http_status(error.kind());
  if (status >= 500) {
    core::log::error("request.failed",
                     {{"request_id", request_id}, {"error", error.what()}, {"detail", error.detail()}});
  }
  const char* const code = status == 503 || status == 429 ? "temporarily_unavailable"
                           : status >= 500                ? "server_error"
                                                          : "invalid_request";
  auto reply = oauth_reply(status, {{"error", code}, {"error_description", error.message()}});
  if (error.retry_after()) reply.headers.add("retry-after", std::to_string(error.retry_after()->count()));
  return reply;
}

bool has_type(const core::HttpRequest& request, std::string_view wanted) {
  const auto type = request.headers.get("content-type").value_or("");
  const auto essence = type.substr(0, type.find(';'));
  const auto end = essence.find_last_not_of(" \t");
  return core::equals_ignore_case(essence.substr(0, end + 1), wanted);
}

core::FormFields read_form(const core::HttpRequest& request) {
  if (!has_type(request, "application/x-www-form-urlencoded"))
    throw oauth::OAuthError("invalid_request", "Send Content-Type: application/x-www-form-urlencoded.");
  if (!request.query.empty()) throw oauth::OAuthError("invalid_request", "Send the parameters in the body.");
  auto fields = core::form_decode(request.body);
  if (!fields) throw oauth::OAuthError("invalid_request", "The body is malformed.");
  return std::move(*fields);
}

std::string authorization_of(const core::HttpRequest& request) {
  return std::string(request.headers.get("authorization").value_or(""));
}

// The client that the request authenticates as. Throws OAuthError.
core::Task<oauth::OAuthClient> client_of(Services* s, core::FormFields fields, core::HttpRequest request) {
  const auto presented = oauth::read_presented_client(authorization_of(request), fields);
  const auto client = co_await s->authorization->clients().find(presented.client_id, request.client_ip);
  if (!client)
    throw oauth::OAuthError("invalid_client", "The client is unknown or its registration has expired.", 401);
  oauth::check_client_secret(*client, presented);
  co_return *client;
}

core::Task<oauth::IssuedTokens> tokens_for(Services* s, core::HttpRequest request) {
  auto fields = read_form(request);
  if (oauth::PlatformClients::takes(fields)) {
    co_return co_await s->authorization->platform_clients().exchange(
        std::move(fields), authorization_of(request), request.request_id);
  }
  auto client = co_await client_of(s, fields, request);
  co_return co_await s->authorization->authorizations().exchange(std::move(fields), std::move(client),
                                                                 request.request_id);
}

core::Task<core::HttpReply> issue_tokens(Services* s, Call call) {
  const auto tokens = co_await tokens_for(s, std::move(call.request));
  core::Json body = {{"access_token", tokens.access.reveal()},
                     {"token_type", "Bearer"},
                     {"expires_in", tokens.expires_in.count()},
                     {"scope", oauth::scope_text(tokens.scopes)}};
  if (tokens.refresh) body["refresh_token"] = tokens.refresh->reveal();
  co_return oauth_reply(200, body);
}

core::Task<core::HttpReply> revoke_token(Services* s, Call call) {
  const auto fields = read_form(call.request);
  auto client = co_await client_of(s, fields, call.request);
  auto token = oauth::one_param(fields, "token");
  if (!token) throw oauth::OAuthError("invalid_request", "token is missing.");
  co_await s->authorization->authorizations().revoke_token(std::move(*token), std::move(client),
                                                           call.request.request_id);
  co_return oauth_reply(200, core::Json::object());
}

core::Task<core::HttpReply> register_client(Services* s, Call call) {
  if (!has_type(call.request, "application/json"))
    throw oauth::OAuthError("invalid_client_metadata", "Send Content-Type: application/json.");
  auto body = core::try_parse_json(call.request.body, 16);
  if (!body || call.request.body.size() > oauth::kMetadataBytesMax)
    throw oauth::OAuthError("invalid_client_metadata", "The body is not JSON, or longer than 16 KiB.");
  const auto made = co_await s->authorization->clients().add(std::move(*body), call.request.client_ip);
  auto reply = oauth::to_json(made.client.metadata);
  reply["client_id"] = made.client.client_id;
  reply["client_id_issued_at"] = core::to_epoch_seconds(made.client.created_at);
  if (!made.secret.empty()) {
    reply["client_secret"] = made.secret.reveal();
    // A registration that nobody uses is forgotten with its secret; one in use goes on.
    reply["client_secret_expires_at"] = 0;
  }
  co_return oauth_reply(201, reply);
}

core::Task<core::HttpReply> in_oauth_shape(ServiceHandler work, Services* s, Call call) {
  const bool basic = call.request.headers.get("authorization").has_value();
  const std::string request_id = call.request.request_id;
  try {
    co_return co_await work(s, std::move(call));
  } catch (const oauth::OAuthError& error) {
    co_return oauth_error_reply(error, basic);
  } catch (const core::Error& error) {
    co_return oauth_error_reply(error, request_id);
  }
}

template <ServiceHandler work>
core::Task<core::HttpReply> guarded_oauth(Services* s, Call call) {
  return in_oauth_shape(work, s, std::move(call));
}

void add_endpoint(RouteTable& table, Services& services, std::string path, std::string id,
                  std::string summary, int success, std::string schema, ServiceHandler handler) {
  table.push_back({.method = "POST",
                   .path = std::move(path),
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = std::move(id),
                   .tag = "Authorization server",
                   .summary = std::move(summary),
                   .success = success,
                   .reply_schema = std::move(schema),
                   .error_schema = "OAuthError",
                   .enveloped = false,
                   .any_origin = true,
                   .handle = with_services(services, handler)});
}

}  // namespace

void add_authorization_endpoints(RouteTable& table, Services& services) {
  add_endpoint(table, services, "/register", "registerClient", "A client registers itself (RFC 7591).", 201,
               "RegisteredClient", guarded_oauth<register_client>);
  add_endpoint(table, services, "/token", "issueTokens",
               "A code, a refresh token, a client's own credentials or an issuer's grant for tokens (RFC "
               "6749, RFC 7523).",
               200, "Tokens", guarded_oauth<issue_tokens>);
  add_endpoint(table, services, "/revoke", "revokeToken",
               "Ends the authorization that a token is of (RFC 7009).", 200, "TokenRevoked",
               guarded_oauth<revoke_token>);
}

}  // namespace assistiv::api
