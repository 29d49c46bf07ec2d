#include "billing/price_import.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "billing/price_text.h"
#include "core/error.h"

namespace assistiv::billing {

namespace {

using core::Json;
using RateMember = std::optional<std::int64_t> Rates::*;

constexpr std::size_t kRowsMax = 20'000;
constexpr std::size_t kFaultsKept = 100;
constexpr std::size_t kNameMax = 200;
constexpr int kMatchDepthMax = 8;

struct RateName {
  std::string_view name;
  RateMember member;
};

// USD per token.
constexpr std::array<RateName, 9> kLiteLlmRates = {{
    {"input_cost_per_token", &Rates::input},
    {"output_cost_per_token", &Rates::output},
    {"cache_read_input_token_cost", &Rates::cache_read},
    {"cache_creation_input_token_cost", &Rates::cache_write_5m},
    {"cache_creation_input_token_cost_above_1hr", &Rates::cache_write_1h},
    {"output_cost_per_reasoning_token", &Rates::reasoning},
    {"input_cost_per_audio_token", &Rates::input_audio},
    {"output_cost_per_audio_token", &Rates::output_audio},
    {"input_cost_per_image_token", &Rates::input_image},
}};
// USD per million tokens.
constexpr std::array<RateName, 10> kGenaiRates = {{
    {"input_mtok", &Rates::input},
    {"output_mtok", &Rates::output},
    {"cache_read_mtok", &Rates::cache_read},
    {"cache_write_mtok", &Rates::cache_write_5m},
    {"cache_write_1h_mtok", &Rates::cache_write_1h},
    {"input_audio_mtok", &Rates::input_audio},
    {"output_audio_mtok", &Rates::output_audio},
    {"input_image_mtok", &Rates::input_image},
    {"output_image_mtok", &Rates::output_image},
    {"output_reasoning_mtok", &Rates::reasoning},
}};
// Charged by their providers for things beside tokens; a call without them costs the same.
constexpr std::array<std::string_view, 6> kGenaiBesideTokens = {
    "web_searches_kcount",   "storage_searches_kcount", "cache_audio_read_mtok",
    "cache_image_read_mtok", "input_video_mtok",        "output_video_mtok"};
constexpr std::array<RateName, 7> kModelsDevRates = {{
    {"input", &Rates::input},
    {"output", &Rates::output},
    {"cache_read", &Rates::cache_read},
    {"cache_write", &Rates::cache_write_5m},
    {"reasoning", &Rates::reasoning},
    {"input_audio", &Rates::input_audio},
    {"output_audio", &Rates::output_audio},
}};

struct RowFault {
  std::string message;
};

std::optional<std::int64_t> scaled(const Json& value, int shift) {
  if (value.is_string()) return parse_scaled(value.get_ref<const std::string&>(), shift);
  if (value.is_number_unsigned()) return parse_scaled(std::to_string(value.get<std::uint64_t>()), shift);
  return {};
}

std::optional<std::int64_t> rate_of(const Json& row, std::string_view name, int shift) {
  const auto it = row.find(std::string(name));
  if (it == row.end() || it->is_null()) return {};
  const auto rate = scaled(*it, shift);
  if (!rate) throw RowFault{"\"" + std::string(name) + "\" is not a price"};
  return rate;
}

std::string checked_name(const std::string& name) {
  if (name.empty() || name.size() > kNameMax) throw RowFault{"its name is empty or too long"};
  return name;
}

// Reads what has a price and complains when nothing has.
void require_rates(const Rates& rates) {
  if (!rates.input && !rates.output && !rates.request) throw RowFault{"it has no price per token or request"};
}

std::vector<Tier> tiers_of(const std::map<std::int64_t, Rates>& by_threshold) {
  std::vector<Tier> out;
  for (const auto& [over, rates] : by_threshold) out.push_back({over, rates});
  if (out.size() > 16) throw RowFault{"it has more than 16 tiers"};
  return out;
}

// Runs `read` and turns what it finds wrong into a fault of the row.
template <class F>
void read_row(ImportedPrices& out, const std::string& row, F read) {
  try {
    read();
  } catch (const RowFault& fault) {
    out.fault(row, fault.message);
  }
  if (out.prices.size() > kRowsMax) {
    throw core::bad_request("The catalogue has more than " + std::to_string(kRowsMax) + " prices.");
  }
}

// ---- LiteLLM: {"<model>": {"litellm_provider": ..., "input_cost_per_token": ...}} ----

// "<rate>_above_200k_tokens" -> 200000; nothing for a name of another form.
std::optional<std::int64_t> litellm_threshold(std::string_view key, std::string_view rate) {
  constexpr std::string_view kAbove = "_above_";
  constexpr std::string_view kTokens = "k_tokens";
  if (!key.starts_with(rate) || !key.ends_with(kTokens)) return {};
  key.remove_prefix(rate.size());
  if (!key.starts_with(kAbove)) return {};
  key.remove_prefix(kAbove.size());
  key.remove_suffix(kTokens.size());
  std::int64_t thousands = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), thousands);
  if (error != std::errc() || end != key.data() + key.size() || thousands < 1 || thousands > 1'000'000) {
    return {};
  }
  return thousands * 1000;
}

// Models are listed as "xai/grok-4"; the provider's own name of it has no prefix.
std::string litellm_model(const std::string& key, const std::string& provider) {
  return key.starts_with(provider + "/") ? key.substr(provider.size() + 1) : key;
}

NewPrice litellm_price(const std::string& key, const Json& row) {
  const auto provider = row.find("litellm_provider");
  if (provider == row.end() || !provider->is_string()) throw RowFault{"it names no litellm_provider"};
  NewPrice out;
  const auto& theirs = provider->get_ref<const std::string&>();
  out.provider = provider_slug(checked_name(theirs));
  out.model = checked_name(litellm_model(key, theirs));
  std::map<std::int64_t, Rates> tiers;
  for (const auto& [name, member] : kLiteLlmRates) {
    out.base.*member = rate_of(row, name, kFromUsdPerToken);
    for (const auto& [field, value] : row.items()) {
      const auto over = value.is_null() ? std::nullopt : litellm_threshold(field, name);
      if (over) tiers[*over].*member = rate_of(row, field, kFromUsdPerToken);
    }
  }
  require_rates(out.base);
  out.tiers = tiers_of(tiers);
  return out;
}

void import_litellm(const Json& catalogue, ImportedPrices& out) {
  if (!catalogue.is_object()) throw core::bad_request("A LiteLLM catalogue is an object of models.");
  for (const auto& [key, row] : catalogue.items()) {
    if (key == "sample_spec") continue;  // their documentation of the fields
    read_row(out, key, [&] {
      if (!row.is_object()) throw RowFault{"it is not an object"};
      out.prices.push_back(litellm_price(key, row));
    });
  }
}

// ---- genai-prices: [{"id", "models": [{"id", "match", "prices"}]}] ----

// The text that a regex begins with, when it is anchored; empty otherwise.
std::string literal_beginning(std::string_view regex) {
  if (!regex.starts_with('^')) return {};
  std::string out;
  for (std::size_t i = 1; i < regex.size(); ++i) {
    const char c = regex[i];
    if (c == '\\' && i + 1 < regex.size() &&
        std::string_view(".-/:").find(regex[i + 1]) != std::string_view::npos) {
      out += regex[++i];
    } else if (std::string_view("\\.[]()*+?{}|^$").find(c) != std::string_view::npos) {
      // A quantifier belongs to the character before it.
      if (std::string_view("*?{").find(c) != std::string_view::npos && !out.empty()) out.pop_back();
      break;
    } else {
      out += c;
    }
  }
  return out;
}

class MatchNames {
 public:
  // Names and beginnings of names that a rule takes in.
  void add(const Json& rule, int depth = 0) {
    if (!rule.is_object() || depth > kMatchDepthMax) throw RowFault{"its match rule cannot be read"};
    for (const auto& [kind, value] : rule.items()) {
      if (kind == "or") {
        for (const auto& one : value) add(one, depth + 1);
      } else if (kind == "and") {
        add_narrowest(value, depth);
      } else {
        add_text(kind, value);
      }
    }
  }
  const std::set<std::string>& names() const { return names_; }
  bool loose = false;  // a rule was widened or left out

 private:
  // Every rule must hold: the beginning among them stands for all.
  void add_narrowest(const Json& rules, int depth) {
    for (const auto& one : rules) {
      if (one.is_object() && (one.contains("equals") || one.contains("starts_with"))) {
        add(one, depth + 1);
        loose = true;
        return;
      }
    }
    loose = true;
  }
  void add_text(const std::string& kind, const Json& value) {
    if (!value.is_string()) throw RowFault{"its match rule cannot be read"};
    const auto& text = value.get_ref<const std::string&>();
    if (kind == "equals") {
      names_.insert(checked_name(text));
    } else if (kind == "starts_with") {
      names_.insert(checked_name(text) + "*");
    } else if (kind == "contains") {
      names_.insert(checked_name(text) + "*");
      loose = true;
    } else {
      const std::string beginning = kind == "regex" ? literal_beginning(text) : "";
      if (!beginning.empty()) names_.insert(checked_name(beginning) + "*");
      loose = true;
    }
  }
  std::set<std::string> names_;
};

// A number, or {"base": n, "tiers": [{"start": n, "price": n}]}.
void genai_rate(const Json& value, const std::string& name, RateMember member, Rates& base,
                std::map<std::int64_t, Rates>& tiers) {
  const auto one = [&name](const Json& number) {
    const auto rate = scaled(number, kFromUsdPerMillion);
    if (!rate) throw RowFault{"\"" + name + "\" is not a price"};
    return *rate;
  };
  if (!value.is_object()) {
    base.*member = one(value);
    return;
  }
  if (!value.contains("base") || !value.contains("tiers") || !value["tiers"].is_array()) {
    throw RowFault{"\"" + name + "\" has no base or no tiers"};
  }
  base.*member = one(value["base"]);
  for (const auto& tier : value["tiers"]) {
    if (!tier.is_object() || !tier.contains("start") || !tier["start"].is_number_unsigned() ||
        !tier.contains("price") || tiers.size() > 16) {
      throw RowFault{"\"" + name + "\" has a tier that cannot be read"};
    }
    tiers[tier["start"].get<std::int64_t>()].*member = one(tier["price"]);
  }
}

// USD per thousand requests.
std::int64_t per_request(const Json& value) {
  const auto rate = scaled(value, kFromUsdPerMillion - 3);
  if (!rate) throw RowFault{"\"requests_kcount\" is not a price"};
  return *rate;
}

NewPrice genai_price(const Json& prices) {
  if (!prices.is_object()) throw RowFault{"its prices are not an object"};
  NewPrice out;
  std::map<std::int64_t, Rates> tiers;
  for (const auto& [name, value] : prices.items()) {
    const auto known = std::find_if(kGenaiRates.begin(), kGenaiRates.end(),
                                    [&name](const RateName& rate) { return rate.name == name; });
    if (known != kGenaiRates.end()) {
      genai_rate(value, name, known->member, out.base, tiers);
    } else if (name == "requests_kcount") {
      out.base.request = per_request(value);
    } else if (std::find(kGenaiBesideTokens.begin(), kGenaiBesideTokens.end(), name) ==
               kGenaiBesideTokens.end()) {
      throw RowFault{"it is priced by \"" + name + "\", which is not carried"};
    }
  }
  require_rates(out.base);
  out.tiers = tiers_of(tiers);
  return out;
}

core::Time genai_start(const Json& entry) {
  const auto constraint = entry.find("constraint");
  if (constraint == entry.end() || constraint->is_null()) return core::from_epoch_ms(0);
  const auto start = constraint->is_object() ? constraint->find("start_date") : constraint->end();
  const auto date = constraint->is_object() && start != constraint->end() && start->is_string()
                        ? core::parse_time(start->get<std::string>() + "T00:00:00Z")
                        : std::nullopt;
  if (!date) throw RowFault{"a price that depends on the time of day is not carried"};
  return *date;
}

void genai_model(const std::string& provider, const Json& model, const std::string& id, ImportedPrices& out) {
  MatchNames match;
  if (model.contains("match")) match.add(model["match"]);
  auto names = match.names();
  names.insert(checked_name(id));
  const Json prices = model.contains("prices") ? model["prices"] : Json();
  const Json dated = prices.is_array() ? prices : Json::array({{{"prices", prices}}});
  std::vector<NewPrice> read;
  for (const auto& entry : dated) {
    if (!entry.is_object() || !entry.contains("prices")) throw RowFault{"its prices cannot be read"};
    NewPrice price = genai_price(entry["prices"]);
    price.valid_from = genai_start(entry);
    read.push_back(std::move(price));
  }
  for (auto& price : read) {
    price.provider = provider;
    for (const auto& name : names) {
      price.model = name;
      out.prices.push_back(price);
    }
  }
  if (match.loose) out.fault(provider + "/" + id, "its match rule is carried as names and beginnings only");
}

void import_genai(const Json& catalogue, ImportedPrices& out) {
  if (!catalogue.is_array()) throw core::bad_request("A genai-prices catalogue is an array of providers.");
  for (const auto& provider : catalogue) {
    if (!provider.is_object() || !provider.contains("id") || !provider["id"].is_string() ||
        !provider.contains("models") || !provider["models"].is_array()) {
      out.fault("", "a provider has no id or no models");
      continue;
    }
    const auto slug = provider_slug(provider["id"].get<std::string>());
    for (const auto& model : provider["models"]) {
      const bool named = model.is_object() && model.contains("id") && model["id"].is_string();
      const std::string id = named ? model["id"].get<std::string>() : "";
      read_row(out, slug + "/" + id, [&] {
        if (!named) throw RowFault{"a model has no id"};
        genai_model(slug, model, id, out);
      });
    }
  }
}

// ---- models.dev: {"<provider>": {"models": {"<model>": {"cost": {...}}}}} ----

Rates models_dev_rates(const Json& cost) {
  Rates out;
  for (const auto& [name, member] : kModelsDevRates) out.*member = rate_of(cost, name, kFromUsdPerMillion);
  return out;
}

std::vector<Tier> models_dev_tiers(const Json& cost) {
  std::map<std::int64_t, Rates> out;
  const auto over_200k = cost.find("context_over_200k");
  if (over_200k != cost.end() && over_200k->is_object()) out[200'000] = models_dev_rates(*over_200k);
  const auto tiers = cost.find("tiers");
  if (tiers != cost.end() && tiers->is_array()) {
    for (const auto& tier : *tiers) {
      const auto bounds = tier.is_object() ? tier.find("tier") : tier.end();
      if (!tier.is_object() || bounds == tier.end() || !bounds->is_object() || !bounds->contains("size") ||
          !(*bounds)["size"].is_number_unsigned()) {
        throw RowFault{"it has a tier without a size"};
      }
      out[(*bounds)["size"].get<std::int64_t>()] = models_dev_rates(tier);
    }
  }
  return tiers_of(out);
}

void import_models_dev(const Json& catalogue, ImportedPrices& out) {
  if (!catalogue.is_object()) throw core::bad_request("A models.dev catalogue is an object of providers.");
  for (const auto& [provider, entry] : catalogue.items()) {
    if (!entry.is_object() || !entry.contains("models") || !entry["models"].is_object()) {
      out.fault(provider, "it has no models");
      continue;
    }
    for (const auto& [model, facts] : entry["models"].items()) {
      read_row(out, provider + "/" + model, [&, &provider = provider, &model = model, &facts = facts] {
        if (!facts.is_object() || !facts.contains("cost") || !facts["cost"].is_object()) {
          throw RowFault{"it has no cost"};
        }
        NewPrice price;
        price.provider = provider_slug(checked_name(provider));
        price.model = checked_name(model);
        price.base = models_dev_rates(facts["cost"]);
        require_rates(price.base);
        price.tiers = models_dev_tiers(facts["cost"]);
        out.prices.push_back(std::move(price));
      });
    }
  }
}

}  // namespace

void ImportedPrices::fault(std::string row, std::string message) {
  ++faults_total;
  if (faults.size() < kFaultsKept) faults.push_back({row.substr(0, kNameMax), std::move(message)});
}

std::string_view to_string(CatalogueFormat format) {
  switch (format) {
    case CatalogueFormat::LiteLlm:
      return "litellm";
    case CatalogueFormat::GenaiPrices:
      return "genai-prices";
    case CatalogueFormat::ModelsDev:
      return "models.dev";
  }
  return "";
}

std::optional<CatalogueFormat> parse_catalogue_format(std::string_view text) {
  for (const auto format :
       {CatalogueFormat::LiteLlm, CatalogueFormat::GenaiPrices, CatalogueFormat::ModelsDev}) {
    if (text == to_string(format)) return format;
  }
  return {};
}

ImportedPrices import_prices(CatalogueFormat format, const core::Json& catalogue) {
  ImportedPrices out;
  switch (format) {
    case CatalogueFormat::LiteLlm:
      import_litellm(catalogue, out);
      break;
    case CatalogueFormat::GenaiPrices:
      import_genai(catalogue, out);
      break;
    case CatalogueFormat::ModelsDev:
      import_models_dev(catalogue, out);
      break;
  }
  return out;
}

std::string provider_slug(std::string_view theirs) {
  if (theirs == "x-ai") return "xai";
  if (theirs == "gemini") return "google";
  return std::string(theirs);
}

}  // namespace assistiv::billing
