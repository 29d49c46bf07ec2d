#include "agents/runtime/act_record.h"

#include <algorithm>
#include <chrono>

namespace assistiv::agents {

core::Task<std::unique_ptr<Slot>> take_slot(std::shared_ptr<RunState> run, std::stop_token stop) {
  while (run->slots <= 0) {
    if (stop.stop_requested()) throw cancelled_error();
    co_await run->slot_free.wait_for(std::chrono::seconds(1), stop);
  }
  co_return std::make_unique<Slot>(run);
}

const pregel::Value* recorded(const TaskRun& task, const std::string& key) {
  const auto& steps = task.record().steps;
  const auto found = steps.find(key);
  return found == steps.end() ? nullptr : &found->second;
}

void keep(const TaskRun& task, const std::string& key, const core::Json& value) {
  task.moved();
  task.record().steps.insert_or_assign(key, pregel::Value(value));
  record_fact(task, Fact::Step, key, value);
}

core::Task<void> before_act(TaskRun task, bool told) {
  if (task.stop.stop_requested()) throw cancelled_error();
  const bool has_records =
      std::any_of(task.run->recorder.buffer().tasks.begin(), task.run->recorder.buffer().tasks.end(),
                  [](const auto& row) { return row.fact == Fact::Step; });
  if (has_records || told) co_await task.run->recorder.flush(false);
}

core::Task<void> before_keyed_act(TaskRun task) {
  co_await task.run->recorder.settle();
  if (task.stop.stop_requested()) throw cancelled_error();
}

}  // namespace assistiv::agents
