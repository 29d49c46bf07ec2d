#include "oauth/connect/incident.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <set>

#include "core/error.h"
#include "oauth/connect/connect_world.h"

namespace assistiv::oauth {

namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kRowsLookedAt = 1000;

}  // namespace

// What the workers of one run share.
struct IncidentResponse::Run {
  IncidentScope scope;
  std::chrono::seconds patience;
  std::function<void(const RevocationTry&)> report;
  Steady::duration gap{};
  core::AsyncEvent done;
  std::mutex mutex;
  Steady::time_point next;
  int workers = 0;
  bool over = false;  // the provider wants more time than we have
  std::exception_ptr fault;

  // How long until this worker may call.
  Steady::duration take_turn() {
    std::lock_guard lock(mutex);
    const auto now = Steady::now();
    const auto start = std::max(now, next);
    next = start + gap;
    return start - now;
  }
  void pause(std::chrono::seconds wait) {
    std::lock_guard lock(mutex);
    if (wait > patience) over = true;
    next = std::max(next, Steady::now() + wait);
  }
  bool is_over() {
    std::lock_guard lock(mutex);
    return over;
  }
  void tell(const RevocationTry& tried) {
    std::lock_guard lock(mutex);
    report(tried);
  }
  void leave(std::exception_ptr error) {
    std::lock_guard lock(mutex);
    if (error) {
      fault = error;
      over = true;
    }
    if (--workers == 0) done.set();
  }
};

core::Task<std::vector<IncidentShare>> IncidentResponse::shares(IncidentScope scope) {
  // Every tenant's: the operator's command.
  co_return co_await world_.database.run(
      storage::Scope::system(), [scope](storage::Transaction& tx) { return incident_shares(tx, scope); });
}

core::Task<std::map<std::string, std::size_t>> IncidentResponse::out_of_reach(
    IncidentScope scope, std::vector<IncidentShare> shares) {
  std::map<std::string, std::size_t> out;
  for (const auto& share : shares) {
    const auto spec = co_await world_.registry.find(share.platform_id, scope.app);
    for (const auto& [slot, count] : share.tokens) {
      if (!RevocationQueue::supports(spec.get(), slot)) out[slot] += count;
    }
  }
  co_return out;
}

// Of the two levels of revocation, the slower one counts: which of them is asked depends on each token.
core::Task<int> IncidentResponse::turns_per_minute(IncidentScope scope) {
  int out = RevokeRequest::kPerMinuteMax;
  std::set<core::PlatformId> seen;
  for (const auto& row : co_await revocations_.waiting(scope, kRowsLookedAt)) {
    if (!seen.insert(row.platform_id).second) continue;
    const auto spec = co_await world_.registry.find(row.platform_id, scope.app);
    if (spec == nullptr) continue;
    for (const auto* request : {&spec->oauth.revoke.token, &spec->oauth.revoke.grant}) {
      if (*request) out = std::min(out, (*request)->per_minute);
    }
  }
  co_return out;
}

core::Task<std::size_t> IncidentResponse::end_ours(IncidentScope scope, std::vector<IncidentShare> shares,
                                                   AuditContext context) {
  std::size_t total = 0;
  for (const auto& share : shares) {
    ConnectionFilter filter;
    filter.app = scope.app;
    filter.end_user_id = scope.end_user_id;
    total += co_await connections_.disconnect_all(share.platform_id, filter, context, RevocationDue::Held);
  }
  co_return total;
}

core::Task<> IncidentResponse::revoke_upstream(IncidentScope scope, std::chrono::seconds patience,
                                               std::function<void(const RevocationTry&)> report) {
  auto run = std::make_shared<Run>();
  const int per_minute = co_await turns_per_minute(scope);
  run->scope = std::move(scope);
  run->patience = patience;
  run->report = std::move(report);
  run->gap = std::chrono::duration_cast<Steady::duration>(std::chrono::minutes(1)) / per_minute;
  run->next = Steady::now();
  run->workers = kWorkers;
  const auto executor = co_await core::current_executor();
  for (int i = 0; i < kWorkers; ++i) {
    group_.spawn(executor, "incident", [this, run](std::stop_token stop) { return work(run, stop); });
  }
  while (!co_await run->done.wait_for(std::chrono::minutes(1))) {
    // The workers end by themselves.
  }
  if (run->fault) std::rethrow_exception(run->fault);
}

core::Task<> IncidentResponse::work(std::shared_ptr<Run> run, std::stop_token stop) {
  std::exception_ptr fault;
  try {
    while (!stop.stop_requested() && !run->is_over() && co_await one_turn(run, stop)) {
      // one row after the other
    }
  } catch (...) {
    fault = std::current_exception();
  }
  run->leave(fault);
}

// False when nothing is left that this run could still do.
core::Task<bool> IncidentResponse::one_turn(std::shared_ptr<Run> run, std::stop_token stop) {
  co_await core::sleep_for(run->take_turn(), stop);
  if (run->is_over()) co_return false;
  const auto tried = co_await revocations_.run_next(run->scope);
  if (tried) {
    if (tried->result.retry_after) run->pause(*tried->result.retry_after);
    if (tried->result.reason != "pending") run->tell(*tried);
    co_return true;
  }
  const auto due = co_await revocations_.next_try(run->scope);
  if (!due) co_return false;
  const auto wait = std::max<std::chrono::milliseconds>(
      std::chrono::duration_cast<std::chrono::milliseconds>(*due - world_.clock.now()),
      std::chrono::milliseconds(50));
  if (wait > run->patience) co_return false;
  co_await core::sleep_for(wait, stop);
  co_return true;
}

}  // namespace assistiv::oauth
