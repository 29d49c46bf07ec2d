#pragma once
// What every act of a run does around its call: a place among those beside each other, and its record.
// Internal to runtime/.
#include <memory>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>
#include <utility>

#include "agents/runtime/run_state.h"
#include "core/json.h"

namespace assistiv::agents {

// Holds one of the run's places for acts beside each other.
class Slot {
 public:
  explicit Slot(std::shared_ptr<RunState> run) : run_(std::move(run)) { --run_->slots; }
  ~Slot() {
    ++run_->slots;
    run_->slot_free.set();
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

 private:
  std::shared_ptr<RunState> run_;
};
core::Task<std::unique_ptr<Slot>> take_slot(std::shared_ptr<RunState> run, std::stop_token stop);

// What an act gave; null: it has no record.
const pregel::Value* recorded(const TaskRun& task, const std::string& key);
void keep(const TaskRun& task, const std::string& key, const core::Json& value);

// Records of earlier acts are durable before the next one begins: a crash repeats at most one. `told`: those
// who watch are to hear now what was said of this one.
core::Task<void> before_act(TaskRun task, bool told = false);
// Before an act that changes something and is known by its key: what the key and the act are made of is
// durable, so that after a crash it is tried again as the same.
core::Task<void> before_keyed_act(TaskRun task);

}  // namespace assistiv::agents
