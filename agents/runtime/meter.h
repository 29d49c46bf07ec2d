#pragma once
// What a run may still use up. Reserved before an act and settled after it, so that branches side by side
// cannot overshoot. Internal to runtime/; one thread.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "agents/runtime/run.h"
#include "core/error.h"

namespace assistiv::agents {

class Meter {
 public:
  // With `above`: of a sub-agent in the run that `above` is of. What it uses up counts there, too, and each
  // of both may say no.
  Meter(Limits limits, RunTotals before, const core::Clock& clock, Meter* above = nullptr,
        std::string who = "the run");

  // Each throws Error{PaymentRequired or Unprocessable} with the code "limit_<name>" when the run may not.
  void begin_step();  // GRAPH_RECURSION_LIMIT
  bool limits_models() const {
    return limits_.max_cost_nano_usd || limits_.max_tokens || (above_ != nullptr && above_->limits_models());
  }
  // What the call may use up, at most `wanted`: less when nothing else of the run is under way and a short
  // answer fits. Nothing: others have to settle first.
  std::optional<Quote> reserve_model(const Quote& wanted);
  void settle_model(const Quote& granted, std::int64_t cost_nano_usd, std::int64_t tokens);
  // What the answer says of its own usage.
  void count_tokens(const core::Json& message);
  void take_tool();
  void take_same_call(const std::string& tool, const core::Json& arguments);
  void check_time() const;
  static core::Error out_of_time(const std::string& who = "the run");
  // What is left of max_active; nothing without a bound.
  std::optional<std::chrono::milliseconds> time_left() const;

  RunTotals totals() const;
  const Limits& limits() const { return limits_; }
  std::int64_t remaining_nano_usd() const;  // INT64_MAX without a bound
  void begin_attempt() { steps_ = 0; }

 private:
  // What fits of it; nothing: later.
  std::optional<Quote> fitting(const Quote& wanted) const;

  Limits limits_;
  RunTotals used_;
  Quote reserved_;
  int steps_ = 0;  // of this attempt: a resume gets a fresh allowance
  const core::Clock& clock_;
  core::Time began_;
  Meter* above_;
  const std::string who_;
};

}  // namespace assistiv::agents
