#include <algorithm>

#include "billing/rate_limit.h"
#include "core/error.h"

// How limits and refusals are put into words and headers.

namespace assistiv::billing {

namespace {

// OpenAI's form of a duration: "250ms", "1s", "6m0s", "2h0m0s".
std::string duration_text(std::chrono::milliseconds time) {
  const std::int64_t ms = time.count();
  if (ms < 1000) return std::to_string(ms) + "ms";
  const std::int64_t seconds = (ms + 999) / 1000;
  std::string out = std::to_string(seconds % 60) + "s";
  if (seconds >= 60) out = std::to_string(seconds / 60 % 60) + "m" + out;
  if (seconds >= 3600) out = std::to_string(seconds / 3600) + "h" + out;
  return out;
}

std::string what(const RateUse& use) {
  const std::string whose = use.of_platform ? "This platform" : "This end user";
  switch (use.dimension) {
    case RateDimension::Requests:
      return whose + " may make " + std::to_string(use.limit) + " requests per minute";
    case RateDimension::Tokens:
      return whose + " may use " + std::to_string(use.limit) + " tokens per minute";
    case RateDimension::RequestsPerDay:
      return whose + " may make " + std::to_string(use.limit) + " requests per day";
    case RateDimension::Concurrency:
      return whose + " may have " + std::to_string(use.limit) + " requests under way at one time";
  }
  return whose;
}

}  // namespace

std::string_view to_string(RateResolution resolution) {
  switch (resolution) {
    case RateResolution::Explicit:
      return "explicit";
    case RateResolution::Default:
      return "default";
    case RateResolution::None:
      return "none";
  }
  return "none";
}

std::string_view to_string(RateDimension dimension) {
  switch (dimension) {
    case RateDimension::Requests:
      return "rpm";
    case RateDimension::Tokens:
      return "tpm";
    case RateDimension::RequestsPerDay:
      return "rpd";
    case RateDimension::Concurrency:
      return "concurrency";
  }
  return "";
}

void throw_refusal(const RateRefusal& refusal) {
  throw core::Error(core::ErrorKind::RateLimited, what(refusal.use) + "; try again in " +
                                                      std::to_string(refusal.retry_after.count()) + " s.")
      .with_code("rate_limit_exceeded")
      .with_retry_after(refusal.retry_after);
}

HeaderFields rate_headers(const std::vector<RateUse>& uses) {
  const RateUse* requests = nullptr;
  const RateUse* tokens = nullptr;
  for (const auto& use : uses) {
    if (use.dimension == RateDimension::Concurrency) continue;
    const RateUse*& tightest = use.dimension == RateDimension::Tokens ? tokens : requests;
    if (tightest == nullptr || use.remaining < tightest->remaining) tightest = &use;
  }
  HeaderFields out;
  for (const auto& [name, use] : {std::pair("requests", requests), std::pair("tokens", tokens)}) {
    if (use == nullptr) continue;
    out.emplace_back(std::string("x-ratelimit-limit-") + name, std::to_string(use->limit));
    out.emplace_back(std::string("x-ratelimit-remaining-") + name, std::to_string(use->remaining));
    out.emplace_back(std::string("x-ratelimit-reset-") + name, duration_text(use->reset));
  }
  return out;
}

}  // namespace assistiv::billing
