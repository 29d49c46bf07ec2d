#include "agents/runtime/bindings.h"

#include <algorithm>
#include <utility>

namespace assistiv::agents {
namespace {

core::Json run_facts(const TaskRun& task) {
  const auto& spec = task.run->spec;
  return {{"id", spec.run},
          {"thread_id", spec.thread},
          {"attempt", spec.attempt},
          {"step", task.level->head.step + 1},
          {"now", core::format_time(task.level->now)}};
}

core::Json used_facts(const RunTotals& used) {
  return {{"cost_usd", static_cast<double>(used.cost_nano_usd) / 1e9},
          {"tokens", used.tokens},
          {"llm_calls", used.llm_calls},
          {"tool_calls", used.tool_calls},
          {"active_s", static_cast<double>(used.active_ms) / 1e3}};
}

core::Json or_object(const core::Json& json) {
  return json.is_object() ? json : core::Json::object();
}

}  // namespace

// An expression has a bound of its own, and takes what it uses from the task's.
template <class F>
auto Bindings::evaluated(std::string_view field, F act) const {
  cel::Budget left;
  left.steps = std::min(left.steps, budget_->steps);
  left.bytes = std::min(left.bytes, budget_->bytes);
  const auto given = left;
  const auto settle = [&] {
    budget_->steps -= given.steps - left.steps;
    budget_->bytes -= given.bytes - left.bytes;
  };
  try {
    auto out = act(left);
    settle();
    return out;
  } catch (const cel::EvaluationError& e) {
    settle();
    throw core::Error(core::ErrorKind::Unprocessable,
                      "/nodes/" + node_ + "/" + std::string(field) + ": " + e.what())
        .with_code("expression_failed");
  }
}

Bindings::Bindings(const TaskRun& task) : budget_(task.budget), node_(task.node->id) {
  auto& level = *task.level;
  if (level.state.is_null()) level.state = pregel::to_json(level.head.values);
  scope_.bind("state", level.state);
  set("context", or_object(task.run->spec.context));
  set("user", or_object(task.run->spec.user));
  set("run", run_facts(task));
  set("usage", used_facts(task.run->meter.totals()));
  set("budget", {{"remaining_usd", static_cast<double>(task.meter().remaining_nano_usd()) / 1e9}});
  const auto& input = task.task->input.json();
  if (task.task->kind == pregel::TaskKind::Push) {
    set("input", input);
    if (input.is_object() && input.contains("error")) set("error", input["error"]);
  }
}

void Bindings::set(const std::string& name, core::Json value) {
  values_.push_back(std::move(value));
  scope_.bind(name, values_.back());
}

core::Json Bindings::render(const cel::Template& form, std::string_view field) const {
  return evaluated(field, [&](cel::Budget& budget) { return form.render(scope_, budget); });
}

core::Json Bindings::evaluate(const cel::Expression& expression, std::string_view field) const {
  return evaluated(field, [&](cel::Budget& budget) { return expression.evaluate(scope_, budget); });
}

bool Bindings::test(const cel::Expression& expression, std::string_view field) const {
  return evaluated(field, [&](cel::Budget& budget) { return expression.test(scope_, budget); });
}

std::string Bindings::text(const cel::Template& form, std::string_view field) const {
  const auto value = render(form, field);
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void add_write(const TaskRun& task, const std::string& key, core::Json value, pregel::TaskResult& into) {
  const auto* known = task.level->program->graph().key(key);
  if (known == nullptr) {
    throw core::Error(core::ErrorKind::Unprocessable, "there is no state key \"" + key + "\"")
        .with_code("INVALID_GRAPH_UPDATE");
  }
  into.writes.push_back(pregel::prepare_write(*known, std::move(value), task.run->world.random));
}

void add_writes(const TaskRun& task, const Bindings& names, pregel::TaskResult& into) {
  for (const auto& [key, form] : task.node->write)
    add_write(task, key, names.render(form, "write/" + key), into);
  if (task.node->emit && task.run->recorder.wants("custom"))
    task.run->recorder.event("custom", task.level->head.ns, task.node->id,
                             names.render(*task.node->emit, "emit"));
}

}  // namespace assistiv::agents
