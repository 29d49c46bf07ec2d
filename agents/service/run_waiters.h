#pragma once
// Who waits for a run's end. The end of a run that was carried out here is handed to its waiters; of one that
// another process has, they hear that its thread has changed, and look.
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "agents/service/run_service.h"
#include "agents/store/checkpoint_store.h"
#include "core/async.h"

namespace assistiv::agents {

// Thread-safe.
class RunWaiters {
 public:
  struct Waiter {
    core::AsyncEvent news;
    std::mutex mutex;
    std::optional<RunResult> result;  // under the mutex
    bool stopping = false;            // the server is: there will be no result
  };

  // From now on the waiter hears; until it is dropped.
  std::shared_ptr<Waiter> expect(ThreadKey key, RunId run) {
    auto out = std::make_shared<Waiter>();
    const std::lock_guard lock(mutex_);
    out->stopping = stopping_;
    waiters_.emplace(key, Entry{run, out});
    return out;
  }
  void forget(const ThreadKey& key, const std::shared_ptr<Waiter>& waiter) {
    const std::lock_guard lock(mutex_);
    const auto [from, to] = waiters_.equal_range(key);
    for (auto it = from; it != to; ++it) {
      if (it->second.waiter != waiter) continue;
      waiters_.erase(it);
      return;
    }
  }
  bool has(const ThreadKey& key) const {
    const std::lock_guard lock(mutex_);
    return waiters_.contains(key);
  }
  void deliver(const ThreadKey& key, RunId run, const RunResult& result) {
    for (const auto& [id, waiter] : of(key)) {
      if (id != run) continue;
      {
        const std::lock_guard lock(waiter->mutex);
        waiter->result = result;
      }
      waiter->news.set();
    }
  }
  // Something has happened on the thread, here or elsewhere.
  void mark(const ThreadKey& key) {
    for (const auto& [id, waiter] : of(key)) waiter->news.set();
  }
  void stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& [key, entry] : waiters_) {
      {
        const std::lock_guard inner(entry.waiter->mutex);
        entry.waiter->stopping = true;
      }
      entry.waiter->news.set();
    }
  }

 private:
  struct Entry {
    RunId run;
    std::shared_ptr<Waiter> waiter;
  };
  std::vector<std::pair<RunId, std::shared_ptr<Waiter>>> of(const ThreadKey& key) const {
    std::vector<std::pair<RunId, std::shared_ptr<Waiter>>> out;
    const std::lock_guard lock(mutex_);
    const auto [from, to] = waiters_.equal_range(key);
    for (auto it = from; it != to; ++it) out.emplace_back(it->second.run, it->second.waiter);
    return out;
  }

  mutable std::mutex mutex_;
  std::multimap<ThreadKey, Entry> waiters_;
  bool stopping_ = false;
};

}  // namespace assistiv::agents
