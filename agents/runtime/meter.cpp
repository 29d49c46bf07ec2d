#include "agents/runtime/meter.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/encoding.h"
#include "core/error.h"

namespace assistiv::agents {
namespace {

core::Error limit_reached(core::ErrorKind kind, const char* name, std::string message) {
  return core::Error(kind, std::move(message)).with_code(std::string("limit_") + name);
}

// What of `left` a call gets, `reserved` of which others hold now and may give back.
enum class Share { Whole, Rest, Later, None };
Share share(std::int64_t wanted, const std::optional<std::int64_t>& least, std::int64_t left,
            std::int64_t reserved) {
  if (wanted <= left - reserved) return Share::Whole;
  if (least.value_or(wanted) > left) return Share::None;
  return reserved > 0 ? Share::Later : Share::Rest;
}

}  // namespace

Meter::Meter(Limits limits, RunTotals before, const core::Clock& clock, Meter* above, std::string who)
    : limits_(limits),
      used_(std::move(before)),
      clock_(clock),
      began_(clock.now()),
      above_(above),
      who_(std::move(who)) {
  if (above_ == nullptr) return;
  limits_.max_fanout = std::min(limits_.max_fanout, above_->limits_.max_fanout);
  limits_.max_state_bytes = std::min(limits_.max_state_bytes, above_->limits_.max_state_bytes);
  limits_.max_depth = above_->limits_.max_depth;  // counted from the root
}

void Meter::begin_step() {
  if (steps_ >= limits_.max_supersteps) {
    throw core::Error(core::ErrorKind::Unprocessable,
                      who_ + " took " + std::to_string(steps_) + " steps without an end (max_supersteps)")
        .with_code("GRAPH_RECURSION_LIMIT");
  }
  if (above_ != nullptr) above_->begin_step();
  ++steps_;
  ++used_.supersteps;
  check_time();
}

std::optional<Quote> Meter::fitting(const Quote& wanted) const {
  check_time();
  if (limits_.max_llm_calls && used_.llm_calls >= *limits_.max_llm_calls) {
    throw limit_reached(core::ErrorKind::Unprocessable, "llm_calls", who_ + " has used up its model calls");
  }
  Quote granted = wanted;
  if (limits_.max_tokens) {
    const auto fits =
        share(wanted.tokens, wanted.least_tokens, *limits_.max_tokens - used_.tokens, reserved_.tokens);
    if (fits == Share::None)
      throw limit_reached(core::ErrorKind::Unprocessable, "tokens",
                          who_ + " has too few tokens left for the call");
    if (fits == Share::Later) return std::nullopt;
    if (fits == Share::Rest) granted.tokens = *limits_.max_tokens - used_.tokens;
  }
  if (limits_.max_cost_nano_usd) {
    const auto left = *limits_.max_cost_nano_usd - used_.cost_nano_usd;
    const auto fits = share(wanted.cost_nano_usd, wanted.least_cost_nano_usd, left, reserved_.cost_nano_usd);
    if (fits == Share::None)
      throw limit_reached(core::ErrorKind::PaymentRequired, "cost",
                          "the budget of " + who_ + " cannot pay the call");
    if (fits == Share::Later) return std::nullopt;
    if (fits == Share::Rest) granted.cost_nano_usd = left;
  }
  return granted;
}

std::optional<Quote> Meter::reserve_model(const Quote& wanted) {
  auto granted = fitting(wanted);
  if (granted && above_ != nullptr) granted = above_->reserve_model(*granted);
  if (!granted) return std::nullopt;
  ++used_.llm_calls;
  reserved_.tokens += granted->tokens;
  reserved_.cost_nano_usd += granted->cost_nano_usd;
  return granted;
}

void Meter::settle_model(const Quote& granted, std::int64_t cost_nano_usd, std::int64_t tokens) {
  reserved_.tokens -= granted.tokens;
  reserved_.cost_nano_usd -= granted.cost_nano_usd;
  used_.tokens += tokens;
  used_.cost_nano_usd += cost_nano_usd;
  if (above_ != nullptr) above_->settle_model(granted, cost_nano_usd, tokens);
}

void Meter::count_tokens(const core::Json& message) {
  const auto usage = message.is_object() ? message.value("usage_metadata", core::Json()) : core::Json();
  const auto count = [&](const char* name) {
    const auto found = usage.is_object() ? usage.value(name, core::Json()) : core::Json();
    return found.is_number_integer() ? found.get<std::int64_t>() : 0;
  };
  used_.input_tokens += count("input_tokens");
  used_.output_tokens += count("output_tokens");
  if (above_ != nullptr) above_->count_tokens(message);
}

void Meter::take_tool() {
  check_time();
  if (limits_.max_tool_calls && used_.tool_calls >= *limits_.max_tool_calls) {
    throw limit_reached(core::ErrorKind::Unprocessable, "tool_calls", who_ + " has used up its tool calls");
  }
  if (above_ != nullptr) above_->take_tool();
  ++used_.tool_calls;
}

void Meter::take_same_call(const std::string& tool, const core::Json& arguments) {
  auto& times = used_.same_calls[core::sha256_hex(tool + "\n" + arguments.dump()).substr(0, 16)];
  if (times >= limits_.same_call_limit) {
    throw limit_reached(
        core::ErrorKind::Unprocessable, "same_call",
        "the tool " + tool + " was called " + std::to_string(times) + " times with the same arguments");
  }
  if (above_ != nullptr) above_->take_same_call(tool, arguments);
  ++times;
}

void Meter::check_time() const {
  if (limits_.max_active && totals().active_ms > limits_.max_active->count()) throw out_of_time(who_);
  if (above_ != nullptr) above_->check_time();
}

core::Error Meter::out_of_time(const std::string& who) {
  return limit_reached(core::ErrorKind::DeadlineExceeded, "active",
                       who + " has used up its time (max_active_s)");
}

std::optional<std::chrono::milliseconds> Meter::time_left() const {
  if (!limits_.max_active) return std::nullopt;
  const auto left = *limits_.max_active - std::chrono::milliseconds(totals().active_ms);
  return std::max(left, std::chrono::milliseconds(0));
}

RunTotals Meter::totals() const {
  auto out = used_;
  out.active_ms += (clock_.now() - began_).count();
  return out;
}

std::int64_t Meter::remaining_nano_usd() const {
  const auto above =
      above_ == nullptr ? std::numeric_limits<std::int64_t>::max() : above_->remaining_nano_usd();
  if (!limits_.max_cost_nano_usd) return above;
  return std::min(above, *limits_.max_cost_nano_usd - used_.cost_nano_usd - reserved_.cost_nano_usd);
}

}  // namespace assistiv::agents
