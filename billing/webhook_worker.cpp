#include "billing/webhook_worker.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "billing/idempotency_store.h"
#include "billing/webhook_signature.h"
#include "core/error.h"
#include "core/log.h"
#include "core/metrics.h"

namespace assistiv::billing {

namespace {

using storage::Scope;
using storage::Transaction;

constexpr std::size_t kReplyBytesMax = 64 * 1024;
constexpr std::size_t kSweepMax = 5000;
constexpr int kGone = 410;

// "host:port" as the URL has it: the only place that the delivery may go to.
std::string authority_of(const std::string& url) {
  const auto scheme = url.find("://");
  if (scheme == std::string::npos) return "";
  const auto start = scheme + 3;
  return url.substr(start, url.find_first_of("/?#", start) - start);
}

std::string words_for(core::OutboundFailure failure) {
  switch (failure) {
    case core::OutboundFailure::Refused:
      return "The server may not call this address.";
    case core::OutboundFailure::ConnectFailed:
      return "No connection could be made.";
    case core::OutboundFailure::Timeout:
      return "There was no reply in time.";
    case core::OutboundFailure::Cancelled:
      return "The server was stopping.";
    case core::OutboundFailure::TooLarge:
      return "The reply was too large.";
    case core::OutboundFailure::Broken:
      return "The connection broke.";
  }
  return "The call failed.";
}

bool is_success(const AttemptResult& result) {
  return result.status && *result.status >= 200 && *result.status < 300;
}

void decide(AttemptResult& result, int attempt) {
  if (is_success(result)) {
    result.end = AttemptEnd::Delivered;
  } else if (attempt >= kWebhookAttemptsMax || result.status == kGone) {
    result.end = AttemptEnd::Failed;
  } else {
    result.end = AttemptEnd::Again;
  }
}

void count(const AttemptResult& result) {
  const char* name = is_success(result) ? "delivered" : result.end == AttemptEnd::Again ? "again" : "failed";
  core::metrics::counter("assistiv_webhook_attempts_total", "Webhook attempts by how they ended.",
                         {{"result", name}})
      .add();
}

}  // namespace

WebhookWorker::WebhookWorker(WebhookWorld world, WebhookWorkerOptions options)
    : world_(std::move(world)), options_(options), store_(world_.clock, world_.random) {}

void WebhookWorker::start(core::AnyExecutor executor) {
  executor_ = executor;
  group_.spawn(executor, "webhook_worker", [this](std::stop_token stop) { return loop(stop); });
  group_.spawn(executor, "webhook_sweep", [this](std::stop_token stop) { return sweep_loop(stop); });
}

void WebhookWorker::stop() {
  group_.stop();
}

core::Task<> WebhookWorker::loop(std::stop_token stop) {
  while (!stop.stop_requested()) {
    std::size_t claimed = 0;
    try {
      claimed = co_await claim_and_spawn();
    } catch (const core::Error& error) {
      core::log::warn("webhooks.claim_failed", {{"error", error.what()}, {"detail", error.detail()}});
    }
    if (claimed == 0) co_await freed_.wait_for(options_.interval, stop);
  }
}

core::Task<> WebhookWorker::sweep_loop(std::stop_token stop) {
  while (!stop.stop_requested()) {
    try {
      co_await sweep();
    } catch (const core::Error& error) {
      core::log::warn("webhooks.sweep_failed", {{"error", error.what()}, {"detail", error.detail()}});
    }
    co_await core::sleep_for(options_.sweep_interval, stop);
  }
}

core::Task<> WebhookWorker::sweep() {
  // Every tenant's rows: background work.
  co_await world_.database.run(Scope::system(), [this](Transaction& tx) {
    store_.discard_old(tx, world_.clock.now() - options_.keep, kSweepMax);
    IdempotencyStore(world_.clock).discard_expired(tx, kSweepMax);
  });
}

core::Task<std::vector<ClaimedDelivery>> WebhookWorker::claim(std::size_t count) {
  ClaimLimits limits{count, options_.per_endpoint_max, {}, options_.lease};
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, n] : in_flight_) limits.busy.push_back(id);
  }
  // Every tenant's rows: background work.
  co_return co_await world_.database.run(
      Scope::system(), [this, limits](Transaction& tx) { return store_.claim(tx, limits); });
}

core::Task<std::size_t> WebhookWorker::claim_and_spawn() {
  std::size_t free = 0;
  {
    const std::lock_guard lock(mutex_);
    free = options_.in_flight_max - running_;
  }
  if (free == 0) co_return 0;
  const auto claimed = co_await claim(free);
  for (const auto& delivery : claimed) {
    enter(delivery.endpoint_id);
    auto shared = std::make_shared<const ClaimedDelivery>(delivery);
    group_.spawn(executor_, "webhook_delivery",
                 [this, shared](std::stop_token stop) { return deliver_spawned(shared, stop); });
  }
  co_return claimed.size();
}

std::size_t WebhookWorker::enter(WebhookId id) {
  const std::lock_guard lock(mutex_);
  ++in_flight_[id];
  return ++running_;
}

void WebhookWorker::leave(WebhookId id) {
  const std::lock_guard lock(mutex_);
  const auto it = in_flight_.find(id);
  if (--it->second == 0) in_flight_.erase(it);
  --running_;
}

core::Task<> WebhookWorker::deliver_spawned(std::shared_ptr<const ClaimedDelivery> delivery,
                                            std::stop_token stop) {
  try {
    co_await deliver(*delivery, stop);
  } catch (const std::exception& error) {
    // Nothing is lost: the attempt counts as lost when its lease ends.
    core::log::warn("webhooks.delivery_failed",
                    {{"delivery_id", delivery->id.str()}, {"error", error.what()}});
  }
  leave(delivery->endpoint_id);
  freed_.set();
}

core::Task<std::size_t> WebhookWorker::run_once(std::stop_token stop) {
  auto claimed = co_await claim(options_.in_flight_max);
  for (auto& delivery : claimed) co_await deliver(std::move(delivery), stop);
  co_return claimed.size();
}

core::OutboundRequest WebhookWorker::request_of(const ClaimedDelivery& delivery, std::stop_token stop) const {
  const auto row = delivery.endpoint_id.str();
  std::vector<core::Secret> secrets{world_.sealer.open(delivery.platform_id, row, "secret", delivery.secret)};
  if (delivery.previous_secret) {
    secrets.push_back(
        world_.sealer.open(delivery.platform_id, row, "previous_secret", *delivery.previous_secret));
  }
  const std::string id = "msg_" + delivery.message_id.str();
  const auto now = core::to_epoch_seconds(world_.clock.now());
  core::OutboundRequest request;
  request.method = "POST";
  request.url = delivery.url;
  request.body = delivery.payload;
  request.allowed_hosts = {authority_of(delivery.url)};
  request.timeout = options_.timeout;
  request.response_bytes_max = kReplyBytesMax;
  request.stop = stop;
  auto& headers = request.headers;
  headers.add("content-type", "application/json");
  headers.add("user-agent", "assistiv-webhooks/1");
  headers.add("webhook-id", id);
  headers.add("webhook-timestamp", std::to_string(now));
  headers.add("webhook-signature", standard_signatures(secrets, id, now, delivery.payload));
  headers.add("x-aig-signature", aig_signature(secrets.front(), now, delivery.payload));
  headers.add("x-aig-event-type", delivery.event_type);
  headers.add("x-aig-delivery-id", delivery.id.str());
  headers.add("x-aig-attempt", std::to_string(delivery.attempt));
  return request;
}

core::Task<AttemptResult> WebhookWorker::attempt(ClaimedDelivery delivery, std::stop_token stop) {
  AttemptResult result;
  try {
    const auto reply = co_await world_.http.send(request_of(delivery, stop));
    result.status = reply.status;
    if (!is_success(result)) result.error = "The endpoint answered " + std::to_string(reply.status) + ".";
  } catch (const core::OutboundError& error) {
    result.error = words_for(error.failure());
  } catch (const core::Error& error) {
    // A secret that does not open must not be tried every minute for ever.
    core::log::error(
        "webhooks.attempt_failed",
        {{"delivery_id", delivery.id.str()}, {"error", error.what()}, {"detail", error.detail()}});
    result.error = "The delivery could not be prepared.";
  }
  decide(result, delivery.attempt);
  co_return result;
}

void WebhookWorker::record(Transaction& tx, const ClaimedDelivery& delivery,
                           const AttemptResult& result) const {
  if (!store_.finish(tx, delivery, result)) return;
  if (is_success(result)) return store_.note_success(tx, delivery.platform_id, delivery.endpoint_id);
  const auto since = store_.note_failure(tx, delivery.platform_id, delivery.endpoint_id);
  const bool gone = result.status == kGone;
  const bool hopeless =
      result.end == AttemptEnd::Failed && world_.clock.now() - since >= options_.disable_after;
  if (!gone && !hopeless) return;
  store_.disable(tx, delivery.platform_id, delivery.endpoint_id, gone ? "gone" : "failing");
  tx.notify("webhooks", delivery.platform_id.str());
  world_.audit.append(tx, delivery.platform_id,
                      audit_event({}, "webhook.disabled", {}, delivery.endpoint_id.str(),
                                  core::Json{{"reason", gone ? "gone" : "failing"}}));
}

core::Task<> WebhookWorker::deliver(ClaimedDelivery delivery, std::stop_token stop) {
  const auto result = co_await attempt(delivery, stop);
  count(result);
  co_await world_.database.run(Scope::tenant(delivery.platform_id),
                               [this, delivery, result](Transaction& tx) { record(tx, delivery, result); });
}

}  // namespace assistiv::billing
