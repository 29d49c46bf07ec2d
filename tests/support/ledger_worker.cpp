#include "support/ledger_worker.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "billing/account_store.h"
#include "billing/ledger.h"
#include "core/error.h"
#include "core/log.h"
#include "core/random.h"
#include "storage/notifier.h"
#include "support/run_task.h"

namespace assistiv::test {

namespace {

using billing::CallOutcome;
using std::chrono::milliseconds;
using Ticks = std::chrono::steady_clock;

const core::SystemClock& system_clock() {
  static const core::SystemClock clock;
  return clock;
}

core::SystemRandom& system_random() {
  static core::SystemRandom random;
  return random;
}

struct Payers {
  core::PlatformId platform;
  std::vector<core::EndUserId> end_users;
};

billing::LedgerOptions torture_ledger(const std::string& directory) {
  billing::LedgerOptions options;
  options.journal_directory = directory + "/journal";
  // Short, so that a run sees nodes that are given up: a paused one that others take over.
  options.admit_for = milliseconds(1000);
  options.lease_expiry = milliseconds(2500);
  options.return_idle = milliseconds(300);
  options.segment_bytes = std::size_t{256} << 10;
  return options;
}

struct Node {
  Node(const std::string& url, core::AnyExecutor io, billing::LedgerOptions options)
      : database({.url = url, .connections = 4}),
        notifier(url),
        ledger(billing::make_ledger({database, &notifier, system_clock(), system_random(), std::move(io),
                                     nullptr, std::move(options)})) {
    notifier.start();
    ledger->start();
  }
  ~Node() { notifier.stop(); }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  storage::Database database;
  storage::Notifier notifier;
  std::unique_ptr<billing::LedgerNode> ledger;
};

struct Worker {
  billing::LedgerNode* ledger = nullptr;
  Payers payers;
  std::string name;
  std::uint64_t bound_max = 0;
  std::atomic<bool> stop{false};
  std::atomic<std::int64_t> next{0};
  std::atomic<std::int64_t> admitted{0};
  std::atomic<std::int64_t> refused{0};
  int log = -1;
};

billing::AdmissionRequest random_call(Worker& worker, std::mt19937_64& dice) {
  billing::AdmissionRequest out;
  const auto& users = worker.payers.end_users;
  out.payer = {worker.payers.platform, users[dice() % users.size()]};
  out.facts.request_id = worker.name + "-" + std::to_string(worker.next++);
  out.facts.request_type = "chat.completion";
  out.facts.provider = "mock";
  out.facts.model = out.facts.provider_model = "mock-1";
  out.facts.stream = dice() % 2 == 0;
  out.bound = {static_cast<std::int64_t>(1 + dice() % worker.bound_max)};
  out.lost_cost = {out.bound.nanos / 4};
  return out;
}

// Settles, then writes down that it did: a line that is there is money that must be in the books.
void settle_and_log(Worker& worker, const std::string& request, billing::HoldPtr& hold, std::int64_t cost) {
  billing::Settlement settlement;
  settlement.outcome = CallOutcome::Success;
  settlement.cost = {cost};
  hold->settle(settlement);
  const auto line = request + " " + std::to_string(cost) + "\n";
  if (::write(worker.log, line.data(), line.size()) < 0) std::abort();
}

core::Task<> call_until_stop(Worker* worker, std::uint64_t seed) {
  std::mt19937_64 dice(seed);
  while (!worker->stop) {
    auto request = random_call(*worker, dice);
    const auto name = request.facts.request_id;
    const auto bound = request.bound.nanos;
    bool pause = false;
    try {
      auto admission = co_await worker->ledger->admit(std::move(request));
      if (auto* hold = std::get_if<billing::HoldPtr>(&admission)) {
        ++worker->admitted;
        co_await core::sleep_for(milliseconds(dice() % 20));
        if (dice() % 50 == 0) continue;  // dropped: lost
        settle_and_log(*worker, name, *hold,
                       static_cast<std::int64_t>(dice() % static_cast<std::uint64_t>(bound)));
        continue;
      }
      ++worker->refused;
    } catch (const core::Error& error) {
      if (error.kind() != core::ErrorKind::Unavailable) throw;
    }
    pause = true;
    if (pause) co_await core::sleep_for(milliseconds(20 + dice() % 80));
  }
}

Payers payers_of(const std::vector<std::string>& words, std::size_t from) {
  Payers out;
  out.platform = core::PlatformId::of(words[from]);
  for (auto i = from + 1; i < words.size(); ++i) out.end_users.push_back(core::EndUserId::of(words[i]));
  return out;
}

Payers make_payers(storage::Database& database, int end_users, std::int64_t wallet, std::int64_t budget) {
  Payers out;
  out.platform = core::PlatformId::make(system_clock(), system_random());
  for (int i = 0; i < end_users; ++i) {
    out.end_users.push_back(core::EndUserId::make(system_clock(), system_random()));
  }
  database.execute(storage::Scope::system(), [&](storage::Transaction& tx) {  // a tenant from nothing
    tx.exec(
        "insert into platform (platform_id, name, slug, created_at, updated_at) values ($1::uuid, 'P', $1, "
        "now(), "
        "now())",
        {out.platform.str()});
    const billing::AccountStore accounts(system_clock(), system_random(), nullptr);
    accounts.top_up(tx, out.platform, accounts.wallet(tx, out.platform).id, {wallet}, 0, {});
    for (const auto& user : out.end_users) {
      tx.exec(
          "insert into end_user (platform_id, end_user_id, external_id, created_at, updated_at) values "
          "($1::uuid, "
          "$2::uuid, $2, now(), now())",
          {out.platform.str(), user.str()});
      billing::NewBudget input;
      input.limit = core::NanoUsd{budget};
      accounts.create_budget(tx, out.platform, user, input);
    }
  });
  return out;
}

class Crowd {
 public:
  Crowd(std::vector<std::string> words, std::function<int(const std::vector<std::string>&)> spawn)
      : words_(std::move(words)), spawn_(std::move(spawn)) {}
  void start() { pids_.push_back(spawn_(words_)); }
  std::size_t size() const { return pids_.size(); }
  void kill(std::size_t i) {
    ::kill(pids_[i], SIGKILL);
    ::waitpid(pids_[i], nullptr, 0);
    pids_[i] = spawn_(words_);
  }
  void pause(std::size_t i, milliseconds time) {
    ::kill(pids_[i], SIGSTOP);
    paused_.emplace(Ticks::now() + time, pids_[i]);
  }
  void wake(Ticks::time_point now) {
    while (!paused_.empty() && paused_.begin()->first <= now) {
      ::kill(paused_.begin()->second, SIGCONT);
      paused_.erase(paused_.begin());
    }
  }
  // True when every worker ended by itself and in order.
  bool join() {
    wake(Ticks::time_point::max());
    bool good = true;
    for (const int pid : pids_) {
      int status = 0;
      ::waitpid(pid, &status, 0);
      good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    return good;
  }

 private:
  std::vector<std::string> words_;
  std::function<int(const std::vector<std::string>&)> spawn_;
  std::vector<int> pids_;
  std::multimap<Ticks::time_point, int> paused_;
};

void disturb(Crowd& crowd, const TortureOptions& options, TortureReport& report) {
  std::mt19937_64 dice(std::random_device{}());
  constexpr milliseconds kTick{20};
  const auto chance = [&](int per_second) {
    return dice() % 1000 < static_cast<std::uint64_t>(per_second * kTick.count());
  };
  const auto end = Ticks::now() + std::chrono::seconds(options.seconds);
  while (Ticks::now() < end) {
    std::this_thread::sleep_for(kTick);
    crowd.wake(Ticks::now());
    if (chance(options.kills_per_second)) {
      crowd.kill(dice() % crowd.size());
      ++report.kills;
    }
    if (chance(options.pauses_per_second)) {
      // Now and then longer than a lease lives.
      crowd.pause(dice() % crowd.size(), milliseconds(dice() % 3 == 0 ? 4000 : dice() % 500));
      ++report.pauses;
    }
  }
}

void read_books(storage::Database& database, const Payers& payers, TortureReport& out) {
  database.execute(storage::Scope::tenant(payers.platform), [&](storage::Transaction& tx) {
    const auto one = [&](const std::string& sql) { return tx.exec(sql)[0].integer("n"); };
    const std::string budgets = " from account where kind = 'budget'";
    const std::string usage = "type = 'llm_usage'";
    out.budgets = one("select count(*) n" + budgets);
    out.budget_limit = one("select sum(amount_limit)::bigint n" + budgets);
    out.spent = one("select sum(settled)::bigint n" + budgets);
    out.wallet_limit = one("select amount_limit n from account where kind = 'wallet'");
    out.wallet_spent = one("select settled n from account where kind = 'wallet'");
    out.leased = one("select sum(leased)::bigint n from account");
    out.ledger_sum =
        one("select coalesce(sum(e.amount), 0)::bigint n from ledger_entry e join account a using "
            "(platform_id, account_id) where a.kind = 'wallet' and " +
            usage);
    out.usage_sum = one("select coalesce(sum(cost), 0)::bigint n from usage_row");
    out.written_off = one("select coalesce(sum(unbilled), 0)::bigint n from usage_row");
    out.calls = one("select count(*) n from usage_row");
    out.lost = one("select count(*) n from usage_row where outcome = 'lost'");
    if (one("select count(*) n" + budgets + " and settled > amount_limit") != 0) {
      out.broken.emplace_back("a budget was overrun");
    }
    if (one("select count(*) n from ledger_node where state = 'live'") != 0) {
      out.broken.emplace_back("an epoch is still live");
    }
  });
}

// Every settlement that a worker saw through is a row with that cost.
void check_logs(storage::Database& database, const Payers& payers, const std::string& directory,
                TortureReport& out) {
  std::map<std::string, std::int64_t> rows;
  database.execute(storage::Scope::tenant(payers.platform), [&](storage::Transaction& tx) {
    rows.clear();
    for (const auto row :
         tx.exec("select request_id, cost + unbilled billed from usage_row where outcome = 'success'"))
      rows[row.text("request_id")] = row.integer("billed");
  });
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    const auto name = file.path().filename().string();
    std::ifstream in(file.path());
    if (name.ends_with(".settled")) {
      std::string request;
      std::int64_t cost = 0;
      for (std::string line; std::getline(in, line) && !in.eof();) {
        std::istringstream(line) >> request >> cost;
        ++out.logged;
        const auto row = rows.find(request);
        if (row == rows.end()) out.broken.push_back("a settlement was lost: " + request);
        if (row != rows.end() && row->second != cost)
          out.broken.push_back("a settlement changed: " + request);
      }
    } else if (name.ends_with(".counts")) {
      std::int64_t admitted = 0, refused = 0;
      in >> admitted >> refused;
      out.admitted += admitted;
      out.refused += refused;
    }
  }
}

void check_books(storage::Database& database, IoThread& io, const Payers& payers, TortureReport& out) {
  const auto report = io.run(billing::verify_ledger(&database, payers.platform));
  if (!report.balanced)
    out.broken.emplace_back("the entries do not add up to the accounts and the usage rows");
  if (out.wallet_spent > out.wallet_limit) out.broken.emplace_back("the wallet was overrun");
  if (out.usage_sum != out.wallet_spent) out.broken.emplace_back("usage rows do not add up to the wallet");
  if (out.ledger_sum != out.wallet_spent) out.broken.emplace_back("entries do not add up to the wallet");
  if (out.leased != 0) out.broken.emplace_back("a lease or a hold is left over");
}

// What is left can be spent to the last nano-dollar.
void check_rest(Node& node, IoThread& io, const Payers& payers, TortureReport& out) {
  for (const auto& user : payers.end_users) {
    const auto left = io.run(node.ledger->available({payers.platform, user})).value_or(core::NanoUsd{});
    if (left.nanos == 0) continue;
    billing::AdmissionRequest request;
    request.payer = {payers.platform, user};
    request.facts.request_id = "rest-" + user.str();
    request.facts.request_type = "chat.completion";
    request.bound = left;
    auto admission = io.run(node.ledger->admit(request));
    auto* hold = std::get_if<billing::HoldPtr>(&admission);
    if (!hold) {
      out.broken.emplace_back("a call that fits the rest was refused");
      continue;
    }
    (*hold)->settle({.outcome = CallOutcome::CacheHit});
  }
}

}  // namespace

TortureReport torture(const std::string& database_url, const std::string& directory,
                      const TortureOptions& options,
                      const std::function<int(const std::vector<std::string>&)>& spawn) {
  std::filesystem::create_directories(directory);
  IoThread io;
  storage::Database database({.url = database_url, .connections = 2});
  const auto payers = make_payers(database, options.end_users, options.budget_nanos * options.end_users,
                                  options.budget_nanos);
  std::vector<std::string> words = {database_url, directory, std::to_string(options.callers),
                                    std::to_string(options.budget_nanos / options.calls_per_budget),
                                    payers.platform.str()};
  for (const auto& user : payers.end_users) words.push_back(user.str());
  TortureReport out;
  Crowd crowd(words, spawn);
  for (int i = 0; i < options.processes; ++i) crowd.start();
  disturb(crowd, options, out);
  std::ofstream(directory + "/stop").put('\n');
  if (!crowd.join()) out.broken.emplace_back("a worker did not end in order");
  {
    Node last(database_url, io.executor(), torture_ledger(directory));  // finishes what the killed ones left
    check_rest(last, io, payers, out);
    last.ledger->stop();
  }
  // What was paused beyond its lease and killed then had its leases taken back already.
  read_books(database, payers, out);
  check_books(database, io, payers, out);
  check_logs(database, payers, directory, out);
  return out;
}

int torture_worker(const std::vector<std::string>& words) {
  core::log::set_level(core::log::Level::Off);
  const auto& directory = words[1];
  IoThread io;
  Node node(words[0], io.executor(), torture_ledger(directory));
  Worker worker;
  worker.ledger = node.ledger.get();
  worker.payers = payers_of(words, 4);
  worker.bound_max = std::stoull(words[3]);
  worker.name = core::random_hex(system_random(), 8);
  worker.log =
      ::open((directory + "/" + worker.name + ".settled").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  std::vector<std::future<void>> callers;
  for (int i = 0; i < std::stoi(words[2]); ++i) {
    std::array<std::uint8_t, 8> seed{};
    system_random().fill(seed);
    std::uint64_t number = 0;
    for (const auto byte : seed) number = number << 8 | byte;
    callers.push_back(io.start(call_until_stop(&worker, number)));
  }
  while (!std::filesystem::exists(directory + "/stop")) std::this_thread::sleep_for(milliseconds(20));
  worker.stop = true;
  for (auto& caller : callers) caller.get();
  node.ledger->stop();
  std::ofstream(directory + "/" + worker.name + ".counts")
      << worker.admitted << " " << worker.refused << "\n";
  return 0;
}

void print(const TortureReport& report) {
  const auto usd = [](std::int64_t nanos) { return core::format_usd({nanos}); };
  std::printf("kills %lld, pauses %lld; calls in the books %lld, of them lost in a crash %lld\n",
              static_cast<long long>(report.kills), static_cast<long long>(report.pauses),
              static_cast<long long>(report.calls), static_cast<long long>(report.lost));
  std::printf("settlements that a caller saw through: %lld; calls refused for want of money: %lld\n",
              static_cast<long long>(report.logged), static_cast<long long>(report.refused));
  std::printf("%-28s %s\n", "budgets: limit", usd(report.budget_limit).c_str());
  std::printf("%-28s %s\n", "budgets: spent", usd(report.spent).c_str());
  std::printf("%-28s %s\n", "wallet: limit", usd(report.wallet_limit).c_str());
  std::printf("%-28s %s\n", "wallet: spent", usd(report.wallet_spent).c_str());
  std::printf("%-28s %s\n", "sum of the ledger's entries", usd(report.ledger_sum).c_str());
  std::printf("%-28s %s\n", "sum of the usage rows", usd(report.usage_sum).c_str());
  std::printf("%-28s %s\n", "written off", usd(report.written_off).c_str());
  std::printf("%-28s %s\n", "unsettled holds and leases", usd(report.leased).c_str());
  for (const auto& fault : report.broken) std::printf("BROKEN: %s\n", fault.c_str());
}

namespace {

core::Task<> pairs_of(billing::LedgerNode* ledger, const std::vector<Payers>* payers, int caller, int pairs) {
  for (int i = 0; i < pairs; ++i) {
    const auto& who = (*payers)[static_cast<std::size_t>(caller + i) % payers->size()];
    billing::AdmissionRequest request;
    request.payer = {who.platform, who.end_users[0]};
    request.facts = {.request_id = "c" + std::to_string(caller) + "-" + std::to_string(i),
                     .request_type = "chat.completion",
                     .provider = "mock",
                     .model = "mock-1",
                     .provider_model = "mock-1"};
    request.bound = {100'000};
    bool taken = false;
    while (!taken) {
      bool busy = false;
      try {
        auto admission = co_await ledger->admit(request);
        std::get<billing::HoldPtr>(admission)->settle(
            {.usage = {.input = 10, .output = 9}, .cost = {20'000}});
        taken = true;
      } catch (const core::Error& error) {
        if (error.kind() != core::ErrorKind::Unavailable) throw;
        busy = true;
      }
      if (busy) co_await core::sleep_for(milliseconds(5));  // too many wait for the database
    }
    // What a call is between its two halves: time for others.
    if (i % 16 == 15) co_await core::sleep_for(milliseconds(0));
  }
}

}  // namespace

double ledger_throughput(const std::string& database_url, const std::string& directory, int wallets,
                         int callers, int pairs) {
  IoThread io;
  billing::LedgerOptions options;
  options.journal_directory = directory + "/journal";
  options.unsettled_max = 20'000;
  Node node(database_url, io.executor(), options);
  std::vector<Payers> payers;
  for (int i = 0; i < wallets; ++i)
    payers.push_back(make_payers(node.database, 1, 1'000'000'000'000, 1'000'000'000'000));
  const auto began = Ticks::now();
  std::vector<std::future<void>> running;
  for (int i = 0; i < callers; ++i) {
    running.push_back(io.start(pairs_of(node.ledger.get(), &payers, i, pairs / callers)));
  }
  for (auto& each : running) each.get();
  io.run(node.ledger->flush(std::chrono::minutes(2)));
  const std::chrono::duration<double> took = Ticks::now() - began;
  node.ledger->stop();
  return pairs / callers * callers / took.count();
}

}  // namespace assistiv::test
