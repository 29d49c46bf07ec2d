#include "agents/definition/definition.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/money.h"

namespace assistiv::agents {

namespace {

template <class T>
std::optional<T> lower(const std::optional<T>& a, const std::optional<T>& b) {
  if (!a) return b;
  return b ? std::min(*a, *b) : *a;
}

std::optional<std::int64_t> count_of(const core::Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? std::nullopt : std::optional(found->get<std::int64_t>());
}

std::optional<std::chrono::milliseconds> seconds_of(const core::Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return {};
  return std::chrono::milliseconds(static_cast<std::int64_t>(found->get<double>() * 1000));
}

}  // namespace

Limits no_limits() {
  Limits out;
  out.max_supersteps = 10'000;
  out.max_fanout = 1000;
  out.max_parallel = 256;
  out.max_state_bytes = 64 << 20;
  out.max_depth = 16;
  out.same_call_limit = 1000;
  return out;
}

Limits read_limits(const core::Json& object, Limits base) {
  Limits out = base;
  const auto whole = [&](const char* name, auto& into) {
    if (const auto value = count_of(object, name)) into = static_cast<std::decay_t<decltype(into)>>(*value);
  };
  whole("max_supersteps", out.max_supersteps);
  whole("max_fanout", out.max_fanout);
  whole("max_parallel", out.max_parallel);
  whole("max_state_bytes", out.max_state_bytes);
  whole("max_depth", out.max_depth);
  whole("same_call_limit", out.same_call_limit);
  if (object.contains("max_cost_usd")) {
    const auto cost = core::parse_usd(object.at("max_cost_usd").get_ref<const std::string&>());
    if (cost) out.max_cost_nano_usd = cost->nanos;
  }
  out.max_tokens = lower(count_of(object, "max_tokens"), base.max_tokens);
  out.max_llm_calls = lower(count_of(object, "max_llm_calls"), base.max_llm_calls);
  out.max_tool_calls = lower(count_of(object, "max_tool_calls"), base.max_tool_calls);
  out.max_active = lower(seconds_of(object, "max_active_s"), base.max_active);
  out.max_wait = lower(seconds_of(object, "max_wait_s"), base.max_wait);
  return out;
}

Limits tighter(const Limits& a, const Limits& b) {
  Limits out;
  out.max_supersteps = std::min(a.max_supersteps, b.max_supersteps);
  out.max_cost_nano_usd = lower(a.max_cost_nano_usd, b.max_cost_nano_usd);
  out.max_tokens = lower(a.max_tokens, b.max_tokens);
  out.max_llm_calls = lower(a.max_llm_calls, b.max_llm_calls);
  out.max_tool_calls = lower(a.max_tool_calls, b.max_tool_calls);
  out.max_active = lower(a.max_active, b.max_active);
  out.max_wait = lower(a.max_wait, b.max_wait);
  out.max_fanout = std::min(a.max_fanout, b.max_fanout);
  out.max_parallel = std::min(a.max_parallel, b.max_parallel);
  out.max_state_bytes = std::min(a.max_state_bytes, b.max_state_bytes);
  out.max_depth = std::min(a.max_depth, b.max_depth);
  out.same_call_limit = std::min(a.same_call_limit, b.same_call_limit);
  return out;
}

}  // namespace assistiv::agents
