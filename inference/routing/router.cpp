#include "inference/routing/router.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>

namespace assistiv::inference {

namespace {

// One call in so many tries another target than the fastest, so that a recovered one is seen.
constexpr std::uint64_t kExploreOneIn = 20;
// A typical call's input tokens per output token, for comparing prices of two rates.
constexpr std::int64_t kInputPerOutput = 3;

std::uint64_t draw(core::Random& random, std::uint64_t below) {
  std::array<std::uint8_t, 8> bytes{};
  random.fill(bytes);
  std::uint64_t value = 0;
  for (const auto byte : bytes) value = value << 8 | byte;
  return value % below;
}

using Group = std::vector<Candidate>;

void by_weight(Group& group, core::Random& random) {
  for (std::size_t place = 0; place + 1 < group.size(); ++place) {
    std::uint64_t sum = 0;
    for (std::size_t i = place; i < group.size(); ++i)
      sum += static_cast<std::uint64_t>(std::max(group[i].target->weight, 0));
    if (sum == 0) return;
    auto left = draw(random, sum);
    for (std::size_t i = place; i < group.size(); ++i) {
      const auto weight = static_cast<std::uint64_t>(std::max(group[i].target->weight, 0));
      if (left < weight) {
        std::swap(group[place], group[i]);
        break;
      }
      left -= weight;
    }
  }
}

void by_latency(Group& group, const Health& health, core::Random& random) {
  // One that was never asked counts as the fastest, so that it is asked.
  const auto latency = [&](const Candidate& one) {
    return health.latency(health_key(*one.target), one.target->model.name)
        .value_or(std::chrono::microseconds(0));
  };
  std::stable_sort(group.begin(), group.end(),
                   [&](const Candidate& a, const Candidate& b) { return latency(a) < latency(b); });
  if (draw(random, kExploreOneIn) == 0) std::swap(group[0], group[1 + draw(random, group.size() - 1)]);
}

std::int64_t price_of(const Candidate& one) {
  if (!one.target->price) return one.target->local ? 0 : std::numeric_limits<std::int64_t>::max();
  const auto& base = one.target->price->base;
  return base.input.value_or(0) * kInputPerOutput + base.output.value_or(0);
}

void by_cost(Group& group, core::Random& random) {
  by_weight(group, random);
  std::stable_sort(group.begin(), group.end(),
                   [](const Candidate& a, const Candidate& b) { return price_of(a) < price_of(b); });
}

void arrange(Group& group, Strategy strategy, const Health& health, core::Random& random) {
  if (group.size() < 2) return;
  switch (strategy) {
    case Strategy::Weight:
      return by_weight(group, random);
    case Strategy::LowestLatency:
      return by_latency(group, health, random);
    case Strategy::LowestCost:
      return by_cost(group, random);
  }
}

void append_model(std::vector<Candidate>& out, Group fit, Strategy strategy, const Health& health,
                  core::Random& random) {
  std::stable_sort(fit.begin(), fit.end(), [](const Candidate& a, const Candidate& b) {
    return a.target->priority < b.target->priority;
  });
  for (auto from = fit.begin(); from != fit.end();) {
    const auto to = std::find_if(from, fit.end(), [&](const Candidate& one) {
      return one.target->priority != from->target->priority;
    });
    Group group(from, to);
    arrange(group, strategy, health, random);
    out.insert(out.end(), group.begin(), group.end());
    from = to;
  }
}

}  // namespace

std::string health_key(const Target& target) {
  return target.config_id + "#" + std::to_string(std::hash<std::string>()(target.api_key.reveal()));
}

std::vector<Candidate> order_targets(const TargetPlan& plan, bool local_only, const Health& health,
                                     core::Random& random, std::chrono::steady_clock::time_point now) {
  std::vector<Candidate> out;
  Group broken;
  const auto strategy = plan.settings->strategy;
  for (std::size_t index = 0; index < plan.models.size(); ++index) {
    const auto& model = plan.models[index];
    Group fit, cooling;
    for (const auto& target : model.targets) {
      if (local_only && !target->local) continue;
      const Candidate candidate{target, model.name, index};
      switch (health.state(health_key(*target), now)) {
        case Health::State::Fit:
        case Health::State::Probe:
          fit.push_back(candidate);
          break;
        case Health::State::Cooling:
          cooling.push_back(candidate);
          break;
        case Health::State::Broken:
          broken.push_back(candidate);
          break;
      }
    }
    append_model(out, std::move(fit), strategy, health, random);
    append_model(out, std::move(cooling), strategy, health, random);
  }
  append_model(out, std::move(broken), strategy, health, random);
  return out;
}

}  // namespace assistiv::inference
