#pragma once
// A bounded cache of what is loaded on demand and dropped by notices: snapshots of a platform or of an end
// user.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/async.h"
#include "core/error.h"
#include "core/task.h"

namespace assistiv::core {

struct SnapshotCacheOptions {
  std::chrono::milliseconds ttl{60'000};  // until a reload, should a notice get lost
  // Past these bounds the least recently used one goes.
  std::size_t entries_max = 10'000;
  std::size_t weight_max = std::numeric_limits<std::size_t>::max();
};

// Thread-safe. Must outlive the coroutines that wait in get().
template <class Key, class Value>
class SnapshotCache {
 public:
  using Ptr = std::shared_ptr<const Value>;
  struct Loaded {
    Ptr value;
    std::size_t weight = 0;
  };
  using Load = std::function<Task<Loaded>()>;

  explicit SnapshotCache(SnapshotCacheOptions options) : options_(options) {}

  // From memory; null: absent or stale.
  Ptr find(const Key& key) {
    std::lock_guard lock(mutex_);
    return fresh(key);
  }

  // From memory, or from `load`, which runs once for all who miss together and whose error is theirs. What a
  // notice overtook is good for those who waited already and is not kept. Whoever waits for another's load
  // longer than 30 s gets Unavailable.
  Task<Ptr> get(Key key, Load load) {
    std::shared_ptr<Flight> flight;
    std::shared_ptr<AsyncEvent> landed;
    {
      std::lock_guard lock(mutex_);
      if (auto value = fresh(key)) co_return value;
      auto& slot = flights_[key];
      if (slot) {
        landed = slot->waiters.emplace_back(std::make_shared<AsyncEvent>());
      } else {
        slot = std::make_shared<Flight>();
      }
      flight = slot;
    }
    if (landed) {
      co_await landed->wait_for(kWaitMax);
    } else {
      co_await lead(key, flight, std::move(load));
    }
    co_return outcome(*flight);
  }

  // For loads inside a caller's own transaction: what the key has become, unless a notice came after
  // `generation`.
  std::uint64_t generation() const {
    std::lock_guard lock(mutex_);
    return generation_;
  }
  void keep(const Key& key, const Loaded& loaded, std::uint64_t generation) {
    std::lock_guard lock(mutex_);
    if (generation == generation_) insert(key, loaded, SteadyTime::clock::now());
  }

  void drop(const Key& key) {
    drop_while(key, [&key](const Key& one) { return !(key < one); });
  }
  void drop_all() {
    std::lock_guard lock(mutex_);
    ++generation_;
    entries_.clear();
    by_use_.clear();
    weight_ = 0;
    for (auto& [key, flight] : flights_) flight->overtaken = true;
    flights_.clear();
  }
  // Every key from `from` on, as long as it concerns.
  template <class Concerns>
  void drop_while(const Key& from, Concerns concerns) {
    std::lock_guard lock(mutex_);
    ++generation_;
    for (auto it = entries_.lower_bound(from); it != entries_.end() && concerns(it->first);) it = erase(it);
    for (auto it = flights_.lower_bound(from); it != flights_.end() && concerns(it->first);) {
      it->second->overtaken = true;
      it = flights_.erase(it);
    }
  }

  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return entries_.size();
  }

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kWaitMax{30};

  struct Entry {
    Loaded loaded;
    SteadyTime loaded_at;
    typename std::list<Key>::iterator place;
  };
  using Entries = std::map<Key, Entry>;

  // One load that any number of callers wait for.
  struct Flight {
    std::vector<std::shared_ptr<AsyncEvent>> waiters;
    bool overtaken = false;
    Ptr value;
    std::exception_ptr error;
  };

  Task<> lead(Key key, std::shared_ptr<Flight> flight, Load load) {
    const auto started = SteadyTime::clock::now();
    Loaded loaded;
    std::exception_ptr error;
    try {
      loaded = co_await load();
    } catch (const std::exception&) {
      error = std::current_exception();
    }
    std::vector<std::shared_ptr<AsyncEvent>> waiters;
    {
      std::lock_guard lock(mutex_);
      flight->value = loaded.value;
      flight->error = error;
      waiters.swap(flight->waiters);
      if (!flight->overtaken) {
        flights_.erase(key);
        if (loaded.value) insert(key, loaded, started);
      }
    }
    for (const auto& waiter : waiters) waiter->set();
  }

  Ptr outcome(const Flight& flight) const {
    std::lock_guard lock(mutex_);
    if (flight.error) std::rethrow_exception(flight.error);
    if (!flight.value) throw Error(ErrorKind::Unavailable, "The database is slow. Try again shortly.");
    return flight.value;
  }

  // These need the lock.
  Ptr fresh(const Key& key) {
    const auto it = entries_.find(key);
    if (it == entries_.end()) return nullptr;
    if (SteadyTime::clock::now() - it->second.loaded_at >= options_.ttl) {
      erase(it);
      return nullptr;
    }
    by_use_.splice(by_use_.end(), by_use_, it->second.place);
    return it->second.loaded.value;
  }
  typename Entries::iterator erase(typename Entries::iterator it) {
    by_use_.erase(it->second.place);
    weight_ -= it->second.loaded.weight;
    return entries_.erase(it);
  }
  void insert(const Key& key, const Loaded& loaded, SteadyTime loaded_at) {
    if (const auto it = entries_.find(key); it != entries_.end()) erase(it);
    if (loaded.weight > options_.weight_max) return;
    while (!entries_.empty() &&
           (entries_.size() >= options_.entries_max || weight_ + loaded.weight > options_.weight_max)) {
      erase(entries_.find(by_use_.front()));
    }
    weight_ += loaded.weight;
    entries_[key] = {loaded, loaded_at, by_use_.insert(by_use_.end(), key)};
  }

  const SnapshotCacheOptions options_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::list<Key> by_use_;  // the least recently used one in front
  std::size_t weight_ = 0;
  std::uint64_t generation_ = 0;  // notices so far
  std::map<Key, std::shared_ptr<Flight>> flights_;
};

}  // namespace assistiv::core
