#include "billing/price_book.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "core/async.h"
#include "core/embedded.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"

namespace assistiv::billing {

namespace {

// Should a notice get lost.
constexpr std::chrono::minutes kReloadAnyway{5};

std::string lower_ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// Rows of one provider and model, the latest start first.
using DatedPrices = std::vector<PricePtr>;

PricePtr begun(const DatedPrices& rows, core::Time at) {
  const auto it =
      std::find_if(rows.begin(), rows.end(), [at](const PricePtr& row) { return row->valid_from <= at; });
  return it == rows.end() ? nullptr : *it;
}

struct OfProvider {
  std::map<std::string, DatedPrices, std::less<>> exact;
  std::map<std::string, DatedPrices, std::less<>> beginnings;  // without the "*"
};

}  // namespace

struct PriceSnapshot::Impl {
  std::map<std::string, OfProvider, std::less<>> providers;

  void sort() {
    const auto newest_first = [](const PricePtr& a, const PricePtr& b) {
      return a->valid_from > b->valid_from;
    };
    for (auto& [name, of] : providers) {
      for (auto& [model, rows] : of.exact) std::sort(rows.begin(), rows.end(), newest_first);
      for (auto& [model, rows] : of.beginnings) std::sort(rows.begin(), rows.end(), newest_first);
    }
  }
};

PriceSnapshot::PriceSnapshot(std::vector<Price> prices) : impl_(std::make_unique<Impl>()) {
  for (auto& price : prices) {
    auto& of = impl_->providers[lower_ascii(price.provider)];
    std::string model = lower_ascii(price.model);
    const bool beginning = model.ends_with('*');
    if (beginning) model.pop_back();
    auto& rows = (beginning ? of.beginnings : of.exact)[model];
    rows.push_back(std::make_shared<const Price>(std::move(price)));
  }
  impl_->sort();
}

PriceSnapshot::~PriceSnapshot() = default;

PricePtr PriceSnapshot::find(std::string_view provider, std::string_view model, core::Time at) const {
  const auto of = impl_->providers.find(lower_ascii(provider));
  if (of == impl_->providers.end()) return nullptr;
  const std::string name = lower_ascii(model);
  if (const auto exact = of->second.exact.find(name); exact != of->second.exact.end()) {
    if (auto price = begun(exact->second, at)) return price;
  }
  std::string_view beginning = name;
  while (true) {
    const auto it = of->second.beginnings.find(beginning);
    if (it != of->second.beginnings.end()) {
      if (auto price = begun(it->second, at)) return price;
    }
    if (beginning.empty()) return nullptr;
    beginning.remove_suffix(1);
  }
}

struct PriceBook::Impl : std::enable_shared_from_this<PriceBook::Impl> {
  Impl(storage::Database& db, const core::Clock& c, core::Random& random)
      : database(db), clock(c), store(c, random) {}

  storage::Database& database;
  const core::Clock& clock;
  PriceStore store;
  core::AsyncEvent changed;
  core::TaskGroup tasks{"price book"};

  mutable std::mutex mutex;
  std::shared_ptr<const PriceSnapshot> snapshot;
  std::uint64_t reads = 0, published = 0;

  std::uint64_t begin_read() {
    const std::lock_guard lock(mutex);
    return ++reads;
  }
  // A read that began earlier than the one in place tells nothing new.
  void publish(std::uint64_t read, std::vector<Price> prices) {
    auto next = std::make_shared<const PriceSnapshot>(std::move(prices));
    const std::lock_guard lock(mutex);
    if (read < published) return;
    published = read;
    snapshot = std::move(next);
  }

  // The system's scope: prices belong to no tenant.
  core::Task<> reload() {
    const std::uint64_t read = begin_read();
    auto prices = co_await database.run(
        storage::Scope::system(),
        [self = shared_from_this()](storage::Transaction& tx) { return self->store.in_force(tx); });
    publish(read, std::move(prices));
  }

  core::Task<> follow(std::stop_token stop) {
    while (!stop.stop_requested()) {
      co_await changed.wait_for(kReloadAnyway, stop);
      if (stop.stop_requested()) co_return;
      try {
        co_await reload();
      } catch (const std::exception& error) {
        core::log::warn("prices.reload_failed", {{"error", error.what()}});
      }
    }
  }
};

PriceBook::PriceBook(storage::Database& database, const core::Clock& clock, core::Random& random)
    : impl_(std::make_shared<Impl>(database, clock, random)) {}

PriceBook::~PriceBook() = default;

void PriceBook::load() {
  std::vector<Price> prices;
  const std::uint64_t read = impl_->begin_read();
  impl_->database.execute(storage::Scope::system(), [&](storage::Transaction& tx) {
    if (!impl_->store.has_source(tx, "builtin")) impl_->store.put(tx, "builtin", builtin_prices());
    prices = impl_->store.in_force(tx);
  });
  impl_->publish(read, std::move(prices));
}

void PriceBook::start(core::AnyExecutor executor) {
  impl_->tasks.spawn(executor, "follow prices",
                     [impl = impl_.get()](std::stop_token stop) { return impl->follow(stop); });
}

void PriceBook::stop() {
  impl_->tasks.stop();
}

void PriceBook::on_notify(std::string_view topic, std::string_view) {
  if (topic == "price" || topic == "resync") impl_->changed.set();
}

PricePtr PriceBook::find(std::string_view provider, std::string_view model, core::Time at) const {
  std::shared_ptr<const PriceSnapshot> snapshot;
  {
    const std::lock_guard lock(impl_->mutex);
    snapshot = impl_->snapshot;
  }
  return snapshot ? snapshot->find(provider, model, at) : nullptr;
}

core::Task<PriceChanges> PriceBook::put(std::string source, std::vector<NewPrice> prices) {
  const auto impl = impl_;
  const auto changes = co_await impl->database.run(
      storage::Scope::system(), [impl, source, prices = std::move(prices)](storage::Transaction& tx) {
        return impl->store.put(tx, source, prices);
      });
  co_await impl->reload();
  core::log::info("prices.changed", {{"source", source},
                                     {"added", changes.added},
                                     {"superseded", changes.superseded},
                                     {"unchanged", changes.unchanged}});
  co_return changes;
}

core::Task<PricePage> PriceBook::list(PriceFilter filter) {
  const auto impl = impl_;
  co_return co_await impl->database.run(
      storage::Scope::system(),
      [impl, filter = std::move(filter)](storage::Transaction& tx) { return impl->store.list(tx, filter); });
}

std::vector<NewPrice> builtin_prices() {
  std::vector<NewPrice> out;
  for (const auto& file : embedded_prices()) {
    const auto document = core::parse_json(file.content);
    for (auto& price : parse_prices(document.at("prices"), "/prices")) {
      // What has no date has held for as long as anyone may ask.
      if (!price.valid_from) price.valid_from = core::from_epoch_ms(0);
      out.push_back(std::move(price));
    }
  }
  return out;
}

}  // namespace assistiv::billing
