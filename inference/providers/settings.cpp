#include "inference/providers/settings.h"

#include <nlohmann/json.hpp>

#include "billing/price_text.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::inference {

namespace {

constexpr int kTimeoutSecondsMax = 3600;

std::int64_t number_setting(const core::Json& object, const char* name, std::int64_t standard,
                            std::int64_t min, std::int64_t max) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_number_integer()) return standard;
  const auto value = it->get<std::int64_t>();
  return value < min || value > max ? standard : value;
}

bool bool_setting(const core::Json& object, const char* name, bool standard) {
  const auto it = object.find(name);
  return it != object.end() && it->is_boolean() ? it->get<bool>() : standard;
}

std::string text_setting(const core::Json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::chrono::milliseconds seconds_setting(const core::Json& object, const char* name,
                                          std::chrono::milliseconds standard) {
  return std::chrono::seconds(
      number_setting(object, name, std::chrono::duration_cast<std::chrono::seconds>(standard).count(), 1,
                     kTimeoutSecondsMax));
}

Strategy strategy_of(const std::string& name) {
  if (name == "lowest_latency") return Strategy::LowestLatency;
  if (name == "lowest_cost") return Strategy::LowestCost;
  return Strategy::Weight;
}

// What cannot be read is no ceiling: the call is refused, not billed at a guess.
billing::PricePtr ceiling_of(const core::Json& settings) {
  try {
    return billing::unknown_price_ceiling(settings);
  } catch (const core::Error&) {
    return nullptr;
  }
}

InferenceSettings inference_of(const core::Json& object) {
  InferenceSettings out;
  out.strategy = strategy_of(text_setting(object, "strategy"));
  out.unsupported = text_setting(object, "unsupported") == "strict" ? Unsupported::Strict : Unsupported::Drop;
  out.keep_system_in_place = bool_setting(object, "keep_system_in_place", out.keep_system_in_place);
  out.on_premise_only = bool_setting(object, "on_premise_only", out.on_premise_only);
  if (const auto cache = object.find("cache"); cache != object.end() && cache->is_object()) {
    out.cache = bool_setting(*cache, "enabled", out.cache);
    out.cache_ttl =
        std::chrono::seconds(number_setting(*cache, "ttl_seconds", out.cache_ttl.count(), 1, 86'400));
  }
  out.attempts_max = static_cast<int>(number_setting(object, "attempts_max", out.attempts_max, 1, 10));
  out.total_timeout = seconds_setting(object, "total_timeout_seconds", out.total_timeout);
  out.first_byte_timeout = seconds_setting(object, "first_byte_timeout_seconds", out.first_byte_timeout);
  out.idle_timeout = seconds_setting(object, "idle_timeout_seconds", out.idle_timeout);
  return out;
}

void read_model_names(const core::Json& object, PlatformSettings& out) {
  if (const auto it = object.find("aliases"); it != object.end() && it->is_object()) {
    for (const auto& [name, slug] : it->items()) {
      if (slug.is_string()) out.aliases[name] = slug.get<std::string>();
    }
  }
  if (const auto it = object.find("fallbacks"); it != object.end() && it->is_object()) {
    for (const auto& [name, slugs] : it->items()) {
      for (const auto& slug : slugs) {
        if (slug.is_string()) out.fallbacks[name].push_back(slug.get<std::string>());
      }
    }
  }
}

}  // namespace

PlatformSettings read_settings(std::string_view settings_json) {
  PlatformSettings out;
  const auto settings = core::try_parse_json(settings_json);
  core::Json object = core::Json::object();
  if (settings && settings->is_object()) {
    const auto it = settings->find("inference");
    if (it != settings->end() && it->is_object()) object = *it;
  }
  auto inference = inference_of(object);
  if (settings && settings->is_object()) inference.unknown_price = ceiling_of(*settings);
  out.inference = std::make_shared<const InferenceSettings>(std::move(inference));
  read_model_names(object, out);
  out.response_retention = std::chrono::hours(
      24 * number_setting(object, "response_retention_days", out.response_retention.count() / 24, 1, 365));
  return out;
}

}  // namespace assistiv::inference
