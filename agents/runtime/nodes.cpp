// What each kind of node does (docs/agents.md). The agent's loop is in agent_node.cpp.
#include <algorithm>
#include <utility>

#include "agents/definition/definition.h"
#include "agents/runtime/acts.h"
#include "agents/runtime/questions.h"
#include "agents/runtime/run_state.h"
#include "mcp/schema/json_schema.h"

namespace assistiv::agents {
namespace {

core::Error too_wide(std::size_t items, int max) {
  return core::Error(core::ErrorKind::Unprocessable, "a map over " + std::to_string(items) +
                                                         " items is over max_fanout (" + std::to_string(max) +
                                                         ")")
      .with_code("FANOUT_TOO_LARGE");
}

ModelCall model_call(const TaskRun& task, const std::string& alias, const core::Json& params,
                     const core::Json& response_schema) {
  ModelCall call;
  call.model = model_of(task, alias);
  call.params = call.model.params.is_object() ? call.model.params : core::Json::object();
  if (params.is_object()) call.params.update(params);
  call.response_schema = response_schema;
  return call;
}

core::Task<NodeOutcome> run_llm(TaskRun task, const LlmNode* node) {
  NodeOutcome out;
  Bindings names(task);
  auto call = model_call(task, node->model, node->params, node->response_schema);
  call.messages = messages_of(task, names, node->messages, node->instructions);
  call.tools = co_await offers_of(task, node->tools);
  if (node->stream) call.piece = shown_pieces(task);
  const bool again = task.record().steps.contains("model:0");
  auto answer = co_await act_model(task, "model:0", std::move(call));
  const auto& message = answer["message"];
  if (!again) tell_message(task, message);
  const auto text = text_of(message["content"]);
  auto json = node->response_schema.is_null() ? core::Json() : parsed_answer(text);
  if (!node->response_schema.is_null()) check_answer_json(json, node->response_check);
  names.set("result", {{"text", text},
                       {"json", std::move(json)},
                       {"message", message},
                       {"usage", answer["usage"]},
                       {"model", answer["model"]}});
  const auto* key = std::get_if<std::string>(&node->messages);
  if (task.node->write.empty() && key != nullptr)
    add_write(task, *key, core::Json::array({message}), out.result);
  add_writes(task, names, out.result);
  co_return out;
}

// A tool's error is a result, unless the graph says what to do about failures.
bool is_failure_of(const Policies& policies) {
  if (!policies.on_error.empty()) return true;
  if (!policies.retry) return false;
  const auto& on = policies.retry->retry_on;
  return std::find(on.begin(), on.end(), RetryOn::ToolError) != on.end();
}

core::Task<NodeOutcome> run_tool(TaskRun task, const ToolNode* node) {
  NodeOutcome out;
  Bindings names(task);
  const auto* from = toolset_of(task, node->toolset);
  if (from == nullptr) throw core::bad_request("there is no toolset \"" + node->toolset + "\"");
  ToolAct act;
  act.key = "tool:0";
  act.alias = node->toolset;
  act.from = from;
  act.tool = names.text(node->tool, "tool");
  act.arguments = names.render(node->arguments, "arguments");
  for (const auto& offer : co_await offers_of(task, {node->toolset})) {
    if (offer.name == act.tool) act.side_effect = offer.side_effect;
  }
  auto done = co_await act_tool(task, std::move(act));
  if (done.waits) {
    out.interrupts.push_back(std::move(*done.waits));
    co_return out;
  }
  if (done.value["is_error"] == true && is_failure_of(task.node->policies)) {
    throw core::Error(core::ErrorKind::UpstreamFailed, done.value["text"].get<std::string>())
        .with_code("tool_error");
  }
  names.set("result", std::move(done.value));
  add_writes(task, names, out.result);
  co_return out;
}

NodeOutcome run_router(const TaskRun& task, const RouterNode& node) {
  NodeOutcome out;
  Bindings names(task);
  for (std::size_t i = 0; i < node.branches.size(); ++i) {
    const auto& branch = node.branches[i];
    if (branch.when && !names.test(*branch.when, "branches/" + std::to_string(i) + "/when")) continue;
    out.result.to = branch.to;
    return out;
  }
  throw core::Error(core::ErrorKind::Unprocessable, "no branch of the router is true").with_code("no_branch");
}

// Of no items the mapped node's followers still are next, unless the map says where to go.
void go_on_empty(const Graph& graph, const MapNode& map, pregel::TaskResult& into) {
  const MapNode* at = &map;
  for (int depth = 0; depth < kMapDepthMax; ++depth) {
    if (!at->on_empty.empty()) {
      into.to = {at->on_empty};
      return;
    }
    const auto* mapped = graph.node(at->node);
    const auto* inner = mapped == nullptr ? nullptr : std::get_if<MapNode>(&mapped->body);
    if (inner == nullptr) break;
    at = inner;
  }
  into.passes = {at->node};
}

// One step's maps together write what is one state: what their tasks are given counts while it is made.
void add_send(const TaskRun& task, const std::string& node, core::Json input, pregel::TaskResult& into) {
  pregel::Value value(std::move(input));
  const auto max = task.meter().limits().max_state_bytes;
  task.level->send_bytes += value.bytes();
  if (task.level->send_bytes > static_cast<std::size_t>(max)) {
    throw core::Error(core::ErrorKind::Unprocessable,
                      "the inputs of the tasks that maps make in one step are over max_state_bytes (" +
                          std::to_string(max) + ")")
        .with_code("STATE_TOO_LARGE");
  }
  into.sends.push_back({node, std::move(value), task.node->id});
}

core::Task<NodeOutcome> run_map(TaskRun task, const MapNode* map) {
  const auto& node = *map;
  NodeOutcome out;
  Bindings names(task);
  const auto items = names.evaluate(node.over, "over");
  if (!items.is_array()) {
    throw core::Error(core::ErrorKind::Unprocessable, "a map goes over a list")
        .with_code("expression_failed");
  }
  const int max = task.meter().limits().max_fanout;
  if (items.size() > static_cast<std::size_t>(max)) throw too_wide(items.size(), max);
  // Maps of maps: before their tasks are made, not after.
  task.level->sends += items.size();
  if (task.level->sends > pregel::kMaxTasks) {
    throw core::Error(core::ErrorKind::Unprocessable,
                      "the maps of one step make more than " + std::to_string(pregel::kMaxTasks) + " tasks")
        .with_code("FANOUT_TOO_LARGE");
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    core::Json input = {{node.as, items[i]}};
    if (node.input) {
      Bindings item(task);
      item.set("item", items[i]);
      item.set("index", i);
      if (node.as != "item") item.set(node.as, items[i]);
      input = item.render(*node.input, "input");
    }
    add_send(task, node.node, std::move(input), out.result);
    co_await give_way(task.run);
  }
  if (items.empty()) go_on_empty(task.level->program->graph(), node, out.result);
  co_return out;
}

NodeOutcome run_approval(const TaskRun& task, const ApprovalNode& node) {
  NodeOutcome out;
  Bindings names(task);
  const auto answer = answer_to(task, "approval");
  if (!answer) {
    static constexpr const char* kWho[] = {"end_user", "platform", "both"};
    core::Json facts = {
        {"type", "approval"},
        {"node", task.node->id},
        {"prompt", node.prompt ? core::Json(names.text(*node.prompt, "prompt")) : core::Json()},
        {"payload", node.payload ? names.render(*node.payload, "payload") : core::Json()},
        {"response_schema", node.response_schema},
        {"who", kWho[static_cast<int>(node.who)]}};
    if (node.expires) facts["expires_at"] = core::format_time(task.level->now + *node.expires);
    out.interrupts.push_back(ask(task, "approval", std::move(facts)));
    return out;
  }
  const auto& said = answer->json();
  if (said.is_object() && said.value("__expired__", core::Json()) == true) {
    if (node.on_expire.empty()) {
      throw core::Error(core::ErrorKind::DeadlineExceeded, "nobody answered in time")
          .with_code("approval_expired");
    }
    out.result.edges = false;
    out.result.to = {node.on_expire};
    return out;
  }
  const auto& spec = task.run->spec;
  names.set("result", {{"response", said},
                       {"by", spec.resumes && !spec.by.empty() ? spec.by : "end_user"},
                       {"at", core::format_time(task.run->world.clock.now())}});
  add_writes(task, names, out.result);
  return out;
}

NodeOutcome run_transform(const TaskRun& task) {
  NodeOutcome out;
  const Bindings names(task);
  add_writes(task, names, out.result);
  return out;
}

NodeOutcome run_end(const TaskRun& task, const EndNode& node) {
  NodeOutcome out;
  out.result.edges = false;
  const Bindings names(task);
  if (node.failure) {
    throw core::Error(core::ErrorKind::Unprocessable,
                      node.error ? names.text(*node.error, "error") : "the graph ended in an error")
        .with_code("ended_in_error");
  }
  add_writes(task, names, out.result);
  return out;
}

core::Task<NodeOutcome> run_http(TaskRun task, const HttpNode* node) {
  NodeOutcome out;
  Bindings names(task);
  HttpCall call;
  call.method = node->method;
  call.url = names.text(node->url, "url");
  for (const auto& [name, value] : node->headers)
    call.headers.emplace_back(name, names.text(value, "headers/" + name));
  if (node->query) call.query = names.render(*node->query, "query");
  if (node->body) call.body = names.render(*node->body, "body");
  call.auth = node->auth;
  call.max_bytes = node->max_bytes;
  auto answer = co_await act_http(task, "http:0", std::move(call));
  const int status = answer["status"].get<int>();
  // Too many requests are a result, unless the node is to be repeated then.
  if (status >= 500 || (status == 429 && task.node->policies.retry)) {
    task.record().steps.erase("http:0");
    throw core::Error(status == 429 ? core::ErrorKind::RateLimited : core::ErrorKind::UpstreamFailed,
                      "the server answered " + std::to_string(status))
        .with_code("http_error");
  }
  names.set("result", std::move(answer));
  add_writes(task, names, out.result);
  co_return out;
}

// ---- subgraphs ----

core::Json own_input(const TaskRun& task, const Graph& inner, const SubgraphNode& node) {
  if (node.input) {
    const Bindings names(task);
    return names.render(*node.input, "input");
  }
  auto out = core::Json::object();
  for (const auto& key : inner.input) {
    const auto found = task.level->head.values.find(key);
    if (found != task.level->head.values.end()) out[key] = found->second.json();
  }
  if (task.task->input.json().is_object()) out.update(task.task->input.json());
  return out;
}

// `with_pending`: what is recorded beside the head counts. Gives the head's metadata, then.
core::Task<core::Json> stand_at(TaskRun task, std::shared_ptr<Level> level, std::string head,
                                bool with_pending) {
  if (const auto known = task.level->left.find(head); known != task.level->left.end()) {
    level->stored = level->head = known->second->stored;
    level->left = known->second->left;
    if (!with_pending) co_return nullptr;
    level->pending = known->second->pending;
    if (!known->second->meter) co_return nullptr;
    co_return core::Json{{"run_id", task.run->spec.run}, {"usage", to_json(known->second->meter->totals())}};
  }
  auto stored = co_await task.run->world.journal.load(task.task->child_ns, head);
  if (!stored) throw core::internal("the subgraph's checkpoint " + head + " is gone");
  level->stored = level->head = std::move(stored->checkpoint);
  if (!with_pending) co_return nullptr;
  level->pending = std::move(stored->pending);
  co_return std::move(stored->metadata);
}

// Nothing of it runs any more.
void leave(const TaskRun& task, const std::shared_ptr<Level>& inner) {
  inner->above.reset();
  task.level->left.insert_or_assign(inner->stored.id, inner);
}

// Another agent has limits of its own, in a run of this one, too. `before`: the metadata of where it stands.
std::shared_ptr<Meter> inner_meter(const TaskRun& task, const Level& inner, const Graph& graph,
                                   const core::Json& before) {
  if (inner.agent.empty()) return task.level->meter;
  RunTotals used;
  if (before.is_object() && before.value("run_id", core::Json()) == task.run->spec.run &&
      before.contains("usage"))
    used = totals_of(before["usage"]);
  return std::make_shared<Meter>(graph.limits, std::move(used), task.run->world.clock, &task.meter(),
                                 "the agent " + graph.name);
}

// Where the subgraph stands: at what is recorded of this task, at what it remembers, or at its beginning.
core::Task<std::shared_ptr<Level>> inner_level(TaskRun task, std::shared_ptr<const Graph> graph,
                                               const SubgraphNode* node) {
  auto level = std::make_shared<Level>();
  level->program = std::make_shared<pregel::Program>(graph);
  if (parse_agent_reference(node->graph)) level->agent = node->graph;
  level->depth = task.level->depth + 1;
  level->parents = task.level->parents;
  level->parents[task.level->head.ns] = task.level->stored.id;
  level->above = task.level;
  level->above_task = task.task->id;
  level->stop = task.stop;
  const auto& ns = task.task->child_ns;
  auto head = task.record().child;
  const bool going_on = !head.empty();
  if (!going_on && node->remembers && task.level->head.children.contains(ns))
    head = task.level->head.children.at(ns);
  level->head = pregel::blank(*level->program, ns);
  core::Json before;
  if (!head.empty()) {
    before = co_await stand_at(task, level, head, going_on);
    take_answers(*task.run, *level);
    level->pending.answers = task.run->answers;  // which are kept beside the root
  }
  level->meter = inner_meter(task, *level, *graph, before);
  if (!going_on) {
    const pregel::Identity identity{task.run->ids.next(level->head.id, level->head.step + 1),
                                    task.run->world.clock.now()};
    record_checkpoint(*task.run, *level,
                      pregel::begin(*level->program, level->head, own_input(task, *graph, *node), identity));
    tell_checkpoint(*task.run, *level);
  }
  co_return level;
}

// Keys of the same name go back; lists and sums that grew inside give only what was added.
void give_back(const TaskRun& task, const Level& inner, const core::Json& given, pregel::TaskResult& into) {
  for (const auto& key : inner.program->graph().output) {
    const auto* own = task.level->program->graph().key(key);
    const auto found = inner.head.values.find(key);
    if (own == nullptr || found == inner.head.values.end()) continue;
    auto value = found->second.json();
    const auto before = given.is_object() ? given.value(key, core::Json()) : core::Json();
    if (own->reducer == Reducer::Append && value.is_array() && before.is_array() &&
        value.size() >= before.size() && std::equal(before.begin(), before.end(), value.begin())) {
      value.erase(value.begin(), value.begin() + static_cast<std::ptrdiff_t>(before.size()));
    } else if (own->reducer == Reducer::Sum && value.is_number() && before.is_number()) {
      value = value.is_number_integer() && before.is_number_integer()
                  ? core::Json(value.get<std::int64_t>() - before.get<std::int64_t>())
                  : core::Json(value.get<double>() - before.get<double>());
    }
    add_write(task, key, std::move(value), into);
  }
}

void tell_subgraph(const TaskRun& task, const Graph& graph, const char* event, core::Json more = nullptr) {
  core::Json data = {{"event", event}, {"graph_name", graph.name}};
  if (more.is_object()) data.update(more);
  task.run->recorder.event("lifecycle", task.task->child_ns, "", std::move(data), true);
}

void tell_subgraph_begins(const TaskRun& task, const Graph& graph) {
  core::Json more = nullptr;
  if (!task.task->origin.empty()) more = {{"cause", {{"type", "send"}, {"from_node", task.task->origin}}}};
  tell_subgraph(task, graph, "started", std::move(more));
}

core::Task<LevelEnd> run_inner(TaskRun task, std::shared_ptr<Level> inner) {
  const auto& graph = inner->program->graph();
  tell_subgraph_begins(task, graph);
  try {
    const auto end = co_await run_level(task.run, inner);
    if (end == LevelEnd::Parked) {
      tell_subgraph(task, graph, "interrupted");
      reopen_above(*task.run, *inner);
    }
    if (end == LevelEnd::Done) tell_subgraph(task, graph, "completed");
    leave(task, inner);
    co_return end;
  } catch (const core::Error& error) {
    if (error.kind() == core::ErrorKind::Cancelled) {
      tell_subgraph(task, graph, "interrupted");
    } else {
      tell_subgraph(task, graph, "failed", {{"error", error.message()}});
      reopen_above(*task.run, *inner);
    }
    leave(task, inner);
    throw;
  }
}

core::Task<NodeOutcome> run_subgraph(TaskRun task, const SubgraphNode* node) {
  NodeOutcome out;
  const auto graph = node->local;
  if (!graph) throw core::internal("the graph \"" + node->graph + "\" was not resolved");
  if (task.level->depth + 1 > task.meter().limits().max_depth) {
    throw core::Error(core::ErrorKind::Unprocessable, "subgraphs are nested deeper than max_depth")
        .with_code("limit_depth");
  }
  const auto given = own_input(task, *graph, *node);
  const auto inner = co_await inner_level(task, graph, node);
  const auto end = co_await run_inner(task, inner);
  if (end == LevelEnd::Drained)
    throw core::Error(core::ErrorKind::Unavailable, "drained").with_code("drained");
  if (end == LevelEnd::Parked) {
    out.interrupts = pregel::open_interrupts(pregel::plan(*inner->program, inner->head), inner->pending);
    co_return out;
  }
  if (node->remembers) out.result.children[task.task->child_ns] = inner->head.id;
  if (task.node->write.empty()) {
    give_back(task, *inner, given, out.result);
    if (!task.node->emit) co_return out;
  }
  auto result = core::Json::object();
  for (const auto& key : graph->output) {
    const auto found = inner->head.values.find(key);
    if (found != inner->head.values.end()) result[key] = found->second.json();
  }
  Bindings names(task);
  names.set("result", std::move(result));
  add_writes(task, names, out.result);
  co_return out;
}

}  // namespace

core::Json parsed_answer(const std::string& text) {
  auto json = core::Json::parse(text, nullptr, false);
  return json.is_discarded() ? core::Json() : json;
}

void check_answer_json(const core::Json& json, const SchemaCheck& schema) {
  std::string why;
  if (json.is_null()) {
    why = "the model's answer is no JSON";
  } else if (schema) {
    if (const auto faults = schema->check(json); !faults.empty())
      why = "the model's answer does not fit response_schema: " + mcp::describe(faults);
  }
  if (why.empty()) return;
  throw core::Error(core::ErrorKind::UpstreamFailed, std::move(why)).with_code("invalid_output");
}

core::Task<NodeOutcome> run_node(TaskRun task) {
  if (task.node->when) {
    const Bindings names(task);
    if (!names.test(*task.node->when, "when")) co_return NodeOutcome{};
  }
  const auto& body = task.node->body;
  if (const auto* llm = std::get_if<LlmNode>(&body)) co_return co_await run_llm(task, llm);
  if (const auto* tool = std::get_if<ToolNode>(&body)) co_return co_await run_tool(task, tool);
  if (std::holds_alternative<AgentNode>(body)) co_return co_await run_agent(task);
  if (const auto* router = std::get_if<RouterNode>(&body)) co_return run_router(task, *router);
  if (const auto* map = std::get_if<MapNode>(&body)) co_return co_await run_map(task, map);
  if (const auto* subgraph = std::get_if<SubgraphNode>(&body))
    co_return co_await run_subgraph(task, subgraph);
  if (const auto* approval = std::get_if<ApprovalNode>(&body)) co_return run_approval(task, *approval);
  if (const auto* http = std::get_if<HttpNode>(&body)) co_return co_await run_http(task, http);
  if (const auto* end = std::get_if<EndNode>(&body)) co_return run_end(task, *end);
  co_return run_transform(task);
}

}  // namespace assistiv::agents
