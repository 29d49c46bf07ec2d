#include "inference/routing/retry.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>

#include "core/json_read.h"

namespace assistiv::inference {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kWaitMax{3'600'000};
constexpr milliseconds kAuthCooldown{60'000};
constexpr milliseconds kQuotaCooldown{600'000};
constexpr milliseconds kRateCooldown{2'000};
constexpr milliseconds kRateCooldownMax{300'000};

std::optional<double> decimal(std::string_view text) {
  // No locale, no exponent: providers send "20", "0.5", "34.07".
  std::int64_t whole = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole);
  if (error != std::errc() || whole < 0) return {};
  double value = static_cast<double>(whole);
  std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (rest.empty()) return value;
  if (rest.front() != '.') return {};
  double unit = 0.1;
  for (const char c : rest.substr(1)) {
    if (c < '0' || c > '9') return {};
    value += unit * (c - '0');
    unit /= 10;
  }
  return value;
}

milliseconds clamp_ms(double ms) {
  return milliseconds(static_cast<std::int64_t>(std::min(ms, static_cast<double>(kWaitMax.count()))));
}

std::optional<milliseconds> until_date(std::string_view text, core::Time now) {
  std::tm parts{};
  const std::string copy(text);
  const char* end = strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (!end || *end != '\0') return {};
  const auto at = core::from_epoch_ms(static_cast<std::int64_t>(timegm(&parts)) * 1000);
  return std::clamp(std::chrono::duration_cast<milliseconds>(at - now), milliseconds(0), kWaitMax);
}

// {"error":{"details":[{"@type":"...RetryInfo","retryDelay":"34.07s"}]}}, maybe within an array.
std::optional<milliseconds> retry_info(std::string_view body) {
  if (body.find("retryDelay") == std::string_view::npos) return {};
  const auto json = core::try_parse_json(body);
  if (!json) return {};
  const core::Json* root = json->is_array() && !json->empty() ? &json->front() : &*json;
  if (!root->is_object() || !root->contains("error")) return {};
  const auto& error = (*root)["error"];
  if (!error.is_object() || !error.contains("details") || !error["details"].is_array()) return {};
  for (const auto& detail : error["details"]) {
    if (!detail.is_object() || !detail.contains("retryDelay") || !detail["retryDelay"].is_string()) continue;
    auto text = detail["retryDelay"].get<std::string>();
    if (text.empty() || text.back() != 's') return {};
    text.pop_back();
    if (const auto seconds = decimal(text)) return clamp_ms(*seconds * 1000);
  }
  return {};
}

}  // namespace

Next next_after(const Fault& fault) {
  using Kind = Fault::Kind;
  switch (fault.kind) {
    case Kind::InvalidRequest:
      return fault.context_length ? Next::OtherModel : Next::Stop;
    case Kind::TooLarge:
      return Next::Stop;
    case Kind::ProviderAuth:
    case Kind::ProviderQuota:
    case Kind::ModelNotFound:
      return Next::OtherTarget;
    case Kind::RateLimited:
    case Kind::Overloaded:
    case Kind::Upstream:
    case Kind::Transient:
    case Kind::Timeout:
    case Kind::Truncated:
      return Next::Again;
    case Kind::Internal:  // its address may not be called: another's may
      return Next::OtherTarget;
  }
  return Next::Stop;
}

std::optional<milliseconds> retry_after(const core::HttpHeaders& headers, std::string_view body,
                                        core::Time now) {
  if (const auto ms = headers.get("retry-after-ms"))
    if (const auto value = decimal(*ms)) return clamp_ms(*value);
  if (const auto text = headers.get("retry-after")) {
    if (const auto seconds = decimal(*text)) return clamp_ms(*seconds * 1000);
    if (const auto wait = until_date(*text, now)) return wait;
  }
  return retry_info(body);
}

milliseconds cooldown_after(const Fault& fault, std::optional<milliseconds> asked) {
  switch (fault.kind) {
    case Fault::Kind::ProviderAuth:
      return kAuthCooldown;
    case Fault::Kind::ProviderQuota:
      return std::max(kQuotaCooldown, asked.value_or(milliseconds(0)));
    case Fault::Kind::RateLimited:
      return std::min(asked.value_or(kRateCooldown), kRateCooldownMax);
    case Fault::Kind::Overloaded:
      return std::min(asked.value_or(milliseconds(0)), kRateCooldownMax);
    default:
      return milliseconds(0);
  }
}

bool is_outage(const Fault& fault) {
  using Kind = Fault::Kind;
  return fault.kind == Kind::Overloaded || fault.kind == Kind::Upstream || fault.kind == Kind::Transient ||
         fault.kind == Kind::Timeout || fault.kind == Kind::Truncated;
}

}  // namespace assistiv::inference
