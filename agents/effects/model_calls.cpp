#include "agents/effects/model_calls.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "agents/effects/chat_reply.h"
#include "agents/effects/chat_request.h"
#include "core/error.h"
#include "core/metrics.h"
#include "inference/engine/error_reply.h"
#include "inference/engine/inference_service.h"

namespace assistiv::agents {
namespace {

using inference::Turn;
using inference::TurnError;

constexpr std::chrono::minutes kPatience{1};

std::vector<std::string> models_of(const ModelAlias& alias) {
  std::vector<std::string> out = {alias.model};
  out.insert(out.end(), alias.fallbacks.begin(), alias.fallbacks.end());
  return out;
}

inference::InferenceCall inference_call(const RunContext& context, const ModelCall& call,
                                        inference::Request request, std::string model) {
  inference::InferenceCall out;
  out.principal = context.identity.principal;
  out.request_id = request_id_of(context, call.act);
  out.gone = call.act.stop;
  // The same each time the act is tried, so that a provider that knows such keys answers once.
  out.headers.set("idempotency-key", call.act.idempotency_key);
  if (!context.identity.tag.empty()) out.headers.set("x-aig-tag", context.identity.tag);
  out.request_type = "agent";
  out.request = std::move(request);
  out.request.model = std::move(model);
  out.request.stream = static_cast<bool>(call.piece);
  out.run_id = call.act.run;
  return out;
}

// One call of one model under way.
struct Attempt {
  std::optional<Turn> turn;
  std::optional<core::Error> error;
  inference::TurnFacts facts;
  bool shown = false;      // something of it
  bool elsewhere = false;  // another model may be able to answer
};

bool is_for_another(const core::Error& error, const std::optional<inference::Fault>& fault) {
  switch (error.kind()) {
    case core::ErrorKind::UpstreamFailed:
    case core::ErrorKind::Unavailable:
    case core::ErrorKind::DeadlineExceeded:
    case core::ErrorKind::RateLimited:
      return true;
    case core::ErrorKind::NotFound:
      return error.code() == "model_not_found";
    default:
      return fault && fault->context_length;
  }
}

core::Task<Turn> stream_turn(inference::InferenceService* service, inference::InferenceCall call,
                             std::string id, std::function<void(core::Json)> piece,
                             std::shared_ptr<Attempt> attempt) {
  const auto stream = co_await service->open(std::move(call));
  ReplyCollector collector(id);
  std::optional<inference::Fault> fault;
  while (true) {
    const auto events = co_await stream->next(kPatience);
    if (!events) continue;
    if (events->empty()) break;
    for (const auto& event : *events) {
      if (const auto* cut = std::get_if<inference::FaultEvent>(&event)) fault = cut->fault;
      auto shown = collector.take(event);
      if (!shown.is_null()) piece(std::move(shown));
    }
    attempt->shown = collector.showed_something();
  }
  attempt->facts = stream->facts();
  if (fault) inference::throw_fault(*fault, fault->retry_after);
  piece(collector.last_piece(stream->facts()));
  co_return Turn{collector.reply(), stream->facts()};
}

core::Task<std::shared_ptr<Attempt>> ask(const RunContext* context, inference::InferenceCall call,
                                         std::string id, std::function<void(core::Json)> piece) {
  auto attempt = std::make_shared<Attempt>();
  auto& service = context->world.inference;
  try {
    if (piece) {
      attempt->turn =
          co_await stream_turn(&service, std::move(call), std::move(id), std::move(piece), attempt);
    } else {
      attempt->turn = co_await service.complete(std::move(call));
    }
    attempt->facts = attempt->turn->facts;
  } catch (const TurnError& error) {
    attempt->error = error;
    attempt->facts = error.facts();
    attempt->elsewhere = is_for_another(error, error.fault());
  } catch (const core::Error& error) {
    attempt->error = error;
    attempt->elsewhere = is_for_another(error, {});
  }
  co_return attempt;
}

void log_attempt(const RunContext& context, const ModelCall& call, const std::string& model,
                 const std::string& request_id, const Attempt& attempt, std::int64_t ms) {
  const auto& facts = attempt.facts;
  const auto span = begin_span(context, call.act);
  core::log::Fields fields = {{"gen_ai.operation.name", "chat"},
                              {"gen_ai.provider.name", facts.provider},
                              {"gen_ai.request.model", model},
                              {"gen_ai.response.model", facts.provider_model},
                              {"gen_ai.usage.input_tokens", facts.usage.input.value_or(0)},
                              {"gen_ai.usage.output_tokens", facts.usage.output.value_or(0)},
                              {"cost_nano_usd", facts.cost.nanos},
                              {"attempts", facts.attempts},
                              {"request_id", request_id}};
  log_act("agent.model_call", context, call.act, span, ms, attempt.error ? &*attempt.error : nullptr,
          std::move(fields));
  static auto& counted =
      core::metrics::counter("assistiv_agent_model_calls_total", "Calls of models that runs of agents made.");
  counted.add();
}

// Cancelled by the run's end, whatever the words of the layer that noticed it first.
core::Error told(const Attempt& attempt, const Act& act) {
  if (attempt.error->kind() == core::ErrorKind::Cancelled && act.stop.stop_requested())
    return run_cancelled();
  return *attempt.error;
}

ModelAnswer answer_of(const std::string& id, const Turn& turn) {
  ModelAnswer out;
  out.message = ai_message(id, turn.reply, turn.facts);
  out.model = turn.facts.model;
  out.cost_nano_usd = turn.facts.cost.nanos;
  out.tokens = core::total_tokens(turn.facts.usage);
  return out;
}

// By the models that were asked one after the other.
struct Spent {
  core::NanoUsd cost;
  std::int64_t tokens = 0;
};

std::optional<inference::CallCap> cap_left(const ModelCall& call, const Spent& spent) {
  if (!call.cap) return {};
  inference::CallCap out;
  out.cost = core::NanoUsd{call.cap->cost_nano_usd} - spent.cost;
  out.tokens = call.cap->tokens - spent.tokens;
  return out;
}

}  // namespace

core::Task<Quote> quote_model(const RunContext* context, ModelCall call) {
  const auto request = chat_request(call);
  std::optional<Quote> out;
  std::optional<core::Error> why;
  for (const auto& model : models_of(call.model)) {
    try {
      const auto bound =
          co_await context->world.inference.bound(inference_call(*context, call, request, model));
      if (!out) out = Quote{0, 0, bound.least_cost.nanos, bound.least_tokens};
      out->cost_nano_usd = std::max(out->cost_nano_usd, bound.cost.nanos);
      out->tokens = std::max(out->tokens, bound.tokens);
      out->least_cost_nano_usd = std::min(*out->least_cost_nano_usd, bound.least_cost.nanos);
      out->least_tokens = std::min(*out->least_tokens, bound.least_tokens);
    } catch (const core::Error& error) {
      if (!why) why = error;
    }
  }
  if (!out) throw *std::move(why);
  co_return *out;
}

core::Task<ModelAnswer> place_model_call(const RunContext* context, ModelCall call) {
  const auto request = chat_request(call);
  const auto id = "run-" + request_id_of(*context, call.act);
  const auto models = models_of(call.model);
  Spent spent;
  for (std::size_t i = 0;; ++i) {
    auto one = inference_call(*context, call, request, models[i]);
    one.cap = cap_left(call, spent);
    const auto request_id = one.request_id;
    const auto start = std::chrono::steady_clock::now();
    const auto attempt = co_await ask(context, std::move(one), id, call.piece);
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
    log_attempt(*context, call, models[i], request_id, *attempt, took.count());
    spent.cost = spent.cost + attempt->facts.cost;
    spent.tokens += core::total_tokens(attempt->facts.usage) + attempt->facts.failed_tokens;
    if (attempt->turn) {
      auto out = answer_of(id, *attempt->turn);
      out.cost_nano_usd = spent.cost.nanos;
      out.tokens = spent.tokens;
      co_return out;
    }
    const bool next = attempt->elsewhere && !attempt->shown && i + 1 < models.size();
    if (!next || call.act.stop.stop_requested())
      throw ModelFailure(told(*attempt, call.act), spent.cost.nanos, spent.tokens);
  }
}

}  // namespace assistiv::agents
