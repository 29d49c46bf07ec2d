#pragma once
// Tasks in memory, for the anonymous fixture endpoint and for tests: no tenant, no restart, one node.
#include <functional>
#include <memory>
#include <string_view>

#include "mcp/tasks/task_store.h"

namespace assistiv::mcp {

class MemoryTaskStore final : public TaskStore {
 public:
  using Announce = std::function<void(std::string_view topic, std::string_view payload)>;

  explicit MemoryTaskStore(const core::Clock& clock);
  ~MemoryTaskStore() override;
  // Where notices go. Set before the first request.
  void announce_to(Announce announce);

  core::Task<bool> create(ToolTask task, std::size_t open_max) override;
  core::Task<std::optional<ToolTask>> find(TaskOwner owner, std::string id) override;
  core::Task<std::optional<ToolTask>> change(TaskOwner owner, std::string id, TaskEdit edit) override;
  core::Task<DueTasks> claim(std::string runner, core::Time lease_until, std::size_t max) override;
  core::Task<std::size_t> sweep(std::size_t max) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assistiv::mcp
