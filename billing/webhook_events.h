#pragma once
// The outbox: turns what happens to budgets, and what others tell of, into messages for the platform's
// endpoints, in the transaction that makes it happen.
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "billing/budget_event.h"
#include "billing/webhook_store.h"

namespace assistiv::billing {

// The body that is sent (docs/webhooks.md).
std::string webhook_payload(const BudgetEvent& event);

// Thread-safe. Which types a platform's endpoints chose is kept in memory; the topic "webhooks" (payload: the
// platform's id) drops it on every node within a second, so an event in the second after an endpoint was made
// may still find nobody.
class WebhookEvents final : public BudgetEventSink {
 public:
  static constexpr std::size_t kPlatformsMax = 10000;

  explicit WebhookEvents(const WebhookStore& store) : store_(store) {}

  bool wants(core::PlatformId platform, BudgetEventType type) override;
  void record(storage::Transaction& tx, const BudgetEvent& event) override;

  // For events that are no budget's. Whether an endpoint of the platform chose the type: from memory, but for
  // the first question.
  bool is_chosen(storage::Transaction& tx, core::PlatformId platform, std::string_view type);
  // As WebhookStore::enqueue.
  void record(storage::Transaction& tx, core::PlatformId platform, const WebhookMessage& message,
              const std::optional<std::string>& also_to_url) const;

  // As storage::Notifier's callback.
  void on_notify(std::string_view topic, std::string_view payload);

 private:
  using Types = std::set<std::string, std::less<>>;
  Types load(storage::Transaction& tx, core::PlatformId platform);

  const WebhookStore& store_;
  std::mutex mutex_;
  std::uint64_t generation_ = 0;  // counts drops: what was read before one is not kept
  std::map<core::PlatformId, Types> wanted_;
};

}  // namespace assistiv::billing
