#include "inference/engine/admission.h"

#include <algorithm>
#include <optional>

#include "billing/price.h"
#include "core/error.h"

namespace assistiv::inference {

using billing::Refusal;

namespace {

// A reply cut to fewer tokens than this helps nobody.
constexpr std::int64_t kOutputMin = 16;
// What the lower limit itself adds to a body that had none; every byte may be a token.
constexpr std::int64_t kLimitBytes = 64;
constexpr std::size_t kTagMax = 128;

billing::AdmissionRequest request_for(const CallState& state, const Candidate& candidate, int attempt,
                                      const billing::PricePtr& price) {
  billing::AdmissionRequest request;
  request.payer = payer_of(*state.call.principal);
  request.facts = call_facts(state.call);
  request.facts.attempt = attempt;
  request.facts.provider = candidate.target->provider;
  request.facts.provider_model = candidate.target->model.name;
  request.facts.stream = state.wants_stream();
  const auto& prepared = state.prepared;
  request.price = price;
  if (price) {
    request.bound = billing::cost_bound(*price, prepared.input_bound, prepared.output_bound);
    core::Usage input_only;
    input_only.input = prepared.input_estimate;
    request.lost_cost = std::min(billing::cost_of(*price, input_only), request.bound);
  }
  request.token_bound = prepared.input_bound + prepared.output_bound;
  return request;
}

// The most output tokens that fit into `rest`.
std::int64_t affordable(const billing::Price& price, std::int64_t input, std::int64_t output,
                        core::NanoUsd rest) {
  std::int64_t fits = -1, too_many = output + 1;
  while (too_many - fits > 1) {
    const std::int64_t middle = fits + (too_many - fits) / 2;
    (billing::cost_bound(price, input, middle) <= rest ? fits : too_many) = middle;
  }
  return fits;
}

core::Task<std::int64_t> output_that_fits(billing::Ledger* ledger, billing::AdmissionRequest refused,
                                          Refusal refusal, std::int64_t input, std::int64_t output) {
  if (refusal.level == Refusal::Level::TokenBudget)
    co_return std::min(output, refusal.limit - refusal.spent - refusal.held - input);
  if (!refused.price) co_return -1;
  const auto rest = co_await ledger->available(refused.payer);
  co_return rest ? affordable(*refused.price, input, output, *rest) : -1;
}

struct CapLeft {
  core::NanoUsd cost;
  std::int64_t tokens;
  bool holds(const billing::PricePtr& price, std::int64_t input, std::int64_t output) const {
    return input + output <= tokens && (!price || billing::cost_bound(*price, input, output) <= cost);
  }
};

[[noreturn]] void throw_over_cap(const CapLeft& left, std::int64_t least) {
  if (least > left.tokens)
    throw core::Error(core::ErrorKind::Unprocessable, "There are too few tokens left for the call.")
        .with_code("limit_tokens");
  throw core::Error(core::ErrorKind::PaymentRequired, "What is left of the run's budget cannot pay the call.")
      .with_code("limit_cost");
}

std::int64_t choices_of(const InferenceCall& call) {
  return std::max<std::int64_t>(call.request.n.value_or(1), 1);
}
std::int64_t least_output(const InferenceCall& call, const Prepared& prepared) {
  const auto choices = choices_of(call);
  return choices * std::min(kOutputMin, prepared.output_bound / choices);
}

void prepare_smaller(Engine& engine, CallState& state, const Target& target, std::int64_t output) {
  PrepareOptions smaller;
  smaller.output_max = std::max<std::int64_t>(output / choices_of(state.call), 1);
  smaller.signatures = &engine.signatures;
  state.prepared = prepare(state.call, target, state.settings(), smaller);
}

// Limits the output to what the cap has left.
void keep_to_cap(Engine& engine, CallState& state, const Target& target, const billing::PricePtr& price) {
  if (!state.call.cap) return;
  const CapLeft left{state.call.cap->cost - state.failed_cost, state.call.cap->tokens - state.failed_tokens};
  const auto& prepared = state.prepared;
  if (left.holds(price, prepared.input_bound, prepared.output_bound)) return;
  const auto input = prepared.input_bound + kLimitBytes;
  const auto least = least_output(state.call, prepared);
  if (!state.forward_path.empty() || !left.holds(price, input, least)) throw_over_cap(left, input + least);
  auto fits = std::min(prepared.output_bound, left.tokens - input);
  if (price) fits = affordable(*price, input, fits, left.cost);
  prepare_smaller(engine, state, target, fits);
}

CallBound bound_at(const InferenceCall& call, const Target& target, const InferenceSettings& settings) {
  const auto price = price_for(target, settings);
  PrepareOptions options;
  options.billed = target.price || settings.unknown_price;
  const auto prepared = prepare(call, target, settings, options);
  const auto input = prepared.input_bound + kLimitBytes;
  const auto least = least_output(call, prepared);
  CallBound out;
  out.tokens = prepared.input_bound + prepared.output_bound;
  out.least_tokens = input + least;
  if (price) {
    out.cost = billing::cost_bound(*price, prepared.input_bound, prepared.output_bound);
    out.least_cost = billing::cost_bound(*price, input, least);
  }
  return out;
}

// What is left of the account, what nodes have leased of it and may give back included.
bool may_fit(const Refusal& refusal, const billing::AdmissionRequest& refused, std::int64_t input,
             std::int64_t output) {
  const std::int64_t left = refusal.limit - refusal.spent;
  if (refusal.level == Refusal::Level::TokenBudget) return input + output <= left;
  return refused.price && billing::cost_bound(*refused.price, input, output).nanos <= left;
}

}  // namespace

billing::Payer payer_of(const oauth::Principal& principal) {
  return {principal.platform_id, principal.end_user_id};
}

std::string tag_of(const core::HttpHeaders& headers) {
  for (const std::string_view name : {"x-aig-tag", "x-tag"})
    if (const auto tag = headers.get(name); tag && !tag->empty()) return std::string(tag->substr(0, kTagMax));
  return {};
}

billing::CallFacts call_facts(const InferenceCall& call) {
  billing::CallFacts out;
  out.request_id = call.request_id;
  out.request_type = call.request_type;
  out.model = call.request.model;
  out.tag = tag_of(call.headers);
  out.key_id = call.principal->key_id.str();
  out.run_id = call.run_id;
  return out;
}

CallBound bound_of(const Engine& engine, const InferenceCall& call, const TargetPlan& plan) {
  const bool local_only = engine.options.on_premise_only || plan.settings->on_premise_only;
  std::optional<CallBound> out;
  std::optional<core::Error> why;
  for (const auto& model : plan.models) {
    for (const auto& target : model.targets) {
      if (local_only && !target->local) continue;
      try {
        const auto one = bound_at(call, *target, *plan.settings);
        if (!out) out = one;
        out->cost = std::max(out->cost, one.cost);
        out->tokens = std::max(out->tokens, one.tokens);
        out->least_cost = std::min(out->least_cost, one.least_cost);
        out->least_tokens = std::min(out->least_tokens, one.least_tokens);
      } catch (const core::Error& error) {
        if (!why) why = error;
      }
    }
  }
  if (!out && why) throw *std::move(why);
  return out.value_or(CallBound{});
}

core::Task<std::unique_ptr<Meter>> admit(std::shared_ptr<Engine> engine, std::shared_ptr<CallState> state,
                                         Candidate candidate, int attempt) {
  auto& prepared = state->prepared;
  if (state->free) co_return std::make_unique<Meter>(nullptr, nullptr, prepared.input_estimate);
  const auto price = price_for(*candidate.target, state->settings());
  keep_to_cap(*engine, *state, *candidate.target, price);
  auto& ledger = engine->world.ledger;
  auto request = request_for(*state, candidate, attempt, price);
  auto admission = co_await ledger.admit(request);
  if (auto* hold = std::get_if<billing::HoldPtr>(&admission))
    co_return std::make_unique<Meter>(std::move(*hold), price, prepared.input_estimate);
  const auto refusal = std::get<Refusal>(admission);
  if (!state->forward_path.empty() || refusal.code == "budget_suspended") billing::throw_refusal(refusal);

  const std::int64_t least = least_output(state->call, prepared);
  // A lower limit is a few bytes more to send.
  const std::int64_t input = prepared.input_bound + kLimitBytes;
  std::int64_t fits = co_await output_that_fits(&ledger, request, refusal, input, prepared.output_bound);
  // What nodes hold and do not use may be enough: the ledger asks for it back when that is all it takes.
  if (fits < least && may_fit(refusal, request, input, least)) fits = least;
  if (fits < least) billing::throw_refusal(refusal);
  prepare_smaller(*engine, *state, *candidate.target, fits);
  request = request_for(*state, candidate, attempt, price);
  admission = co_await ledger.admit(request);
  if (auto* hold = std::get_if<billing::HoldPtr>(&admission))
    co_return std::make_unique<Meter>(std::move(*hold), price, prepared.input_estimate);
  billing::throw_refusal(std::get<Refusal>(admission));
}

}  // namespace assistiv::inference
