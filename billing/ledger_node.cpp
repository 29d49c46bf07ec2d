#include "billing/ledger_node.h"

#include <algorithm>
#include <utility>

#include "billing/account_rows.h"
#include "core/error.h"
#include "core/log.h"
#include "core/metrics.h"

namespace assistiv::billing {

namespace {

constexpr std::chrono::milliseconds kRoomPoll{15};
constexpr std::chrono::milliseconds kFirstRoomPoll{4};
constexpr std::chrono::seconds kFlightPatience{10};
constexpr std::chrono::milliseconds kOpenPatience{1000};
constexpr std::chrono::seconds kSyncPatience{10};
constexpr std::chrono::milliseconds kSnapshotFor{1000};
constexpr std::size_t kTextMax = 500;

core::metrics::Counter& admissions() {
  static auto& counter = core::metrics::counter("assistiv_ledger_admissions_total", "Calls that got a hold.");
  return counter;
}

core::metrics::Counter& refusals(const std::string& code) {
  return core::metrics::counter("assistiv_ledger_refusals_total", "Calls that a balance refused.",
                                {{"code", code}});
}

core::metrics::Counter& settles(CallOutcome outcome) {
  const auto of = [](CallOutcome one) -> core::metrics::Counter& {
    return core::metrics::counter("assistiv_ledger_settles_total", "Calls that ended, by outcome.",
                                  {{"outcome", std::string(to_string(one))}});
  };
  static auto& success = of(CallOutcome::Success);  // nearly all: not looked up by its label each time
  return outcome == CallOutcome::Success ? success : of(outcome);
}

core::metrics::Counter& double_settles() {
  static auto& counter = core::metrics::counter("assistiv_ledger_double_settles_total",
                                                "Settlements of a call that was settled.");
  return counter;
}

core::metrics::Counter& cut_costs() {
  static auto& counter = core::metrics::counter("assistiv_ledger_cut_costs_total",
                                                "Calls that cost more than their hold and were cut to it.");
  return counter;
}

core::Error unavailable(std::string detail) {
  return core::Error(core::ErrorKind::Unavailable, "The server cannot record spending now. Try again.")
      .with_retry_after(std::chrono::seconds(1))
      .with_detail(std::move(detail));
}

// Text that PostgreSQL takes: no NUL, valid UTF-8 (what is not becomes "?"), bounded.
std::string clean(std::string text) {
  if (text.size() > kTextMax) text.resize(kTextMax);
  std::size_t at = 0;
  while (at < text.size()) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const std::size_t length = byte < 0x80                   ? 1
                               : byte >= 0xC2 && byte < 0xE0 ? 2
                               : byte >= 0xE0 && byte < 0xF0 ? 3
                               : byte >= 0xF0 && byte < 0xF5 ? 4
                                                             : 0;
    bool good = length > 0 && byte != 0 && at + length <= text.size();
    for (std::size_t i = 1; good && i < length; ++i) {
      good = (static_cast<unsigned char>(text[at + i]) & 0xC0) == 0x80;
    }
    if (good && length > 1) {
      const auto second = static_cast<unsigned char>(text[at + 1]);
      good = !(byte == 0xE0 && second < 0xA0) && !(byte == 0xED && second > 0x9F) &&
             !(byte == 0xF0 && second < 0x90) && !(byte == 0xF4 && second > 0x8F);
    }
    if (!good) text[at] = '?';
    at += good ? length : 1;
  }
  return text;
}

void clean_facts(CallFacts& facts) {
  for (auto* text : {&facts.request_id, &facts.request_type, &facts.provider, &facts.model,
                     &facts.provider_model, &facts.tag, &facts.key_id, &facts.run_id}) {
    *text = clean(std::move(*text));
  }
}

void check_request(const AdmissionRequest& request) {
  if (request.bound.nanos < 0 || request.token_bound < 0 || request.lost_cost.nanos < 0 ||
      request.facts.request_id.empty()) {
    throw core::internal("an admission needs a request id and bounds of 0 or more");
  }
}

class NodeHold final : public Hold {
 public:
  NodeHold(std::shared_ptr<LedgerCore> core, std::shared_ptr<Book> book, HoldRecord record, HeldLease wallet,
           HeldLease budget)
      : core_(std::move(core)),
        book_(std::move(book)),
        record_(std::move(record)),
        wallet_(std::move(wallet)),
        budget_(std::move(budget)) {}

  ~NodeHold() override {
    if (!settled_.exchange(true)) end(lost_call(std::move(record_)));
  }
  NodeHold(const NodeHold&) = delete;
  NodeHold& operator=(const NodeHold&) = delete;

  void settle(Settlement settlement) override {
    if (settled_.exchange(true)) {
      double_settles().add();
      core::log::warn("ledger.settled_twice", {{"outcome", to_string(settlement.outcome)}});
      return;
    }
    SettledCall call;
    call.cost = std::max<std::int64_t>(settlement.cost.nanos, 0);
    if (call.cost > record_.bound) {
      cut_costs().add();
      core::log::error("ledger.cost_over_bound", {{"request", record_.facts.request_id},
                                                  {"model", record_.facts.model},
                                                  {"cost", call.cost},
                                                  {"bound", record_.bound}});
      call.cost = record_.bound;
    }
    call.tokens = std::clamp<std::int64_t>(core::total_tokens(settlement.usage), 0, record_.token_bound);
    settlement.error = clean(std::move(settlement.error));
    settlement.upstream_request_id = clean(std::move(settlement.upstream_request_id));
    call.settlement = std::move(settlement);
    call.hold = std::move(record_);
    bound_ = {call.hold.bound};
    end(std::move(call));
  }

  core::NanoUsd bound() const override { return settled_ ? bound_ : core::NanoUsd{record_.bound}; }

 private:
  void end(SettledCall call) {
    core_->settle({std::move(call), book_, std::move(wallet_), std::move(budget_), Steady::now()});
  }
  std::shared_ptr<LedgerCore> core_;
  std::shared_ptr<Book> book_;
  HoldRecord record_;
  HeldLease wallet_, budget_;
  std::atomic<bool> settled_{false};
  core::NanoUsd bound_;
};

class Node final : public LedgerNode {
 public:
  explicit Node(LedgerWorld world) : core_(std::make_shared<LedgerCore>(world)) {
    if (!world.notifier) return;
    world.notifier->subscribe(
        [weak = std::weak_ptr(core_)](std::string_view topic, std::string_view payload) {
          if (const auto core = weak.lock()) core->notice(topic, payload);
        });
  }
  ~Node() override { core_->abandon(); }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  void start() override { core_->start(); }
  void stop() override { core_->stop(); }
  core::Task<bool> flush(std::chrono::milliseconds timeout) override { return core_->flush(timeout); }
  core::Task<Admission> admit(AdmissionRequest request) override { return core_->admit(std::move(request)); }
  core::Task<std::optional<core::NanoUsd>> available(Payer payer) override { return core_->available(payer); }
  void account_changed(core::PlatformId platform, std::optional<core::EndUserId> end_user) override {
    core_->account_changed(platform, end_user);
  }

 private:
  std::shared_ptr<LedgerCore> core_;
};

}  // namespace

std::unique_ptr<LedgerNode> make_ledger(LedgerWorld world) {
  return std::make_unique<Node>(std::move(world));
}

std::shared_ptr<Book> LedgerCore::book(core::PlatformId platform) {
  {
    std::shared_lock lock(books_mutex_);
    if (const auto found = books_.find(platform); found != books_.end()) return found->second;
  }
  std::unique_lock lock(books_mutex_);
  auto& book = books_[platform];
  if (!book) book = std::make_shared<Book>(platform);
  return book;
}

// Throws Unavailable when a hold could not be kept safe. After a pause the keeper needs a moment to see
// whether the epoch is still alive.
core::Task<> LedgerCore::require_open() {
  if (!open_) throw unavailable("the ledger is not running");
  const auto alive = [this] { return Steady::now().time_since_epoch().count() < admit_until_; };
  const auto deadline = Steady::now() + kOpenPatience;
  while (!alive()) {
    if (Steady::now() > deadline) throw unavailable("no heartbeat reached the database in time");
    keeper_.set();
    co_await core::sleep_for(kRoomPoll);
  }
  if (journal_->bytes() > world_.options.journal_bytes_max) throw unavailable("the journal is full");
  std::lock_guard lock(queue_mutex_);
  if (queue_.size() + in_batch_ > world_.options.unsettled_max) {
    throw unavailable("too many calls wait for the database");
  }
}

std::optional<LedgerCore::Held> LedgerCore::try_hold(Book& book, const AdmissionRequest& request) {
  const auto now = world_.clock.now();
  const auto steady = Steady::now();
  auto* budget = book.budget(request.payer.end_user_id);
  book.wallet.used_at = steady;
  if (budget) budget->used_at = steady;
  if (!book.wallet.usable(now, steady) || (budget && !budget->usable(now, steady))) return {};
  const auto fits = [](const Take& missing) { return missing.need == 0 && missing.tokens_need == 0; };
  if (!fits(book.wallet.missing(request.bound.nanos, 0))) return {};
  const bool pays = budget && budget->account;
  if (pays && !fits(budget->missing(request.bound.nanos, request.token_bound))) return {};
  Held out;
  out.wallet = hold_from(book.wallet, request.bound.nanos, 0);
  if (pays) out.budget = hold_from(*budget, request.bound.nanos, request.token_bound);
  return out;
}

core::Task<Admission> LedgerCore::admit(AdmissionRequest request) {
  check_request(request);
  clean_facts(request.facts);
  co_await require_open();
  const auto book = this->book(request.payer.platform_id);
  const auto arrived = Steady::now();
  for (int tries = 0;; ++tries) {
    std::optional<Held> held;
    {
      std::lock_guard lock(book->mutex);
      held = try_hold(*book, request);
    }
    if (held) {
      const Bounds bounds{request.bound.nanos, request.token_bound};
      const auto end_user = request.payer.end_user_id;
      auto hold = make_hold(book, std::move(request), *std::move(held));
      prefetch(book, end_user, bounds);
      if (world_.options.fsync_interval.count() > 0 && !co_await wait_for_disk()) {
        hold->settle(
            {.outcome = CallOutcome::UpstreamError, .status = 0, .error = "The call was not started."});
        throw unavailable("the disk is slow");
      }
      admissions().add();
      co_return hold;
    }
    if (auto refusal = co_await make_room(book, request, arrived, tries)) {
      refusals(refusal->code).add();
      co_return *std::move(refusal);
    }
    co_await require_open();
  }
}

// One round: asks the database, or waits for who asks or who gives back. A refusal rests on figures that are
// younger than the request.
core::Task<std::optional<Refusal>> LedgerCore::make_room(std::shared_ptr<Book> book, AdmissionRequest request,
                                                         Steady::time_point arrived, int tries) {
  const auto end_user = request.payer.end_user_id;
  std::shared_ptr<Flight> flight;
  bool wait = false;
  {
    std::lock_guard lock(book->mutex);
    const auto* budget = book->budget(end_user);
    const bool fresh = book->wallet.seen_at > arrived && (!budget || budget->seen_at > arrived) &&
                       !book->wallet.stale && (!budget || !budget->stale);
    if (fresh) {
      if (auto certain = hopeless(book->wallet, budget, request)) co_return certain;
      const bool late = Steady::now() - arrived > world_.options.refuse_after;
      const bool is_short = book->wallet.short_at > arrived || (budget && budget->short_at > arrived);
      if (late && is_short) co_return refusal_of(book->wallet, budget, request);
      wait = is_short && tries % 2 == 1;
    }
    if (const auto found = book->flights.find(end_user); found != book->flights.end()) flight = found->second;
  }
  if (wait) {
    co_await wait_for_room(book, tries == 1 ? kFirstRoomPoll : kRoomPoll);
  } else if (flight) {
    co_await wait_for_flight(book, flight);
  } else {
    co_await fly(book, end_user, {request.bound.nanos, request.token_bound},
                 tries > 0 ? Why::ShortAgain : Why::Short);
  }
  co_return std::nullopt;
}

core::Task<> LedgerCore::wait_for_flight(std::shared_ptr<Book> book, std::shared_ptr<Flight> flight) {
  const auto event = std::make_shared<core::AsyncEvent>();
  {
    std::lock_guard lock(book->mutex);
    const bool under_way = std::any_of(book->flights.begin(), book->flights.end(),
                                       [&](const auto& each) { return each.second == flight; });
    if (!under_way) co_return;
    flight->waiters.push_back(event);
  }
  co_await event->wait_for(kFlightPatience);
}

core::Task<> LedgerCore::wait_for_room(std::shared_ptr<Book> book, Steady::duration time) {
  const auto event = std::make_shared<core::AsyncEvent>();
  {
    std::lock_guard lock(book->mutex);
    book->waiters.push_back(event);
  }
  co_await event->wait_for(time);
  std::lock_guard lock(book->mutex);
  std::erase(book->waiters, event);
}

// Asks the database for room, for one payer at a time. An end user's flight takes for the wallet as well, but
// not ahead of need: all end users' flights would wait for one another at the wallet's row.
core::Task<> LedgerCore::fly(std::shared_ptr<Book> book, std::optional<core::EndUserId> end_user,
                             Bounds bounds, Why why) {
  const auto flight = std::make_shared<Flight>();
  TakeRequest take{.platform_id = book->platform,
                   .end_user_id = end_user,
                   .with_wallet = why != Why::Ahead || !end_user,
                   .share_percent = world_.options.slice_percent,
                   .recall = why == Why::ShortAgain};
  std::uint64_t wallet_changes = 0, budget_changes = 0;
  {
    std::lock_guard lock(book->mutex);
    if (!book->flights.emplace(end_user, flight).second) co_return;
    const auto now = Steady::now();
    auto* budget = book->budget(end_user);
    const bool ahead = why == Why::Ahead;
    if (take.with_wallet) {
      book->wallet.adapt_slices(bounds.money, 0, now);
      take.wallet = book->wallet.missing(ahead ? 0 : bounds.money, 0);
      take.wallet.want = book->wallet.slice;
      wallet_changes = book->wallet.changes;
    }
    if (budget) {
      budget->adapt_slices(bounds.money, bounds.tokens, now);
      take.budget = budget->missing(ahead ? 0 : bounds.money, ahead ? 0 : bounds.tokens);
      take.budget.want = budget->slice;
      take.budget.tokens_want = budget->tokens_slice;
      budget_changes = budget->changes;
    }
  }
  std::optional<TakeResult> result;
  std::exception_ptr failed;
  bool entered = false;
  try {
    co_await enter();
    entered = true;
    take.epoch = epoch_;
    result = co_await world_.database.run(
        storage::Scope::system(),  // the node's epoch belongs to no tenant
        [this, &take](storage::Transaction& tx) { return leases_.take(tx, take); });
  } catch (const core::Error& error) {
    doubt(error, "lease");
    // An epoch that ended begins anew: the caller tries again.
    if (!is_epoch_ended(error)) failed = std::current_exception();
  } catch (...) {
    failed = std::current_exception();
  }
  std::vector<std::shared_ptr<core::AsyncEvent>> wake;
  {
    std::lock_guard lock(book->mutex);
    if (result) {
      const auto now = Steady::now();
      if (take.with_wallet) book->wallet.apply(result->wallet, wallet_changes, now);
      if (auto* budget = book->budget(end_user)) {
        result->budget ? budget->apply(*result->budget, budget_changes, now)
                       : budget->apply_absent(budget_changes, now);
      }
    }
    book->flights.erase(end_user);
    wake = std::move(flight->waiters);
  }
  if (entered) leave();
  for (const auto& event : wake) event->set();
  if (failed) std::rethrow_exception(failed);
}

// Takes the next slice before this one is used up, so that nobody waits for it.
void LedgerCore::prefetch(const std::shared_ptr<Book>& book, const std::optional<core::EndUserId>& end_user,
                          Bounds bounds) {
  bool wallet = false, budget = false;
  {
    std::lock_guard lock(book->mutex);
    const auto now = Steady::now();
    // Near the end of an account slices stay small whatever one asks: not more than one flight in a moment.
    const auto low = [now](const AccountState& state) {
      if (!state.account || now - state.short_at < kSnapshotFor || now - state.seen_at < kRoomPoll)
        return false;
      return (state.account->limit && state.free_money() < state.slice / 2) ||
             (state.account->token_limit && state.free_tokens() < state.tokens_slice / 2);
    };
    wallet = low(book->wallet) && !book->flights.contains(std::nullopt);
    const auto* of_user = book->budget(end_user);
    budget = of_user && low(*of_user) && !book->flights.contains(end_user);
  }
  if (wallet) fly_ahead(book, std::nullopt, bounds);
  if (budget) fly_ahead(book, end_user, bounds);
}

void LedgerCore::fly_ahead(const std::shared_ptr<Book>& book, const std::optional<core::EndUserId>& end_user,
                           Bounds bounds) {
  if (!open_) return;
  tasks_.spawn(world_.executor, "lease", [this, book, end_user, bounds](std::stop_token) {
    return fly(book, end_user, bounds, Why::Ahead);
  });
}

HoldPtr LedgerCore::make_hold(const std::shared_ptr<Book>& book, AdmissionRequest request, Held held) {
  HoldRecord record;
  record.epoch = epoch_;
  record.seq = next_seq_++;
  record.payer = request.payer;
  record.facts = std::move(request.facts);
  if (request.price) record.price_id = request.price->id;
  record.bound = request.bound.nanos;
  record.lost_cost = std::min(request.lost_cost.nanos, request.bound.nanos);
  record.token_bound = request.token_bound;
  record.created_ms = core::to_epoch_ms(world_.clock.now());
  record.wallet = held.wallet.level;
  if (held.budget.lease) record.budget = held.budget.level;
  try {
    journal_->hold(record.seq, encode_hold(record));
  } catch (...) {
    std::lock_guard lock(book->mutex);
    undo_hold(held.wallet);
    undo_hold(held.budget);
    throw;
  }
  return std::make_unique<NodeHold>(shared_from_this(), book, std::move(record), std::move(held.wallet),
                                    std::move(held.budget));
}

void LedgerCore::settle(EndedCall ended) {
  if (abandoned_) return;
  settles(ended.call.settlement.outcome).add();
  if (!journal_->settle(ended.call.hold.seq, encode_settlement(ended.call))) {
    // It is in memory and will be committed; only a crash before that bills it as lost.
    core::log::error("ledger.settlement_not_journaled", {{"request", ended.call.hold.facts.request_id}});
  }
  std::vector<std::shared_ptr<core::AsyncEvent>> wake;
  {
    std::lock_guard lock(ended.book->mutex);
    end_hold(ended.wallet, ended.call.cost, 0);
    end_hold(ended.budget, ended.call.cost, ended.call.tokens);
    wake = ended.book->take_waiters();
  }
  for (const auto& event : wake) event->set();
  {
    std::lock_guard lock(queue_mutex_);
    queue_.push_back(std::move(ended));
  }
  ended_.set();
}

core::Task<bool> LedgerCore::wait_for_disk() {
  const auto event = std::make_shared<core::AsyncEvent>();
  {
    std::lock_guard lock(synced_mutex_);
    synced_.push_back(event);
  }
  co_return co_await event->wait_for(kSyncPatience);
}

core::Task<std::optional<core::NanoUsd>> LedgerCore::available(Payer payer) {
  co_await require_open();
  const auto book = this->book(payer.platform_id);
  for (int tries = 0; tries < 2; ++tries) {
    {
      std::lock_guard lock(book->mutex);
      const auto now = Steady::now();
      const auto* budget = book->budget(payer.end_user_id);
      const auto fresh = [now](const AccountState& state) {
        return state.seen && !state.stale && now - state.seen_at < kSnapshotFor;
      };
      if ((fresh(book->wallet) && (!budget || fresh(*budget))) || tries > 0) {
        const auto left = [](const AccountState& state) {
          const auto& account = *state.account;
          if (account.is_suspended) return std::int64_t{0};
          return std::max<std::int64_t>(
              account.limit->nanos - account.settled.nanos - account.leased.nanos + state.free_money(), 0);
        };
        if (!book->wallet.account) break;
        auto out = left(book->wallet);
        if (budget && budget->account && budget->account->limit) out = std::min(out, left(*budget));
        if (budget && budget->account && budget->account->is_suspended) out = 0;
        co_return core::NanoUsd{out};
      }
    }
    co_await fly(book, payer.end_user_id, {}, Why::Short);
  }
  co_return std::nullopt;
}

bool LedgerCore::strip(Book& book, AccountState& state) {
  std::lock_guard lock(returns_mutex_);
  const auto before = returns_.size();
  state.strip(book.platform, returns_);
  return returns_.size() != before;
}

void LedgerCore::account_changed(core::PlatformId platform, std::optional<core::EndUserId> end_user) {
  const auto book = this->book(platform);
  std::vector<std::shared_ptr<core::AsyncEvent>> wake;
  bool returns = false;
  {
    std::lock_guard lock(book->mutex);
    AccountState* state = &book->wallet;
    if (end_user) {
      const auto found = book->budgets.find(*end_user);
      state = found == book->budgets.end() ? nullptr : &found->second;
    }
    if (!state) return;
    state->stale = true;
    ++state->changes;
    returns = strip(*book, *state);
    wake = book->take_waiters();
  }
  for (const auto& event : wake) event->set();
  if (returns) keeper_.set();
}

void LedgerCore::recall(core::PlatformId platform, const std::optional<core::EndUserId>& end_user) {
  const auto book = this->book(platform);
  bool returns = false;
  {
    std::lock_guard lock(book->mutex);
    if (!end_user) {
      returns = strip(*book, book->wallet);
    } else if (const auto found = book->budgets.find(*end_user); found != book->budgets.end()) {
      returns = strip(*book, found->second);
    }
  }
  if (returns) keeper_.set();
}

void LedgerCore::resync() {
  std::shared_lock lock(books_mutex_);
  for (const auto& [platform, book] : books_) {
    std::lock_guard book_lock(book->mutex);
    book->wallet.stale = true;
    ++book->wallet.changes;
    for (auto& [end_user, budget] : book->budgets) {
      budget.stale = true;
      ++budget.changes;
    }
  }
}

void LedgerCore::notice(std::string_view topic, std::string_view payload) {
  if (topic == "resync") return resync();
  if (topic != kAccountTopic && topic != kRecallTopic) return;
  const auto slash = payload.find('/');
  const auto platform = core::PlatformId::parse(payload.substr(0, slash));
  if (slash == std::string_view::npos || !platform) return;
  {
    // Nobody asked for this platform here: nothing to drop.
    std::shared_lock lock(books_mutex_);
    if (!books_.contains(*platform)) return;
  }
  const auto end_user = core::EndUserId::parse(payload.substr(slash + 1));
  topic == kAccountTopic ? account_changed(*platform, end_user) : recall(*platform, end_user);
}

}  // namespace assistiv::billing
