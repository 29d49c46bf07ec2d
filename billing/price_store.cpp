#include "billing/price_store.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "core/ids.h"
#include "core/json_read.h"
#include "storage/text_array.h"

namespace assistiv::billing {

namespace {

constexpr std::string_view kColumns =
    "price_id, provider, model, assistiv_ms(valid_from) valid_from, rates::text rates, tiers::text tiers, "
    "source";
constexpr std::size_t kRowsPerStatement = 500;

// provider, model, valid_from in epoch milliseconds.
using PriceKey = std::tuple<std::string, std::string, std::int64_t>;

struct Stored {
  std::string id, source, checksum;
};
using StoredPrices = std::map<PriceKey, Stored>;

Price price_of(const storage::Row& row) {
  Price out;
  out.id = row.text("price_id");
  out.provider = row.text("provider");
  out.model = row.text("model");
  out.valid_from = row.time("valid_from");
  out.base = parse_rates(core::parse_json(row.text("rates")), "/rates");
  out.tiers = parse_tiers(core::parse_json(row.text("tiers")), "/tiers");
  out.source = row.text("source");
  return out;
}

StoredPrices stored_prices(storage::Transaction& tx) {
  StoredPrices out;
  const auto rows = tx.exec(
      "select price_id, provider, model, assistiv_ms(valid_from) valid_from, source, checksum from price"
      " where superseded_at is null");
  for (const auto& row : rows) {
    out[{row.text("provider"), row.text("model"), row.integer("valid_from")}] = {
        row.text("price_id"), row.text("source"), row.text("checksum")};
  }
  return out;
}

// The row that counts at `now`, when it is of this source: an undated import repeats it as a rule.
const Stored* current_of(const StoredPrices& stored, const NewPrice& price, std::int64_t now,
                         std::string_view source) {
  auto it = stored.upper_bound({price.provider, price.model, now});
  if (it == stored.begin()) return nullptr;
  --it;
  if (std::get<0>(it->first) != price.provider || std::get<1>(it->first) != price.model) return nullptr;
  return it->second.source == source ? &it->second : nullptr;
}

class PriceWriter {
 public:
  PriceWriter(storage::Transaction& tx, std::string_view source, core::Time now)
      : tx_(tx), source_(source), now_(now) {}

  void add(const std::string& id, const NewPrice& price, std::int64_t valid_from,
           const std::string& checksum) {
    rows_.push_back({{"id", id},
                     {"p", price.provider},
                     {"m", price.model},
                     {"v", valid_from},
                     {"r", rates_json(price.base)},
                     {"t", tiers_json(price.tiers)},
                     {"c", checksum}});
  }
  void supersede(const std::string& id) { superseded_.add(id); }

  void write() {
    const auto now = std::to_string(core::to_epoch_ms(now_));
    tx_.exec("update price set superseded_at = assistiv_time($2::bigint) where price_id = any($1::uuid[])",
             {superseded_.take(), now});
    for (std::size_t at = 0; at < rows_.size(); at += kRowsPerStatement) {
      core::Json batch = core::Json::array();
      for (std::size_t i = at; i < std::min(rows_.size(), at + kRowsPerStatement); ++i) {
        batch.push_back(rows_[i]);
      }
      tx_.exec(
          "insert into price (price_id, provider, model, valid_from, rates, tiers, source, checksum,"
          " created_at) select n.id, n.p, n.m, assistiv_time(n.v), n.r, n.t, $2, n.c,"
          " assistiv_time($3::bigint) from jsonb_to_recordset($1::jsonb)"
          " as n(id uuid, p text, m text, v bigint, r jsonb, t jsonb, c text)",
          {core::dump_json(batch), source_, now});
    }
  }

 private:
  storage::Transaction& tx_;
  std::string source_;
  core::Time now_;
  std::vector<core::Json> rows_;
  storage::TextArray superseded_;
};

// Whether a row of `source` may take the place of `existing`.
bool gives_way(const Stored& existing, std::string_view source) {
  if (source == "admin") return true;
  if (source == "builtin") return existing.source == "builtin";
  return existing.source != "admin";
}

}  // namespace

std::vector<Price> PriceStore::in_force(storage::Transaction& tx) const {
  std::vector<Price> out;
  for (const auto& row :
       tx.exec("select " + std::string(kColumns) + " from price where superseded_at is null")) {
    out.push_back(price_of(row));
  }
  return out;
}

bool PriceStore::has_source(storage::Transaction& tx, std::string_view source) const {
  return !tx.exec("select 1 one from price where source = $1 limit 1", {std::string(source)}).empty();
}

PriceChanges PriceStore::put(storage::Transaction& tx, std::string_view source,
                             const std::vector<NewPrice>& prices) const {
  tx.exec("select pg_advisory_xact_lock(hashtextextended('price', 0))");
  StoredPrices stored = stored_prices(tx);
  const core::Time now = clock_.now();
  PriceChanges changes;
  PriceWriter writer(tx, source, now);
  std::set<PriceKey> seen;
  for (const auto& price : prices) {
    const std::string checksum = price_checksum(price.base, price.tiers);
    const std::int64_t from = core::to_epoch_ms(price.valid_from.value_or(now));
    const PriceKey key{price.provider, price.model, from};
    if (!seen.insert(key).second) continue;
    const Stored* current = price.valid_from ? nullptr : current_of(stored, price, from, source);
    const auto existing = stored.find(key);
    if ((current != nullptr && current->checksum == checksum) ||
        (existing != stored.end() && existing->second.checksum == checksum)) {
      ++changes.unchanged;
      continue;
    }
    if (existing != stored.end()) {
      if (!gives_way(existing->second, source)) {
        ++changes.kept;
        continue;
      }
      writer.supersede(existing->second.id);
      ++changes.superseded;
    } else {
      ++changes.added;
    }
    writer.add(core::Uuid::v7(clock_, random_).str(), price, from, checksum);
  }
  if (changes.added + changes.superseded == 0) return changes;
  writer.write();
  tx.notify("price", "");
  return changes;
}

PricePage PriceStore::list(storage::Transaction& tx, const PriceFilter& filter) const {
  const std::vector<storage::Param> params = {filter.provider, filter.model, filter.source,
                                              std::to_string(filter.limit),
                                              std::to_string((filter.page - 1) * filter.limit)};
  constexpr std::string_view kWhere =
      " from price where superseded_at is null and ($1::text is null or provider = $1)"
      " and ($2::text is null or model = $2) and ($3::text is null or source = $3)";
  PricePage out;
  const auto counted =
      tx.exec("select count(*) total" + std::string(kWhere), {filter.provider, filter.model, filter.source});
  out.total = counted[0].integer("total");
  const auto rows = tx.exec("select " + std::string(kColumns) + std::string(kWhere) +
                                " order by provider, model, price.valid_from desc"
                                " limit $4::bigint offset $5::bigint",
                            params);
  for (const auto& row : rows) out.prices.push_back(price_of(row));
  return out;
}

}  // namespace assistiv::billing
