#pragma once
// The way of every model call: rate limit, plan, encode, hold, upstream, decode, settle, encode. Doors (the
// HTTP routes, the Responses loop, agents) decode what they were asked and call run(), complete() or open();
// which provider answers, what a failure costs and who is retried is decided here and nowhere else
// (docs/inference.md).
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "billing/ledger.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/http.h"
#include "core/http_client.h"
#include "core/random.h"
#include "core/task.h"
#include "core/upstream.h"
#include "inference/engine/turn.h"
#include "inference/routing/target.h"

namespace assistiv::inference {

// A call's place within its rate limits; destroying it gives the concurrency slot back.
class RateTicket {
 public:
  virtual ~RateTicket() = default;
  // Corrects the token count that was taken at the door. Once.
  virtual void settle(std::int64_t tokens) = 0;
  // x-ratelimit-* for the reply.
  virtual const core::HttpHeaders& headers() const = 0;
};

// A refusal with the x-ratelimit-* headers that belong to it.
class RateLimitedError final : public core::Error {
 public:
  RateLimitedError(core::Error error, core::HttpHeaders headers)
      : core::Error(std::move(error)), headers_(std::move(headers)) {}
  const core::HttpHeaders& headers() const { return headers_; }

 private:
  core::HttpHeaders headers_;
};

// Thread-safe. inference/engine/limiter_gate.h is the one over billing's rate limits.
class RateGate {
 public:
  virtual ~RateGate() = default;
  // Throws RateLimitedError with the wait. Never null.
  virtual core::Task<std::unique_ptr<RateTicket>> enter(billing::Payer payer, std::string model,
                                                        std::int64_t tokens) = 0;
};

struct InferenceOptions {
  bool on_premise_only = false;  // of the whole server, besides each platform's own
  bool allow_loopback_upstreams = false;
  std::chrono::milliseconds keep_alive{12'000};  // silence after which a stream gets a ping
  std::size_t reply_bytes_max = 32 << 20;        // of a whole reply
  std::size_t cache_bytes_max = 64 << 20;
  std::size_t image_bytes_max = 10 << 20;  // fetched for a provider that fetches none itself
};

// Everything outlives the service.
struct InferenceWorld {
  core::UpstreamClient& upstream;
  core::HttpClient& http;  // fetches images behind the URL guard
  TargetSource& targets;
  billing::Ledger& ledger;
  RateGate& rates;
  core::Clock& clock;
  core::Random& random;
};

// A call that is not a conversation: embeddings, count_tokens. Sent as it stands to targets that speak
// `call.dialect`, the model's name put in; the reply comes back as it stands. `call.request` needs only its
// model. `max_output` bounds the hold.
struct ForwardCall {
  InferenceCall call;
  std::string path;   // "/embeddings", "/messages/count_tokens", "/models/{model}:countTokens"
  bool free = false;  // costs nothing at the provider (count_tokens): no hold
};

// Thread-safe.
class InferenceService {
 public:
  InferenceService(InferenceOptions options, InferenceWorld world);
  ~InferenceService();
  InferenceService(const InferenceService&) = delete;
  InferenceService& operator=(const InferenceService&) = delete;

  // The complete reply in the caller's dialect, a stream when the request asks for one; faults too. Never
  // throws.
  core::Task<core::HttpReply> run(InferenceCall call);
  core::Task<core::HttpReply> forward(ForwardCall forward);

  // One admitted, routed and settled turn in the canonical form, never from the cache. Throws TurnError:
  // NotFound, PaymentRequired, RateLimited, UpstreamFailed, DeadlineExceeded, Cancelled, ...
  core::Task<Turn> complete(InferenceCall call);
  core::Task<std::unique_ptr<TurnStream>> open(InferenceCall call);

  // What an attempt at the call is held for, by the same arithmetic. Nothing is held or sent. Throws
  // core::Error as the call itself would: NotFound, Unprocessable (unknown_price), InvalidArgument.
  core::Task<CallBound> bound(InferenceCall call);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// An error of ours as `dialect` tells it: OpenAI's {error:{message,type,code,param}}, Anthropic's
// {type:"error",error:{type,message}}, Google's {error:{code,message,status}}; Retry-After, x-should-retry
// and x-request-id with it. For the doors' own refusals too (no key, malformed body).
core::HttpReply error_reply(DialectId dialect, const core::Error& error, const std::string& request_id);

}  // namespace assistiv::inference
