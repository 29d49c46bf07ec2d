#include "agents/pregel/step.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace assistiv::agents::pregel {
namespace {

core::Error refused(std::string message, const char* code = "INVALID_GRAPH_UPDATE") {
  return core::Error(core::ErrorKind::Unprocessable, std::move(message)).with_code(code);
}

std::string channel_of(std::string_view node) {
  return "branch:to:" + std::string(node);
}

void set_off(const Program& program, Checkpoint& next, const std::string& node, std::string channel) {
  if (node == kEnd) return;
  if (!program.has_node(node)) throw refused("there is no node \"" + node.substr(0, 64) + "\" to go to");
  (program.deferred(node) ? next.waiting : next.ready)[node].insert(std::move(channel));
}

// The edges of a node that has run.
void take_edges(const Program& program, Checkpoint& next, std::string_view node) {
  for (const auto& to : program.after(node)) set_off(program, next, to, channel_of(to));
  for (const auto& join : program.joins()) {
    if (!join.from.contains(std::string(node))) continue;
    auto& who = next.arrived[join.channel];
    who.emplace(node);
    if (who.size() < join.from.size()) continue;
    next.arrived.erase(join.channel);
    set_off(program, next, join.to, join.channel);
  }
}

void follow(const Program& program, Checkpoint& next, std::string_view node, const TaskResult& result) {
  if (result.edges) take_edges(program, next, node);
  for (const auto& passed : result.passes) take_edges(program, next, passed);
  for (const auto& to : result.to) set_off(program, next, to, channel_of(to));
  for (const auto& send : result.sends) {
    if (!program.has_node(send.node))
      throw refused("there is no node \"" + send.node.substr(0, 64) + "\" to send to");
    next.sends.push_back(send);
  }
  for (const auto& [ns, head] : result.children) next.children.insert_or_assign(ns, head);
}

// What one step wrote to each key, in the order of its tasks.
class Writes {
 public:
  void add(const Program& program, const std::vector<Write>& writes) {
    for (const auto& write : writes) {
      const auto* key = program.graph().key(write.key);
      if (key == nullptr) throw refused("there is no state key \"" + write.key.substr(0, 64) + "\"");
      bytes_ += write.value.bytes();
      if (bytes_ > static_cast<std::size_t>(program.graph().limits.max_state_bytes)) {
        throw refused("one step writes more than max_state_bytes allows", "STATE_TOO_LARGE");
      }
      by_key_[key->name].push_back(write.value);
    }
  }

  void reduce_into(const Program& program, Checkpoint& next) const {
    for (const auto& [name, writes] : by_key_) {
      auto& slot = next.values[name];
      slot = reduce(*program.graph().key(name), slot, writes);
      next.versions.insert_or_assign(name, next.version);
      next.updated.push_back(name);
    }
  }

 private:
  std::map<std::string, std::vector<Value>, std::less<>> by_key_;
  std::size_t bytes_ = 0;
};

void check_size(const Program& program, const Checkpoint& next) {
  const auto bytes = state_bytes(next);
  const auto max = program.graph().limits.max_state_bytes;
  if (bytes > static_cast<std::size_t>(max)) {
    throw refused("the state of " + std::to_string(bytes) + " bytes is over max_state_bytes (" +
                      std::to_string(max) + ")",
                  "STATE_TOO_LARGE");
  }
  if (next.sends.size() + next.ready.size() > kMaxTasks) {
    throw refused("one step would have " + std::to_string(next.sends.size() + next.ready.size()) +
                      " tasks (at most " + std::to_string(kMaxTasks) + ")",
                  "FANOUT_TOO_LARGE");
  }
}

// The next checkpoint before anything was written to it: what lives for one step only is gone.
Checkpoint successor(const Program& program, const Checkpoint& base, Source source, Identity identity) {
  Checkpoint next;
  next.id = std::move(identity.id);
  next.at = identity.at;
  next.parent = base.id;
  next.ns = base.ns;
  next.step = base.step + 1;
  next.source = source;
  next.values = base.values;
  for (const auto& key : program.ephemeral()) next.values.erase(key);
  next.versions = base.versions;
  next.version = base.version + 1;
  next.interrupts_seen = base.interrupts_seen;
  next.waiting = base.waiting;
  next.arrived = base.arrived;
  next.children = base.children;
  next.chain = base.chain + 1;
  next.forks = base.forks;
  return next;
}

// Deferred nodes run when nothing else would.
void release_deferred(Checkpoint& next) {
  if (next.ready.empty() && next.sends.empty()) next.ready.swap(next.waiting);
}

// Nodes by name, then sends by their place: LangGraph orders the paths of tasks like that.
std::vector<const PlannedTask*> in_order(const std::vector<PlannedTask>& tasks) {
  std::vector<const PlannedTask*> out;
  for (const auto& task : tasks) out.push_back(&task);
  std::stable_sort(out.begin(), out.end(), [](const PlannedTask* a, const PlannedTask* b) {
    if (a->kind != b->kind) return a->kind == TaskKind::Pull;
    return a->kind == TaskKind::Pull ? a->node < b->node : a->index < b->index;
  });
  return out;
}

bool names(const std::vector<std::string>& nodes, std::string_view node) {
  return std::any_of(nodes.begin(), nodes.end(), [&](const auto& one) { return one == "*" || one == node; });
}

bool is_answer_map(const core::Json& resume) {
  if (!resume.is_object() || resume.empty()) return false;
  for (const auto& [id, value] : resume.items()) {
    if (!looks_like_interrupt_id(id)) return false;
  }
  return true;
}

void add_update(const Program& program, TaskResult& out, const std::string& name, const core::Json& value,
                core::Random& random) {
  const auto* key = program.graph().key(name);
  if (key == nullptr) throw refused("there is no state key \"" + name.substr(0, 64) + "\"");
  out.writes.push_back(prepare_write(*key, value, random));
}

void add_target(const Program& program, TaskResult& out, const core::Json& target) {
  if (target.is_string()) {
    const auto node = target.get<std::string>();
    if (node != kEnd && !program.has_node(node))
      throw refused("there is no node \"" + node.substr(0, 64) + "\" to go to");
    out.to.push_back(node);
  } else if (target.is_object() && target.contains("node") && target["node"].is_string()) {
    const auto node = target["node"].get<std::string>();
    if (!program.has_node(node)) throw refused("there is no node \"" + node.substr(0, 64) + "\" to go to");
    out.sends.push_back({node, Value(target.value("input", core::Json())), ""});
  } else {
    throw refused("goto is a node's name, {node, input}, or a list of them");
  }
}

}  // namespace

Checkpoint blank(const Program& program, std::string ns) {
  Checkpoint out;
  out.ns = std::move(ns);
  out.values = program.initial();
  return out;
}

std::vector<PlannedTask> plan(const Program& program, const Checkpoint& checkpoint) {
  std::vector<PlannedTask> out;
  const int step = checkpoint.step + 1;
  const auto add = [&](std::string node, TaskKind kind, std::size_t index) -> PlannedTask& {
    auto& task = out.emplace_back();
    task.id = task_id(checkpoint.id, checkpoint.ns, step, node, kind, index);
    const auto* body = program.graph().node(node);
    if (body != nullptr && std::holds_alternative<SubgraphNode>(body->body)) {
      const bool remembers = std::get<SubgraphNode>(body->body).remembers;
      task.child_ns = child_namespace(
          checkpoint.ns, node,
          remembers ? "" : namespace_id(checkpoint.ns, step - checkpoint.forks, node, kind, index));
    }
    task.node = std::move(node);
    task.kind = kind;
    task.index = index;
    return task;
  };
  for (std::size_t i = 0; i < checkpoint.sends.size(); ++i) {
    auto& task = add(checkpoint.sends[i].node, TaskKind::Push, i);
    task.input = checkpoint.sends[i].input;
    task.origin = checkpoint.sends[i].origin;
    task.triggers = {"__pregel_push"};
  }
  for (const auto& [node, channels] : checkpoint.ready) {
    auto& task = add(node, TaskKind::Pull, 0);
    task.triggers.assign(channels.begin(), channels.end());
    if (node == kStart) task.input = checkpoint.input;
  }
  return out;
}

Checkpoint begin(const Program& program, const Checkpoint& base, core::Json input, Identity identity) {
  auto next = successor(program, base, Source::Input, std::move(identity));
  next.waiting.clear();
  next.arrived.clear();
  next.input = Value(std::move(input));
  if (next.input.bytes() > static_cast<std::size_t>(program.graph().limits.max_state_bytes)) {
    throw refused("the input is larger than max_state_bytes", "STATE_TOO_LARGE");
  }
  next.ready[std::string(kStart)].insert(std::string(kStart));
  return next;
}

TaskResult start_result(const Program& program, const core::Json& input, core::Random& random) {
  if (!input.is_object()) throw refused("the input is not an object", "INVALID_INPUT");
  TaskResult out;
  for (const auto& name : program.graph().input) {
    const auto* key = program.graph().key(name);
    if (key != nullptr && input.contains(name))
      out.writes.push_back(prepare_write(*key, input[name], random));
  }
  if (out.writes.empty() && !input.empty())
    throw refused("the input has none of the graph's input keys", "INVALID_INPUT");
  return out;
}

Checkpoint apply(const Program& program, const Checkpoint& base, const std::vector<PlannedTask>& tasks,
                 const std::map<std::string, TaskResult, std::less<>>& results, Identity identity) {
  auto next = successor(program, base, Source::Loop, std::move(identity));
  Writes writes;
  for (const auto* task : in_order(tasks)) {
    const auto found = results.find(task->id);
    if (found == results.end()) throw core::internal("a step ends without the result of " + task->node);
    writes.add(program, found->second.writes);
    follow(program, next, task->node, found->second);
    if (next.ran.empty() || next.ran.back() != task->node) next.ran.push_back(task->node);
  }
  writes.reduce_into(program, next);
  release_deferred(next);
  check_size(program, next);
  return next;
}

Checkpoint with_command(const Program& program, const Checkpoint& checkpoint, const TaskResult& command) {
  auto next = checkpoint;
  Writes writes;
  writes.add(program, command.writes);
  writes.reduce_into(program, next);
  follow(program, next, "", command);
  check_size(program, next);
  return next;
}

Checkpoint update(const Program& program, const Checkpoint& base, const Pending& pending,
                  std::string_view node, const TaskResult& result, Identity identity) {
  return update(program, base, pending, std::vector<NodeUpdate>{{std::string(node), result}},
                std::move(identity));
}

Checkpoint update(const Program& program, const Checkpoint& base, const Pending& pending,
                  const std::vector<NodeUpdate>& updates, Identity identity) {
  auto next = successor(program, base, Source::Update, std::move(identity));
  const auto updates_node = [&](std::string_view node) {
    return std::any_of(updates.begin(), updates.end(), [&](const auto& one) { return one.node == node; });
  };
  const bool ends = updates_node(kEnd);
  Writes before;
  const auto tasks = plan(program, base);
  for (const auto* task : in_order(tasks)) {
    const auto found = pending.tasks.find(task->id);
    if (found == pending.tasks.end() || !found->second.result || updates_node(task->node)) continue;
    before.add(program, found->second.result->writes);
    if (!ends) follow(program, next, task->node, *found->second.result);
  }
  before.reduce_into(program, next);
  Writes writes;
  for (const auto& one : updates) {
    next.ran.push_back(one.node);
    writes.add(program, one.result.writes);
    if (!ends) follow(program, next, one.node, one.result);
  }
  next.updated.clear();
  writes.reduce_into(program, next);
  if (ends) {
    next.waiting.clear();
    next.arrived.clear();
  }
  release_deferred(next);
  check_size(program, next);
  return next;
}

std::string writer_of(const Program& program, const Checkpoint& base) {
  if (base.id.empty() || base.ran.empty()) return std::string(kStart);
  if (base.ran.size() == 1) return base.ran.front();
  (void)program;
  throw refused("several nodes ran in the last step: say with as_node whose update it is");
}

Checkpoint fork(const Checkpoint& base, Identity identity) {
  auto next = base;
  next.id = std::move(identity.id);
  next.at = identity.at;
  next.parent = base.id;
  next.source = Source::Fork;
  ++next.forks;
  next.step = base.step + 1;
  next.chain = base.chain + 1;
  return next;
}

bool stops(const Checkpoint& checkpoint, const std::vector<std::string>& nodes,
           const std::vector<PlannedTask>& tasks) {
  if (checkpoint.version <= checkpoint.interrupts_seen) return false;
  return std::any_of(tasks.begin(), tasks.end(),
                     [&](const auto& task) { return task.node != kStart && names(nodes, task.node); });
}

bool stops_after(const Checkpoint& checkpoint, const std::vector<std::string>& nodes) {
  if (checkpoint.version <= checkpoint.interrupts_seen) return false;
  return std::any_of(checkpoint.ran.begin(), checkpoint.ran.end(),
                     [&](const auto& node) { return node != kStart && names(nodes, node); });
}

void pass_breakpoints(Checkpoint& checkpoint) {
  checkpoint.interrupts_seen = checkpoint.version;
}

std::vector<Interrupt> open_interrupts(const std::vector<PlannedTask>& tasks, const Pending& pending) {
  std::vector<Interrupt> out;
  for (const auto& task : tasks) {
    const auto found = pending.tasks.find(task.id);
    if (found == pending.tasks.end() || found->second.result) continue;
    for (const auto& interrupt : found->second.interrupts) {
      if (interrupt.again || !pending.answers.contains(interrupt.id)) out.push_back(interrupt);
    }
  }
  return out;
}

bool parked(const Pending& pending, std::string_view task) {
  const auto found = pending.tasks.find(task);
  if (found == pending.tasks.end() || found->second.result) return false;
  return std::any_of(found->second.interrupts.begin(), found->second.interrupts.end(),
                     [&](const auto& interrupt) { return !pending.answers.contains(interrupt.id); });
}

std::map<std::string, Value, std::less<>> answers_of(const core::Json& resume,
                                                     const std::vector<Interrupt>& open) {
  std::map<std::string, Value, std::less<>> out;
  if (is_answer_map(resume)) {
    for (const auto& interrupt : open) {
      if (resume.contains(interrupt.id)) out.emplace(interrupt.id, Value(resume[interrupt.id]));
    }
    if (out.empty()) throw refused("none of these interrupts is open", "NO_SUCH_INTERRUPT");
    return out;
  }
  if (open.size() > 1) {
    throw refused(
        std::to_string(open.size()) + " interrupts are open: resume with an object of interrupt ids",
        "MULTIPLE_INTERRUPTS");
  }
  if (!open.empty()) out.emplace(open.front().id, Value(resume));
  return out;
}

TaskResult command_result(const Program& program, const core::Json& update, const core::Json& go_to,
                          core::Random& random) {
  TaskResult out;
  out.edges = false;
  if (update.is_object()) {
    for (const auto& [name, value] : update.items()) add_update(program, out, name, value, random);
  } else if (update.is_array()) {
    for (const auto& pair : update) {
      if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string()) {
        throw refused("an update is an object, or a list of [key, value]");
      }
      add_update(program, out, pair[0].get<std::string>(), pair[1], random);
    }
  } else if (!update.is_null()) {
    throw refused("an update is an object, or a list of [key, value]");
  }
  if (go_to.is_array()) {
    for (const auto& target : go_to) add_target(program, out, target);
  } else if (!go_to.is_null()) {
    add_target(program, out, go_to);
  }
  return out;
}

std::vector<std::string> next_of(const std::vector<PlannedTask>& tasks, const Pending& pending) {
  std::vector<std::string> out;
  for (const auto& task : tasks) {
    const auto found = pending.tasks.find(task.id);
    if (found == pending.tasks.end() || !found->second.result) out.push_back(task.node);
  }
  return out;
}

std::size_t state_bytes(const Checkpoint& checkpoint) {
  std::size_t sum = 0;
  for (const auto& [key, value] : checkpoint.values) sum += key.size() + value.bytes();
  for (const auto& send : checkpoint.sends) sum += send.node.size() + send.input.bytes();
  return sum;
}

}  // namespace assistiv::agents::pregel
