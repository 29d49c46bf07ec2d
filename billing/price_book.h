#pragma once
// The prices in force, in memory. What admission asks; and the operator's way to change them.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "billing/price.h"
#include "billing/price_import.h"
#include "billing/price_store.h"
#include "core/clock.h"
#include "core/random.h"
#include "core/task.h"
#include "storage/database.h"

namespace assistiv::billing {

// An immutable index over rows.
class PriceSnapshot {
 public:
  explicit PriceSnapshot(std::vector<Price> prices);
  ~PriceSnapshot();
  PricePtr find(std::string_view provider, std::string_view model, core::Time at) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Thread-safe.
class PriceBook {
 public:
  PriceBook(storage::Database& database, const core::Clock& clock, core::Random& random);
  ~PriceBook();
  PriceBook(const PriceBook&) = delete;
  PriceBook& operator=(const PriceBook&) = delete;

  // Stores the prices that come with the program when the table has none of them, and reads the table.
  // Blocks; before any find().
  void load();
  // Reads the table again on every notice, on `executor`. stop() joins.
  void start(core::AnyExecutor executor);
  void stop();
  // Notifier callback.
  void on_notify(std::string_view topic, std::string_view payload);

  // The row of the provider that names the model, else the one with the longest beginning of it
  // ("gpt-5-nano-*"); of its dated rows the latest that has begun. Case does not matter. Null: the price is
  // unknown.
  PricePtr find(std::string_view provider, std::string_view model, core::Time at) const;

  // Visible to find() on this node when it returns, on the others within a second.
  core::Task<PriceChanges> put(std::string source, std::vector<NewPrice> prices);
  core::Task<PricePage> list(PriceFilter filter);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// The prices that come with the program.
std::vector<NewPrice> builtin_prices();

}  // namespace assistiv::billing
