#pragma once
// Who can run after whom, and who at once. A task takes exactly one super-step, so two branches that begin
// together stay in step; joins and deferred nodes wait. Internal to agents/definition.
#include <bitset>
#include <cstddef>
#include <string>
#include <vector>

#include "agents/definition/draft.h"

namespace assistiv::agents {

class Flow {
 public:
  static constexpr std::size_t kPlaces = 257;  // the nodes of a graph and its start
  using Places = std::bitset<kPlaces>;
  using Group = std::vector<std::size_t>;  // places that begin in the same step; sorted

  // Every target of the draft exists.
  explicit Flow(const GraphDraft& draft);

  std::size_t start() const { return graph_.nodes.size(); }
  const std::string& name(std::size_t place) const { return graph_.nodes[place].id; }
  const Graph& graph() const { return graph_; }
  // The groups of which one follows a place: a router's branches, or the edges of another node.
  const std::vector<Group>& groups(std::size_t place) const { return groups_[place]; }
  // Indices of graph().joins that wait for a place.
  const std::vector<std::size_t>& joins(std::size_t place) const { return joins_[place]; }
  std::size_t join_target(std::size_t join) const { return join_targets_[join]; }
  const Places& join_sources(std::size_t join) const { return join_sources_[join]; }
  const Places& successors(std::size_t place) const { return successors_[place]; }  // of all groups
  // What can ever run after a place, and the place itself.
  const Places& reach(std::size_t place) const { return reach_[place]; }
  std::size_t edges() const { return edges_; }  // pairs of places
  std::size_t place(const std::string& node) const;

 private:
  void add_edges();
  void add_bodies();
  void add_group(std::size_t from, const std::vector<std::string>& to);
  void fill_reach();

  const Graph& graph_;
  std::vector<std::vector<Group>> groups_;
  std::vector<std::vector<std::size_t>> joins_;
  std::vector<std::size_t> join_targets_;  // kPlaces: the end
  std::vector<Places> join_sources_;
  std::vector<Places> successors_;
  std::vector<Places> reach_;
  std::size_t edges_ = 0;
};

void check_reachable(const GraphDraft& draft, const Flow& flow, Faults& faults);
// A cycle that no branch of a router leaves.
void check_cycles(const GraphDraft& draft, const Flow& flow, Faults& faults);
// Two tasks of one step that write a key whose reducer is last.
void check_parallel_writers(const GraphDraft& draft, const Flow& flow, Faults& faults);
// Joins whose nodes never run in one branch of the run.
void check_joins(const GraphDraft& draft, const Flow& flow, Faults& faults);

}  // namespace assistiv::agents
