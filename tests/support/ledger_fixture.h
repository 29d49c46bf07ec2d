#pragma once
// The ledger on a database of its own, with any number of nodes on it: each has its pool, its notifier and
// its journal, like a process. A node that is dropped without stop() is a killed one.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "billing/account_store.h"
#include "billing/ledger.h"
#include "core/error.h"
#include "core/random.h"
#include "storage/notifier.h"
#include "support/manual_clock.h"
#include "support/run_task.h"
#include "support/test_database.h"

namespace assistiv::test {

constexpr std::int64_t kUsd = 1'000'000'000;  // in nano-USD
constexpr std::int64_t kCent = kUsd / 100;

class EventList final : public billing::BudgetEventSink {
 public:
  void record(storage::Transaction&, const billing::BudgetEvent& event) override {
    std::lock_guard lock(mutex_);
    events_.push_back(std::string(billing::to_string(event.event_type)));
  }
  std::vector<std::string> take() {
    std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> events_;
};

struct LedgerProcess {
  LedgerProcess(const std::string& url, const core::Clock& clock, core::Random& random, core::AnyExecutor io,
                billing::BudgetEventSink* events, billing::LedgerOptions options)
      : database({.url = url, .connections = 4}),
        notifier(url),
        ledger(billing::make_ledger(
            {database, &notifier, clock, random, std::move(io), events, std::move(options)})) {
    notifier.start();
    ledger->start();
  }
  ~LedgerProcess() { notifier.stop(); }
  LedgerProcess(const LedgerProcess&) = delete;
  LedgerProcess& operator=(const LedgerProcess&) = delete;

  storage::Database database;
  storage::Notifier notifier;
  std::unique_ptr<billing::LedgerNode> ledger;
};
using Process = std::unique_ptr<LedgerProcess>;

class LedgerTest : public ::testing::Test {
 protected:
  LedgerTest() : platform_(make_platform()), user_(make_end_user()) {}
  ~LedgerTest() override {
    process_.reset();
    std::filesystem::remove_all(directory_);
  }

  core::PlatformId make_platform();
  core::EndUserId make_end_user();
  Process start(billing::LedgerOptions options = {});
  // The one that most tests need.
  billing::LedgerNode& ledger();

  billing::Account top_up_wallet(std::int64_t nanos);
  billing::Account open_budget(billing::NewBudget input);
  billing::Account open_budget(std::int64_t nanos);
  billing::MoneyResult top_up_budget(std::int64_t nanos);
  void patch_budget(const billing::AccountPatch& patch);
  billing::Account wallet();
  billing::Account budget();

  billing::AdmissionRequest call(std::int64_t bound, std::int64_t tokens = 0);
  billing::Payer payer() const { return {platform_, user_}; }
  billing::Admission admit(billing::LedgerNode& ledger, billing::AdmissionRequest request) {
    return io_.run(ledger.admit(std::move(request)));
  }
  // A hold, or a test failure and null.
  billing::HoldPtr hold(billing::LedgerNode& ledger, std::int64_t bound, std::int64_t tokens = 0);
  // A refusal, or a test failure and one with an empty code.
  billing::Refusal refusal(billing::LedgerNode& ledger, std::int64_t bound, std::int64_t tokens = 0);
  void flush(billing::LedgerNode& ledger) { ASSERT_TRUE(io_.run(ledger.flush(std::chrono::seconds(20)))); }
  static billing::Settlement costs(std::int64_t nanos,
                                   billing::CallOutcome outcome = billing::CallOutcome::Success,
                                   std::int64_t tokens = 0);
  billing::LedgerReport verify() { return io_.run(billing::verify_ledger(&database_.db(), platform_)); }
  // Every account: sum of entries = account = sum of usage rows, nothing over its limit.
  void expect_balanced();
  storage::Result rows(const std::string& sql) { return database_.exec(sql); }
  std::int64_t count(const std::string& from) {
    return rows("select count(*) n from " + from)[0].integer("n");
  }

  IoThread io_;
  TestDatabase database_;
  ManualClock clock_;
  core::SystemRandom random_;
  EventList events_;
  std::string directory_ =
      std::filesystem::temp_directory_path() / ("ledger-" + core::random_hex(random_, 8));
  billing::AccountStore accounts_{clock_, random_, &events_};
  core::PlatformId platform_;
  core::EndUserId user_;
  Process process_;
  int requests_ = 0;
};

}  // namespace assistiv::test
