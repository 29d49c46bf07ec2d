#include "inference/engine/admission.h"

#include <algorithm>

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

std::string tag_of(const InferenceCall& call) {
  for (const std::string_view name : {"x-aig-tag", "x-tag"})
    if (const auto tag = call.headers.get(name); tag && !tag->empty())
      return std::string(tag->substr(0, kTagMax));
  return {};
}

billing::CallFacts call_facts(const InferenceCall& call) {
  billing::CallFacts out;
  out.request_id = call.request_id;
  out.request_type = call.request_type;
  out.model = call.request.model;
  out.tag = tag_of(call);
  out.key_id = call.principal->key_id.str();
  out.run_id = call.run_id;
  return out;
}

core::Task<std::unique_ptr<Meter>> admit(std::shared_ptr<Engine> engine, std::shared_ptr<CallState> state,
                                         Candidate candidate, int attempt) {
  auto& prepared = state->prepared;
  if (state->free) co_return std::make_unique<Meter>(nullptr, nullptr, prepared.input_estimate);
  const auto price = price_for(*candidate.target, state->settings());
  auto& ledger = engine->world.ledger;
  auto request = request_for(*state, candidate, attempt, price);
  auto admission = co_await ledger.admit(request);
  if (auto* hold = std::get_if<billing::HoldPtr>(&admission))
    co_return std::make_unique<Meter>(std::move(*hold), price, prepared.input_estimate);
  const auto refusal = std::get<Refusal>(admission);
  if (!state->forward_path.empty() || refusal.code == "budget_suspended") billing::throw_refusal(refusal);

  const std::int64_t choices = std::max<std::int64_t>(state->call.request.n.value_or(1), 1);
  const std::int64_t least = choices * std::min(kOutputMin, prepared.output_bound / choices);
  // A lower limit is a few bytes more to send.
  const std::int64_t input = prepared.input_bound + kLimitBytes;
  std::int64_t fits = co_await output_that_fits(&ledger, request, refusal, input, prepared.output_bound);
  // What nodes hold and do not use may be enough: the ledger asks for it back when that is all it takes.
  if (fits < least && may_fit(refusal, request, input, least)) fits = least;
  if (fits < least) billing::throw_refusal(refusal);
  PrepareOptions smaller;
  smaller.output_max = std::max<std::int64_t>(fits / choices, 1);
  smaller.signatures = &engine->signatures;
  prepared = prepare(state->call, *candidate.target, state->settings(), smaller);
  request = request_for(*state, candidate, attempt, price);
  admission = co_await ledger.admit(request);
  if (auto* hold = std::get_if<billing::HoldPtr>(&admission))
    co_return std::make_unique<Meter>(std::move(*hold), price, prepared.input_estimate);
  billing::throw_refusal(std::get<Refusal>(admission));
}

}  // namespace assistiv::inference
