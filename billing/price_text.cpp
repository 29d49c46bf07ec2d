#include "billing/price_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/money.h"

namespace assistiv::billing {

namespace {

constexpr int kCatalogueDepthMax = 64;
constexpr std::size_t kTiersMax = 16;
constexpr std::size_t kNumberBytesMax = 64;

using RateField = std::pair<std::string_view, std::optional<std::int64_t> Rates::*>;
constexpr std::array<RateField, 11> kRateFields = {{
    {"input", &Rates::input},
    {"output", &Rates::output},
    {"cache_read", &Rates::cache_read},
    {"cache_write_5m", &Rates::cache_write_5m},
    {"cache_write_1h", &Rates::cache_write_1h},
    {"input_audio", &Rates::input_audio},
    {"input_image", &Rates::input_image},
    {"reasoning", &Rates::reasoning},
    {"output_audio", &Rates::output_audio},
    {"output_image", &Rates::output_image},
    {"request", &Rates::request},
}};

// Digits without the point, and where the point was: value = digits * 10^exponent.
struct Decimal {
  std::string digits;
  int exponent = 0;
};

bool is_decimal_digit(char c) {
  return c >= '0' && c <= '9';
}

// Moves the digits at the front of `text` to `into`.
std::size_t take_digits(std::string_view& text, std::string& into) {
  std::size_t count = 0;
  while (count < text.size() && is_decimal_digit(text[count])) ++count;
  into.append(text.substr(0, count));
  text.remove_prefix(count);
  return count;
}

std::optional<int> take_exponent(std::string_view& text) {
  if (text.empty()) return 0;
  if (text.front() != 'e' && text.front() != 'E') return {};
  text.remove_prefix(1);
  if (text.starts_with('+')) text.remove_prefix(1);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < -400 || value > 400) return {};
  return value;
}

std::optional<Decimal> read_decimal(std::string_view text) {
  if (text.size() > kNumberBytesMax) return {};
  Decimal out;
  if (take_digits(text, out.digits) == 0) return {};
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    const std::size_t fraction = take_digits(text, out.digits);
    if (fraction == 0) return {};
    out.exponent = -static_cast<int>(fraction);
  }
  const auto exponent = take_exponent(text);
  if (!exponent) return {};
  out.exponent += *exponent;
  return out;
}

std::optional<std::int64_t> digits_value(std::string_view digits) {
  std::int64_t value = 0;
  for (const char c : digits) {
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, c - '0', &value))
      return {};
  }
  return value;
}

// Builds the document; numbers that are not whole go in as their text.
class DecimalBuilder : public nlohmann::json_sax<core::Json> {
 public:
  explicit DecimalBuilder(core::Json& root) : dom_(root, false) {}

  bool null() override { return dom_.null(); }
  bool boolean(bool value) override { return dom_.boolean(value); }
  bool number_integer(number_integer_t value) override { return dom_.number_integer(value); }
  bool number_unsigned(number_unsigned_t value) override { return dom_.number_unsigned(value); }
  bool number_float(number_float_t, const string_t& text) override {
    string_t copy = text;
    return dom_.string(copy);
  }
  bool string(string_t& value) override { return dom_.string(value); }
  bool binary(binary_t& value) override { return dom_.binary(value); }
  bool start_object(std::size_t size) override { return enter() && dom_.start_object(size); }
  bool key(string_t& name) override { return dom_.key(name); }
  bool end_object() override {
    --depth_;
    return dom_.end_object();
  }
  bool start_array(std::size_t size) override { return enter() && dom_.start_array(size); }
  bool end_array() override {
    --depth_;
    return dom_.end_array();
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    fault = "it is not valid JSON near byte " + std::to_string(position);
    return false;
  }

  std::string fault;

 private:
  bool enter() {
    if (++depth_ <= kCatalogueDepthMax) return true;
    fault = "it is nested too deeply";
    return false;
  }
  nlohmann::detail::json_sax_dom_parser<core::Json> dom_;
  int depth_ = 0;
};

std::int64_t read_rate(const core::Json& value, const std::string& path) {
  const auto rate = value.is_string() ? parse_scaled(value.get_ref<const std::string&>(), kFromUsdPerMillion)
                                      : std::nullopt;
  if (!rate) {
    throw core::bad_request("A rate is decimal text of USD, such as \"2.50\", and not negative.", path);
  }
  return *rate;
}

}  // namespace

std::optional<std::int64_t> parse_scaled(std::string_view text, int shift) {
  auto decimal = read_decimal(text);
  if (!decimal) return {};
  auto& digits = decimal->digits;
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.empty()) return 0;
  const int zeros = decimal->exponent + shift;
  if (zeros >= 0) {
    if (zeros > 19) return {};
    return digits_value(digits.append(static_cast<std::size_t>(zeros), '0'));
  }
  const auto cut = static_cast<std::size_t>(-zeros);
  if (cut > digits.size()) return 0;
  const bool up = digits[digits.size() - cut] >= '5';
  const auto whole = digits_value(std::string_view(digits).substr(0, digits.size() - cut));
  std::int64_t rounded = 0;
  if (!whole || __builtin_add_overflow(*whole, up ? 1 : 0, &rounded)) return {};
  return rounded;
}

core::Json parse_catalogue(std::string_view text) {
  core::Json root;
  DecimalBuilder builder(root);
  if (!core::Json::sax_parse(text, &builder)) {
    throw core::bad_request("The catalogue cannot be read: " + builder.fault + ".");
  }
  return root;
}

core::Json rates_json(const Rates& rates) {
  core::Json out = core::Json::object();
  for (const auto& [name, member] : kRateFields) {
    const auto& rate = rates.*member;
    if (rate) out[std::string(name)] = core::format_usd({*rate});
  }
  return out;
}

Rates parse_rates(const core::Json& object, const std::string& path) {
  if (!object.is_object()) throw core::bad_request("Rates are an object.", path);
  Rates out;
  for (const auto& [name, value] : object.items()) {
    const auto field = std::find_if(kRateFields.begin(), kRateFields.end(),
                                    [&name](const RateField& known) { return known.first == name; });
    if (field == kRateFields.end()) throw core::bad_request("There is no such rate.", path + "/" + name);
    out.*(field->second) = read_rate(value, path + "/" + name);
  }
  return out;
}

core::Json tiers_json(const std::vector<Tier>& tiers) {
  core::Json out = core::Json::array();
  for (const auto& tier : tiers) {
    out.push_back({{"input_over", tier.input_over}, {"rates", rates_json(tier.rates)}});
  }
  return out;
}

std::vector<Tier> parse_tiers(const core::Json& array, const std::string& path) {
  if (!array.is_array() || array.size() > kTiersMax) {
    throw core::bad_request("Tiers are an array of at most 16.", path);
  }
  std::vector<Tier> out;
  for (std::size_t i = 0; i < array.size(); ++i) {
    const std::string at = path + "/" + std::to_string(i);
    const core::JsonReader reader(array[i], at);
    const auto over = reader.optional_integer("input_over", 1, 1'000'000'000'000);
    const core::Json* rates = reader.object("rates");
    if (!over || rates == nullptr) throw core::bad_request("A tier has input_over and rates.", at);
    if (!out.empty() && *over <= out.back().input_over) {
      throw core::bad_request("The thresholds of tiers must rise.", at + "/input_over");
    }
    out.push_back({*over, parse_rates(*rates, at + "/rates")});
  }
  return out;
}

std::vector<NewPrice> parse_prices(const core::Json& array, const std::string& path) {
  if (!array.is_array()) throw core::bad_request("Prices are an array.", path);
  std::vector<NewPrice> out;
  for (std::size_t i = 0; i < array.size(); ++i) {
    const std::string at = path + "/" + std::to_string(i);
    const core::JsonReader reader(array[i], at);
    reader.only({"provider", "model", "valid_from", "rates", "tiers"});
    NewPrice price;
    price.provider = reader.string("provider", 1, 64);
    price.model = reader.string("model", 1, 200);
    if (const auto from = reader.optional_string("valid_from")) {
      price.valid_from = core::parse_time(*from);
      if (!price.valid_from) throw core::bad_request("This is no time.", at + "/valid_from");
    }
    const core::Json* rates = reader.object("rates");
    if (rates == nullptr || rates->empty()) throw core::bad_request("A price has rates.", at + "/rates");
    price.base = parse_rates(*rates, at + "/rates");
    if (const core::Json* tiers = reader.array("tiers")) price.tiers = parse_tiers(*tiers, at + "/tiers");
    out.push_back(std::move(price));
  }
  return out;
}

std::string price_checksum(const Rates& base, const std::vector<Tier>& tiers) {
  return core::sha256_hex(core::dump_json({{"rates", rates_json(base)}, {"tiers", tiers_json(tiers)}}));
}

PricePtr unknown_price_ceiling(const core::Json& settings) {
  const auto it = settings.find("unknown_price_ceiling");
  if (it == settings.end() || it->is_null()) return nullptr;
  auto price = std::make_shared<Price>();
  price->id = "ceiling";
  price->source = "ceiling";
  price->base = parse_rates(*it, "/unknown_price_ceiling");
  if (!price->base.input || !price->base.output) {
    throw core::bad_request("The ceiling has an input and an output rate.", "/unknown_price_ceiling");
  }
  return price;
}

}  // namespace assistiv::billing
