#pragma once
// The ledger under torture: worker processes on one database that hold and settle at random until they are
// told to end, a driver that kills and pauses them, and the invariants afterwards. For
// tests/tools/money_torture.cpp and its short form in the integration tests.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/ids.h"

namespace assistiv::test {

struct TortureOptions {
  int processes = 3;
  int callers = 200;  // per process
  int seconds = 10;
  int kills_per_second = 2;
  int pauses_per_second = 1;
  int end_users = 4;
  std::int64_t budget_nanos = 50'000'000;  // 5 cents of each; the wallet has as much as all budgets together
  // The dearest call is this part of a budget: the budgets are used up soon, and the rest of the run is at
  // their edge.
  int calls_per_budget = 200;
};

struct TortureReport {
  std::int64_t budgets = 0, budget_limit = 0, spent = 0, wallet_limit = 0, wallet_spent = 0;
  std::int64_t ledger_sum = 0, usage_sum = 0, written_off = 0, leased = 0;
  std::int64_t calls = 0, lost = 0, admitted = 0, refused = 0, kills = 0, pauses = 0;
  std::int64_t logged = 0;          // settlements that a worker wrote down after settle() had returned
  std::vector<std::string> broken;  // invariants
};

// Set up by the caller: a migrated database with nobody else on it. `spawn` starts a process that runs
// torture_worker with these words, and returns its pid.
TortureReport torture(const std::string& database_url, const std::string& directory,
                      const TortureOptions& options,
                      const std::function<int(const std::vector<std::string>&)>& spawn);

// In the child: words of `spawn`. Ends when the file `stop` appears in the directory.
int torture_worker(const std::vector<std::string>& words);

void print(const TortureReport& report);

// Hold + settle pairs per second of one process, `wallets` platforms with one end user each, everything
// committed.
double ledger_throughput(const std::string& database_url, const std::string& directory, int wallets,
                         int callers, int pairs);

}  // namespace assistiv::test
