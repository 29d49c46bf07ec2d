#pragma once
// Everything around runs of agents, made in order and stopped in reverse: stores, events, journal, queue,
// worker, the services that the doors use.
#include <functional>
#include <memory>
#include <string_view>

#include "api/agent_gateway.h"
#include "core/clock.h"
#include "core/http_client.h"
#include "core/random.h"
#include "net/io_threads.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::agents {
class AgentService;
}
namespace assistiv::billing {
class WebhookEvents;
class WebhookService;
}  // namespace assistiv::billing
namespace assistiv::inference {
class InferenceService;
}
namespace assistiv::mcp {
class ToolDoor;
}
namespace assistiv::oauth {
class Authenticator;
class IdentityService;
}  // namespace assistiv::oauth

namespace assistiv::api {

struct Config;

// Everything outlives it.
struct AgentRuntimeWorld {
  const Config& config;
  net::IoThreads& io;
  storage::Database& database;
  storage::AuditLog& audit;
  oauth::Authenticator& authenticator;
  oauth::IdentityService& identity;
  agents::AgentService& agents;
  inference::InferenceService& inference;
  mcp::ToolDoor& tools;
  core::HttpClient& http;
  billing::WebhookService& webhooks;
  billing::WebhookEvents& webhook_events;
  core::Clock& clock;
  core::Random& random;
  // Called after a commit with what Transaction::notify sent.
  std::function<void(std::string_view topic, std::string_view payload)> changed;
};

class AgentRuntime {
 public:
  explicit AgentRuntime(AgentRuntimeWorld world);
  ~AgentRuntime();  // stop()

  AgentGateway& gateway();
  // With `works` it carries out runs, fires schedules and looks after what is kept.
  void start(bool works);
  // Runs are handed over to other processes, and whoever waits for one is told. Before the last requests end.
  void drain();
  // Both block.
  void stop();
  // As storage::Notifier's callback.
  void on_notify(std::string_view topic, std::string_view payload);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assistiv::api
