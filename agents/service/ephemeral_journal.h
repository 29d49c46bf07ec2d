#pragma once
// The journal of a run of which nothing is kept: what a subgraph may have to be taken up from stays until the
// run is over, and events go to who watches.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agents/runtime/journal.h"

namespace assistiv::agents {

class EphemeralJournal final : public Journal {
 public:
  explicit EphemeralJournal(std::function<void(const RunEvent&)> watch) : watch_(std::move(watch)) {}

  core::Task<void> commit(JournalWrite write) override {
    for (auto& row : write.checkpoints)
      if (!row.ns.empty()) checkpoints_.push_back(std::move(row));
    if (!checkpoints_.empty())
      for (auto& row : write.tasks) put(std::move(row));
    if (watch_)
      for (const auto& event : write.events) watch_(event);
    co_return;
  }

  core::Task<std::optional<StoredCheckpoint>> load(std::string ns, std::string id) override {
    const auto* row = find(ns, id);
    if (row == nullptr) co_return std::nullopt;
    std::vector<CheckpointRow> chain = {*row};
    while (!chain.front().whole) {
      row = find(ns, chain.front().parent);
      if (row == nullptr) co_return std::nullopt;
      chain.insert(chain.begin(), *row);
    }
    std::vector<TaskRow> own;
    for (const auto& task : tasks_)
      if (task.checkpoint == chain.back().id) own.push_back(task);
    co_return stored_checkpoint(chain, own);
  }

  void show(RunEvent event) override {
    if (watch_) watch_(event);
  }

 private:
  const CheckpointRow* find(const std::string& ns, const std::string& id) const {
    const CheckpointRow* out = nullptr;
    for (const auto& row : checkpoints_)
      if (row.ns == ns && (id.empty() || row.id == id)) out = &row;
    return out;
  }
  void put(TaskRow row) {
    std::erase_if(tasks_, [&](const auto& other) {
      return other.checkpoint == row.checkpoint && other.task == row.task && other.fact == row.fact &&
             other.key == row.key;
    });
    tasks_.push_back(std::move(row));
  }

  std::function<void(const RunEvent&)> watch_;
  std::vector<CheckpointRow> checkpoints_;
  std::vector<TaskRow> tasks_;
};

}  // namespace assistiv::agents
