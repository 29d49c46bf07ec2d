#pragma once
// Our own errors between their kinds and the dialects. Internal to the engine but for throw_fault(); doors
// use error_reply() of inference_service.h.
#include <optional>

#include "core/error.h"
#include "core/http.h"
#include "inference/dialect.h"

namespace assistiv::inference {

// A provider's fault as the caller's dialect tells it.
core::HttpReply fault_reply(DialectId dialect, const Fault& fault,
                            std::optional<std::chrono::milliseconds> retry_after);
// A provider's fault as an error, for callers within the program.
[[noreturn]] void throw_fault(const Fault& fault, std::optional<std::chrono::milliseconds> retry_after);

}  // namespace assistiv::inference
