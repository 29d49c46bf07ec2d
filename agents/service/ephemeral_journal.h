#pragma once
// The journal of a run of which nothing is kept: what a subgraph may have to be taken up from stays until the
// run is over, and events go to who watches.
#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "agents/runtime/journal.h"
#include "agents/store/journal_writer.h"

namespace assistiv::agents {

class EphemeralJournal final : public Journal {
 public:
  // More than `bytes_max` is not kept: STATE_TOO_LARGE, as for a single write of a run that is kept.
  explicit EphemeralJournal(std::function<void(const RunEvent&)> watch,
                            std::size_t bytes_max = JournalOptions{}.append_bytes_max)
      : watch_(std::move(watch)), bytes_max_(bytes_max) {}

  core::Task<void> commit(JournalWrite write) override {
    for (auto& row : write.checkpoints)
      if (!row.ns.empty()) keep(std::move(row));
    if (!checkpoints_.empty())
      for (auto& row : write.tasks) keep(std::move(row));
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
    const auto& last = chain.back().id;
    std::vector<TaskRow> own;
    for (auto it = tasks_.lower_bound({last, "", Fact{}, ""}); it != tasks_.end(); ++it) {
      if (std::get<0>(it->first) != last) break;
      own.push_back(it->second);
    }
    co_return stored_checkpoint(chain, own);
  }

  void show(RunEvent event) override {
    if (watch_) watch_(event);
  }

 private:
  using TaskKey = std::tuple<std::string, std::string, Fact, std::string>;
  // Beside its text; rows without much of it are not for nothing.
  static constexpr std::size_t kRowBytes = 256;

  static std::size_t size_of(const CheckpointRow& row) {
    return kRowBytes + bytes_of(row.body) + bytes_of(row.metadata);
  }
  static std::size_t size_of(const TaskRow& row) { return kRowBytes + bytes_of(row.value); }

  void keep(CheckpointRow row) {
    add(size_of(row));
    auto key = std::pair(row.ns, row.id);
    checkpoints_.insert_or_assign(std::move(key), std::move(row));
  }
  void keep(TaskRow row) {
    TaskKey key{row.checkpoint, row.task, row.fact, row.key};
    if (const auto before = tasks_.find(key); before != tasks_.end()) bytes_ -= size_of(before->second);
    add(size_of(row));
    tasks_.insert_or_assign(std::move(key), std::move(row));
  }
  void add(std::size_t bytes) {
    bytes_ += bytes;
    if (bytes_ > bytes_max_) throw write_too_large(bytes_);
  }

  // Without an id the newest one of the namespace.
  const CheckpointRow* find(const std::string& ns, const std::string& id) const {
    if (!id.empty()) {
      const auto found = checkpoints_.find({ns, id});
      return found == checkpoints_.end() ? nullptr : &found->second;
    }
    const auto after = checkpoints_.upper_bound({ns, "~"});  // ids are hexadecimal, and order as time does
    if (after == checkpoints_.begin()) return nullptr;
    const auto last = std::prev(after);
    return last->first.first == ns ? &last->second : nullptr;
  }

  std::function<void(const RunEvent&)> watch_;
  const std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::map<std::pair<std::string, std::string>, CheckpointRow> checkpoints_;
  std::map<TaskKey, TaskRow> tasks_;
};

}  // namespace assistiv::agents
