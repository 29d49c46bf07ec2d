#include "inference/engine/meter.h"

#include <algorithm>

namespace assistiv::inference {

using billing::CallOutcome;
using SteadyClock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kBytesPerToken = 4;
constexpr std::size_t kErrorBytesMax = 500;

std::chrono::milliseconds since(SteadyClock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - start);
}

}  // namespace

std::int64_t estimated_tokens(std::size_t bytes) {
  return static_cast<std::int64_t>((bytes + kBytesPerToken - 1) / kBytesPerToken);
}

Meter::Meter(billing::HoldPtr hold, billing::PricePtr price, std::int64_t input_estimate)
    : hold_(std::move(hold)),
      price_(std::move(price)),
      input_estimate_(input_estimate),
      started_(SteadyClock::now()) {}

Meter::~Meter() {
  settle(CallOutcome::ClientGone);
}

void Meter::sent() {
  sent_ = true;
}

void Meter::saw_output(std::size_t bytes) {
  if (!first_token_) first_token_ = since(started_);
  output_bytes_ += bytes;
}

void Meter::saw(const StreamEvent& event) {
  if (const auto* start = std::get_if<StreamStart>(&event)) {
    saw_usage(start->usage);
  } else if (const auto* usage = std::get_if<UsageEvent>(&event)) {
    saw_usage(usage->usage);
  } else if (const auto* text = std::get_if<TextDelta>(&event)) {
    saw_output(text->text.size());
  } else if (const auto* arguments = std::get_if<ArgumentsDelta>(&event)) {
    saw_output(arguments->json.size());
  } else if (const auto* part = std::get_if<PartStart>(&event)) {
    if (const auto* call = std::get_if<ToolCallPart>(&part->part))
      saw_output(call->name.size() + call->arguments.size());
    if (const auto* words = std::get_if<TextPart>(&part->part)) saw_output(words->text.size());
  } else if (std::holds_alternative<FinishEvent>(event)) {
    finished_ = true;
  }
}

bool Meter::fill(bool partial) {
  bool estimated = false;
  if (!usage_.input) {
    usage_.input = input_estimate_;
    estimated = true;
  }
  const std::int64_t counted = estimated_tokens(output_bytes_);
  // A stream that was cut may have reported a count of its beginning (Anthropic's message_start).
  const bool beginning = partial && !finished_ && usage_.output.value_or(0) < counted;
  if (!usage_.output || beginning) {
    usage_.output = counted;
    estimated = true;
  }
  return estimated;
}

void Meter::settle(CallOutcome outcome, std::string error) {
  if (settled_) return;
  settled_ = true;
  billing::Settlement settlement;
  const bool refused = outcome == CallOutcome::UpstreamError || outcome == CallOutcome::CacheHit || !sent_;
  if (!refused) settlement.usage_estimated = fill(outcome != CallOutcome::Success);
  if (price_ && outcome != CallOutcome::CacheHit && (!refused || core::total_tokens(usage_) > 0))
    cost_ = billing::cost_of(*price_, usage_);
  if (!hold_) return;
  settlement.outcome = outcome;
  settlement.usage = usage_;
  settlement.cost = cost_;  // the ledger cuts it to the bound, counts and logs that it had to
  settlement.status = status_;
  if (error.size() > kErrorBytesMax) error.resize(kErrorBytesMax);
  settlement.error = std::move(error);
  settlement.upstream_request_id = std::move(upstream_id_);
  settlement.latency = since(started_);
  settlement.first_token = first_token_;
  cost_ = std::min(cost_, hold_->bound());
  hold_->settle(std::move(settlement));
  hold_.reset();
}

}  // namespace assistiv::inference
