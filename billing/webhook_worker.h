#pragma once
// Delivers what the outbox holds, from any number of processes at once. At least once: a receiver may see a
// message twice (a worker that died between the call and its record), never a worker's attempt twice.
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>

#include "billing/webhook_service.h"
#include "billing/webhook_store.h"
#include "core/async.h"
#include "core/task.h"

namespace assistiv::billing {

struct WebhookWorkerOptions {
  std::chrono::milliseconds interval{500};  // between looks at an empty queue
  std::size_t in_flight_max = 16;
  std::size_t per_endpoint_max = 2;
  std::chrono::milliseconds timeout{10000};  // of one attempt
  std::chrono::milliseconds lease{60000};    // well above the timeout: what a dead worker had is due then
  std::chrono::hours disable_after{5 * 24};  // of failures without a success
  std::chrono::hours keep{30 * 24};          // of messages that are over
  std::chrono::seconds sweep_interval{600};
};

class WebhookWorker {
 public:
  explicit WebhookWorker(WebhookWorld world, WebhookWorkerOptions options = {});

  void start(core::AnyExecutor executor);
  // Calls under way are cancelled and count as failed attempts; joins.
  void stop();
  // Claims and delivers what is due now, one after the other, for tests and commands; gives how many.
  core::Task<std::size_t> run_once(std::stop_token stop = {});
  // Forgets old messages and used idempotency keys.
  core::Task<> sweep();

 private:
  core::Task<> loop(std::stop_token stop);
  core::Task<> sweep_loop(std::stop_token stop);
  core::Task<std::size_t> claim_and_spawn();
  core::Task<std::vector<ClaimedDelivery>> claim(std::size_t count);
  core::Task<> deliver_spawned(std::shared_ptr<const ClaimedDelivery> delivery, std::stop_token stop);
  core::Task<> deliver(ClaimedDelivery delivery, std::stop_token stop);
  core::Task<AttemptResult> attempt(ClaimedDelivery delivery, std::stop_token stop);
  core::OutboundRequest request_of(const ClaimedDelivery& delivery, std::stop_token stop) const;
  void record(storage::Transaction& tx, const ClaimedDelivery& delivery, const AttemptResult& result) const;
  std::size_t enter(WebhookId id);
  void leave(WebhookId id);

  WebhookWorld world_;
  WebhookWorkerOptions options_;
  WebhookStore store_;
  core::AnyExecutor executor_;
  core::AsyncEvent freed_;
  std::mutex mutex_;
  std::map<WebhookId, std::size_t> in_flight_;
  std::size_t running_ = 0;
  core::TaskGroup group_{"webhooks"};
};

}  // namespace assistiv::billing
