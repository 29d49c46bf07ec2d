#pragma once
// Everything around model calls, made in order and stopped in reverse: prices, ledger, rate limits, provider
// targets, the engine, stored responses.
#include <memory>
#include <string_view>

#include "api/loop_tools.h"
#include "api/model_gateway.h"
#include "billing/ledger.h"
#include "billing/price_book.h"
#include "billing/rate_limit.h"
#include "core/async.h"
#include "core/upstream.h"
#include "inference/engine/limiter_gate.h"
#include "inference/providers/catalogue_service.h"
#include "inference/providers/config_service.h"
#include "inference/providers/platform_targets.h"
#include "inference/responses/response_service.h"
#include "net/io_threads.h"
#include "net/outbound_client.h"
#include "net/resolver.h"
#include "net/upstream_client.h"
#include "storage/notifier.h"

namespace assistiv::api {

// Everything outlives it.
struct ModelsWorld {
  const Config& config;
  net::IoThreads& io;
  storage::Database& database;
  storage::Notifier& notifier;
  storage::AuditLog& audit;
  const oauth::Vault& vault;
  net::Resolver& resolver;
  core::HttpClient& http;
  mcp::ToolDoor& tools;
  oauth::Authenticator& authenticator;
  core::Clock& clock;
  core::Random& random;
  billing::BudgetEventSink* events;
  // As storage::Notifier callbacks: caches of this node after a change of its own.
  std::function<void(std::string_view topic, std::string_view payload)> changed;
};

class Models {
 public:
  // Blocks: seeds the catalogue and the prices.
  explicit Models(ModelsWorld world);
  ~Models();  // stop()

  // start() before requests come, stop() after the last one has ended; both block.
  void start(bool with_background_work);
  void stop();
  void on_notify(std::string_view topic, std::string_view payload);

  ModelGateway& gateway() { return gateway_; }
  billing::LedgerNode& ledger() { return *ledger_; }
  billing::PriceBook& prices() { return prices_; }
  billing::RateLimiter& limits() { return limits_; }

 private:
  ModelsWorld world_;
  billing::PriceBook prices_;
  std::unique_ptr<billing::LedgerNode> ledger_;
  billing::RateLimiter limits_;
  inference::LimiterGate gate_;
  net::PooledUpstreamClient upstream_;
  inference::ProviderWorld providers_;
  inference::PlatformTargets targets_;
  inference::CatalogueService catalogue_;
  inference::ConfigService configs_;
  inference::InferenceService service_;
  LoopTools loop_tools_;
  inference::ResponseService responses_;
  ModelGateway gateway_;
  core::TaskGroup background_{"models"};
  bool running_ = false;
};

}  // namespace assistiv::api
