// Which tasks share a step: pairs of places, followed in step from where they begin together.
#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "agents/definition/flow.h"

namespace assistiv::agents {

namespace {

class Pairs {
 public:
  explicit Pairs(const Flow& flow) : flow_(flow), seen_(flow.start() + 1) {}

  void follow() {
    for (std::size_t i = 0; i <= flow_.start(); ++i) begin_at(i);
    while (!todo_.empty()) {
      const auto [a, b] = todo_.front();
      todo_.pop_front();
      step(a, b);
    }
  }
  bool together(std::size_t a, std::size_t b) const { return seen_[a].test(b); }

 private:
  // Pairs of `a` with each of `others`.
  void push(std::size_t a, const Flow::Places& others) {
    Flow::Places fresh = others & ~seen_[a];
    fresh.reset(a);
    if (fresh.none()) return;
    for (std::size_t b = 0; b < flow_.start(); ++b) {
      if (!fresh.test(b)) continue;
      seen_[a].set(b);
      seen_[b].set(a);
      todo_.emplace_back(a, b);
    }
  }

  void push_all(const Flow::Places& group) {
    for (std::size_t i = 0; i < flow_.start(); ++i) {
      if (group.test(i)) push(i, group);
    }
  }

  void begin_at(std::size_t place) {
    for (const auto& group : flow_.groups(place)) {
      Flow::Places together;
      for (const std::size_t to : group) together.set(to);
      push_all(together);
    }
    if (place == flow_.start()) return;
    // The tasks of a mapped router go different ways in one step.
    const auto* map = std::get_if<MapNode>(&flow_.graph().nodes[place].body);
    if (map != nullptr) push_all(flow_.successors(flow_.place(map->node)));
  }

  bool defers(std::size_t place) const { return flow_.graph().nodes[place].defer; }

  // Where the task of `place` goes while one of `other` runs. A join cannot be complete while `other` has yet
  // to bring one of its nodes.
  Flow::Places next(std::size_t place, std::size_t other) const {
    Flow::Places out = flow_.successors(place);
    for (const std::size_t join : flow_.joins(place)) {
      const std::size_t to = flow_.join_target(join);
      Flow::Places awaited = flow_.join_sources(join) & flow_.reach(other);
      awaited.reset(place);
      if (to != Flow::kPlaces && awaited.none()) out.set(to);
    }
    return out;
  }

  void step(std::size_t a, std::size_t b) {
    if (defers(a) != defers(b)) {
      const std::size_t waiting = defers(a) ? a : b, running = defers(a) ? b : a;
      push(waiting, next(running, waiting));
      return;
    }
    const Flow::Places to_a = next(a, b), to_b = next(b, a);
    for (std::size_t i = 0; i < flow_.start(); ++i) {
      if (to_a.test(i)) push(i, to_b);
    }
  }

  const Flow& flow_;
  std::vector<Flow::Places> seen_;
  std::deque<std::pair<std::size_t, std::size_t>> todo_;
};

bool takes_one_writer(const Graph& graph, const std::string& name) {
  const StateKey* key = graph.key(name);
  return key != nullptr && key->reducer == Reducer::Last;
}

std::string write_pointer(const GraphDraft& draft, const Node& node, const std::string& key) {
  const std::string at = draft.at + "/nodes" + pointer_to(node.id);
  return node.write.empty() ? at : at + "/write" + pointer_to(key);
}

std::string advice(const std::string& key) {
  return "\"" + key +
         "\", which takes one writer for each step: give it another x-reducer (\"any\" keeps one of several)";
}

// By key that takes one writer: the places that write it.
std::map<std::string, Flow::Group> writers_of(const Flow& flow) {
  std::map<std::string, Flow::Group> out;
  for (std::size_t i = 0; i < flow.start(); ++i) {
    for (const auto& key : written_keys(flow.graph(), flow.graph().nodes[i])) {
      if (takes_one_writer(flow.graph(), key)) out[key].push_back(i);
    }
  }
  return out;
}

void check_mapped_writers(const GraphDraft& draft, Faults& faults) {
  for (const auto& node : draft.graph.nodes) {
    const auto* map = std::get_if<MapNode>(&node.body);
    if (map == nullptr) continue;
    const Node& mapped = *draft.graph.node(map->node);
    for (const auto& key : written_keys(draft.graph, mapped)) {
      if (!takes_one_writer(draft.graph, key)) continue;
      faults.add(write_pointer(draft, mapped, key), "parallel_writers",
                 "every task of the map \"" + node.id + "\" writes " + advice(key));
    }
  }
}

}  // namespace

void check_parallel_writers(const GraphDraft& draft, const Flow& flow, Faults& faults) {
  check_mapped_writers(draft, faults);
  Pairs pairs(flow);
  pairs.follow();
  for (const auto& [key, places] : writers_of(flow)) {
    for (std::size_t i = 0; i < places.size() && !faults.full(); ++i) {
      for (std::size_t k = i + 1; k < places.size(); ++k) {
        const std::size_t a = places[i], b = places[k];
        if (!pairs.together(a, b)) continue;
        // Of a deferred node and another one only the other one runs.
        const auto& nodes = flow.graph().nodes;
        if (nodes[a].defer != nodes[b].defer) continue;
        faults.add(write_pointer(draft, nodes[b], key), "parallel_writers",
                   "\"" + nodes[a].id + "\" can run in the same step and also writes " + advice(key) +
                       ", or run one after the other");
      }
    }
  }
}

void check_joins(const GraphDraft& draft, const Flow& flow, Faults& faults) {
  std::set<Flow::Group> forks;
  for (std::size_t i = 0; i <= flow.start(); ++i) {
    for (const auto& group : flow.groups(i)) {
      if (group.size() > 1) forks.insert(group);
    }
  }
  const auto both = [&](std::size_t a, std::size_t b) {
    if (flow.reach(a).test(b) || flow.reach(b).test(a)) return true;
    return std::any_of(forks.begin(), forks.end(), [&](const Flow::Group& fork) {
      std::size_t to_a = 0, to_b = 0, to_both = 0;
      for (const std::size_t place : fork) {
        const bool reaches_a = flow.reach(place).test(a), reaches_b = flow.reach(place).test(b);
        to_a += reaches_a ? 1 : 0;
        to_b += reaches_b ? 1 : 0;
        to_both += reaches_a && reaches_b ? 1 : 0;
      }
      return to_a > 0 && to_b > 0 && (to_a > to_both || to_b > to_both || to_both > 1);
    });
  };
  for (std::size_t i = 0; i < draft.graph.joins.size(); ++i) {
    const auto& from = draft.graph.joins[i].from;
    for (std::size_t k = 1; k < from.size(); ++k) {
      if (both(flow.place(from[0]), flow.place(from[k]))) continue;
      faults.add(draft.join_at[i] + "/join/" + std::to_string(k), "join",
                 "\"" + from[k] + "\" and \"" + from[0] +
                     "\" never both run, so this join would wait forever: begin them from one place");
      break;
    }
  }
}

}  // namespace assistiv::agents
