#pragma once
// billing's rate limits as the engine's gate.
#include <memory>
#include <string>

#include "billing/rate_limit.h"
#include "inference/engine/inference_service.h"

namespace assistiv::inference {

// Thread-safe. The limiter outlives it.
class LimiterGate final : public RateGate {
 public:
  explicit LimiterGate(billing::RateLimiter& limiter) : limiter_(limiter) {}
  core::Task<std::unique_ptr<RateTicket>> enter(billing::Payer payer, std::string model,
                                                std::int64_t tokens) override;

 private:
  billing::RateLimiter& limiter_;
};

}  // namespace assistiv::inference
