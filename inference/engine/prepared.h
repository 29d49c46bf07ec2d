#pragma once
// A call made ready for one target: the bytes to send and the provable bound of what they can cost.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "billing/price.h"
#include "core/http.h"
#include "inference/engine/signature_memory.h"
#include "inference/engine/turn.h"
#include "inference/routing/target.h"

namespace assistiv::inference {

struct Prepared {
  std::string url;
  core::HttpHeaders headers;  // credentials too
  std::string body;
  std::vector<std::string> dropped;
  bool same_dialect = false;  // bytes pass through, both ways
  bool strip_usage = false;   // the usage chunk was asked for by us, not by the caller
  // No call of these bytes makes more tokens: a tokenizer makes at most one token per byte of text, and media
  // by reference are counted at what the dearest provider makes of them.
  std::int64_t input_bound = 0;
  std::int64_t output_bound = 0;
  std::int64_t input_estimate = 0;  // the likely number
};

struct PrepareOptions {
  SignatureMemory* signatures = nullptr;   // fills in what a Gemini history lacks
  std::optional<std::int64_t> output_max;  // clamp of the output tokens, per choice
  bool billed = true;                      // an unlimited output gets a limit
};

// Throws Error{InvalidArgument} for what the target cannot take (Unsupported::Strict).
Prepared prepare(const InferenceCall& call, const Target& target, const InferenceSettings& settings,
                 PrepareOptions options);
// A body that is sent as it stands to `path` but for the model's name.
Prepared prepare_forward(const InferenceCall& call, const Target& target, const std::string& path);

// Whose tool calls these are, for SignatureMemory.
std::string signature_owner(const InferenceCall& call);

// The price that a call to the target is held and billed at; null when it is free. Throws
// Error{Unprocessable} with code "unknown_price" when nobody said what it costs.
billing::PricePtr price_for(const Target& target, const InferenceSettings& settings);

}  // namespace assistiv::inference
