#pragma once
// What waiting code is made of: sleeping, signalling, owning background coroutines, leaving the I/O thread.
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>

#include "core/task.h"

namespace assistiv::core {

// Waits on the caller's executor. Returns early (without error) when `stop` is requested.
Task<> sleep_for(std::chrono::steady_clock::duration time, std::stop_token stop = {});

// The executor that the calling coroutine runs on.
Task<AnyExecutor> current_executor();

// A condition that coroutines wait for. Thread-safe: set() from anywhere, waiters resume on their own
// executors. Auto-reset: one set() releases every coroutine that waits at that moment, or else the next one
// to come.
class AsyncEvent {
 public:
  AsyncEvent();
  ~AsyncEvent();
  AsyncEvent(const AsyncEvent&) = delete;
  AsyncEvent& operator=(const AsyncEvent&) = delete;

  void set();
  // True when set, false at the timeout or when `stop` is requested.
  Task<bool> wait_for(std::chrono::steady_clock::duration timeout, std::stop_token stop = {});

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Owns background coroutines: each one gets the group's stop token through its factory and is joined by
// stop(). An exception that leaves a coroutine is logged under the coroutine's name and ends only that
// coroutine.
class TaskGroup {
 public:
  explicit TaskGroup(std::string name);
  ~TaskGroup();  // calls stop(); must not run on an I/O thread that the coroutines need
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // `body` is called once, at once, and must not capture by reference what may die before the group.
  void spawn(AnyExecutor executor, std::string name, std::function<Task<>(std::stop_token)> body);
  void request_stop();
  // Requests stop and blocks until every coroutine has ended.
  void stop();
  std::stop_token token() const;
  std::size_t size() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// A bounded pool of threads for calls that block (libpqxx, crypto on big inputs, the resolver). A full queue
// throws Error{Unavailable} with a Retry-After at once: callers are told instead of being queued without end.
class BlockingPool {
 public:
  BlockingPool(std::string name, std::size_t threads, std::size_t queue_max);
  ~BlockingPool();  // runs what is queued, then joins
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  // Runs `work` on a pool thread; the awaiting coroutine resumes on its own executor with the result or the
  // exception.
  template <class F>
  Task<std::invoke_result_t<F>> run(F work);

  // Fire and forget from a non-coroutine; same queue, same bound. What it throws is logged.
  void post(std::function<void()> work);
  std::size_t queued() const;

 private:
  Task<> run_erased(std::function<void()> work);
  struct State;
  std::shared_ptr<State> state_;
};

template <class F>
Task<std::invoke_result_t<F>> BlockingPool::run(F work) {
  using T = std::invoke_result_t<F>;
  if constexpr (std::is_void_v<T>) {
    co_await run_erased(std::move(work));
  } else {
    auto result = std::make_shared<std::optional<T>>();
    auto shared = std::make_shared<F>(std::move(work));
    co_await run_erased([result, shared] { result->emplace((*shared)()); });
    co_return std::move(**result);
  }
}

// True on threads that run io_contexts (net/ marks them). Blocking code checks it and refuses.
bool on_io_thread();
void mark_io_thread();

}  // namespace assistiv::core
