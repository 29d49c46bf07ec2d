#include "inference/engine/attempt.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <variant>

#include "core/async.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "core/metrics.h"
#include "inference/engine/admission.h"
#include "inference/engine/media_fetch.h"
#include "inference/routing/retry.h"

namespace assistiv::inference {

using billing::CallOutcome;
using core::OutboundError;
using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t kFaultBodyMax = 64 << 10;
constexpr std::size_t kEarlyBytesMax = 1 << 20;  // of a stream that has not said anything
constexpr milliseconds kBackoffFirst{200};
// A caller is told to come back instead of being kept longer than this for a key to be ready.
constexpr milliseconds kKeyWaitMax{10'000};
constexpr milliseconds kFirstWaitMax{2'000};  // when nobody could be asked at all
constexpr milliseconds kForever{24 * 3600 * 1000};

using StatePtr = std::shared_ptr<CallState>;
using EnginePtr = std::shared_ptr<Engine>;

core::metrics::Counter& attempts_counter(std::string_view result) {
  return core::metrics::counter("assistiv_inference_attempts_total", "Upstream calls by result.",
                                {{"result", std::string(result)}});
}

// What the attempts of one call have learned.
struct Trail {
  std::vector<Candidate> candidates;
  std::set<std::size_t> excluded;  // places in `candidates`
  std::optional<Fault> fault;
  std::optional<milliseconds> retry_after;
  int round = 0;
};

struct Failed {
  Fault fault;
  std::optional<milliseconds> retry_after;
};

core::UpstreamRequest upstream_request(const Engine& engine, const CallState& state, const Target& target) {
  core::UpstreamRequest request;
  request.url = state.prepared.url;
  request.headers = state.prepared.headers;
  request.body = state.prepared.body;
  request.allow_private = target.local || engine.options.allow_loopback_upstreams;
  request.first_byte_timeout = state.settings().first_byte_timeout;
  request.idle_timeout = state.settings().idle_timeout;
  request.deadline = state.deadline;
  request.stop = state.wants_stream() ? std::stop_token() : state.call.gone;
  return request;
}

std::string upstream_id(const core::HttpHeaders& headers) {
  for (const std::string_view name : {"x-request-id", "request-id", "x-goog-request-id"})
    if (const auto id = headers.get(name)) return std::string(id->substr(0, 128));
  return {};
}

[[noreturn]] void throw_gone() {
  throw core::Error(core::ErrorKind::Cancelled, std::string(kStoppingMessage));
}

core::Task<std::string> read_fault_body(core::UpstreamReply* reply) {
  std::string body;
  try {
    while (body.size() < kFaultBodyMax) {
      const auto piece = co_await reply->read(kFaultBodyMax - body.size());
      if (piece.empty()) break;
      body += piece;
    }
  } catch (const OutboundError&) {  // the status alone says enough
  }
  co_return body;
}

core::Task<Failed> refused(EnginePtr engine, StatePtr state, std::unique_ptr<core::UpstreamReply> reply,
                           std::unique_ptr<Meter> meter) {
  Failed failed;
  const auto body = co_await read_fault_body(reply.get());
  failed.fault = dialect(state->target->dialect).decode_fault(reply->status(), body);
  failed.fault.status = reply->status();
  hide_key(failed.fault, *state->target);
  failed.retry_after = retry_after(reply->headers(), failed.fault, engine->world.clock.now());
  meter->settle(CallOutcome::UpstreamError, failed.fault.message);
  co_return failed;
}

Failed failed_with(Fault::Kind kind, std::string message) {
  Failed failed;
  failed.fault.kind = kind;
  failed.fault.message = std::move(message);
  return failed;
}

void add_failed_cost(CallState& state, const Meter& meter) {
  state.failed_cost = state.facts.cost = state.failed_cost + meter.cost();
  state.failed_tokens = state.facts.failed_tokens = state.failed_tokens + core::total_tokens(meter.usage());
}

// The caller has left an attempt: what it may be billed for is settled now, so that who pays can tell.
[[noreturn]] void throw_left(CallState& state, Meter& meter) {
  meter.settle(CallOutcome::ClientGone);
  add_failed_cost(state, meter);
  throw_gone();
}

bool is_error_body(const core::Json& json) {
  return json.is_object() && json.contains("error") && !json["error"].is_null() &&
         !json.contains("choices") && !json.contains("output") && !json.contains("candidates");
}

// What a whole 2xx body means, or how it is none. A reply that ended in the model's own failure with nothing
// said is one that can be asked for elsewhere.
std::variant<WholeReply, Fault> understood(const CallState& state, std::string body, const core::Json& json) {
  const auto& spoken = dialect(state.target->dialect);
  if (is_error_body(json)) return spoken.decode_fault(500, body);
  WholeReply out;
  if (state.prepared.same_dialect) {
    out.body = std::move(body);
    return out;
  }
  try {
    out.reply = spoken.decode_reply(json);
  } catch (const core::Error& error) {
    return failed_with(Fault::Kind::Upstream, error.what()).fault;
  }
  const auto& choices = out.reply->choices;
  const bool silent = std::all_of(choices.begin(), choices.end(), [](const Choice& choice) {
    return choice.finish == Finish::Error && choice.message.parts.empty();
  });
  if (silent)
    return failed_with(Fault::Kind::Upstream, "The model ended without an answer (" +
                                                  (choices.empty() ? "" : choices.front().refusal_reason) +
                                                  ").")
        .fault;
  return out;
}

void remember_signatures(Engine& engine, const CallState& state) {
  if (state.target->dialect != DialectId::Gemini || !state.whole->reply) return;
  for (const auto& choice : state.whole->reply->choices)
    for (const auto& part : choice.message.parts)
      if (const auto* call = std::get_if<ToolCallPart>(&part))
        engine.signatures.remember(signature_owner(state.call), *call, SteadyClock::now());
}

// A 2xx reply that is read whole. Nothing was sent to the caller yet, so whatever is wrong with it can be
// tried elsewhere.
core::Task<std::optional<Failed>> read_whole(EnginePtr engine, StatePtr state,
                                             std::unique_ptr<core::UpstreamReply> reply,
                                             std::unique_ptr<Meter> meter) {
  std::string body;
  std::optional<Failed> failed;
  try {
    body = co_await core::read_all(reply.get(), engine->options.reply_bytes_max);
  } catch (const OutboundError& error) {
    failed = Failed{fault_of(error), {}};
  }
  if (state->call.gone.stop_requested() && failed) throw_left(*state, *meter);
  const auto json = failed ? std::nullopt : core::try_parse_json(body, 256);
  if (!failed && (!json || !json->is_object()))
    failed = failed_with(Fault::Kind::Upstream, "The provider's answer is not JSON.");
  if (!failed) {
    const auto size = body.size();
    auto meaning = understood(*state, std::move(body), *json);
    meter->saw_usage(dialect(state->target->dialect).decode_usage(*json));
    if (auto* fault = std::get_if<Fault>(&meaning)) {
      failed = Failed{*fault, fault->retry_after};
      hide_key(failed->fault, *state->target);
    } else {
      meter->saw_output(size);
      state->whole = std::get<WholeReply>(std::move(meaning));
    }
  }
  if (failed) {
    meter->settle(CallOutcome::UpstreamError, failed->fault.message);
    add_failed_cost(*state, *meter);
    co_return failed;
  }
  meter->saw_whole_reply();
  meter->settle(CallOutcome::Success);
  state->facts.cost = state->failed_cost + meter->cost();
  state->facts.usage = meter->usage();
  if (state->ticket) state->ticket->settle(core::total_tokens(meter->usage()));
  remember_signatures(*engine, *state);
  co_return std::nullopt;
}

bool says_something(const Piece& piece) {
  return std::any_of(piece.events.begin(), piece.events.end(), [](const StreamEvent& event) {
    return !std::holds_alternative<StreamStart>(event) && !std::holds_alternative<UsageEvent>(event);
  });
}

// Reads until the stream has said something, so that an error in its place can be tried elsewhere.
core::Task<std::optional<Failed>> begin_stream(StatePtr state, std::unique_ptr<core::UpstreamReply> reply,
                                               std::unique_ptr<Meter> meter) {
  auto live = std::make_unique<LiveStream>(std::move(reply), state->target, std::move(meter));
  Pieces early;
  for (bool begun = false; !begun;) {
    auto pieces = co_await live->step(kForever, state->call.gone);
    if (!pieces) {
      live->abandon(CallOutcome::ClientGone);
      add_failed_cost(*state, live->meter());
      throw_gone();
    }
    if (pieces->empty()) co_return failed_with(Fault::Kind::Truncated, "The provider's stream was empty.");
    for (auto& piece : *pieces) {
      if (!begun && !piece.events.empty())
        if (const auto* fault = std::get_if<FaultEvent>(&piece.events.front())) {
          add_failed_cost(*state, live->meter());
          co_return Failed{fault->fault, fault->fault.retry_after};
        }
      begun = begun || says_something(piece);
      early.push_back(std::move(piece));
    }
    if (!begun && live->bytes_read() > kEarlyBytesMax) {
      live->abandon(CallOutcome::UpstreamError);
      add_failed_cost(*state, live->meter());
      co_return failed_with(Fault::Kind::Upstream, "The provider's stream does not begin.");
    }
  }
  live->unread(std::move(early));
  state->stream = std::move(live);
  co_return std::nullopt;
}

void expect_event_stream(const core::UpstreamReply& reply) {
  const auto type = reply.headers().get("content-type");
  if (type && type->starts_with("text/html"))
    throw OutboundError(core::OutboundFailure::Broken, "HTML instead of a stream");
}

struct AbortOn {
  std::stop_source abort;
  void operator()() { abort.request_stop(); }
};

// One upstream call under its hold.
core::Task<std::optional<Failed>> call_target(EnginePtr engine, StatePtr state,
                                              std::unique_ptr<Meter> meter) {
  std::unique_ptr<core::UpstreamReply> reply;
  std::optional<Failed> failed;
  auto request = upstream_request(*engine, *state, *state->target);
  // While a stream's head is awaited, the caller's leaving ends the call; afterwards it has its grace.
  std::stop_source abort;
  std::optional<std::stop_callback<AbortOn>> on_gone;
  if (state->wants_stream()) {
    request.stop = abort.get_token();
    on_gone.emplace(state->call.gone, AbortOn{abort});
  }
  // Nothing was sent yet, and nothing is billed: the hold may have taken its time.
  if (state->call.gone.stop_requested()) throw_gone();
  try {
    meter->sent();
    reply = co_await engine->world.upstream.open(std::move(request));
    meter->set_status(reply->status());
    meter->set_upstream_id(upstream_id(reply->headers()));
    if (state->wants_stream() && reply->status() < 300) expect_event_stream(*reply);
  } catch (const OutboundError& error) {
    core::log::info("inference.attempt_failed",
                    {{"request_id", state->call.request_id}, {"error", error.what()}});
    failed = Failed{fault_of(error), {}};
  }
  if (failed) {
    if (state->call.gone.stop_requested()) throw_left(*state, *meter);
    meter->settle(CallOutcome::UpstreamError, failed->fault.message);
    co_return failed;
  }
  if (reply->status() >= 300) co_return co_await refused(engine, state, std::move(reply), std::move(meter));
  // From here on the reader itself is told: what breaks now is the provider's.
  on_gone.reset();
  if (abort.stop_requested()) throw_left(*state, *meter);
  if (state->wants_stream()) co_return co_await begin_stream(state, std::move(reply), std::move(meter));
  co_return co_await read_whole(engine, state, std::move(reply), std::move(meter));
}

// Vectors and counts are no tokens, however many bytes they are.
core::Usage no_output() {
  core::Usage usage;
  usage.output = 0;
  return usage;
}

// Prepares, holds and calls. Health is told what came of it.
core::Task<std::optional<Failed>> attempt(EnginePtr engine, StatePtr state, Candidate candidate) {
  state->target = candidate.target;
  if (state->forward_path.empty()) {
    co_await fetch_media(engine, state, candidate.target);
    PrepareOptions options;
    options.signatures = &engine->signatures;
    options.billed = candidate.target->price || state->settings().unknown_price;
    state->prepared = prepare(state->call, *candidate.target, state->settings(), options);
  } else {
    state->prepared = prepare_forward(state->call, *candidate.target, state->forward_path);
  }
  auto meter = co_await admit(engine, state, candidate, state->facts.attempts + 1);
  ++state->facts.attempts;
  if (!state->forward_path.empty()) meter->saw_usage(no_output());
  state->facts.provider = candidate.target->provider;
  state->facts.model = candidate.model;
  state->facts.provider_model = candidate.target->model.name;
  state->facts.dropped = state->prepared.dropped;
  const auto start = SteadyClock::now();
  auto failed = co_await call_target(engine, state, std::move(meter));
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - start);
  state->upstream_time += took;
  const auto key = health_key(*candidate.target);
  if (!failed) {
    engine->health.succeeded(key);
    engine->health.took(key, candidate.target->model.name, took);
    attempts_counter("success").add();
    co_return std::nullopt;
  }
  attempts_counter("failure").add();
  if (is_outage(failed->fault)) engine->health.failed(key, SteadyClock::now());
  const auto cooldown = cooldown_after(failed->fault, failed->retry_after);
  if (cooldown.count() > 0) engine->health.cool(key, SteadyClock::now() + cooldown);
  co_return failed;
}

void exclude(Trail& trail, std::size_t place, Next next) {
  const auto& failed = trail.candidates[place];
  for (std::size_t i = 0; i < trail.candidates.size(); ++i) {
    const auto& one = trail.candidates[i];
    const bool same_model = next == Next::OtherModel && one.model_index == failed.model_index;
    if (i == place || same_model) trail.excluded.insert(i);
  }
}

milliseconds backoff(Engine& engine, int round) {
  std::array<std::uint8_t, 1> byte{};
  engine.world.random.fill(byte);
  const auto base = kBackoffFirst * (1 << std::min(round, 4));
  return base / 2 + base * byte[0] / 512;
}

// How long until the first of what is left may be asked again; empty when nothing is left.
std::optional<milliseconds> wait_for_next(Engine& engine, const Trail& trail) {
  const auto now = SteadyClock::now();
  std::optional<milliseconds> wait;
  for (std::size_t i = 0; i < trail.candidates.size(); ++i) {
    if (trail.excluded.contains(i)) continue;
    const auto ready = engine.health.ready_at(health_key(*trail.candidates[i].target), now);
    const auto left = std::chrono::ceil<milliseconds>(ready - now);
    if (!wait || left < *wait) wait = left;
  }
  if (!wait) return {};
  return std::max(*wait, trail.round > 0 || trail.fault ? backoff(engine, trail.round) : milliseconds(0));
}

// A call that ends without a word on the provider (refused by the budget, left by its caller) makes room for
// the next one to try.
class ProbePlace {
 public:
  ProbePlace(Health& health, std::string key) : health_(health), key_(std::move(key)) {}
  ~ProbePlace() { health_.end_probe(key_); }
  ProbePlace(const ProbePlace&) = delete;
  ProbePlace& operator=(const ProbePlace&) = delete;

 private:
  Health& health_;
  const std::string key_;
};

enum class Round { Done, GoOn };

// Asks each target that may be asked once.
core::Task<Round> ask_all(EnginePtr engine, StatePtr state, std::shared_ptr<Trail> trail) {
  for (std::size_t place = 0; place < trail->candidates.size(); ++place) {
    if (trail->excluded.contains(place)) continue;
    const auto candidate = trail->candidates[place];
    const auto key = health_key(*candidate.target);
    const auto now = SteadyClock::now();
    if (engine->health.ready_at(key, now) > now || !engine->health.begin_probe(key, now)) continue;
    if (state->facts.attempts >= state->settings().attempts_max || now >= state->deadline)
      co_return Round::Done;
    if (trail->fault && !engine->health.take_retry(state->call.principal->platform_id)) co_return Round::Done;
    ProbePlace probe(engine->health, key);
    auto failed = co_await attempt(engine, state, candidate);
    if (!failed) {
      trail->fault.reset();
      co_return Round::Done;
    }
    trail->fault = std::move(failed->fault);
    trail->retry_after = failed->retry_after;
    const auto next = next_after(*trail->fault);
    if (next == Next::Stop) co_return Round::Done;
    if (next != Next::Again) exclude(*trail, place, next);
  }
  co_return Round::GoOn;
}

Fault nothing_ready() {
  Fault fault;
  fault.kind = Fault::Kind::Overloaded;
  fault.message = "No provider of this model can be asked at the moment. Try again shortly.";
  return fault;
}

core::Task<> attempts(EnginePtr engine, StatePtr state, std::shared_ptr<Trail> trail) {
  while (true) {
    const auto round = co_await ask_all(engine, state, trail);
    if (state->stream || state->whole) co_return;
    const auto wait = round == Round::GoOn ? wait_for_next(*engine, *trail) : std::nullopt;
    const auto left = state->deadline - SteadyClock::now();
    const bool out_of_attempts = state->facts.attempts >= state->settings().attempts_max;
    const auto wait_max = state->facts.attempts > 0 ? kKeyWaitMax : kFirstWaitMax;
    if (!wait || *wait > wait_max || *wait >= left || out_of_attempts) {
      if (!trail->fault) trail->fault = nothing_ready();
      state->fault = trail->fault;
      state->retry_after = trail->retry_after ? trail->retry_after : wait;
      co_return;
    }
    co_await core::sleep_for(*wait, state->call.gone);
    if (state->call.gone.stop_requested()) throw_gone();
    ++trail->round;
  }
}

std::vector<Candidate> candidates_of(Engine& engine, const CallState& state) {
  const bool local_only = engine.options.on_premise_only || state.settings().on_premise_only;
  auto all = order_targets(*state.plan, local_only, engine.health, engine.world.random, SteadyClock::now());
  const bool offered = !all.empty();
  if (!state.forward_path.empty())
    std::erase_if(all, [&](const Candidate& one) { return one.target->dialect != state.call.dialect; });
  if (!all.empty() || (offered && state.free)) return all;
  if (offered)
    throw core::not_found("The providers of the model \"" + state.call.request.model +
                          "\" do not answer calls of this kind.")
        .with_code("model_not_found")
        .with_field("model");
  if (local_only)
    throw core::Error(core::ErrorKind::PermissionDenied,
                      "Only models on the premises may be called here, and \"" + state.call.request.model +
                          "\" is offered by none that is marked local.")
        .with_code("on_premise_only");
  throw core::not_found("No active provider offers the model \"" + state.call.request.model + "\" here.")
      .with_code("model_not_found")
      .with_field("model");
}

// No provider of the model counts tokens in the caller's dialect: a guess by the bytes, which says so.
void estimate_count(CallState& state) {
  const auto tokens = estimated_tokens(state.call.raw.size());
  const bool gemini = state.call.dialect == DialectId::Gemini;
  const core::Json json = {{gemini ? "totalTokens" : "input_tokens", tokens}};
  state.facts.estimated = true;
  state.prepared.same_dialect = true;
  state.ticket->settle(0);
  state.whole.emplace();
  state.whole->body = core::dump_json(json);
}

}  // namespace

std::chrono::microseconds CallState::overhead() const {
  const auto total = std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - call.started);
  return std::max(total - upstream_time, std::chrono::microseconds(0));
}

core::Task<> answer(EnginePtr engine, StatePtr state) {
  const auto& principal = *state->call.principal;
  const std::int64_t likely =
      estimated_tokens(state->call.raw.size()) + state->call.request.max_output_tokens.value_or(0);
  state->ticket = co_await engine->world.rates.enter(payer_of(principal), state->call.request.model, likely);
  state->facts.rate_limits = state->ticket->headers();
  if (!state->plan)
    state->plan = co_await engine->world.targets.targets(principal.platform_id, state->call.request.model);
  state->deadline = state->call.started + state->settings().total_timeout;
  engine->health.count_call(principal.platform_id);
  auto trail = std::make_shared<Trail>();
  trail->candidates = candidates_of(*engine, *state);
  if (trail->candidates.empty()) {
    estimate_count(*state);
    co_return;
  }
  co_await attempts(engine, state, trail);
}

}  // namespace assistiv::inference
