#include "inference/routing/retry.h"

#include <algorithm>
#include <ctime>
#include <string>

#include "inference/translate/faults.h"

namespace assistiv::inference {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kAuthCooldown{60'000};
constexpr milliseconds kQuotaCooldown{600'000};
constexpr milliseconds kRateCooldown{2'000};
constexpr milliseconds kRateCooldownMax{300'000};

std::optional<milliseconds> until_date(std::string_view text, core::Time now) {
  std::tm parts{};
  const std::string copy(text);
  const char* end = strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (!end || *end != '\0') return {};
  const auto at = core::from_epoch_ms(static_cast<std::int64_t>(timegm(&parts)) * 1000);
  return std::clamp(std::chrono::duration_cast<milliseconds>(at - now), milliseconds(0), kWaitMax);
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

std::optional<milliseconds> retry_after(const core::HttpHeaders& headers, const Fault& fault,
                                        core::Time now) {
  if (const auto ms = headers.get("retry-after-ms"))
    if (const auto wait = wait_of(*ms, 1)) return wait;
  if (const auto text = headers.get("retry-after")) {
    if (const auto wait = wait_of(*text, 1000)) return wait;
    if (const auto wait = until_date(*text, now)) return wait;
  }
  return fault.retry_after;
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
