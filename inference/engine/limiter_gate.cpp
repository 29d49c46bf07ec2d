#include "inference/engine/limiter_gate.h"

namespace assistiv::inference {

namespace {

core::HttpHeaders limit_headers(const std::vector<billing::RateUse>& uses) {
  core::HttpHeaders headers;
  for (auto& [name, value] : billing::rate_headers(uses)) headers.set(name, value);
  return headers;
}

class LimiterTicket final : public RateTicket {
 public:
  explicit LimiterTicket(billing::RateTicket ticket)
      : ticket_(std::move(ticket)), headers_(limit_headers(ticket_.uses())) {}
  void settle(std::int64_t tokens) override { ticket_.settle(tokens); }
  const core::HttpHeaders& headers() const override { return headers_; }

 private:
  billing::RateTicket ticket_;
  core::HttpHeaders headers_;
};

}  // namespace

core::Task<std::unique_ptr<RateTicket>> LimiterGate::enter(billing::Payer payer, std::string,
                                                           std::int64_t tokens) {
  auto entered = co_await limiter_.enter(payer, tokens);
  if (auto* ticket = std::get_if<billing::RateTicket>(&entered))
    co_return std::make_unique<LimiterTicket>(std::move(*ticket));
  const auto& refusal = std::get<billing::RateRefusal>(entered);
  try {
    billing::throw_refusal(refusal);
  } catch (const core::Error& error) {
    throw RateLimitedError(error, limit_headers(refusal.uses));
  }
}

}  // namespace assistiv::inference
