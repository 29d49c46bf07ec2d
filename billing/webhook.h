#pragma once
// What a platform is told of, where, and how the telling went. docs/webhooks.md is the platform's view.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/json.h"
#include "core/secret.h"

namespace assistiv::billing {

using WebhookId = core::Id<struct WebhookTag>;
using DeliveryId = core::Id<struct DeliveryTag>;
using MessageId = core::Id<struct MessageTag>;

// The types an endpoint may choose; all but "budget.debited" and "agent.run.completed" are chosen when it
// names none.
const std::vector<std::string>& webhook_event_types();
std::vector<std::string> default_webhook_events();

// How a secret is kept at rest: oauth's vault, plugged by api/. `field` tells apart two secrets of one row.
// Thread-safe.
class SecretSealer {
 public:
  virtual ~SecretSealer() = default;
  virtual std::string seal(core::PlatformId platform, const std::string& row, const std::string& field,
                           const core::Secret& plaintext) const = 0;
  virtual core::Secret open(core::PlatformId platform, const std::string& row, const std::string& field,
                            std::string_view sealed) const = 0;
};

struct WebhookEndpoint {
  WebhookId id;
  core::PlatformId platform_id;
  std::string url;
  std::string description;
  std::vector<std::string> events;
  bool is_active = true;
  std::optional<std::string> disabled_reason;  // "platform", "gone" (it answered 410), "failing" (for days)
  std::optional<core::Time> failing_since;
  std::optional<core::Time> previous_until;  // until then the secret before this one signs too
  core::Time created_at, updated_at;
};

struct NewWebhook {
  std::string url;
  std::string description;
  std::vector<std::string> events;
};

struct WebhookPatch {
  std::optional<std::string> url;
  std::optional<std::string> description;
  std::optional<std::vector<std::string>> events;
  std::optional<bool> is_active;
};

struct WebhookDelivery {
  DeliveryId id;
  WebhookId endpoint_id;
  MessageId message_id;
  std::string event_id, event_type;
  std::string status;  // "pending", "delivered", "failed"
  int attempts = 0;
  std::optional<core::Time> next_attempt_at;
  std::optional<int> last_status;
  std::optional<std::string> last_error;
  std::optional<core::Time> last_attempt_at;
  std::optional<core::Time> finished_at;
  core::Time created_at;
};

// The body of every message; what `data` has depends on the type.
std::string webhook_body(const std::string& event_type, const std::string& event_id, core::Time at,
                         const core::Json& data);

core::Json to_json(const WebhookEndpoint& endpoint);
core::Json to_json(const WebhookDelivery& delivery);

// The waits before the attempts 1 to 6, each counted from the end of the one before.
inline constexpr std::chrono::seconds kWebhookWaits[] = {
    std::chrono::seconds(0),   std::chrono::seconds(30),   std::chrono::seconds(120),
    std::chrono::seconds(600), std::chrono::seconds(3600), std::chrono::seconds(21600)};
inline constexpr int kWebhookAttemptsMax = 6;

}  // namespace assistiv::billing
