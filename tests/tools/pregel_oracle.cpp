// Carries out small graphs whose nodes do what the test says, for tests/e2e/pregel.test.mjs, which has the
// LangGraph library do the same. A line of standard input is {"state": {key: reducer}, "nodes": {name:
// {writes, to, sends, asks, defer}}, "edges": [[from, [to]]], "joins": [[[from], to]], "actions": [...]}; a
// line of output {"history": [{step, source, values, next}], "updates": [[node, writes]]}, oldest first.
#include <iostream>
#include <nlohmann/json.hpp>

#include "agents/pregel/step.h"
#include "core/error.h"

namespace {

namespace agents = assistiv::agents;
namespace pregel = assistiv::agents::pregel;
namespace core = assistiv::core;
using core::Json;

std::shared_ptr<const agents::Graph> graph_of(const Json& from) {
  auto graph = std::make_shared<agents::Graph>();
  for (const auto& [name, reducer] : from["state"].items()) {
    agents::StateKey key;
    key.name = name;
    for (const auto one : {agents::Reducer::Append, agents::Reducer::Sum, agents::Reducer::Any}) {
      if (reducer.get<std::string>() == agents::to_string(one)) key.reducer = one;
    }
    graph->state.push_back(key);
    graph->input.push_back(name);
  }
  for (const auto& [name, body] : from["nodes"].items()) {
    agents::Node node;
    node.id = name;
    node.body = agents::TransformNode{};
    node.defer = body.value("defer", false);
    graph->nodes.push_back(std::move(node));
  }
  for (const auto& edge : from["edges"]) graph->edges.push_back({edge[0], edge[1]});
  for (const auto& join : from.value("joins", Json::array())) graph->joins.push_back({join[0], join[1]});
  return graph;
}

// "$input" and "$answer" stand for what a task was given.
Json filled(const Json& value, const Json& input, const Json& answer) {
  if (value == "$input") return input;
  if (value == "$answer") return answer;
  if (!value.is_array()) return value;
  auto out = Json::array();
  for (const auto& one : value) out.push_back(filled(one, input, answer));
  return out;
}

class Carrier {
 public:
  explicit Carrier(const Json& from)
      : from_(from), program_(graph_of(from)), head_(pregel::blank(program_, "")) {}

  Json carry_out() {
    for (const auto& action : from_["actions"]) act(action);
    return {{"history", history_}, {"updates", updates_}};
  }

 private:
  void act(const Json& action) {
    const auto before = action.value("interrupt_before", std::vector<std::string>());
    if (action.contains("input")) {
      pending_ = {};
      move_to(pregel::begin(program_, head_, action["input"], id()));
    } else if (action.contains("update")) {
      const auto as = action["as"].get<std::string>();
      const auto result = pregel::command_result(program_, action["update"], nullptr, random_);
      auto taken = result;
      taken.edges = true;
      move_to(pregel::update(program_, head_, pending_, as, taken, id()));
      return;
    } else {
      if (action.contains("back")) go_back(action["back"].get<int>());
      pregel::pass_breakpoints(head_);
      if (action.contains("resume")) {
        const auto open = pregel::open_interrupts(pregel::plan(program_, head_), pending_);
        pending_.answers.merge(pregel::answers_of(action["resume"], open));
      }
    }
    while (step(before)) {
    }
  }

  // To the newest checkpoint of that step.
  void go_back(int step) {
    for (const auto& one : made_) {
      if (one.step == step) head_ = one;
    }
    pending_ = {};
    move_to(pregel::fork(head_, id()));
  }

  bool step(const std::vector<std::string>& before) {
    const auto tasks = pregel::plan(program_, head_);
    if (tasks.empty() || pregel::stops(head_, before, tasks)) return false;
    std::map<std::string, pregel::TaskResult, std::less<>> results;
    for (const auto& task : tasks) {
      auto& record = pending_.tasks[task.id];
      if (!record.result) record.result = result_of(task, record);
      if (record.result) results[task.id] = *record.result;
    }
    if (results.size() < tasks.size()) return false;
    move_to(pregel::apply(program_, head_, tasks, results, id()));
    pending_ = {};
    return true;
  }

  // nullopt: it waits for an answer.
  std::optional<pregel::TaskResult> result_of(const pregel::PlannedTask& task, pregel::TaskRecord& record) {
    if (task.node == agents::kStart) return pregel::start_result(program_, task.input.json(), random_);
    const auto& node = from_["nodes"][task.node];
    Json answer;
    if (node.contains("asks")) {
      const auto interrupt = pregel::interrupt_id("", task.id, "0");
      if (!pending_.answers.contains(interrupt)) {
        record.interrupts = {{interrupt, "", pregel::Value(node["asks"])}};
        return std::nullopt;
      }
      answer = pending_.answers.at(interrupt).json();
    }
    pregel::TaskResult out;
    auto writes = Json::object();
    const auto given = node.value("writes", Json::object());
    for (const auto& [key, value] : given.items()) {
      writes[key] = filled(value, task.input.json(), answer);
      out.writes.push_back(pregel::prepare_write(*program_.graph().key(key), writes[key], random_));
    }
    if (node.contains("to")) out.to = node["to"].get<std::vector<std::string>>();
    for (const auto& send : node.value("sends", Json::array()))
      out.sends.push_back({send[0], pregel::Value(send[1]), ""});
    updates_.push_back(Json::array({task.node, writes}));
    return out;
  }

  void move_to(pregel::Checkpoint next) {
    head_ = std::move(next);
    made_.push_back(head_);
    history_.push_back({{"step", head_.step},
                        {"source", pregel::to_string(head_.source)},
                        {"values", pregel::to_json(head_.values)},
                        {"next", pregel::next_of(pregel::plan(program_, head_), {})}});
  }

  pregel::Identity id() { return {ids_.next(head_.id, head_.step + 1), clock_.now()}; }

  Json from_;
  pregel::Program program_;
  core::SystemClock clock_;
  core::SystemRandom random_;
  pregel::CheckpointIds ids_{clock_, random_};
  pregel::Checkpoint head_;
  pregel::Pending pending_;
  std::vector<pregel::Checkpoint> made_;
  Json history_ = Json::array();
  Json updates_ = Json::array();
};

}  // namespace

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    try {
      std::cout << Carrier(Json::parse(line)).carry_out().dump() << "\n";
    } catch (const core::Error& e) {
      std::cout << Json{{"error", std::string(e.code())}}.dump() << "\n";
    }
  }
  return 0;
}
