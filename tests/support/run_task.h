#pragma once
// Coroutines in tests: an I/O thread like the server's, and run(task), which waits for a task's result.
#include "core/async.h"
#include "core/task.h"

// Boost 1.74 forgets <utility>; the above brings it.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

namespace assistiv::test {

// One io_context on its own thread, marked as an I/O thread. The destructor ends the thread; what was spawned
// on it must have ended before.
class IoThread {
 public:
  IoThread()
      : owned_(std::make_unique<boost::asio::io_context>(1)),
        context_(*owned_),
        guard_(context_.get_executor()) {
    kept();
    thread_ = std::jthread([this] { serve(); });
  }
  ~IoThread() {
    guard_.reset();
    context_.stop();
    thread_.join();
    keep(std::move(owned_));
  }
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  core::AnyExecutor executor() { return context_.get_executor(); }

  // Starts `task` there; the future gives its result or its exception.
  template <class T>
  std::future<T> start(core::Task<T> task) {
    std::promise<T> promise;
    auto future = promise.get_future();
    auto settle = [promise = std::move(promise)](std::exception_ptr error, Slot<T> slot) mutable {
      if (error) return promise.set_exception(error);
      if constexpr (std::is_void_v<T>) {
        promise.set_value();
      } else {
        promise.set_value(std::move(*slot));
      }
    };
    boost::asio::co_spawn(context_, into_slot(std::move(task)), std::move(settle));
    return future;
  }

  // Blocks until `task` has ended there: its result, or its exception.
  template <class T>
  T run(core::Task<T> task) {
    auto future = start(std::move(task));
    return result(future);
  }

  // Blocks until what start() began here has ended: its result, or its exception. Unlike the future's get(),
  // it gives an exception that can be looked at: one is shared with the coroutine until that is gone, and the
  // thread sanitizer does not see how.
  template <class T>
  T result(std::future<T>& future) {
    future.wait();
    std::promise<void> idle;
    const auto is_idle = idle.get_future();
    boost::asio::post(context_, [idle = std::move(idle)]() mutable { idle.set_value(); });
    is_idle.wait();
    return future.get();
  }

 private:
  // co_spawn wants a result that can be made from nothing.
  template <class T>
  using Slot = std::optional<std::conditional_t<std::is_void_v<T>, bool, T>>;

  template <class T>
  static core::Task<Slot<T>> into_slot(core::Task<T> task) {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
      co_return true;
    } else {
      co_return co_await std::move(task);
    }
  }

  // A pool's thread that has just posted a result may still be inside the context when the result has arrived
  // here. A program destroys its pools first; a test's database outlives this thread, so its context stays a
  // while.
  struct Kept {
    std::mutex mutex;
    std::deque<std::unique_ptr<boost::asio::io_context>> contexts;
  };
  // Made before the first thread, so that it outlives the process's own one.
  static Kept& kept() {
    static Kept all;
    return all;
  }
  static void keep(std::unique_ptr<boost::asio::io_context> context) {
    auto& [mutex, contexts] = kept();
    const std::lock_guard lock(mutex);
    if (contexts.size() == kKept) contexts.pop_front();
    contexts.push_back(std::move(context));
  }

  void serve() {
    core::mark_io_thread();
    context_.run();
  }

  static constexpr std::size_t kKept = 64;
  std::unique_ptr<boost::asio::io_context> owned_;
  boost::asio::io_context& context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  std::jthread thread_;
};

// Runs `task` to its end on the process's I/O thread: its result, or its exception.
template <class T>
T run(core::Task<T> task) {
  static IoThread thread;
  return thread.run(std::move(task));
}

}  // namespace assistiv::test
