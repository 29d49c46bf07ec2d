#pragma once
// SQL of the table `price`. Rows are global; the scope of the transaction is the system's.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "billing/price.h"
#include "billing/price_text.h"
#include "core/clock.h"
#include "core/random.h"
#include "storage/database.h"

namespace assistiv::billing {

// What a write did with each of its prices.
struct PriceChanges {
  std::int64_t added = 0;
  std::int64_t superseded = 0;  // rows that a new one with the same provider, model and start replaces
  std::int64_t unchanged = 0;
  std::int64_t kept = 0;  // an operator's own price stands against an import
};

struct PriceFilter {
  std::optional<std::string> provider, model, source;
  int page = 1, limit = 20;
};

struct PricePage {
  std::vector<Price> prices;  // by provider, model, newest start first
  std::int64_t total = 0;
};

class PriceStore {
 public:
  PriceStore(const core::Clock& clock, core::Random& random) : clock_(clock), random_(random) {}

  std::vector<Price> in_force(storage::Transaction& tx) const;
  bool has_source(storage::Transaction& tx, std::string_view source) const;
  // Of several prices with one key the first counts. Tells the other nodes (topic "price") when a row
  // changed.
  PriceChanges put(storage::Transaction& tx, std::string_view source,
                   const std::vector<NewPrice>& prices) const;
  PricePage list(storage::Transaction& tx, const PriceFilter& filter) const;

 private:
  const core::Clock& clock_;
  core::Random& random_;
};

}  // namespace assistiv::billing
