#pragma once
// Writing table usage_row. usage_store.h reads it.
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "billing/journal.h"
#include "storage/database.h"

namespace assistiv::billing {

// One row to be: a call, and what of its cost the wallet could not pay.
struct UsageRow {
  const SettledCall* call;
  std::int64_t unbilled = 0;
};

// Conflict when one of them exists.
void insert_usage_rows(storage::Transaction& tx, const std::vector<UsageRow>& rows, std::int64_t batch);

// Which of the calls have a row, by "<platform>/<request id>/<attempt>", and of which hold (epoch, seq).
using UsageKeys = std::map<std::string, std::pair<std::int64_t, std::int64_t>>;
std::string usage_key(const SettledCall& call);
UsageKeys existing_usage(storage::Transaction& tx, const std::vector<SettledCall>& calls);
// The platforms of the calls that still exist (have a wallet).
std::set<std::string> wallets_of(storage::Transaction& tx, const std::vector<SettledCall>& calls);

}  // namespace assistiv::billing
