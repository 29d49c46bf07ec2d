#include "billing/webhook_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "billing/webhook_signature.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::billing {

namespace {

using core::Json;
using storage::Scope;
using storage::Transaction;

constexpr std::size_t kUrlMax = 2048;
constexpr std::string_view kTopic = "webhooks";

core::Error no_endpoint() {
  return core::not_found("There is no such webhook.");
}

// In the order of webhook_event_types, each once.
std::vector<std::string> checked_events(const std::vector<std::string>& given) {
  const auto& known = webhook_event_types();
  for (const auto& type : given) {
    if (std::find(known.begin(), known.end(), type) == known.end()) {
      throw core::bad_request("\"" + type + "\" is no event type.", "/events");
    }
  }
  std::vector<std::string> out;
  std::copy_if(known.begin(), known.end(), std::back_inserter(out), [&](const std::string& type) {
    return std::find(given.begin(), given.end(), type) != given.end();
  });
  if (out.empty()) throw core::bad_request("\"events\" must name at least one event type.", "/events");
  return out;
}

}  // namespace

void WebhookService::check_url(const std::string& url) const {
  check_url(url, "url");
}

void WebhookService::check_url(const std::string& url, const std::string& member) const {
  if (url.size() > kUrlMax) throw core::bad_request("\"" + member + "\" is too long.", "/" + member);
  if (const auto fault = world_.url_fault(url)) {
    throw core::bad_request("\"" + member + "\" cannot be called: " + *fault + ".", "/" + member);
  }
}

core::Task<> WebhookService::require_endpoint(core::PlatformId platform, std::string url,
                                              std::string member) {
  check_url(url, member);
  const bool is_there = co_await world_.database.run(
      Scope::tenant(platform),
      [this, platform, url](Transaction& tx) { return store_.has_active(tx, platform, url); });
  if (!is_there) {
    throw core::bad_request("\"" + member +
                                "\" must be the URL of a webhook of the platform that is switched on: "
                                "register it first, its secret signs what is sent.",
                            "/" + member);
  }
}

std::string WebhookService::seal(core::PlatformId platform, WebhookId id, const std::string& field,
                                 const core::Secret& secret) const {
  return world_.sealer.seal(platform, id.str(), field, secret);
}

WebhookEndpoint WebhookService::found(Transaction& tx, core::PlatformId platform, WebhookId id) const {
  auto endpoint = store_.get(tx, platform, id);
  if (!endpoint) throw no_endpoint();
  return std::move(*endpoint);
}

WebhookEndpoint WebhookService::found_active(Transaction& tx, core::PlatformId platform, WebhookId id) const {
  auto endpoint = found(tx, platform, id);
  if (!endpoint.is_active) throw core::conflict("The webhook is switched off. Switch it on first.");
  return endpoint;
}

void WebhookService::changed(core::PlatformId platform) const {
  if (world_.changed) world_.changed(kTopic, platform.str());
}

core::Task<IssuedWebhook> WebhookService::create(core::PlatformId platform, NewWebhook input, Actor actor) {
  check_url(input.url);
  input.events = checked_events(input.events);
  auto made =
      co_await world_.database.run(Scope::tenant(platform), [this, platform, input, actor](Transaction& tx) {
        if (store_.count(tx, platform) >= kEndpointsMax) {
          throw core::conflict("A platform may have " + std::to_string(kEndpointsMax) +
                               " webhooks. Delete one first.");
        }
        const auto id = WebhookId::make(world_.clock, world_.random);
        auto secret = make_webhook_secret(world_.random);
        auto endpoint = store_.create(tx, platform, id, input, seal(platform, id, "secret", secret));
        tx.notify(kTopic, platform.str());
        world_.audit.append(tx, platform,
                            audit_event(actor, "webhook.created", {}, id.str(), {{"events", input.events}}));
        return IssuedWebhook{std::move(endpoint), std::move(secret)};
      });
  changed(platform);
  co_return made;
}

core::Task<WebhookEndpoint> WebhookService::get(core::PlatformId platform, WebhookId id) {
  co_return co_await world_.database.run(
      Scope::tenant(platform), [this, platform, id](Transaction& tx) { return found(tx, platform, id); });
}

core::Task<ListPage<WebhookEndpoint>> WebhookService::list(core::PlatformId platform, ListRequest page) {
  co_return co_await world_.database.run(Scope::tenant(platform), [this, platform, page](Transaction& tx) {
    return store_.list(tx, platform, page);
  });
}

core::Task<WebhookEndpoint> WebhookService::update(core::PlatformId platform, WebhookId id,
                                                   WebhookPatch patch, Actor actor) {
  if (patch.url) check_url(*patch.url);
  if (patch.events) patch.events = checked_events(*patch.events);
  auto updated = co_await world_.database.run(
      Scope::tenant(platform), [this, platform, id, patch, actor](Transaction& tx) {
        auto endpoint = store_.update(tx, platform, id, patch);
        if (!endpoint) throw no_endpoint();
        tx.notify(kTopic, platform.str());
        Json names = Json::array();
        if (patch.url) names.push_back("url");
        if (patch.description) names.push_back("description");
        if (patch.events) names.push_back("events");
        if (patch.is_active) names.push_back("is_active");
        world_.audit.append(tx, platform,
                            audit_event(actor, "webhook.updated", {}, id.str(), {{"changed", names}}));
        return std::move(*endpoint);
      });
  changed(platform);
  co_return updated;
}

core::Task<> WebhookService::remove(core::PlatformId platform, WebhookId id, Actor actor) {
  co_await world_.database.run(Scope::tenant(platform), [this, platform, id, actor](Transaction& tx) {
    if (!store_.remove(tx, platform, id)) throw no_endpoint();
    tx.notify(kTopic, platform.str());
    world_.audit.append(tx, platform, audit_event(actor, "webhook.removed", {}, id.str(), Json::object()));
  });
  changed(platform);
}

IssuedWebhook WebhookService::replace_secret(Transaction& tx, core::PlatformId platform, WebhookId id,
                                             const Actor& actor) const {
  const auto sealed = store_.lock_secret(tx, platform, id);
  if (!sealed) throw no_endpoint();
  const auto old = world_.sealer.open(platform, id.str(), "secret", *sealed);
  auto secret = make_webhook_secret(world_.random);
  auto endpoint =
      store_.replace_secret(tx, platform, id, seal(platform, id, "secret", secret),
                            seal(platform, id, "previous_secret", old), world_.clock.now() + kOverlap);
  world_.audit.append(tx, platform,
                      audit_event(actor, "webhook.secret_rotated", {}, id.str(), Json::object()));
  return {std::move(*endpoint), std::move(secret)};
}

core::Task<IssuedWebhook> WebhookService::rotate(core::PlatformId platform, WebhookId id, Actor actor) {
  co_return co_await world_.database.run(
      Scope::tenant(platform),
      [this, platform, id, actor](Transaction& tx) { return replace_secret(tx, platform, id, actor); });
}

core::Task<> WebhookService::send_test(core::PlatformId platform, WebhookId id, Actor actor) {
  co_await world_.database.run(Scope::tenant(platform), [this, platform, id, actor](Transaction& tx) {
    found_active(tx, platform, id);
    const std::string event_id = core::Uuid::v7(world_.clock, world_.random).str() + ":webhook.test";
    const Json data = {{"platform_id", platform.str()}, {"webhook_id", id.str()}};
    store_.enqueue_for(
        tx, platform, id,
        {event_id, "webhook.test", webhook_body("webhook.test", event_id, world_.clock.now(), data)});
    world_.audit.append(tx, platform, audit_event(actor, "webhook.tested", {}, id.str(), Json::object()));
  });
}

core::Task<ListPage<WebhookDelivery>> WebhookService::deliveries(core::PlatformId platform, WebhookId id,
                                                                 std::optional<std::string> status,
                                                                 ListRequest page) {
  co_return co_await world_.database.run(Scope::tenant(platform),
                                         [this, platform, id, status, page](Transaction& tx) {
                                           found(tx, platform, id);
                                           return store_.deliveries(tx, platform, id, status, page);
                                         });
}

core::Task<WebhookDelivery> WebhookService::delivery(core::PlatformId platform, WebhookId id,
                                                     DeliveryId delivery) {
  auto out =
      co_await world_.database.run(Scope::tenant(platform), [this, platform, id, delivery](Transaction& tx) {
        return store_.delivery(tx, platform, id, delivery);
      });
  if (!out) throw core::not_found("There is no such delivery.");
  co_return std::move(*out);
}

core::Task<WebhookDelivery> WebhookService::replay(core::PlatformId platform, WebhookId id,
                                                   DeliveryId delivery, Actor actor) {
  co_return co_await world_.database.run(
      Scope::tenant(platform), [this, platform, id, delivery, actor](Transaction& tx) {
        found_active(tx, platform, id);
        const auto old = store_.delivery(tx, platform, id, delivery);
        if (!old) throw core::not_found("There is no such delivery.");
        if (old->status == "pending") throw core::conflict("This delivery still waits for its next attempt.");
        auto fresh = store_.replay(tx, platform, id, *old);
        world_.audit.append(tx, platform,
                            audit_event(actor, "webhook.replayed", {}, id.str(),
                                        {{"event_id", old->event_id}, {"delivery_id", fresh.id.str()}}));
        return fresh;
      });
}

}  // namespace assistiv::billing
