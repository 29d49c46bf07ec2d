#include "agents/definition/graph.h"

#include <algorithm>
#include <set>

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

namespace {

bool asks_platform_within(const Graph& graph, std::set<const Graph*>& seen) {
  if (!seen.insert(&graph).second) return false;
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) {
    if (const auto* approval = std::get_if<ApprovalNode>(&node.body))
      return approval->who != Approver::EndUser;
    const auto* inner = std::get_if<SubgraphNode>(&node.body);
    return inner != nullptr && inner->local && asks_platform_within(*inner->local, seen);
  });
}

}  // namespace

bool asks_platform(const Graph& graph) {
  std::set<const Graph*> seen;
  return asks_platform_within(graph, seen);
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

std::vector<std::string> written_keys(const Graph& graph, const Node& node) {
  std::vector<std::string> out;
  for (const auto& [key, value] : node.write) out.push_back(key);
  if (!out.empty()) return out;
  const MessagesFrom* messages = nullptr;
  if (const auto* llm = std::get_if<LlmNode>(&node.body)) messages = &llm->messages;
  if (const auto* agent = std::get_if<AgentNode>(&node.body)) messages = &agent->messages;
  if (messages != nullptr) {
    const auto* key = std::get_if<std::string>(messages);
    if (key != nullptr && !key->empty()) out.push_back(*key);
  }
  const auto* subgraph = std::get_if<SubgraphNode>(&node.body);
  if (subgraph == nullptr || subgraph->local == nullptr) return out;
  for (const auto& key : subgraph->local->output) {
    if (graph.key(key) != nullptr) out.push_back(key);
  }
  return out;
}

}  // namespace assistiv::agents
