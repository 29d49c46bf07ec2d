#include "oauth/authorize/authorization_server.h"

#include "core/error.h"
#include "core/log.h"
#include "oauth/authorize/authorization_store.h"
#include "oauth/authorize/client_store.h"
#include "oauth/authorize/provider_flow_store.h"
#include "oauth/authorize/sign_in_store.h"

namespace assistiv::oauth {

namespace {

constexpr std::chrono::minutes kSweepEvery{5};
constexpr std::chrono::hours kKeepUsedLinks{1};  // so that who uses one again is told so
constexpr std::int64_t kSweptPerRound = 5000;
constexpr AttemptLimitOptions kPastedKeys{30, std::chrono::seconds(60), 10000};

}  // namespace

AuthorizationServer::AuthorizationServer(AuthorizeWorld world)
    : world_(std::move(world)),
      keys_(world_),
      clients_(world_),
      sign_ins_(world_),
      authorizations_(world_, keys_),
      key_sets_(world_),
      external_(world_, key_sets_),
      tokens_(world_, keys_, external_),
      issuers_(world_),
      providers_(world_, external_, sign_ins_),
      platform_clients_(world_, external_, authorizations_),
      pasted_keys_(world_.clock, kPastedKeys) {
  keys_.load();
}

AuthorizationServer::~AuthorizationServer() {
  stop();
}

void AuthorizationServer::on_notify(std::string_view topic) {
  keys_.on_notify(topic);
}

void AuthorizationServer::start(core::AnyExecutor executor) {
  group_.spawn(std::move(executor), "authorize.sweep", [this](std::stop_token stop) { return loop(stop); });
}

void AuthorizationServer::stop() {
  group_.stop();
}

core::Task<> AuthorizationServer::loop(std::stop_token stop) {
  while (!stop.stop_requested()) {
    try {
      co_await keys_.rotate_if_due();
      co_await sweep();
    } catch (const core::Error& error) {
      core::log::warn("authorize.sweep_failed", {{"error", error.what()}, {"detail", error.detail()}});
    }
    co_await core::sleep_for(kSweepEvery, stop);
  }
}

core::Task<> AuthorizationServer::sweep() {
  // Every tenant's rows: background work.
  co_await world_.database.run(storage::Scope::system(), [this](storage::Transaction& tx) {
    const auto now = world_.clock.now();
    ClientStore().discard_expired(tx, now, kSweptPerRound);
    SignInStore(world_.clock).discard_expired(tx, now - kKeepUsedLinks, kSweptPerRound);
    AuthorizationStore(world_.vault, world_.clock).discard_expired(tx, now, kSweptPerRound);
    ProviderFlowStore().discard_expired(tx, now, kSweptPerRound);
    PlatformClientStore().discard_expired(tx, now, kSweptPerRound);
  });
}

}  // namespace assistiv::oauth
