#pragma once
// What an upstream's refusal means for the next attempt (docs/inference.md). Pure.
#include <chrono>
#include <optional>
#include <string_view>

#include "core/clock.h"
#include "core/http.h"
#include "inference/canonical.h"

namespace assistiv::inference {

enum class Next {
  Stop,         // the request itself is at fault: the caller is told
  Again,        // the same target may work after a wait, another one at once
  OtherTarget,  // not this key or model again in this call
  OtherModel,   // only a fallback model can help (context length)
};

Next next_after(const Fault& fault);

// How long the provider asks to wait: retry-after-ms, retry-after (seconds or an HTTP date, RFC 9110 10.2.3),
// else what the body said (Fault::retry_after). At most an hour; a date in the past is zero.
std::optional<std::chrono::milliseconds> retry_after(const core::HttpHeaders& headers, const Fault& fault,
                                                     core::Time now);

// How long the key is left alone after the fault; zero: not at all.
std::chrono::milliseconds cooldown_after(const Fault& fault, std::optional<std::chrono::milliseconds> asked);

// Whether the fault says something about the provider's health (and not about the request or the key).
bool is_outage(const Fault& fault);

}  // namespace assistiv::inference
