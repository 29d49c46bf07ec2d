#include "agents/definition/flow.h"

#include <algorithm>

namespace assistiv::agents {

Flow::Flow(const GraphDraft& draft)
    : graph_(draft.graph),
      groups_(graph_.nodes.size() + 1),
      joins_(graph_.nodes.size() + 1),
      successors_(graph_.nodes.size() + 1),
      reach_(graph_.nodes.size() + 1) {
  add_edges();
  add_bodies();
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    for (const auto& group : groups_[i]) {
      edges_ += group.size();
      for (const std::size_t to : group) successors_[i].set(to);
    }
  }
  fill_reach();
}

std::size_t Flow::place(const std::string& node) const {
  if (node == kStart) return start();
  return static_cast<std::size_t>(graph_.node(node) - graph_.nodes.data());
}

void Flow::add_group(std::size_t from, const std::vector<std::string>& to) {
  Group group;
  for (const auto& name : to) {
    if (name != kEnd) group.push_back(place(name));
  }
  std::sort(group.begin(), group.end());
  group.erase(std::unique(group.begin(), group.end()), group.end());
  groups_[from].push_back(std::move(group));
}

void Flow::add_edges() {
  std::vector<std::vector<std::string>> targets(groups_.size());
  for (const auto& edge : graph_.edges) {
    auto& into = targets[place(edge.from)];
    into.insert(into.end(), edge.to.begin(), edge.to.end());
  }
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (!targets[i].empty()) add_group(i, targets[i]);
  }
  for (const auto& join : graph_.joins) {
    const std::size_t index = join_targets_.size();
    join_targets_.push_back(join.to == kEnd ? kPlaces : place(join.to));
    join_sources_.emplace_back();
    for (const auto& from : join.from) {
      joins_[place(from)].push_back(index);
      join_sources_.back().set(place(from));
    }
    edges_ += join.from.size();
  }
}

void Flow::add_bodies() {
  for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Node& node = graph_.nodes[i];
    if (const auto* router = std::get_if<RouterNode>(&node.body)) {
      for (const auto& branch : router->branches) add_group(i, branch.to);
    } else if (const auto* map = std::get_if<MapNode>(&node.body)) {
      add_group(i, {map->node});
      if (!map->on_empty.empty()) add_group(i, {map->on_empty});
    } else if (const auto* approval = std::get_if<ApprovalNode>(&node.body)) {
      if (!approval->on_expire.empty()) add_group(i, {approval->on_expire});
    }
    if (!node.policies.on_error.empty()) add_group(i, {node.policies.on_error});
  }
}

void Flow::fill_reach() {
  for (std::size_t from = 0; from < reach_.size(); ++from) {
    std::vector<std::size_t> todo = {from};
    Places& seen = reach_[from];
    seen.set(from);
    const auto visit = [&](std::size_t to) {
      if (to == kPlaces || seen.test(to)) return;
      seen.set(to);
      todo.push_back(to);
    };
    while (!todo.empty()) {
      const std::size_t at = todo.back();
      todo.pop_back();
      for (const auto& group : groups_[at]) std::for_each(group.begin(), group.end(), visit);
      for (const std::size_t join : joins_[at]) visit(join_targets_[join]);
    }
  }
}

void check_reachable(const GraphDraft& draft, const Flow& flow, Faults& faults) {
  if (flow.groups(flow.start()).empty()) {
    faults.add(draft.at + "/edges", "no_start", "has no edge from __start__: say which node runs first");
    return;
  }
  for (std::size_t i = 0; i < flow.start(); ++i) {
    if (flow.reach(flow.start()).test(i)) continue;
    faults.add(draft.at + "/nodes" + pointer_to(flow.name(i)), "unreachable_node",
               "can never run: no edge, branch or map leads to it from __start__");
  }
}

namespace {

// A router with a branch that goes nowhere inside the cycle can end it, and a map that says where to go with
// an empty list; without that it goes on as the node that it maps.
bool can_leave(const Flow& flow, std::size_t place, const Flow::Places& cycle) {
  const auto& node = flow.graph().nodes[place];
  if (const auto* map = std::get_if<MapNode>(&node.body))
    return !map->on_empty.empty() && (map->on_empty == kEnd || !cycle.test(flow.place(map->on_empty)));
  if (!std::holds_alternative<RouterNode>(node.body)) return false;
  return std::any_of(flow.groups(place).begin(), flow.groups(place).end(), [&](const Flow::Group& group) {
    return std::none_of(group.begin(), group.end(), [&](std::size_t to) { return cycle.test(to); });
  });
}

// What goes on when nothing fails and nothing expires.
Flow::Places regular_next(const Flow& flow, std::size_t place) {
  Flow::Places out;
  const auto& node = flow.graph().nodes[place];
  std::size_t count = flow.groups(place).size();
  if (!node.policies.on_error.empty()) --count;
  const auto* approval = std::get_if<ApprovalNode>(&node.body);
  if (approval != nullptr && !approval->on_expire.empty()) --count;
  for (std::size_t i = 0; i < count; ++i) {
    for (const std::size_t to : flow.groups(place)[i]) out.set(to);
  }
  for (const std::size_t join : flow.joins(place)) {
    if (flow.join_target(join) != Flow::kPlaces) out.set(flow.join_target(join));
  }
  return out;
}

// The places from which `next` leads back to themselves, without those in `removed`.
Flow::Places on_cycles(const std::vector<Flow::Places>& next, const Flow::Places& removed) {
  Flow::Places left;
  for (std::size_t i = 0; i < next.size(); ++i) left.set(i, !removed.test(i));
  // Whoever leads nowhere, or is led to by nobody, is on no cycle.
  for (bool changed = true; changed;) {
    changed = false;
    Flow::Places entered;
    for (std::size_t i = 0; i < next.size(); ++i) {
      if (left.test(i)) entered |= next[i];
    }
    for (std::size_t i = 0; i < next.size(); ++i) {
      if (!left.test(i) || ((next[i] & left).any() && entered.test(i))) continue;
      left.reset(i);
      changed = true;
    }
  }
  return left;
}

std::string names_of(const Flow& flow, const Flow::Places& places) {
  std::string out;
  std::size_t shown = 0;
  for (std::size_t i = 0; i < flow.start(); ++i) {
    if (!places.test(i)) continue;
    if (++shown > 8) return out + ", ...";
    out += (out.empty() ? "" : ", ") + flow.name(i);
  }
  return out;
}

}  // namespace

void check_cycles(const GraphDraft& draft, const Flow& flow, Faults& faults) {
  std::vector<Flow::Places> next;
  for (std::size_t i = 0; i < flow.start(); ++i) next.push_back(regular_next(flow, i));
  const Flow::Places cyclic = on_cycles(next, {});
  Flow::Places exits;
  for (std::size_t i = 0; i < flow.start(); ++i) {
    if (!cyclic.test(i)) continue;
    // The cycles through a place: what it reaches and what reaches it.
    Flow::Places around;
    for (std::size_t k = 0; k < flow.start(); ++k) {
      around.set(k, cyclic.test(k) && flow.reach(i).test(k) && flow.reach(k).test(i));
    }
    exits.set(i, can_leave(flow, i, around));
  }
  const Flow::Places endless = on_cycles(next, exits);
  if (endless.none()) return;
  std::size_t first = 0;
  while (!endless.test(first)) ++first;
  faults.add(draft.at + "/nodes" + pointer_to(flow.name(first)), "endless_cycle",
             "is in a cycle that nothing leaves (" + names_of(flow, endless) +
                 "): put a router in it with a branch that goes elsewhere, or a map with such an "
                 "\"on_empty\"");
}

}  // namespace assistiv::agents
