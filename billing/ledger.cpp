#include "billing/ledger.h"

#include "core/error.h"

namespace assistiv::billing {

std::string_view to_string(CallOutcome outcome) {
  switch (outcome) {
    case CallOutcome::Success:
      return "success";
    case CallOutcome::UpstreamError:
      return "upstream_error";
    case CallOutcome::StreamError:
      return "stream_error";
    case CallOutcome::Truncated:
      return "truncated";
    case CallOutcome::ClientGone:
      return "client_gone";
    case CallOutcome::Timeout:
      return "timeout";
    case CallOutcome::Blocked:
      return "blocked";
    case CallOutcome::CacheHit:
      return "cache_hit";
    case CallOutcome::Lost:
      return "lost";
  }
  return "lost";
}

void throw_refusal(const Refusal& refusal) {
  throw core::Error(core::ErrorKind::PaymentRequired, refusal.message).with_code(refusal.code);
}

}  // namespace assistiv::billing
