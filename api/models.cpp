#include "api/models.h"

#include "api/config.h"
#include "net/url_guard.h"

namespace assistiv::api {

namespace {

constexpr std::chrono::minutes kResponseSweep{10};

billing::LedgerWorld ledger_world(const ModelsWorld& world) {
  billing::LedgerOptions options;
  options.journal_directory = world.config.data_dir + "/journal";
  options.fsync_interval = std::chrono::milliseconds(world.config.ledger_fsync_ms);
  return {world.database, &world.notifier, world.clock, world.random, world.io.next(), world.events, options};
}

net::UpstreamOptions upstream_options(const Config& config) {
  net::UpstreamOptions options;
  if (config.allow_loopback_upstreams) options.reach = net::Reach::LoopbackAndPrivate;
  return options;
}

inference::InferenceOptions inference_options(const Config& config) {
  inference::InferenceOptions options;
  options.on_premise_only = config.on_premise_only;
  options.allow_loopback_upstreams = config.allow_loopback_upstreams;
  return options;
}

std::optional<std::string> provider_url_fault(const std::string& text, bool private_ok) {
  const auto url = net::parse_url(text);
  if (!url) return "is no absolute http:// or https:// URL";
  return net::vet_url(*url, private_ok ? net::Reach::LoopbackAndPrivate : net::Reach::PublicOnly);
}

inference::ProviderWorld provider_world(const ModelsWorld& world, billing::PriceBook* prices) {
  const bool loopback = world.config.allow_loopback_upstreams;
  return {world.database,
          world.audit,
          world.vault,
          world.clock,
          world.random,
          [loopback](const std::string& url, bool private_ok) {
            return provider_url_fault(url, private_ok || loopback);
          },
          [prices, clock = &world.clock](const std::string& provider, const std::string& model) {
            return prices->find(provider, model, clock->now());
          },
          world.changed,
          world.config.allow_private_model_servers || loopback};
}

core::Task<> sweep_responses(inference::ResponseService* responses, std::stop_token stop) {
  while (!stop.stop_requested()) {
    co_await responses->sweep();
    co_await core::sleep_for(kResponseSweep, stop);
  }
}

}  // namespace

Models::Models(ModelsWorld world)
    : world_(std::move(world)),
      prices_(world_.database, world_.clock, world_.random),
      ledger_(billing::make_ledger(ledger_world(world_))),
      limits_(world_.database, world_.audit, world_.clock, world_.random),
      gate_(limits_),
      upstream_(upstream_options(world_.config), world_.resolver),
      providers_(provider_world(world_, &prices_)),
      targets_(providers_),
      catalogue_(providers_),
      configs_(providers_),
      service_(inference_options(world_.config),
               {upstream_, world_.http, targets_, *ledger_, gate_, world_.clock, world_.random}),
      loop_tools_(world_.config, world_.tools, world_.authenticator),
      responses_({}, {world_.database, service_, targets_, loop_tools_, world_.clock, world_.random}),
      gateway_{service_, responses_, targets_, configs_, catalogue_} {
  catalogue_.seed();
  prices_.load();
}

Models::~Models() {
  stop();
}

void Models::start(bool with_background_work) {
  running_ = true;
  prices_.start(world_.io.next());
  ledger_->start();
  limits_.start(world_.io.next());
  if (!with_background_work) return;
  background_.spawn(world_.io.next(), "sweep responses",
                    [this](std::stop_token stop) { return sweep_responses(&responses_, stop); });
}

void Models::stop() {
  if (!std::exchange(running_, false)) return;
  background_.stop();
  limits_.stop();
  ledger_->stop();
  prices_.stop();
}

void Models::on_notify(std::string_view topic, std::string_view payload) {
  prices_.on_notify(topic, payload);
  limits_.on_notify(topic, payload);
  targets_.on_notify(topic, payload);
}

}  // namespace assistiv::api
