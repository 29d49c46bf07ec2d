#pragma once
// One call to a model as its door hands it over, and what comes back in the canonical form.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/http.h"
#include "core/json.h"
#include "core/money.h"
#include "core/task.h"
#include "core/usage.h"
#include "inference/canonical.h"
#include "oauth/principal.h"

namespace assistiv::inference {

// What is said when InferenceCall::gone ends a call.
inline constexpr std::string_view kStoppingMessage = "The server is stopping. Send the request again.";

// The most that a call may use up, all of its attempts together, besides what wallet and budget can pay: what
// an agent run has left of its own limits. The output is limited to what fits.
struct CallCap {
  core::NanoUsd cost{INT64_MAX};
  std::int64_t tokens = INT64_MAX;
};

// What one attempt can use up at most, whichever target answers, and what it takes for an answer at all: no
// CallCap below that is of use.
struct CallBound {
  core::NanoUsd cost;
  std::int64_t tokens = 0;
  core::NanoUsd least_cost;
  std::int64_t least_tokens = 0;
};

// What the caller wants a call to be summed up under: x-aig-tag, or x-tag. At most 128 bytes.
std::string tag_of(const core::HttpHeaders& headers);

struct InferenceCall {
  oauth::PrincipalPtr principal;  // never an operator's
  std::string request_id;
  // Requested when the caller has gone, and when the server stops: then somebody still reads.
  std::stop_token gone;
  // The caller's headers; read are x-cache, x-aig-unsupported, x-aig-tag, x-tag, anthropic-version,
  // anthropic-beta, openai-beta and idempotency-key.
  core::HttpHeaders headers;
  DialectId dialect = DialectId::OpenAiChat;  // of the caller
  // For the usage row: "chat.completion", "response", "message", "generate_content".
  std::string request_type;
  // Decoded by the dialect; `model` and `stream` are set also where the path says them (Gemini).
  Request request;
  // The parsed body, for what Responses says again in its reply; null otherwise.
  std::shared_ptr<const core::Json> body;
  // The body's bytes, already parsed without a fault. A hop within the dialect sends them as they stand but
  // for the fields that we act on. Empty: `request` is encoded in any case (agents, the Responses loop).
  std::string raw;
  std::string run_id;  // of an agent run
  std::optional<CallCap> cap;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
};

// What is told about a call besides its reply; the x-aig-* headers.
struct TurnFacts {
  std::string provider;
  std::string model;           // the slug that was served: the one asked for, or a fallback
  std::string provider_model;  // as the provider names it
  int attempts = 0;
  core::NanoUsd cost;  // known once settled
  core::Usage usage;   // of the attempt that answered, with estimates where it said none; as `cost`
  std::int64_t failed_tokens = 0;  // of the other attempts; their cost is in `cost`
  bool estimated = false;          // a token count that no provider gave
  std::vector<std::string> dropped;
  std::chrono::microseconds overhead{0};  // ours, before the winning request was sent
  core::HttpHeaders rate_limits;          // x-ratelimit-*
};

struct Turn {
  Reply reply;
  TurnFacts facts;
};

// Why a turn came to nothing, with what is known of its attempts.
class TurnError final : public core::Error {
 public:
  TurnError(core::Error error, TurnFacts facts) : core::Error(std::move(error)), facts_(std::move(facts)) {}
  const TurnFacts& facts() const { return facts_; }
  // The last provider's; empty for a refusal of ours.
  const std::optional<Fault>& fault() const { return fault_; }
  TurnError with_facts(TurnFacts facts) && {
    facts_ = std::move(facts);
    return std::move(*this);
  }
  TurnError with_fault(std::optional<Fault> fault) && {
    fault_ = std::move(fault);
    return std::move(*this);
  }

 private:
  TurnFacts facts_;
  std::optional<Fault> fault_;
};

// A model turn under way, admitted and routed, its first event here. Settles its hold exactly once: at the
// end, at a fault, or when it is destroyed (as ClientGone). Used by one coroutine at a time.
class TurnStream {
 public:
  virtual ~TurnStream() = default;
  // The next events, at least one; empty at the end. A fault in mid-stream is a FaultEvent, then the end.
  // Waits at most `patience` and then gives std::nullopt, so that the caller can send a keep-alive.
  virtual core::Task<std::optional<std::vector<StreamEvent>>> next(std::chrono::milliseconds patience) = 0;
  // `cost` is there once next() has given the end.
  virtual const TurnFacts& facts() const = 0;
};

}  // namespace assistiv::inference
