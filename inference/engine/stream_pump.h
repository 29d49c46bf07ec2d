#pragma once
// From a provider's stream to the caller's connection. Internal to the engine.
#include <memory>
#include <string>

#include "core/http.h"
#include "inference/cache/response_cache.h"
#include "inference/engine/attempt.h"

namespace assistiv::inference {

// What becomes of a stream's bytes besides being sent.
struct StreamCopy {
  std::shared_ptr<ResponseCache> cache;  // null: not kept
  std::string key;
};

// Writes the events in the caller's dialect, keep-alives between them, the cost before the end. When the
// caller leaves, it reads on within the platform's grace for the usage, then ends the provider's stream.
core::Task<> pump(std::shared_ptr<Engine> engine, std::shared_ptr<CallState> state, StreamCopy copy,
                  std::shared_ptr<core::EventSink> sink);

ReplyContext reply_context(const Engine& engine, const CallState& state);

}  // namespace assistiv::inference
