#pragma once
// Rows of webhook_endpoint, webhook_message and webhook_delivery. Statements on the caller's transaction.
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "billing/list_page.h"
#include "billing/webhook.h"
#include "core/clock.h"
#include "core/random.h"
#include "storage/database.h"

namespace assistiv::billing {

struct WebhookMessage {
  std::string event_id;
  std::string event_type;
  std::string payload;
};

// What a worker needs for one attempt. The attempt's number fences it: who comes late writes nothing.
struct ClaimedDelivery {
  core::PlatformId platform_id;
  DeliveryId id;
  WebhookId endpoint_id;
  MessageId message_id;
  int attempt = 1;
  std::string event_type;
  std::string payload;
  std::string url;
  std::string secret;  // sealed, as is the next
  std::optional<std::string> previous_secret;
};

struct ClaimLimits {
  std::size_t deliveries = 16;
  std::size_t per_endpoint = 2;     // so that one slow receiver does not take all the turns
  std::vector<WebhookId> busy;      // endpoints that get no further turn now
  std::chrono::milliseconds lease;  // after which a claimed attempt counts as lost
};

enum class AttemptEnd { Delivered, Again, Failed };

struct AttemptResult {
  AttemptEnd end = AttemptEnd::Again;
  std::optional<int> status;
  std::string error;  // public words, "" when delivered
};

class WebhookStore {
 public:
  WebhookStore(const core::Clock& clock, core::Random& random) : clock_(clock), random_(random) {}

  // Endpoints. `sealed` is made for the id by the caller.
  WebhookEndpoint create(storage::Transaction& tx, core::PlatformId platform, WebhookId id,
                         const NewWebhook& input, const std::string& sealed) const;
  std::optional<WebhookEndpoint> get(storage::Transaction& tx, core::PlatformId platform, WebhookId id) const;
  ListPage<WebhookEndpoint> list(storage::Transaction& tx, core::PlatformId platform, ListRequest page) const;
  std::int64_t count(storage::Transaction& tx, core::PlatformId platform) const;
  // Switching on clears what was held against the endpoint; switching off ends what waits for it.
  std::optional<WebhookEndpoint> update(storage::Transaction& tx, core::PlatformId platform, WebhookId id,
                                        const WebhookPatch& patch) const;
  bool remove(storage::Transaction& tx, core::PlatformId platform, WebhookId id) const;
  // The sealed secret in use; locks the row.
  std::optional<std::string> lock_secret(storage::Transaction& tx, core::PlatformId platform,
                                         WebhookId id) const;
  std::optional<WebhookEndpoint> replace_secret(storage::Transaction& tx, core::PlatformId platform,
                                                WebhookId id, const std::string& sealed,
                                                const std::string& sealed_previous,
                                                core::Time previous_until) const;
  void disable(storage::Transaction& tx, core::PlatformId platform, WebhookId id,
               const std::string& reason) const;

  // The types that active endpoints of the platform chose.
  std::vector<std::string> wanted_types(storage::Transaction& tx, core::PlatformId platform) const;
  // Whether an active endpoint of the platform has this URL.
  bool has_active(storage::Transaction& tx, core::PlatformId platform, const std::string& url) const;
  // Queues the message for each active endpoint that chose its type, or has the URL `also_to_url`; a message
  // whose event_id is there already is not queued again. Gives how many deliveries came of it.
  std::size_t enqueue(storage::Transaction& tx, core::PlatformId platform, const WebhookMessage& message,
                      const std::optional<std::string>& also_to_url = {}) const;
  // For one endpoint, whatever it chose.
  void enqueue_for(storage::Transaction& tx, core::PlatformId platform, WebhookId endpoint,
                   const WebhookMessage& message) const;

  ListPage<WebhookDelivery> deliveries(storage::Transaction& tx, core::PlatformId platform,
                                       WebhookId endpoint, const std::optional<std::string>& status,
                                       ListRequest page) const;
  std::optional<WebhookDelivery> delivery(storage::Transaction& tx, core::PlatformId platform,
                                          WebhookId endpoint, DeliveryId id) const;
  // A new delivery of the same message, due now.
  WebhookDelivery replay(storage::Transaction& tx, core::PlatformId platform, WebhookId endpoint,
                         const WebhookDelivery& of) const;

  // What is due, oldest first, over all tenants: each delivery goes to one worker, until the lease ends.
  std::vector<ClaimedDelivery> claim(storage::Transaction& tx, const ClaimLimits& limits) const;
  // False when the attempt was taken over by another worker meanwhile.
  bool finish(storage::Transaction& tx, const ClaimedDelivery& claimed, const AttemptResult& result) const;
  void note_success(storage::Transaction& tx, core::PlatformId platform, WebhookId id) const;
  // Since when the endpoint has failed without a success, this time included.
  core::Time note_failure(storage::Transaction& tx, core::PlatformId platform, WebhookId id) const;
  // Forgets messages older than `before` whose deliveries are all over; gives how many.
  std::size_t discard_old(storage::Transaction& tx, core::Time before, std::size_t limit) const;

 private:
  MessageId put_message(storage::Transaction& tx, core::PlatformId platform, const WebhookMessage& message,
                        bool& fresh) const;
  DeliveryId put_delivery(storage::Transaction& tx, core::PlatformId platform, WebhookId endpoint,
                          MessageId message) const;
  void end_pending(storage::Transaction& tx, core::PlatformId platform, WebhookId endpoint) const;

  const core::Clock& clock_;
  core::Random& random_;
};

}  // namespace assistiv::billing
