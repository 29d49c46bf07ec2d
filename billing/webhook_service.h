#pragma once
// Endpoints, their secrets and deliveries as the REST API offers them: one transaction per call with its
// audit entry and the notice that drops subscriptions on every node.
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "billing/actor.h"
#include "billing/webhook_store.h"
#include "core/http_client.h"
#include "core/task.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::billing {

// What webhooks need. Everything outlives them.
struct WebhookWorld {
  storage::Database& database;
  storage::AuditLog& audit;
  const SecretSealer& sealer;
  core::HttpClient& http;
  const core::Clock& clock;
  core::Random& random;
  // Why the server would not call this URL; empty when it may.
  std::function<std::optional<std::string>(const std::string& url)> url_fault;
  // Called after a commit with what Transaction::notify sent; as a storage::Notifier callback.
  std::function<void(std::string_view topic, std::string_view payload)> changed;
};

struct IssuedWebhook {
  WebhookEndpoint endpoint;
  core::Secret secret;  // "whsec_...": the only time that it is seen
};

// Thread-safe. What does not exist, or belongs to another tenant, throws NotFound.
class WebhookService {
 public:
  static constexpr int kEndpointsMax = 20;  // per platform
  static constexpr std::chrono::hours kOverlap{24};

  explicit WebhookService(WebhookWorld world) : world_(world), store_(world.clock, world.random) {}

  core::Task<IssuedWebhook> create(core::PlatformId platform, NewWebhook input, Actor actor);
  core::Task<WebhookEndpoint> get(core::PlatformId platform, WebhookId id);
  core::Task<ListPage<WebhookEndpoint>> list(core::PlatformId platform, ListRequest page);
  core::Task<WebhookEndpoint> update(core::PlatformId platform, WebhookId id, WebhookPatch patch,
                                     Actor actor);
  core::Task<> remove(core::PlatformId platform, WebhookId id, Actor actor);
  // A fresh secret; the one before it signs too for kOverlap.
  core::Task<IssuedWebhook> rotate(core::PlatformId platform, WebhookId id, Actor actor);
  // Queues a message of the type "webhook.test" for this endpoint. Conflict when it is switched off.
  core::Task<> send_test(core::PlatformId platform, WebhookId id, Actor actor);

  core::Task<ListPage<WebhookDelivery>> deliveries(core::PlatformId platform, WebhookId id,
                                                   std::optional<std::string> status, ListRequest page);
  core::Task<WebhookDelivery> delivery(core::PlatformId platform, WebhookId id, DeliveryId delivery);
  // A new delivery of the same message. Conflict while the old one waits, or the endpoint is switched off.
  core::Task<WebhookDelivery> replay(core::PlatformId platform, WebhookId id, DeliveryId delivery,
                                     Actor actor);

  // What a request names as `member` to be told at: throws InvalidArgument when the server would not call it,
  // or no endpoint of the platform that is switched on has this URL.
  core::Task<> require_endpoint(core::PlatformId platform, std::string url, std::string member);

 private:
  void check_url(const std::string& url) const;
  void check_url(const std::string& url, const std::string& member) const;
  std::string seal(core::PlatformId platform, WebhookId id, const std::string& field,
                   const core::Secret& secret) const;
  WebhookEndpoint found(storage::Transaction& tx, core::PlatformId platform, WebhookId id) const;
  WebhookEndpoint found_active(storage::Transaction& tx, core::PlatformId platform, WebhookId id) const;
  IssuedWebhook replace_secret(storage::Transaction& tx, core::PlatformId platform, WebhookId id,
                               const Actor& actor) const;
  void changed(core::PlatformId platform) const;

  WebhookWorld world_;
  WebhookStore store_;
};

}  // namespace assistiv::billing
