#include "api/agent_runtime.h"

#include <atomic>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/effects/gateway_effects.h"
#include "agents/effects/result_cache.h"
#include "agents/service/agent_run_service.h"
#include "agents/service/assistant_service.h"
#include "agents/service/run_metrics.h"
#include "agents/service/run_notices.h"
#include "agents/service/run_shares.h"
#include "agents/service/run_standing.h"
#include "agents/service/run_waiters.h"
#include "agents/service/run_worker.h"
#include "agents/service/thread_state.h"
#include "agents/store/cron_store.h"
#include "agents/store/event_log.h"
#include "agents/store/item_store.h"
#include "agents/store/journal_writer.h"
#include "agents/store/owner_count_store.h"
#include "agents/store/run_queue.h"
#include "agents/store/run_store.h"
#include "agents/store/thread_store.h"
#include "agents/store/wait_store.h"
#include "api/config.h"
#include "billing/webhook_events.h"
#include "billing/webhook_service.h"
#include "core/async.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "oauth/identity/authenticator.h"
#include "oauth/identity/identity_service.h"

namespace assistiv::api {

namespace {

// The `user` of expressions, kept for a minute.
class AgentUsers {
 public:
  explicit AgentUsers(oauth::IdentityService& identity) : identity_(identity) {}

  core::Task<core::Json> get(core::PlatformId platform, core::EndUserId user) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = known_.find(user);
      if (found != known_.end() && found->second.until > Steady::now()) co_return found->second.view;
    }
    const auto row = co_await identity_.get_end_user(platform, user);
    core::Json view = {{"id", row.id.str()},
                       {"external_id", row.external_id},
                       {"display_name", row.display_name ? core::Json(*row.display_name) : core::Json("")},
                       {"metadata", core::try_parse_json(row.metadata_json).value_or(core::Json::object())}};
    const std::lock_guard lock(mutex_);
    if (known_.size() >= kUsersMax) known_.clear();
    known_[user] = {view, Steady::now() + kKeptFor};
    co_return view;
  }

  void on_notify(std::string_view topic, std::string_view payload) {
    if (topic != "end_user" && topic != "resync") return;
    const auto id = core::EndUserId::parse(payload.substr(std::min(payload.size(), payload.find('/') + 1)));
    const std::lock_guard lock(mutex_);
    if (topic == "end_user" && id) {
      known_.erase(*id);
    } else {
      known_.clear();
    }
  }

 private:
  using Steady = std::chrono::steady_clock;
  static constexpr std::size_t kUsersMax = 10'000;
  static constexpr std::chrono::seconds kKeptFor{60};
  struct Known {
    core::Json view;
    Steady::time_point until;
  };
  oauth::IdentityService& identity_;
  std::mutex mutex_;
  std::map<core::EndUserId, Known> known_;
};

constexpr std::size_t kChecksMax = 200;  // waits that are looked at in one go

agents::RunQueueOptions queue_options(const Config& config) {
  agents::RunQueueOptions options;
  options.lease = config.agent_lease;
  options.renew_every = options.lease / 3;
  options.upkeep = std::min(options.upkeep, options.lease / 3);
  return options;
}

agents::OwnerLimits limits_of(const Config& config) {
  agents::OwnerLimits out;
  out.threads = static_cast<std::int64_t>(config.agent_threads_max);
  out.items = static_cast<std::int64_t>(config.agent_items_max);
  out.waiting_runs = static_cast<std::int64_t>(config.agent_waiting_runs_max);
  return out;
}

agents::RunShareLimits shares_of(const Config& config) {
  return {config.agent_runs, config.agent_runs_per_platform, config.agent_runs_per_end_user};
}

}  // namespace

struct AgentRuntime::Impl {
  explicit Impl(AgentRuntimeWorld w)
      : world(w),
        node(core::random_token(world.random, 16)),
        results(world.clock),
        effects_world{world.inference, world.tools, world.http, world.agents, world.random, &results},
        users(world.identity),
        notices(world.webhook_events),
        log(world.database, node),
        counts(world.database, world.clock, limits_of(world.config)),
        threads(world.database, world.clock, world.random, &counts),
        runs(world.database, world.clock, world.random, {.lease = world.config.agent_lease},
             {[this] { runs_are_due(); }, [this](agents::ThreadKey key) { log.changed(key); }}, end_hook(),
             &counts),
        assistants(agents::make_assistant_service(
            {world.database, world.audit, world.clock, world.random, world.changed})),
        crons(
            world.database, world.clock, world.random, {.lease = world.config.agent_lease},
            [this](storage::Transaction& tx, const agents::Cron& cron) { return run_of(tx, cron); },
            end_hook(), &counts),
        waits(world.database, world.clock, world.random, {.lease = world.config.agent_lease}, end_hook()),
        items(world.database, &counts),
        queue(world.database, runs, threads, queue_options(world.config), {&crons, &items, &waits}),
        journal(
            world.database, {.lease = world.config.agent_lease}, log, [this] { runs_are_due(); }, end_hook()),
        standing(standing_world()),
        worker(worker_world(), {.owner = node, .running = shares_of(world.config)}),
        here(shares_of(world.config), &agents::places_gauge(false)),
        service(service_world()),
        states(
            agents::make_thread_states(threads, runs, world.agents, *assistants, world.clock, world.random)),
        gateway{world.agents, *assistants, service, *states, threads, runs, log, crons, items, &background} {
    log.listen([this](const agents::ThreadKey& key) { waiters.mark(key); });
  }

  // What hangs on the end of a run, in the transaction that ends it.
  agents::RunEndHook end_hook() {
    return [this](storage::Transaction& tx, const agents::EndedRun& ended) {
      agents::WaitStore::note(tx, ended);
      notices.note(tx, ended);
    };
  }

  // Here at once, on the other nodes with the next notice.
  void runs_are_due() {
    queue.wake();
    log.runs_are_due();
  }

  std::optional<agents::NewRun> run_of(storage::Transaction& tx, const agents::Cron& cron) {
    const auto of = assistants->resolve_in(tx, {cron.platform, cron.end_user}, cron.assistant.str());
    if (!of) return {};
    auto out = agents::scheduled_run(*of, cron.payload, cron.end_user.has_value());
    out.key = cron.key;
    return out;
  }

  // What somebody has settled goes on. Any worker does it: the thread's lock lets one of them.
  void settled(std::string_view topic, std::string_view payload) {
    const auto slash = payload.find('/');
    const auto platform = core::PlatformId::parse(payload.substr(0, slash));
    if (!running || !works || !platform || slash == std::string_view::npos) return;
    settling.spawn(world.io.next(), "agent waits",
                   [this, topic = std::string(topic), platform = *platform,
                    subject = std::string(payload.substr(slash + 1))](std::stop_token) {
                     return go_on(topic, platform, subject);
                   });
  }

  core::Task<> go_on(std::string topic, core::PlatformId platform, std::string subject) {
    try {
      std::size_t woken = 0;
      if (topic == "approval") {
        woken = co_await waits.approval_changed(platform, subject);
      } else if (const auto user = core::EndUserId::parse(subject)) {
        woken = co_await waits.connection_changed(platform, *user);
      }
      if (woken > 0) runs_are_due();
    } catch (const core::Error& error) {
      core::log::warn("agents.waits_not_settled", {{"error", error.what()}, {"detail", error.detail()}});
    }
  }

  // What was settled before its run had parked has had its notice already.
  void parked(const agents::RunOutcome& outcome) {
    if (!running || !works || outcome.view.status != agents::RunStatus::Interrupted) return;
    if (!agents::WaitStore::has_settled_by_others(outcome.view.interrupts)) return;
    settling.spawn(world.io.next(), "agent waits", [this](std::stop_token) { return check_waits(false); });
  }

  core::Task<> check_waits(bool all) {
    try {
      if (all) co_await waits.forget_checks();
      if (co_await waits.check_noted(kChecksMax) > 0) runs_are_due();
    } catch (const core::Error& error) {
      // The next upkeep looks again.
      core::log::warn("agents.waits_not_checked", {{"error", error.what()}, {"detail", error.detail()}});
    }
  }
  void check_all_waits() {
    if (!running || !works) return;
    settling.spawn(world.io.next(), "agent waits", [this](std::stop_token) { return check_waits(true); });
  }

  core::Task<core::Json> user(core::PlatformId platform, core::EndUserId id) {
    return users.get(platform, id);
  }

  agents::RunWorkerWorld worker_world() {
    return {world.database,
            runs,
            queue,
            journal,
            log,
            world.agents,
            world.clock,
            world.random,
            standing,
            [this](core::PlatformId platform, core::EndUserId id) { return user(platform, id); },
            [this](agents::RunIdentity who) {
              return agents::make_gateway_effects(effects_world, std::move(who));
            },
            [this] { return world.io.next(); },
            [this](const agents::RunLease& lease, const agents::Run& run, const agents::RunOutcome& outcome) {
              agents::AgentRunService::tell_waiters(waiters, lease, run, outcome);
              parked(outcome);
            }};
  }

  // A platform's key acts for an end user as long as they are active; their own is looked at with them.
  core::Task<oauth::PrincipalPtr> standing_of(core::PlatformId platform,
                                              std::optional<core::EndUserId> end_user, core::KeyId key) {
    try {
      if (end_user && !(co_await world.identity.get_end_user(platform, *end_user)).is_active)
        co_return nullptr;
    } catch (const core::Error& error) {
      if (error.kind() != core::ErrorKind::NotFound) throw;
      co_return nullptr;
    }
    co_return co_await world.authenticator.standing_any(platform, end_user, key);
  }

  agents::RunStandingWorld standing_world() {
    return {[this](core::PlatformId platform, std::optional<core::EndUserId> end_user, core::KeyId key) {
              return standing_of(platform, end_user, key);
            },
            [this](core::PlatformId platform, agents::AgentId agent, std::optional<core::EndUserId> user) {
              return world.agents.serves(platform, agent.str(), user);
            },
            [this] { return world.io.next(); }};
  }

  agents::RunServiceWorld service_world() {
    return {world.database,
            runs,
            threads,
            world.agents,
            *assistants,
            worker,
            here,
            waiters,
            standing,
            world.clock,
            world.random,
            [this](core::PlatformId platform, core::EndUserId id) { return user(platform, id); },
            [this](agents::RunIdentity who) {
              return agents::make_gateway_effects(effects_world, std::move(who));
            },
            [this](core::PlatformId platform, std::string url) {
              return world.webhooks.require_endpoint(platform, std::move(url), "webhook");
            }};
  }

  AgentRuntimeWorld world;
  const std::string node;
  agents::ResultCache results;
  agents::EffectsWorld effects_world;
  AgentUsers users;
  agents::RunNotices notices;
  agents::EventLog log;
  agents::OwnerCounts counts;
  agents::ThreadStore threads;
  agents::RunStore runs;
  std::unique_ptr<agents::AssistantService> assistants;
  agents::CronStore crons;
  agents::WaitStore waits;
  agents::ItemStore items;
  agents::RunQueue queue;
  agents::JournalWriter journal;
  agents::RunWaiters waiters;
  agents::RunStanding standing;
  agents::RunWorker worker;
  agents::RunShares here;
  agents::AgentRunService service;
  std::unique_ptr<agents::ThreadStates> states;
  core::TaskGroup background{"agent requests"};
  AgentGateway gateway;
  core::TaskGroup settling{"agent waits"};
  std::atomic<bool> running{false};
  bool works = false;
};

AgentRuntime::AgentRuntime(AgentRuntimeWorld world) : impl_(std::make_unique<Impl>(world)) {}

AgentRuntime::~AgentRuntime() {
  stop();
}

AgentGateway& AgentRuntime::gateway() {
  return impl_->gateway;
}

void AgentRuntime::start(bool works) {
  impl_->works = works;
  auto& io = impl_->world.io;
  impl_->log.start(io.next());
  impl_->standing.start();
  impl_->running = true;
  if (!works) return;
  impl_->journal.start(io.next());
  impl_->queue.start(io.next());
  impl_->worker.start(io.next());
  impl_->check_all_waits();
}

void AgentRuntime::drain() {
  if (!impl_->running) return;
  impl_->worker.drain(impl_->world.config.drain_timeout);
  impl_->waiters.stop();
}

void AgentRuntime::stop() {
  if (!impl_->running.exchange(false)) return;
  impl_->settling.stop();
  impl_->background.stop();
  impl_->waiters.stop();
  impl_->worker.stop();
  impl_->standing.stop();
  if (impl_->works) {
    impl_->queue.stop();
    impl_->journal.stop();
  }
  impl_->log.stop();
}

void AgentRuntime::on_notify(std::string_view topic, std::string_view payload) {
  impl_->users.on_notify(topic, payload);
  impl_->log.on_notify(topic, payload);
  impl_->queue.on_notify(topic, payload);
  impl_->assistants->on_notify(topic, payload);
  impl_->standing.on_notify(topic, payload);
  if (topic == "approval" || topic == "connection") impl_->settled(topic, payload);
  if (topic == "resync") impl_->check_all_waits();
}

}  // namespace assistiv::api
