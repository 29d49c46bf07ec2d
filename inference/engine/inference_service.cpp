#include "inference/engine/inference_service.h"

#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/json_read.h"
#include "core/log.h"
#include "inference/cache/response_cache.h"
#include "inference/engine/admission.h"
#include "inference/engine/attempt.h"
#include "inference/engine/error_reply.h"
#include "inference/engine/fact_headers.h"
#include "inference/engine/stream_pump.h"
#include "inference/translate/citations.h"

namespace assistiv::inference {

using SteadyClock = std::chrono::steady_clock;

namespace {

using EnginePtr = std::shared_ptr<Engine>;
using StatePtr = std::shared_ptr<CallState>;

void add_facts(core::HttpHeaders& headers, CallState& state) {
  headers.set("x-request-id", state.call.request_id);
  state.facts.overhead = state.overhead();
  add_fact_headers(headers, state.facts, !state.stream);
}

// auto: the platform's setting; force: also without it; skip: neither read nor kept.
enum class CacheUse { Off, Use };

struct CacheDoor {
  std::shared_ptr<ResponseCache> cache;
  std::string key;
  CacheUse use = CacheUse::Off;
};

std::string_view wish(const InferenceCall& call) {
  const auto wish = call.headers.get("x-cache").value_or("auto");
  if (wish != "auto" && wish != "force" && wish != "skip")
    throw core::bad_request("The header x-cache is \"auto\", \"force\" or \"skip\".", "x-cache");
  return wish;
}

// What changes a reply besides the body.
std::string variant_of(const InferenceCall& call) {
  std::string said;
  for (const std::string_view name : {"anthropic-version", "anthropic-beta", "openai-beta"})
    said.append(call.headers.get(name).value_or("")).push_back('\n');
  return core::sha256(said);
}

CacheDoor cache_door(const std::shared_ptr<ResponseCache>& cache, const CallState& state) {
  CacheDoor door;
  const auto asked = wish(state.call);
  const bool wanted = asked == "force" || (asked == "auto" && state.settings().cache);
  if (!wanted || state.call.raw.empty()) return door;
  door.cache = cache;
  door.use = CacheUse::Use;
  door.key = ResponseCache::key_of(state.call.principal->platform_id, state.call.dialect,
                                   state.call.request.model, state.call.request.stream, state.call.raw) +
             variant_of(state.call);
  return door;
}

core::Task<> send_cached(CachedReplyPtr cached, std::shared_ptr<core::EventSink> sink) {
  co_await sink->write(cached->body);
}

// A hit is free and leaves a usage row that says so.
core::Task<core::HttpReply> from_cache(EnginePtr engine, StatePtr state, CachedReplyPtr cached) {
  state->facts.provider = cached->provider;
  state->facts.model = cached->model;
  state->facts.provider_model = cached->provider_model;
  state->ticket =
      co_await engine->world.rates.enter(payer_of(*state->call.principal), state->call.request.model, 0);
  state->ticket->settle(0);
  state->facts.rate_limits = state->ticket->headers();
  billing::AdmissionRequest admission;
  admission.payer = payer_of(*state->call.principal);
  admission.facts = call_facts(state->call);
  admission.facts.provider = cached->provider;
  admission.facts.provider_model = cached->provider_model;
  admission.facts.stream = state->call.request.stream;
  auto admitted = co_await engine->world.ledger.admit(std::move(admission));
  if (const auto* refusal = std::get_if<billing::Refusal>(&admitted)) billing::throw_refusal(*refusal);
  billing::Settlement settlement;
  settlement.outcome = billing::CallOutcome::CacheHit;
  std::get<billing::HoldPtr>(admitted)->settle(std::move(settlement));

  core::HttpReply reply;
  reply.headers.set("content-type", cached->content_type);
  if (state->call.request.stream) {
    reply.stream = [cached](std::shared_ptr<core::EventSink> sink) { return send_cached(cached, sink); };
  } else {
    reply.body = cached->body;
  }
  reply.headers.set("x-aig-cache", "hit");
  add_facts(reply.headers, *state);
  co_return reply;
}

core::HttpReply whole_reply(const EnginePtr& engine, const StatePtr& state, const CacheDoor& door) {
  std::string body;
  if (state->prepared.same_dialect) {
    body = std::move(state->whole->body);
  } else {
    const auto& reply = *state->whole->reply;
    body = core::dump_json(dialect(state->call.dialect).encode_reply(reply, reply_context(*engine, *state)));
    for (auto& name : left_out_for(state->call.dialect, reply))
      state->facts.dropped.push_back(std::move(name));
  }
  if (door.use == CacheUse::Use) {
    auto kept = std::make_shared<CachedReply>();
    *kept = {body, "application/json", state->facts.provider, state->facts.model,
             state->facts.provider_model};
    door.cache->put(door.key, std::move(kept), SteadyClock::now() + state->settings().cache_ttl);
  }
  return core::json_reply(200, std::move(body));
}

// A stream may stay open for long; the request's bytes are not needed any more.
void drop_request_bytes(CallState& state) {
  state.call.raw = {};
  state.call.request.messages = {};
  state.call.request.tools = {};
  state.prepared.body = {};
  state.prepared.headers = {};
}

core::HttpReply stream_reply(const EnginePtr& engine, const StatePtr& state, const CacheDoor& door) {
  drop_request_bytes(*state);
  core::HttpReply reply;
  reply.headers.set("content-type", "text/event-stream");
  reply.headers.set("cache-control", "no-cache");
  reply.headers.set("x-accel-buffering", "no");
  const StreamCopy copy{door.cache, door.key};
  reply.stream = [engine, state, copy](std::shared_ptr<core::EventSink> sink) {
    return pump(engine, state, copy, std::move(sink));
  };
  return reply;
}

core::Task<core::HttpReply> answered(EnginePtr engine, StatePtr state, CacheDoor door) {
  co_await answer(engine, state);
  core::HttpReply reply;
  if (state->fault) {
    state->ticket->settle(0);
    reply = fault_reply(state->call.dialect, *state->fault, state->retry_after);
  } else if (state->stream) {
    reply = stream_reply(engine, state, door);
  } else {
    reply = whole_reply(engine, state, door);
  }
  if (door.use == CacheUse::Use) reply.headers.set("x-aig-cache", "miss");
  add_facts(reply.headers, *state);
  co_return reply;
}

core::Task<core::HttpReply> run_call(EnginePtr engine, std::shared_ptr<ResponseCache> cache, StatePtr state) {
  CacheDoor door;
  if (state->forward_path.empty()) {
    state->plan =
        co_await engine->world.targets.targets(state->call.principal->platform_id, state->call.request.model);
    door = cache_door(cache, *state);
    if (door.use == CacheUse::Use)
      if (auto cached = door.cache->find(door.key, SteadyClock::now()))
        co_return co_await from_cache(engine, state, std::move(cached));
  }
  co_return co_await answered(engine, state, std::move(door));
}

// Every error becomes a reply of the caller's dialect.
core::Task<core::HttpReply> guarded(core::Task<core::HttpReply> work, StatePtr state) {
  std::optional<core::Error> error;
  core::HttpHeaders headers;
  try {
    co_return co_await std::move(work);
  } catch (const RateLimitedError& e) {
    error = e;
    headers = e.headers();
  } catch (const core::Error& e) {
    error = e;
  } catch (const std::exception& e) {
    error = core::internal(e.what());
  }
  if (core::http_status(error->kind()) >= 500)
    core::log::warn(
        "inference.failed",
        {{"request_id", state->call.request_id}, {"error", error->what()}, {"detail", error->detail()}});
  if (state->ticket) state->ticket->settle(0);
  auto reply = error_reply(state->call.dialect, *error, state->call.request_id);
  add_facts(reply.headers, *state);
  for (const auto& [name, value] : headers.fields()) reply.headers.set(name, value);
  co_return reply;
}

// A turn for callers within the program.
class OpenTurn final : public TurnStream {
 public:
  explicit OpenTurn(StatePtr state) : state_(std::move(state)) {}

  core::Task<std::optional<std::vector<StreamEvent>>> next(std::chrono::milliseconds patience) override {
    while (true) {
      auto pieces = co_await state_->stream->step(patience, state_->call.gone);
      if (!pieces && state_->call.gone.stop_requested()) throw_gone();
      if (!pieces) co_return std::nullopt;
      std::vector<StreamEvent> events;
      for (auto& piece : *pieces)
        for (auto& event : piece.events) events.push_back(std::move(event));
      if (pieces->empty()) finish();
      if (pieces->empty() || !events.empty()) co_return events;
    }
  }
  const TurnFacts& facts() const override { return state_->facts; }

 private:
  [[noreturn]] void throw_gone() {
    state_->stream->abandon(billing::CallOutcome::ClientGone);
    finish();
    throw TurnError(core::Error(core::ErrorKind::Cancelled, std::string(kStoppingMessage)), state_->facts);
  }
  void finish() {
    state_->facts.cost = state_->failed_cost + state_->stream->meter().cost();
    state_->facts.usage = state_->stream->meter().usage();
    if (state_->ticket) state_->ticket->settle(core::total_tokens(state_->stream->meter().usage()));
    state_->ticket.reset();
  }
  StatePtr state_;
};

// For callers within the program: what run() tells in a reply is thrown.
core::Task<> answer_turn(EnginePtr engine, StatePtr state) {
  std::optional<core::Error> error;
  try {
    co_await answer(engine, state);
    if (state->fault) throw_fault(*state->fault, state->retry_after);
  } catch (const RateLimitedError& e) {
    error = e;
    state->facts.rate_limits = e.headers();
  } catch (const core::Error& e) {
    error = e;
  }
  state->facts.overhead = state->overhead();
  if (!error) co_return;
  if (state->ticket) state->ticket->settle(0);
  throw TurnError(*std::move(error), state->facts).with_fault(state->fault);
}

StatePtr make_state(InferenceCall call) {
  auto state = std::make_shared<CallState>();
  state->call = std::move(call);
  return state;
}

}  // namespace

struct InferenceService::State {
  EnginePtr engine;
  std::shared_ptr<ResponseCache> cache;
};

InferenceService::InferenceService(InferenceOptions options, InferenceWorld world)
    : state_(std::make_shared<State>()) {
  state_->cache = std::make_shared<ResponseCache>(options.cache_bytes_max);
  state_->engine = std::shared_ptr<Engine>(new Engine{std::move(options), world, {}});
}

InferenceService::~InferenceService() = default;

core::Task<core::HttpReply> InferenceService::run(InferenceCall call) {
  auto state = make_state(std::move(call));
  co_return co_await guarded(run_call(state_->engine, state_->cache, state), state);
}

core::Task<core::HttpReply> InferenceService::forward(ForwardCall forward) {
  auto state = make_state(std::move(forward.call));
  state->forward_path = std::move(forward.path);
  state->free = forward.free;
  state->call.request.stream = false;
  co_return co_await guarded(run_call(state_->engine, state_->cache, state), state);
}

core::Task<Turn> InferenceService::complete(InferenceCall call) {
  call.raw.clear();
  call.request.stream = false;
  auto state = make_state(std::move(call));
  co_await answer_turn(state_->engine, state);
  Turn turn;
  turn.reply = std::move(*state->whole->reply);
  turn.facts = state->facts;
  co_return turn;
}

core::Task<std::unique_ptr<TurnStream>> InferenceService::open(InferenceCall call) {
  call.raw.clear();
  call.request.stream = true;
  auto state = make_state(std::move(call));
  co_await answer_turn(state_->engine, state);
  co_return std::make_unique<OpenTurn>(std::move(state));
}

core::Task<CallBound> InferenceService::bound(InferenceCall call) {
  call.raw.clear();
  const auto engine = state_->engine;
  const auto plan = co_await engine->world.targets.targets(call.principal->platform_id, call.request.model);
  co_return bound_of(*engine, call, *plan);
}

}  // namespace assistiv::inference
