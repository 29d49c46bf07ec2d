#include "agents/service/state_view.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "core/clock.h"
#include "core/error.h"

namespace assistiv::agents {

namespace {

using core::Json;

Json shown_interrupts(const std::vector<pregel::Interrupt>& interrupts) {
  auto out = Json::array();
  for (const auto& one : interrupts) out.push_back({{"id", one.id}, {"value", one.value.json()}});
  return out;
}

Json written(const pregel::TaskResult& result) {
  auto out = Json::object();
  for (const auto& write : result.writes) out[write.key] = write.value.json();
  return out;
}

Json path_of(const pregel::PlannedTask& task) {
  if (task.kind == pregel::TaskKind::Push) return {"__pregel_push", task.index};
  return {"__pregel_pull", task.node};
}

Json task_json(const StateOf& state, const pregel::PlannedTask& task) {
  const auto& pending = state.stored.pending;
  const auto found = pending.tasks.find(task.id);
  Json out = {{"id", task.id},
              {"name", task.node},
              {"path", path_of(task)},
              {"error", nullptr},
              {"interrupts", shown_interrupts(pregel::open_interrupts({task}, pending))},
              {"checkpoint", nullptr},
              {"state", nullptr},
              {"result", nullptr}};
  if (found == pending.tasks.end()) return out;
  if (found->second.result) out["result"] = written(*found->second.result);
  if (!found->second.child.empty()) {
    out["checkpoint"] = {{"thread_id", state.thread},
                         {"checkpoint_ns", task.child_ns},
                         {"checkpoint_id", found->second.child}};
  }
  return out;
}

pregel::Checkpoint with_pending_command(const StateOf& state) {
  return pregel::with_command(*state.program, state.stored.checkpoint, state.stored.pending.command);
}

bool has_finished_task(const pregel::Pending& pending) {
  for (const auto& [id, record] : pending.tasks) {
    if (record.result) return true;
  }
  return false;
}

Json values_json(const StateOf& state) {
  const auto& checkpoint = state.stored.checkpoint;
  if (!state.is_head || !state.program) return pregel::to_json(checkpoint.values);
  const auto& pending = state.stored.pending;
  const auto head = with_pending_command(state);
  if (!has_finished_task(pending)) return pregel::to_json(head.values);
  try {
    const auto next = pregel::update(*state.program, head, pending, kEnd, {}, {head.id, head.at});
    return pregel::to_json(next.values);
  } catch (const core::Error&) {
    // The step cannot end (two writers of one key): the run will say so.
    return pregel::to_json(head.values);
  }
}

// Without its graph a checkpoint still knows who is next.
Json next_without_graph(const pregel::Checkpoint& checkpoint) {
  auto out = Json::array();
  for (const auto& send : checkpoint.sends) out.push_back(send.node);
  for (const auto& [node, channels] : checkpoint.ready) out.push_back(node);
  return out;
}

void add_tasks(const StateOf& state, Json& out) {
  auto names = Json::array();
  auto tasks = Json::array();
  auto interrupts = Json::array();
  for (const auto& task : tasks_of(state)) {
    const auto found = state.stored.pending.tasks.find(task.id);
    const bool is_done = found != state.stored.pending.tasks.end() && found->second.result.has_value();
    if (!is_done || !state.is_head) names.push_back(task.node);
    auto json = task_json(state, task);
    for (const auto& one : json["interrupts"]) interrupts.push_back(one);
    tasks.push_back(std::move(json));
  }
  out["next"] = std::move(names);
  out["tasks"] = std::move(tasks);
  out["interrupts"] = std::move(interrupts);
}

}  // namespace

Json checkpoint_json(const std::string& thread, const std::string& ns, const std::string& id,
                     const Json& parents) {
  Json out = {
      {"thread_id", thread}, {"checkpoint_ns", ns}, {"checkpoint_id", id}, {"checkpoint_map", nullptr}};
  if (ns.empty()) return out;
  auto& map = out["checkpoint_map"] = parents.is_object() ? parents : Json::object();
  map[ns] = id;
  return out;
}

std::vector<pregel::PlannedTask> tasks_of(const StateOf& state) {
  return pregel::plan(*state.program, with_pending_command(state));
}

Json state_json(const StateOf& state) {
  const auto& checkpoint = state.stored.checkpoint;
  const auto parents = state.stored.metadata.value("parents", Json::object());
  Json out = {{"values", values_json(state)},
              {"next", Json::array()},
              {"tasks", Json::array()},
              {"interrupts", Json::array()},
              {"checkpoint", checkpoint_json(state.thread, checkpoint.ns, checkpoint.id, parents)},
              {"parent_checkpoint", nullptr},
              {"metadata", state.stored.metadata},
              {"created_at", core::format_time(checkpoint.at)}};
  if (!checkpoint.parent.empty()) {
    out["parent_checkpoint"] = checkpoint_json(state.thread, checkpoint.ns, checkpoint.parent, parents);
  }
  if (state.program) {
    add_tasks(state, out);
  } else {
    out["next"] = next_without_graph(checkpoint);
  }
  return out;
}

Json no_state_json(const std::string& created_at) {
  return {{"values", Json::object()},    {"next", Json::array()},   {"tasks", Json::array()},
          {"interrupts", Json::array()}, {"checkpoint", nullptr},   {"parent_checkpoint", nullptr},
          {"metadata", Json::object()},  {"created_at", created_at}};
}

std::vector<std::string> nodes_of_namespace(const std::string& ns) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < ns.size();) {
    const auto end = std::min(ns.find('|', at), ns.size());
    const auto segment = ns.substr(at, end - at);
    out.push_back(segment.substr(0, segment.find(':')));
    at = end + 1;
  }
  return out;
}

std::string parent_namespace(const std::string& ns) {
  const auto at = ns.rfind('|');
  return at == std::string::npos ? std::string() : ns.substr(0, at);
}

GraphPtr graph_in(GraphPtr root, const std::string& ns) {
  auto graph = std::move(root);
  for (const auto& name : nodes_of_namespace(ns)) {
    const auto* node = graph ? graph->node(name) : nullptr;
    const auto* inner = node == nullptr ? nullptr : std::get_if<SubgraphNode>(&node->body);
    if (inner == nullptr) return nullptr;
    graph = inner->local;
  }
  return graph;
}

}  // namespace assistiv::agents
