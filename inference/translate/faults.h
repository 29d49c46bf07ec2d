#pragma once
// Faults between the dialects: reading any provider's error body, and the one table of what OpenAI-shaped
// routes answer (docs/inference.md, "Errors").
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "inference/canonical.h"

namespace assistiv::inference {

// An error body of any provider, whichever shape it came in: {"error":{...}}, an array of it, {"message"},
// {"detail"}, HTML, half a JSON. `status` is the reply's; 0 for an error within a stream, where the body's
// own words decide. Never throws. The message is safe for the client: an account's affairs are not repeated,
// keys are redacted, at most 500 bytes.
Fault read_fault(int status, std::string_view body);
Fault read_fault(int status, const core::Json& body);

// "34.07" times the unit, at most an hour; nullopt when it is no such number.
inline constexpr std::chrono::milliseconds kWaitMax{3'600'000};
std::optional<std::chrono::milliseconds> wait_of(std::string_view text, double unit_ms);

struct OpenAiFault {
  int status;
  std::string_view type;
  std::string_view code;
};
// Chat completions and Responses.
OpenAiFault openai_fault(Fault::Kind kind);
// {"error":{"message","type","code","param":null}}
core::Json openai_fault_body(const Fault& fault);

// A fault that we found ourselves, e.g. a stream that ended before its end.
Fault truncated_fault();
// A stream event that is none of the dialect's.
Fault unreadable_fault();

}  // namespace assistiv::inference
