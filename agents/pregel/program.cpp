#include "agents/pregel/program.h"

#include <utility>

#include "agents/pregel/reduce.h"

namespace assistiv::agents::pregel {

Program::Program(std::shared_ptr<const Graph> graph) : graph_(std::move(graph)) {
  for (const auto& edge : graph_->edges) {
    auto& targets = after_[edge.from];
    for (const auto& to : edge.to) {
      if (to != kEnd) targets.push_back(to);
    }
  }
  for (const auto& join : graph_->joins) {
    if (join.to == kEnd) continue;
    std::string channel = "join:";
    for (const auto& from : join.from) channel += (channel.back() == ':' ? "" : "+") + from;
    channel += ":" + join.to;
    joins_.push_back({std::move(channel), {join.from.begin(), join.from.end()}, join.to});
  }
  for (const auto& key : graph_->state) {
    if (auto value = initial_value(key)) initial_.emplace(key.name, std::move(value));
    if (key.channel == Channel::Untracked) untracked_.insert(key.name);
    if (key.channel == Channel::Ephemeral) ephemeral_.insert(key.name);
  }
}

const std::vector<std::string>& Program::after(std::string_view node) const {
  static const std::vector<std::string> none;
  const auto found = after_.find(node);
  return found == after_.end() ? none : found->second;
}

bool Program::deferred(std::string_view node) const {
  const auto* found = graph_->node(node);
  return found != nullptr && found->defer;
}

}  // namespace assistiv::agents::pregel
