#include "billing/rate_limit.h"

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>

#include "billing/rate_limit_state.h"
#include "core/async.h"
#include "core/error.h"
#include "core/log.h"
#include "core/metrics.h"

namespace assistiv::billing {

namespace {

using PlatformPtr = std::shared_ptr<RatePlatform>;
using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds kSweepEvery{10};
constexpr std::chrono::seconds kIdle{60};
constexpr std::chrono::milliseconds kClosed{250};
// Others answer a notice within milliseconds as a rule; after that the window counts as full.
constexpr std::array<std::chrono::milliseconds, 3> kReturnWaits{
    std::chrono::milliseconds(25), std::chrono::milliseconds(60), std::chrono::milliseconds(120)};
constexpr std::chrono::seconds kQueueMax{2};
constexpr std::size_t kWaitingMax = 10'000;

std::int64_t retry_seconds(const RateUse& use) {
  return std::max<std::int64_t>(1, (use.reset.count() + 999) / 1000);
}

void wake(std::vector<std::shared_ptr<core::AsyncEvent>> waiting) {
  for (const auto& event : waiting) event->set();
}

}  // namespace

// What a ticket holds, to be given up or corrected.
struct RateTicket::Taken {
  struct One {
    std::shared_ptr<RateSubject> subject;
    RateDimension dimension;
    std::int64_t window, amount;
  };
  PlatformPtr platform;
  std::vector<One> ones;
  bool settled = false;

  ~Taken() {
    const std::lock_guard lock(platform->mutex);
    for (const auto& one : ones) {
      if (one.dimension == RateDimension::Concurrency) {
        auto& window = one.subject->windows[static_cast<std::size_t>(one.dimension)];
        --window.used;
        window.closed_until = {};
      }
    }
  }

  void settle(std::int64_t actual) {
    if (std::exchange(settled, true)) return;
    const std::lock_guard lock(platform->mutex);
    for (const auto& one : ones) {
      auto& window = one.subject->windows[static_cast<std::size_t>(one.dimension)];
      if (one.dimension == RateDimension::Tokens && window.start == one.window) {
        window.used += std::clamp<std::int64_t>(actual, 0, std::int64_t{1} << 40) - one.amount;
        if (actual < one.amount) window.closed_until = {};
      }
    }
  }
};

RateTicket::RateTicket() = default;
RateTicket::~RateTicket() = default;
RateTicket::RateTicket(RateTicket&& other) noexcept = default;
RateTicket& RateTicket::operator=(RateTicket&& other) noexcept = default;
void RateTicket::settle(std::int64_t actual_tokens) {
  if (taken_) taken_->settle(actual_tokens);
}

struct RateLimiter::Impl : std::enable_shared_from_this<RateLimiter::Impl> {
  using Outcome = std::variant<RateTicket, RateRefusal>;

  Impl(storage::Database& db, storage::AuditLog& a, const core::Clock& c, core::Random& random,
       RateLimiterOptions o)
      : database(db), audit(a), clock(c), options(o), leases(core::Uuid::v7(c, random)) {}

  storage::Database& database;
  storage::AuditLog& audit;
  const core::Clock& clock;
  const RateLimiterOptions options;
  const RateLimitStore store;
  const RateLeaseStore leases;
  core::TaskGroup tasks{"rate limits"};
  core::AsyncEvent asked;
  core::metrics::Counter& refusals =
      core::metrics::counter("assistiv_rate_limit_refusals_total", "Calls refused by a rate limit.");
  core::metrics::Counter& round_trips = core::metrics::counter(
      "assistiv_rate_limit_leases_total", "Times that a share of a rate limit was leased.");

  std::mutex mutex;  // over the two below; never taken while a platform's is held
  std::unordered_map<core::PlatformId, PlatformPtr, core::IdHash> platforms;
  std::set<core::PlatformId> to_return;

  PlatformPtr platform(core::PlatformId id) {
    const std::lock_guard lock(mutex);
    auto& slot = platforms[id];
    if (!slot) slot = std::make_shared<RatePlatform>(id);
    return slot;
  }

  std::int64_t now_ms() const { return core::to_epoch_ms(clock.now()); }

  // ---- limits ----

  std::optional<LimitsOf> cached(RatePlatform& at, const std::optional<core::EndUserId>& end_user) const {
    const std::lock_guard lock(at.mutex);
    const auto oldest = Steady::now() - options.limits_ttl;
    if (!at.limits || at.limits_read_at < oldest) return {};
    LimitsOf out{*at.limits, {}};
    if (!end_user) return out;
    const auto own = at.own.find(*end_user);
    if (own == at.own.end() || own->second.read_at < oldest) return {};
    out.own = own->second.own;
    return out;
  }

  core::Task<LimitsOf> limits(PlatformPtr at, std::optional<core::EndUserId> end_user) {
    if (auto known = cached(*at, end_user)) co_return *known;
    std::uint64_t version = 0;
    {
      const std::lock_guard lock(at->mutex);
      version = at->limits_version;
    }
    const auto read_at = Steady::now();
    auto read = co_await database.run(storage::Scope::tenant(at->id),
                                      [self = shared_from_this(), at, end_user](storage::Transaction& tx) {
                                        return self->store.read(tx, at->id, end_user);
                                      });
    const std::lock_guard lock(at->mutex);
    if (version == at->limits_version) {
      at->limits = read.platform;
      at->limits_read_at = read_at;
      if (at->own.size() >= options.end_users_max) at->own.clear();
      if (end_user) at->own[*end_user] = {read.own, read_at};
    }
    co_return read;
  }

  static RateLimits of_end_user(const LimitsOf& limits, const Payer& payer) {
    if (!payer.end_user_id) return {};
    return limits.own.value_or(limits.platform.end_user_default);
  }

  // Needs the platform's lock.
  static void add_needs(RatePlatform& at, core::Uuid subject, const RateLimits& limits, bool of_platform,
                        std::int64_t tokens, std::int64_t now, std::vector<RateNeed>& out) {
    if (limits == RateLimits{}) return;
    auto& slot = at.subjects[subject];
    if (!slot) slot = std::make_shared<RateSubject>(subject);
    slot->used_at = Steady::now();
    const auto add = [&](RateDimension dimension, const std::optional<std::int64_t>& limit,
                         std::int64_t amount) {
      if (!limit) return;
      out.push_back({slot, dimension, of_platform, *limit, amount});
      roll(out.back().window(), dimension, now, *limit);
    };
    add(RateDimension::Requests, limits.rpm, 1);
    add(RateDimension::Tokens, limits.tpm, std::max<std::int64_t>(1, tokens));
    add(RateDimension::RequestsPerDay, limits.rpd, 1);
    add(RateDimension::Concurrency, limits.concurrency, 1);
  }

  std::vector<RateNeed> needs(RatePlatform& at, const Payer& payer, const LimitsOf& limits,
                              std::int64_t tokens) const {
    std::vector<RateNeed> out;
    const std::int64_t now = now_ms();
    const std::lock_guard lock(at.mutex);
    add_needs(at, at.id.uuid, limits.platform.platform, true, tokens, now, out);
    if (payer.end_user_id) {
      add_needs(at, payer.end_user_id->uuid, of_end_user(limits, payer), false, tokens, now, out);
    }
    return out;
  }

  // ---- one call ----

  // All below need the platform's lock.
  std::vector<RateUse> uses(const std::vector<RateNeed>& wanted) const {
    std::vector<RateUse> out;
    const std::int64_t now = now_ms();
    for (const auto& need : wanted) out.push_back(use_of(need, now, Steady::now()));
    return out;
  }

  void roll_all(const std::vector<RateNeed>& wanted) const {
    const std::int64_t now = now_ms();
    for (const auto& need : wanted) roll(need.window(), need.dimension, now, need.limit);
  }

  std::optional<Outcome> try_here(const PlatformPtr& at, const std::vector<RateNeed>& wanted) const {
    const auto now = Steady::now();
    roll_all(wanted);
    for (const auto& need : wanted) {
      if (!fits(need, now)) return {};
    }
    RateTicket ticket;
    ticket.taken_ = std::make_unique<RateTicket::Taken>();
    ticket.taken_->platform = at;
    for (const auto& need : wanted) {
      auto& window = need.window();
      window.used += need.amount;
      ticket.taken_->ones.push_back({need.subject, need.dimension, window.start, need.amount});
    }
    ticket.uses_ = uses(wanted);
    return Outcome(std::move(ticket));
  }

  Outcome refuse(const std::vector<RateNeed>& wanted, const RateNeed& which) const {
    RateRefusal out;
    out.use = use_of(which, now_ms(), Steady::now());
    // What is left may be too little for this call; a caller reads it as what it may still use.
    out.retry_after = std::chrono::seconds(retry_seconds(out.use));
    out.uses = uses(wanted);
    refusals.add();
    return out;
  }

  // What must be refused without asking anybody.
  std::optional<Outcome> refuse_here(const std::vector<RateNeed>& wanted) const {
    const auto now = Steady::now();
    for (const auto& need : wanted) {
      if (need.amount > need.limit || (!fits(need, now) && closed(need, now))) return refuse(wanted, need);
    }
    return {};
  }

  struct Asking {
    std::vector<RateNeed> needs;
    std::vector<LeaseWish> wishes;
    SteadyTime at;
  };

  Asking ask_for(const std::vector<RateNeed>& wanted) const {
    Asking out;
    out.at = Steady::now();
    for (const auto& need : wanted) {
      if (fits(need, out.at)) continue;
      out.needs.push_back(need);
      out.wishes.push_back(wish_for(need, out.at));
    }
    return out;
  }

  static RateSubject* busy_one(const std::vector<RateNeed>& wanted) {
    for (const auto& need : wanted) {
      if (need.subject->busy) return need.subject.get();
    }
    return nullptr;
  }

  static void release(const std::vector<RateNeed>& wanted,
                      std::vector<std::shared_ptr<core::AsyncEvent>>& waiting) {
    for (const auto& need : wanted) {
      need.subject->busy = false;
      auto& queue = need.subject->waiting;
      waiting.insert(waiting.end(), queue.begin(), queue.end());
      queue.clear();
    }
  }

  core::Task<Outcome> enter(Payer payer, std::int64_t tokens) {
    const auto at = platform(payer.platform_id);
    const auto known = co_await limits(at, payer.end_user_id);
    const auto wanted = needs(*at, payer, known, tokens);
    if (wanted.empty()) co_return RateTicket();
    const auto until = Steady::now() + kQueueMax;
    while (true) {
      std::shared_ptr<core::AsyncEvent> turn;
      {
        const std::lock_guard lock(at->mutex);
        if (auto ticket = try_here(at, wanted)) co_return std::move(*ticket);
        if (auto refusal = refuse_here(wanted)) co_return std::move(*refusal);
        if (RateSubject* busy = busy_one(wanted)) {
          if (busy->waiting.size() >= kWaitingMax || Steady::now() >= until) {
            throw core::Error(core::ErrorKind::Unavailable, "Too many calls at one time. Try again shortly.")
                .with_retry_after(std::chrono::seconds(1));
          }
          turn = busy->waiting.emplace_back(std::make_shared<core::AsyncEvent>());
        } else {
          for (const auto& need : wanted) need.subject->busy = true;
        }
      }
      if (!turn) co_return co_await lead(at, wanted);
      co_await turn->wait_for(kQueueMax);
    }
  }

  // The one that leases, while others wait for what it gets.
  core::Task<Outcome> lead(PlatformPtr at, std::vector<RateNeed> wanted) {
    std::optional<Outcome> outcome;
    std::exception_ptr error;
    try {
      outcome.emplace(co_await lease(at, wanted));
    } catch (const std::exception&) {
      error = std::current_exception();
    }
    std::vector<std::shared_ptr<core::AsyncEvent>> waiting;
    {
      const std::lock_guard lock(at->mutex);
      release(wanted, waiting);
    }
    wake(std::move(waiting));
    if (error) std::rethrow_exception(error);
    co_return std::move(*outcome);
  }

  core::Task<Outcome> lease(PlatformPtr at, std::vector<RateNeed> wanted) {
    for (std::size_t round = 0;; ++round) {
      Asking asking;
      {
        const std::lock_guard lock(at->mutex);
        if (auto ticket = try_here(at, wanted)) co_return std::move(*ticket);
        asking = ask_for(wanted);
      }
      round_trips.add();
      const auto grants = co_await database.run(
          storage::Scope::tenant(at->id),
          [self = shared_from_this(), at, wishes = asking.wishes](storage::Transaction& tx) {
            return self->leases.take(tx, at->id, wishes);
          });
      bool ask = false;
      {
        const std::lock_guard lock(at->mutex);
        for (std::size_t i = 0; i < grants.size(); ++i) {
          apply(asking.needs[i], asking.wishes[i], grants[i], asking.at);
        }
        if (auto ticket = try_here(at, wanted)) co_return std::move(*ticket);
        const RateNeed* full = full_one(asking, grants);
        // A grant that does not help is of a window that ended meanwhile.
        if (full == nullptr && round < kReturnWaits.size()) continue;
        if (full == nullptr) co_return refuse(wanted, asking.needs.front());
        if (round >= kReturnWaits.size() || !others_hold(asking, grants)) {
          close(*full);
          co_return refuse(wanted, *full);
        }
        ask = round == 0;
      }
      if (ask) co_await ask_back(at);
      co_await core::sleep_for(kReturnWaits[round]);
    }
  }

  static const RateNeed* full_one(const Asking& asking, const std::vector<LeaseGrant>& grants) {
    for (std::size_t i = 0; i < grants.size(); ++i) {
      if (grants[i].granted == 0 && grants[i].free < asking.wishes[i].need) return &asking.needs[i];
    }
    return nullptr;
  }

  static bool others_hold(const Asking& asking, const std::vector<LeaseGrant>& grants) {
    for (std::size_t i = 0; i < grants.size(); ++i) {
      if (grants[i].free < asking.wishes[i].need &&
          asking.wishes[i].limit - grants[i].free - grants[i].held > 0) {
        return true;
      }
    }
    return false;
  }

  static void close(const RateNeed& need) {
    auto& window = need.window();
    window.closed_until = Steady::now() + kClosed;
    window.closed_for = need.amount;
  }

  core::Task<> ask_back(PlatformPtr at) {
    co_await database.run(
        storage::Scope::tenant(at->id),
        [self = shared_from_this(), at](storage::Transaction& tx) { self->leases.ask_back(tx, at->id); });
  }

  // ---- background ----

  std::vector<LeaseReturn> unused(RatePlatform& at) const {
    std::vector<LeaseReturn> out;
    const std::lock_guard lock(at.mutex);
    for (auto& [id, subject] : at.subjects) {
      for (auto& one : take_unused(*subject, Steady::now())) out.push_back(one);
    }
    return out;
  }

  core::Task<> give_back(PlatformPtr at) {
    auto returns = unused(*at);
    if (returns.empty()) co_return;
    co_await database.run(storage::Scope::tenant(at->id),
                          [self = shared_from_this(), at, returns](storage::Transaction& tx) {
                            self->leases.give_back(tx, at->id, returns);
                          });
  }

  std::vector<PlatformPtr> asked_platforms() {
    const std::lock_guard lock(mutex);
    std::vector<PlatformPtr> out;
    for (const auto& id : std::exchange(to_return, {})) {
      if (const auto it = platforms.find(id); it != platforms.end()) out.push_back(it->second);
    }
    return out;
  }

  std::vector<PlatformPtr> all_platforms() {
    const std::lock_guard lock(mutex);
    std::vector<PlatformPtr> out;
    for (const auto& [id, at] : platforms) out.push_back(at);
    return out;
  }

  static bool has_places(RatePlatform& at) {
    const std::lock_guard lock(at.mutex);
    return std::any_of(at.subjects.begin(), at.subjects.end(), [](const auto& entry) {
      return entry.second->windows[static_cast<std::size_t>(RateDimension::Concurrency)].leased > 0;
    });
  }

  core::Task<> renew(PlatformPtr at) {
    if (!has_places(*at)) co_return;
    const auto asked_at = Steady::now();
    const auto held = co_await database.run(storage::Scope::tenant(at->id),
                                            [self = shared_from_this(), at](storage::Transaction& tx) {
                                              return self->leases.renew_places(tx, at->id);
                                            });
    const std::lock_guard lock(at->mutex);
    for (const auto& id : held) {
      const auto subject = at->subjects.find(*core::Uuid::parse(id));
      if (subject == at->subjects.end() || asked_at >= subject->second->places_until) continue;
      subject->second->places_until = asked_at + std::chrono::seconds(25);
    }
  }

  // What nobody used for a while goes; its unused shares were given back before.
  static void forget_idle(RatePlatform& at) {
    const std::lock_guard lock(at.mutex);
    const auto oldest = Steady::now() - kIdle;
    std::erase_if(at.subjects, [oldest](const auto& entry) {
      return entry.second->used_at < oldest && entry.second.use_count() == 1;
    });
  }

  static std::vector<LeaseReturn> idle_unused(RatePlatform& at) {
    std::vector<LeaseReturn> out;
    const std::lock_guard lock(at.mutex);
    const auto oldest = Steady::now() - kSweepEvery;
    for (auto& [id, subject] : at.subjects) {
      if (subject->used_at >= oldest) continue;
      for (auto& one : take_unused(*subject, Steady::now())) out.push_back(one);
    }
    return out;
  }

  core::Task<> sweep() {
    for (const auto& at : all_platforms()) {
      const auto returns = idle_unused(*at);
      if (!returns.empty()) {
        co_await database.run(storage::Scope::tenant(at->id),
                              [self = shared_from_this(), at, returns](storage::Transaction& tx) {
                                self->leases.give_back(tx, at->id, returns);
                              });
      }
      co_await renew(at);
      forget_idle(*at);
    }
    // Every tenant's: leases of nodes that are gone have no one else.
    co_await database.run(storage::Scope::system(), [self = shared_from_this()](storage::Transaction& tx) {
      self->leases.remove_expired(tx);
    });
  }

  core::Task<> work(std::stop_token stop) {
    auto next_sweep = Steady::now() + kSweepEvery;
    while (!stop.stop_requested()) {
      co_await asked.wait_for(kSweepEvery, stop);
      if (stop.stop_requested()) co_return;
      try {
        for (const auto& at : asked_platforms()) co_await give_back(at);
        if (Steady::now() >= next_sweep) {
          next_sweep = Steady::now() + kSweepEvery;
          co_await sweep();
        }
      } catch (const std::exception& error) {
        core::log::warn("rate_limits.work_failed", {{"error", error.what()}});
      }
    }
  }

  void give_everything_back() {
    for (const auto& at : all_platforms()) {
      const auto returns = unused(*at);
      if (returns.empty()) continue;
      try {
        database.execute(storage::Scope::tenant(at->id),
                         [&](storage::Transaction& tx) { leases.give_back(tx, at->id, returns); });
      } catch (const std::exception& error) {
        // The windows end without us.
        core::log::warn("rate_limits.return_failed", {{"error", error.what()}});
        return;
      }
    }
  }

  // ---- changes ----

  static void limits_changed(RatePlatform& at) {
    const std::lock_guard lock(at.mutex);
    ++at.limits_version;
    at.limits.reset();
    at.own.clear();
    for (auto& [id, subject] : at.subjects) {
      for (auto& window : subject->windows) window.closed_until = {};
    }
  }

  // Shares were cut for the old limits: they go back, so that what is left counts under the new ones.
  void return_shares(core::PlatformId id) {
    {
      const std::lock_guard lock(mutex);
      if (platforms.contains(id)) to_return.insert(id);
    }
    asked.set();
  }

  void changed(core::PlatformId id) {
    limits_changed(*platform(id));
    return_shares(id);
  }

  void notify(std::string_view topic, std::string_view payload) {
    if (topic == "resync") {
      for (const auto& at : all_platforms()) changed(at->id);
      return;
    }
    const auto slash = payload.find('/');
    const auto id = core::PlatformId::parse(payload.substr(0, slash));
    if (!id) return;
    if (topic == "rate_limit" || topic == "platform") {
      const std::lock_guard lock(mutex);
      if (!platforms.contains(*id)) return;
    }
    if (topic == "rate_limit" || topic == "platform") changed(*id);
    if (topic == "rate_return" && payload.substr(slash + 1) != leases.node()) return_shares(*id);
  }
};

RateLimiter::RateLimiter(storage::Database& database, storage::AuditLog& audit, const core::Clock& clock,
                         core::Random& random, RateLimiterOptions options)
    : impl_(std::make_shared<Impl>(database, audit, clock, random, options)) {}

RateLimiter::~RateLimiter() = default;

core::Task<std::variant<RateTicket, RateRefusal>> RateLimiter::enter(Payer payer,
                                                                     std::int64_t token_estimate) {
  const auto impl = impl_;
  co_return co_await impl->enter(payer, token_estimate);
}

core::Task<RateView> RateLimiter::view(Payer payer) {
  const auto impl = impl_;
  const auto at = impl->platform(payer.platform_id);
  const auto known = co_await impl->limits(at, payer.end_user_id);
  RateView out;
  out.limits = Impl::of_end_user(known, payer);
  out.platform_limits = known.platform.platform;
  out.resolution = known.own                    ? RateResolution::Explicit
                   : known.platform.has_default ? RateResolution::Default
                                                : RateResolution::None;
  const auto wanted = impl->needs(*at, payer, known, 1);
  if (wanted.empty()) co_return out;
  std::vector<LeaseWish> windows;
  {
    const std::lock_guard lock(at->mutex);
    for (const auto& need : wanted) windows.push_back(wish_for(need, Steady::now()));
  }
  const auto free = co_await impl->database.run(
      storage::Scope::tenant(at->id),
      [impl, at, windows](storage::Transaction& tx) { return impl->leases.free_of(tx, at->id, windows); });
  const std::lock_guard lock(at->mutex);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    auto& window = wanted[i].window();
    if (window.start != windows[i].window.start) continue;
    window.free = free[i];
    window.asked = true;
  }
  out.uses = impl->uses(wanted);
  co_return out;
}

core::Task<> RateLimiter::set_override(core::PlatformId platform, core::EndUserId end_user, RateLimits limits,
                                       storage::AuditEvent event) {
  const auto impl = impl_;
  co_await impl->database.run(storage::Scope::tenant(platform),
                              [impl, platform, end_user, limits, event](storage::Transaction& tx) {
                                impl->store.put_override(tx, platform, end_user, limits, impl->clock.now());
                                impl->audit.append(tx, platform, event);
                              });
  impl->changed(platform);
}

core::Task<> RateLimiter::clear_override(core::PlatformId platform, core::EndUserId end_user,
                                         storage::AuditEvent event) {
  const auto impl = impl_;
  co_await impl->database.run(storage::Scope::tenant(platform),
                              [impl, platform, end_user, event](storage::Transaction& tx) {
                                impl->store.clear_override(tx, platform, end_user);
                                impl->audit.append(tx, platform, event);
                              });
  impl->changed(platform);
}

core::Task<PlatformRateLimits> RateLimiter::platform_limits(core::PlatformId platform) {
  const auto impl = impl_;
  const auto limits = co_await impl->database.run(
      storage::Scope::tenant(platform),
      [impl, platform](storage::Transaction& tx) { return impl->store.read(tx, platform, {}); });
  co_return limits.platform;
}

core::Task<> RateLimiter::set_platform_limits(core::PlatformId platform, PlatformRateLimits limits,
                                              storage::AuditEvent event) {
  const auto impl = impl_;
  co_await impl->database.run(storage::Scope::tenant(platform),
                              [impl, platform, limits, event](storage::Transaction& tx) {
                                impl->store.put_platform(tx, platform, limits, impl->clock.now());
                                impl->audit.append(tx, platform, event);
                              });
  impl->changed(platform);
}

void RateLimiter::start(core::AnyExecutor executor) {
  impl_->tasks.spawn(executor, "rate limits",
                     [impl = impl_.get()](std::stop_token stop) { return impl->work(stop); });
}

void RateLimiter::stop() {
  impl_->tasks.stop();
  impl_->give_everything_back();
}

void RateLimiter::on_notify(std::string_view topic, std::string_view payload) {
  impl_->notify(topic, payload);
}

}  // namespace assistiv::billing
