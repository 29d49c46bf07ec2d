#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "api/wire/money.h"
#include "billing/webhook_service.h"
#include "core/json_read.h"

namespace assistiv::api {

namespace {

billing::WebhookId webhook_param(const Call& call) {
  return call.id<billing::WebhookId>("webhook_id", "webhook");
}
billing::DeliveryId delivery_param(const Call& call) {
  return call.id<billing::DeliveryId>("delivery_id", "delivery");
}
billing::Actor actor(const Call& call) {
  return actor_of(audit_context(call));
}

core::Json issued_view(const billing::IssuedWebhook& issued) {
  core::Json view = billing::to_json(issued.endpoint);
  view["secret"] = issued.secret.reveal();
  return view;
}

core::Task<core::HttpReply> create_webhook(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  billing::NewWebhook input{body.string("url"), body.optional_string("description", 0, 500).value_or(""),
                            body.strings("events")};
  if (!body.has("events")) input.events = billing::default_webhook_events();
  co_return data_reply(
      201, issued_view(co_await s->webhooks->create(call.platform_id(), std::move(input), actor(call))));
}

core::Task<core::HttpReply> list_webhooks(Services* s, Call call) {
  const auto page = co_await s->webhooks->list(call.platform_id(), list_request(call));
  core::Json rows = core::Json::array();
  for (const auto& endpoint : page.items) rows.push_back(billing::to_json(endpoint));
  co_return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> get_webhook(Services* s, Call call) {
  co_return data_reply(200,
                       billing::to_json(co_await s->webhooks->get(call.platform_id(), webhook_param(call))));
}

core::Task<core::HttpReply> patch_webhook(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  billing::WebhookPatch patch;
  patch.url = body.optional_string("url");
  patch.description = body.optional_string("description", 0, 500);
  if (body.has("events")) patch.events = body.strings("events");
  patch.is_active = body.optional_bool("is_active");
  co_return data_reply(200, billing::to_json(co_await s->webhooks->update(
                                call.platform_id(), webhook_param(call), std::move(patch), actor(call))));
}

core::Task<core::HttpReply> delete_webhook(Services* s, Call call) {
  co_await s->webhooks->remove(call.platform_id(), webhook_param(call), actor(call));
  co_return no_content();
}

core::Task<core::HttpReply> rotate_webhook(Services* s, Call call) {
  co_return data_reply(
      200, issued_view(co_await s->webhooks->rotate(call.platform_id(), webhook_param(call), actor(call))));
}

core::Task<core::HttpReply> test_webhook(Services* s, Call call) {
  co_await s->webhooks->send_test(call.platform_id(), webhook_param(call), actor(call));
  co_return no_content();
}

core::Task<core::HttpReply> list_deliveries(Services* s, Call call) {
  std::optional<std::string> status;
  if (call.query.contains("status")) status = call.query.at("status");
  const auto page =
      co_await s->webhooks->deliveries(call.platform_id(), webhook_param(call), status, list_request(call));
  core::Json rows = core::Json::array();
  for (const auto& delivery : page.items) rows.push_back(billing::to_json(delivery));
  co_return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> get_delivery(Services* s, Call call) {
  co_return data_reply(200, billing::to_json(co_await s->webhooks->delivery(
                                call.platform_id(), webhook_param(call), delivery_param(call))));
}

core::Task<core::HttpReply> replay_delivery(Services* s, Call call) {
  co_return data_reply(201, billing::to_json(co_await s->webhooks->replay(
                                call.platform_id(), webhook_param(call), delivery_param(call), actor(call))));
}

Route webhook_route(std::string method, std::string path, std::string operation, std::string summary,
                    std::function<core::Task<core::HttpReply>(Call)> handle) {
  Route out;
  out.method = std::move(method);
  out.path = "/v1/platforms/{platform_id}/webhooks" + path;
  out.access = Access::Platform;
  out.scope = "management";
  out.operation_id = std::move(operation);
  out.tag = "Webhooks";
  out.summary = std::move(summary);
  out.reply_schema = "Webhook";
  out.handle = std::move(handle);
  return out;
}

void add_delivery_routes(RouteTable& table, Services& services) {
  const std::string base = "/{webhook_id}/deliveries";
  auto list = webhook_route("GET", base, "listWebhookDeliveries", "What was sent, newest first.",
                            with_services(services, list_deliveries));
  list.query = {{"status", "Only these.", {"pending", "delivered", "failed"}}};
  list.paginated = true;
  list.reply_schema = "WebhookDelivery";
  table.push_back(list);
  auto read = webhook_route("GET", base + "/{delivery_id}", "getWebhookDelivery", "Read one delivery.",
                            with_services(services, get_delivery));
  read.reply_schema = "WebhookDelivery";
  table.push_back(read);
  auto replay = webhook_route("POST", base + "/{delivery_id}/replay", "replayWebhookDelivery",
                              "Send the same message again, as a new delivery.",
                              with_services(services, replay_delivery));
  replay.success = 201;
  replay.reply_schema = "WebhookDelivery";
  table.push_back(replay);
}

}  // namespace

void add_webhook_routes(RouteTable& table, Services& services) {
  auto create =
      webhook_route("POST", "", "createWebhook", "Register an endpoint; the secret is shown here only.",
                    with_services(services, create_webhook));
  create.body_schema = "WebhookCreate";
  create.success = 201;
  create.reply_schema = "WebhookIssued";
  table.push_back(create);
  auto list =
      webhook_route("GET", "", "listWebhooks", "List endpoints.", with_services(services, list_webhooks));
  list.paginated = true;
  table.push_back(list);
  table.push_back(webhook_route("GET", "/{webhook_id}", "getWebhook", "Read an endpoint.",
                                with_services(services, get_webhook)));
  auto patch =
      webhook_route("PATCH", "/{webhook_id}", "updateWebhook", "Change an endpoint, or switch it off and on.",
                    with_services(services, patch_webhook));
  patch.body_schema = "WebhookPatch";
  table.push_back(patch);
  auto remove =
      webhook_route("DELETE", "/{webhook_id}", "deleteWebhook", "Delete an endpoint and its deliveries.",
                    with_services(services, delete_webhook));
  remove.success = 204;
  remove.reply_schema = "";
  table.push_back(remove);
  auto rotate = webhook_route("POST", "/{webhook_id}/rotate-secret", "rotateWebhookSecret",
                              "A fresh secret; the one before signs too for a day.",
                              with_services(services, rotate_webhook));
  rotate.reply_schema = "WebhookIssued";
  table.push_back(rotate);
  auto test =
      webhook_route("POST", "/{webhook_id}/test", "testWebhook", "Queue a message of the type webhook.test.",
                    with_services(services, test_webhook));
  test.success = 204;
  test.reply_schema = "";
  table.push_back(test);
  add_delivery_routes(table, services);
}

}  // namespace assistiv::api
