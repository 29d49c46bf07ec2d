// Computes costs for a test that compares them with another program's. The prices are those of a genai-prices
// catalogue (a file), or the ones that come with the server (--builtin). Each line of standard input is
// {"provider","model","at","usage":{"input",...}}; each line of output the cost in nano-USD, or null for an
// unknown price.
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <tuple>

#include "billing/price_book.h"
#include "billing/price_import.h"
#include "billing/price_text.h"

namespace {

namespace billing = assistiv::billing;
namespace core = assistiv::core;

std::vector<billing::NewPrice> read_prices(const std::string& source) {
  if (source == "--builtin") return billing::builtin_prices();
  std::stringstream text;
  text << std::ifstream(source).rdbuf();
  return billing::import_prices(billing::CatalogueFormat::GenaiPrices, billing::parse_catalogue(text.str()))
      .prices;
}

// As the store does it: of several prices with one key the first counts.
billing::PriceSnapshot snapshot_of(const std::vector<billing::NewPrice>& prices) {
  std::set<std::tuple<std::string, std::string, core::Time>> seen;
  std::vector<billing::Price> rows;
  for (const auto& price : prices) {
    const auto from = price.valid_from.value_or(core::from_epoch_ms(0));
    if (!seen.emplace(price.provider, price.model, from).second) continue;
    rows.push_back({"", price.provider, price.model, from, price.base, price.tiers, ""});
  }
  return billing::PriceSnapshot(std::move(rows));
}

core::Usage usage_of(const nlohmann::json& json) {
  core::Usage out;
  const auto read = [&json](const char* name, std::optional<std::int64_t>& into) {
    if (json.contains(name)) into = json[name].get<std::int64_t>();
  };
  read("input", out.input);
  read("output", out.output);
  read("cache_read", out.cache_read);
  read("cache_write_5m", out.cache_write_5m);
  read("cache_write_1h", out.cache_write_1h);
  read("input_audio", out.input_audio);
  read("input_image", out.input_image);
  read("reasoning", out.reasoning);
  read("output_audio", out.output_audio);
  read("output_image", out.output_image);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: price_oracle CATALOGUE | --builtin\n";
    return 2;
  }
  const auto book = snapshot_of(read_prices(argv[1]));
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto ask = nlohmann::json::parse(line);
    const auto price =
        book.find(billing::provider_slug(ask["provider"].get<std::string>()), ask["model"].get<std::string>(),
                  *core::parse_time(ask["at"].get<std::string>()));
    if (price) {
      std::cout << billing::cost_of(*price, usage_of(ask["usage"])).nanos << "\n";
    } else {
      std::cout << "null\n";
    }
  }
  return 0;
}
