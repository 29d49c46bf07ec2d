#pragma once
// The journal of a run of which nothing is kept: events go to who watches. Nothing is read back, for such a
// run begins from nothing and ends in the process where it began: what its subgraphs go on from is in memory.
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "agents/runtime/journal.h"

namespace assistiv::agents {

class EphemeralJournal final : public Journal {
 public:
  explicit EphemeralJournal(std::function<void(const RunEvent&)> watch) : watch_(std::move(watch)) {}

  core::Task<void> commit(JournalWrite write) override {
    if (watch_)
      for (const auto& event : write.events) watch_(event);
    co_return;
  }

  core::Task<std::optional<StoredCheckpoint>> load(std::string, std::string) override {
    co_return std::nullopt;
  }

  void show(RunEvent event) override {
    if (watch_) watch_(event);
  }

 private:
  std::function<void(const RunEvent&)> watch_;
};

}  // namespace assistiv::agents
