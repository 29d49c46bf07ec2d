#pragma once
// What one upstream call used, from its admission to its one settlement.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "billing/ledger.h"
#include "core/usage.h"
#include "inference/canonical.h"

namespace assistiv::inference {

// Tokens of so many bytes of text, for where the provider does not say: four bytes each.
std::int64_t estimated_tokens(std::size_t bytes);

// Not thread-safe. Destroyed unsettled, it settles as ClientGone: somebody stopped asking.
class Meter {
 public:
  // `hold` null: the call costs nothing and leaves no row (count_tokens). `price` null: free.
  Meter(billing::HoldPtr hold, billing::PricePtr price, std::int64_t input_estimate);
  ~Meter();
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  // From here on the provider may count the input.
  void sent();
  void saw(const StreamEvent& event);
  void saw_usage(const core::Usage& usage) { core::merge_usage(usage_, usage); }
  void saw_output(std::size_t bytes);
  void saw_whole_reply() { finished_ = true; }
  void set_status(int status) { status_ = status; }
  void set_upstream_id(std::string id) { upstream_id_ = std::move(id); }

  // The first call counts. Rules of what is billed: docs/billing.md.
  void settle(billing::CallOutcome outcome, std::string error = {});
  bool settled() const { return settled_; }
  core::NanoUsd cost() const { return cost_; }
  const core::Usage& usage() const { return usage_; }
  std::optional<std::chrono::milliseconds> first_token() const { return first_token_; }

 private:
  // Fills in what the provider did not report; true when something was estimated.
  bool fill(bool partial);

  billing::HoldPtr hold_;
  const billing::PricePtr price_;
  const std::int64_t input_estimate_;
  const std::chrono::steady_clock::time_point started_;
  core::Usage usage_;
  std::size_t output_bytes_ = 0;
  std::optional<std::chrono::milliseconds> first_token_;
  core::NanoUsd cost_;
  int status_ = 0;
  std::string upstream_id_;
  bool sent_ = false;
  bool finished_ = false;
  bool settled_ = false;
};

}  // namespace assistiv::inference
