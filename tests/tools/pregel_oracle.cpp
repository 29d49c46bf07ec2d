// Carries out small graphs whose nodes do what the test says, for tests/e2e/pregel.test.mjs, which has the
// LangGraph library do the same. A line of standard input is {"state": {key: reducer}, "nodes": {name:
// {writes, to, sends, asks, defer}}, "edges": [[from, [to]]], "joins": [[[from], to]], "actions": [...]}; a
// line of output {"history": [{step, source, values, next}], "updates": [[node, writes]]}, oldest first.
// With {"document": ..., "actions": [...]} a graph of agentgraph/1 is carried out by the executor instead;
// its `http` nodes fail as often as their URLs end in, and the output has {"history", "events": of
// each action [[namespace, method, data]], "error": the first}.
#include <algorithm>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "agents/definition/definition.h"
#include "agents/pregel/step.h"
#include "agents/runtime/run.h"
#include "core/error.h"
#include "support/agent_world.h"

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

// A document, by the executor.
class Executor {
 public:
  explicit Executor(const Json& from) : from_(from) {
    auto read = agents::read_definition(from["document"], {});
    for (const auto& fault : read.faults) std::cerr << fault.pointer << " " << fault.message << "\n";
    if (!read.graph) throw core::bad_request("the document is not valid").with_code("INVALID_DOCUMENT");
    graph_ = read.graph;
    world_.effects.http = [this](const agents::HttpCall& call) {
      const int failures = std::stoi(call.url.substr(call.url.rfind('/') + 1));
      agents::HttpAnswer out;
      out.status = asked_[call.url]++ < failures ? 503 : 200;
      return out;
    };
  }

  Json carry_out() {
    auto events = Json::array();
    for (const auto& action : from_["actions"]) {
      const auto before = world_.journal.events.size();
      act(action);
      events.push_back(events_from(before));
    }
    auto history = Json::array();
    const pregel::Program program(graph_);
    for (const auto& row : world_.journal.checkpoints) {
      if (!row.ns.empty()) continue;
      const auto one = world_.thread.run(world_.journal.load("", row.id));
      history.push_back({{"step", row.step},
                         {"source", row.source},
                         {"values", pregel::to_json(one->checkpoint.values)},
                         {"next", pregel::next_of(pregel::plan(program, one->checkpoint), {})}});
    }
    return {{"history", std::move(history)}, {"events", std::move(events)}, {"error", error_}};
  }

 private:
  Json events_from(std::size_t first) const {
    auto out = Json::array();
    for (auto i = first; i < world_.journal.events.size(); ++i) {
      const auto& event = world_.journal.events[i];
      if (event.method == "values" || event.method == "updates" || event.method == "custom")
        out.push_back(Json::array({event.ns, event.method, event.data}));
    }
    return out;
  }

  void act(const Json& action) {
    auto spec = world_.spec(graph_, "run-" + std::to_string(++runs_));
    spec.modes = {"values", "updates", "custom"};
    if (action.contains("input")) spec.input = action["input"];
    if (action.contains("resume")) {
      spec.resumes = true;
      spec.resume = action["resume"];
    }
    if (action.contains("back")) spec.checkpoint = newest_of(action["back"].get<int>());
    spec.interrupt_before = action.value("interrupt_before", std::vector<std::string>());
    const auto view = world_.run(std::move(spec)).view;
    if (error_.empty()) error_ = view.error_code;
  }

  std::string newest_of(int step) const {
    std::string out;
    for (const auto& row : world_.journal.checkpoints)
      if (row.ns.empty() && row.step == step) out = std::max(out, row.id);
    return out;
  }

  Json from_;
  agents::GraphPtr graph_;
  assistiv::test::AgentWorld world_;
  std::map<std::string, int> asked_;
  std::string error_;
  int runs_ = 0;
};

Json carried_out(const Json& from) {
  return from.contains("document") ? Executor(from).carry_out() : Carrier(from).carry_out();
}

}  // namespace

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    try {
      std::cout << carried_out(Json::parse(line)).dump() << "\n";
    } catch (const core::Error& e) {
      std::cout << Json{{"error", std::string(e.code())}}.dump() << "\n";
    }
  }
  return 0;
}
