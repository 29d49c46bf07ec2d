#include "mcp/tasks/memory_task_store.h"

#include <map>
#include <mutex>
#include <utility>

#include "mcp/tasks/task_notice.h"

namespace assistiv::mcp {

struct MemoryTaskStore::Impl {
  const core::Clock& clock;
  Announce announce;
  std::mutex mutex;
  std::map<std::string, ToolTask> tasks;

  ToolTask* get(const TaskOwner& owner, const std::string& id) {
    const auto it = tasks.find(id);
    const bool there = it != tasks.end() && it->second.owner == owner && it->second.expires_at > clock.now();
    return there ? &it->second : nullptr;
  }

  void tell(const std::vector<TaskNotice>& notices) const {
    if (!announce) return;
    for (const auto& notice : notices) announce(notice.topic, notice.payload);
  }

  std::size_t count_open(const TaskOwner& owner) {
    std::size_t count = 0;
    for (const auto& [id, task] : tasks) {
      count += task.owner.platform == owner.platform && task.owner.end_user == owner.end_user && !task.over();
    }
    return count;
  }
};

MemoryTaskStore::MemoryTaskStore(const core::Clock& clock) : impl_(new Impl{clock, {}, {}, {}}) {}
MemoryTaskStore::~MemoryTaskStore() = default;

void MemoryTaskStore::announce_to(Announce announce) {
  impl_->announce = std::move(announce);
}

core::Task<bool> MemoryTaskStore::create(ToolTask task, std::size_t open_max) {
  const auto notices = notices_of(nullptr, task);
  {
    std::lock_guard lock(impl_->mutex);
    if (impl_->count_open(task.owner) >= open_max) co_return false;
    std::string id = task.id;
    impl_->tasks.emplace(std::move(id), std::move(task));
  }
  impl_->tell(notices);
  co_return true;
}

core::Task<std::optional<ToolTask>> MemoryTaskStore::find(TaskOwner owner, std::string id) {
  std::lock_guard lock(impl_->mutex);
  const ToolTask* task = impl_->get(owner, id);
  co_return task == nullptr ? std::nullopt : std::optional(*task);
}

core::Task<std::optional<ToolTask>> MemoryTaskStore::change(TaskOwner owner, std::string id, TaskEdit edit) {
  std::optional<ToolTask> out;
  std::vector<TaskNotice> notices;
  {
    std::lock_guard lock(impl_->mutex);
    ToolTask* task = impl_->get(owner, id);
    if (task == nullptr) co_return out;
    out = *task;
    if (edit(*out)) {
      notices = notices_of(task, *out);
      *task = *out;
    } else {
      out = *task;
    }
  }
  impl_->tell(notices);
  co_return out;
}

core::Task<DueTasks> MemoryTaskStore::claim(std::string runner, core::Time lease_until, std::size_t max) {
  DueTasks out;
  std::lock_guard lock(impl_->mutex);
  const auto now = impl_->clock.now();
  for (auto& [id, task] : impl_->tasks) {
    if (!task.due_at || task.expires_at <= now) continue;
    if (*task.due_at > now || out.tasks.size() >= max) {
      out.next = out.next ? std::min(*out.next, *task.due_at) : *task.due_at;
      continue;
    }
    const bool orphaned = !task.runner.empty();
    task.runner = runner;
    task.due_at = lease_until;
    ++task.turns;
    out.tasks.push_back(task);
    out.tasks.back().orphaned = orphaned;
  }
  co_return out;
}

core::Task<std::size_t> MemoryTaskStore::sweep(std::size_t max) {
  std::lock_guard lock(impl_->mutex);
  std::size_t removed = 0;
  for (auto it = impl_->tasks.begin(); it != impl_->tasks.end() && removed < max;) {
    const bool gone = it->second.expires_at <= impl_->clock.now();
    it = gone ? impl_->tasks.erase(it) : std::next(it);
    removed += gone;
  }
  co_return removed;
}

}  // namespace assistiv::mcp
