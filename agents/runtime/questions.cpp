#include "agents/runtime/questions.h"

#include <algorithm>
#include <set>
#include <string>

#include "agents/pregel/ids.h"
#include "agents/pregel/step.h"
#include "agents/runtime/given.h"

namespace assistiv::agents {
namespace {

void mark(RunState& run, const Level& level, const std::string& task, pregel::Interrupt& one, bool again) {
  if (one.again == again) return;
  one.again = again;
  run.recorder.buffer().tasks.push_back({level.head.id, task, Fact::Interrupt, one.id, interrupt_row(one)});
}

// What was asked before an act that is recorded: its answer has been used.
std::set<std::string, std::less<>> settled(const TaskRun& task) {
  std::set<std::string, std::less<>> out;
  const auto add = [&](const std::string& call) {
    out.insert(pregel::interrupt_id(task.level->head.ns, task.task->id, call));
  };
  for (const auto& [key, value] : task.record().steps) {
    add("approve:" + key);
    for (std::size_t i = 1; i <= task.record().interrupts.size(); ++i)
      add("uncertain:" + key + "#" + std::to_string(i));
  }
  return out;
}

// A connection or an approval of the platform is no matter of what was answered.
bool is_answered_in_words(const pregel::Interrupt& one) {
  const auto& value = one.value.json();
  const auto type = value.is_object() ? value.value("type", core::Json()) : core::Json();
  return type == "approval" || type == "tool_approval" || type == "uncertain_effect";
}

}  // namespace

void reopen_questions(const TaskRun& task) {
  if (std::holds_alternative<SubgraphNode>(task.node->body)) return;
  auto& record = task.record();
  if (record.interrupts.empty()) return;
  const auto used = settled(task);
  bool any = false;
  for (auto& one : record.interrupts) {
    const auto answer = task.run->answers.find(one.id);
    const bool again = answer != task.run->answers.end() && is_answered_in_words(one) &&
                       !is_expiry(answer->second.json()) && !used.contains(one.id);
    mark(*task.run, *task.level, task.task->id, one, again);
    any = any || again;
  }
  if (!any || !record.result) return;
  record.result.reset();
  record_fact(task, Fact::Result, "", nullptr);
}

void reopen_above(RunState& run, Level& inner) {
  if (!inner.above) return;
  std::set<std::string, std::less<>> open;
  for (const auto& task : pregel::plan(*inner.program, inner.head)) {
    for (const auto& one : inner.pending.tasks[task.id].interrupts) {
      if (one.again) open.insert(one.id);
    }
  }
  for (auto& one : inner.above->pending.tasks[inner.above_task].interrupts)
    mark(run, *inner.above, inner.above_task, one, open.contains(one.id));
}

void take_answers(RunState& run, Level& level) {
  for (auto& [task, record] : level.pending.tasks) {
    for (auto& one : record.interrupts) mark(run, level, task, one, false);
  }
}

}  // namespace assistiv::agents
