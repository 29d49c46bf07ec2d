#include "inference/engine/fact_headers.h"

namespace assistiv::inference {

namespace {

constexpr std::size_t kDroppedMax = 4096;

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) {
    if (out.size() + word.size() > kDroppedMax) break;
    out += (out.empty() ? "" : ", ") + word;
  }
  return out;
}

}  // namespace

void add_fact_headers(core::HttpHeaders& headers, const TurnFacts& facts, bool with_cost) {
  if (!facts.provider.empty()) {
    headers.set("x-aig-provider", facts.provider);
    headers.set("x-aig-model", facts.provider_model);
  }
  headers.set("x-aig-attempts", std::to_string(facts.attempts));
  if (with_cost) headers.set("x-aig-cost-usd", core::format_usd(facts.cost));
  headers.set("x-aig-overhead-us", std::to_string(facts.overhead.count()));
  if (!facts.dropped.empty()) headers.set("x-aig-dropped", joined(facts.dropped));
  if (facts.estimated) headers.set("x-aig-token-count", "estimated");
  for (const auto& [name, value] : facts.rate_limits.fields()) headers.set(name, value);
}

std::string cost_comment(core::NanoUsd cost) {
  return ": x-aig-cost-usd " + core::format_usd(cost) + "\n\n";
}

}  // namespace assistiv::inference
