#pragma once
// Media by reference for a provider that fetches none itself (rule G9, inference/rules.md). Internal.
#include <memory>

#include "inference/engine/attempt.h"

namespace assistiv::inference {

// Replaces the http(s) references of the call by their bytes when the target needs that. They are fetched
// behind the URL guard with a size cap. Throws Error{InvalidArgument} with the message's place.
core::Task<> fetch_media(std::shared_ptr<Engine> engine, std::shared_ptr<CallState> state, TargetPtr target);

}  // namespace assistiv::inference
