#include "agents/definition/graph.h"

#include <algorithm>

namespace assistiv::agents {

std::string_view to_string(Reducer reducer) {
  switch (reducer) {
    case Reducer::Last:
      return "last";
    case Reducer::Messages:
      return "messages";
    case Reducer::Append:
      return "append";
    case Reducer::Merge:
      return "merge";
    case Reducer::DeepMerge:
      return "deep_merge";
    case Reducer::Union:
      return "union";
    case Reducer::Sum:
      return "sum";
    case Reducer::Min:
      return "min";
    case Reducer::Max:
      return "max";
    case Reducer::And:
      return "and";
    case Reducer::Or:
      return "or";
    case Reducer::Any:
      return "any";
  }
  return "";
}

std::string_view to_string(Channel channel) {
  switch (channel) {
    case Channel::Durable:
      return "durable";
    case Channel::Ephemeral:
      return "ephemeral";
    case Channel::Untracked:
      return "untracked";
  }
  return "";
}

std::string_view Node::type() const {
  static constexpr std::string_view kNames[] = {"llm",      "tool",     "agent",     "router", "map",
                                                "subgraph", "approval", "transform", "http",   "end"};
  static_assert(std::variant_size_v<NodeBody> == std::size(kNames));
  return kNames[body.index()];
}

const Node* Graph::node(std::string_view id) const {
  const auto found =
      std::lower_bound(nodes.begin(), nodes.end(), id,
                       [](const Node& node, std::string_view wanted) { return node.id < wanted; });
  return found != nodes.end() && found->id == id ? &*found : nullptr;
}

const StateKey* Graph::key(std::string_view wanted) const {
  const auto found =
      std::lower_bound(state.begin(), state.end(), wanted,
                       [](const StateKey& one, std::string_view key) { return one.name < key; });
  return found != state.end() && found->name == wanted ? &*found : nullptr;
}

}  // namespace assistiv::agents
