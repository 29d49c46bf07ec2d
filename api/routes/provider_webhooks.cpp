// Where providers tell that a user took the consent back, and where a platform sets what they sign it with.
#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "core/json_read.h"
#include "oauth/connect/provider_notices.h"

namespace assistiv::api {

namespace {

core::Json provider_webhook_view(const oauth::ProviderWebhook& webhook) {
  core::Json out = {
      {"app", webhook.app}, {"url", webhook.url}, {"has_secret", webhook.secret_set_at.has_value()}};
  if (webhook.secret_set_at) out["secret_set_at"] = core::format_time(*webhook.secret_set_at);
  return out;
}

core::Task<core::HttpReply> get_provider_webhook(Services* s, Call call) {
  co_return data_reply(
      200, provider_webhook_view(co_await s->notices->get(call.platform_id(), call.params.at("app"))));
}

core::Task<core::HttpReply> put_provider_webhook(Services* s, Call call) {
  const core::Secret secret(core::JsonReader(*call.body).string("secret"));
  co_return data_reply(200, provider_webhook_view(co_await s->notices->set_secret(
                                call.platform_id(), call.params.at("app"), secret, audit_context(call))));
}

core::Task<core::HttpReply> delete_provider_webhook(Services* s, Call call) {
  co_await s->notices->remove_secret(call.platform_id(), call.params.at("app"), audit_context(call));
  co_return no_content();
}

core::Task<core::HttpReply> receive_notice(Services* s, Call call) {
  const auto platform = call.platform_id();
  const auto app = call.params.at("app");
  auto answer = co_await s->notices->receive(platform, app, call.request.headers,
                                             std::move(call.request.body), call.request.request_id);
  co_return core::text_reply(200, std::move(answer));
}

}  // namespace

void add_provider_webhook_routes(RouteTable& table, Services& services) {
  const std::string of_app = "/v1/platforms/{platform_id}/mcp/apps/{app}/provider-webhook";
  table.push_back({.method = "GET",
                   .path = of_app,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "getProviderWebhook",
                   .tag = "Apps",
                   .summary = "Where the app's provider sends its notices, to be registered there.",
                   .reply_schema = "ProviderWebhook",
                   .handle = with_services(services, get_provider_webhook)});
  table.push_back({.method = "PUT",
                   .path = of_app,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "putProviderWebhook",
                   .tag = "Apps",
                   .summary = "Set what the provider signs its notices with; from then on they are accepted.",
                   .body_schema = "ProviderWebhookPut",
                   .reply_schema = "ProviderWebhook",
                   .handle = with_services(services, put_provider_webhook)});
  table.push_back({.method = "DELETE",
                   .path = of_app,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "deleteProviderWebhook",
                   .tag = "Apps",
                   .summary = "Accept no more notices of the provider.",
                   .success = 204,
                   .handle = with_services(services, delete_provider_webhook)});
  table.push_back({.method = "POST",
                   .path = "/webhooks/providers/{platform_id}/{app}",
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = "receiveProviderNotice",
                   .tag = "Connections",
                   .summary = "For providers: a signed notice that a user took the consent back.",
                   .reply_type = "text/plain",
                   .enveloped = false,
                   .handle = with_services(services, receive_notice)});
}

}  // namespace assistiv::api
