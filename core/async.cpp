#include "core/async.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/log.h"

namespace assistiv::core {

namespace asio = boost::asio;

namespace {

thread_local bool t_io_thread = false;

// A timer that is only touched on its own executor; wake() may be called from any thread. The caller's
// reference goes with the message, so that the timer never dies on a thread that outlives the io_context.
struct Wakeup {
  explicit Wakeup(const AnyExecutor& ex) : executor(ex), timer(ex) {}
  static void wake(std::shared_ptr<Wakeup> self, bool Wakeup::*reason) {
    const AnyExecutor target = self->executor;
    asio::post(target, [self = std::move(self), reason] {
      (*self).*reason = true;
      self->timer.cancel();
    });
  }
  AnyExecutor executor;
  asio::steady_timer timer;
  bool stopped = false;  // executor's thread only, as is `set`
  bool set = false;
};

Task<> wait_on(std::shared_ptr<Wakeup> wakeup, std::chrono::steady_clock::duration timeout) {
  if (wakeup->set || wakeup->stopped) co_return;
  wakeup->timer.expires_after(timeout);
  boost::system::error_code ignored;
  co_await wakeup->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

}  // namespace

bool on_io_thread() {
  return t_io_thread;
}
void mark_io_thread() {
  t_io_thread = true;
}

Task<AnyExecutor> current_executor() {
  co_return co_await asio::this_coro::executor;
}

Task<> sleep_for(std::chrono::steady_clock::duration time, std::stop_token stop) {
  if (stop.stop_requested()) co_return;
  auto wakeup = std::make_shared<Wakeup>(co_await asio::this_coro::executor);
  auto on_stop = [wakeup] { Wakeup::wake(wakeup, &Wakeup::stopped); };
  std::stop_callback<decltype(on_stop)> callback(stop, on_stop);
  co_await wait_on(wakeup, time);
}

struct AsyncEvent::State {
  std::mutex mutex;
  bool set = false;
  std::vector<std::shared_ptr<Wakeup>> waiters;
};

AsyncEvent::AsyncEvent() : state_(std::make_shared<State>()) {}
AsyncEvent::~AsyncEvent() = default;

void AsyncEvent::set() {
  std::vector<std::shared_ptr<Wakeup>> waiters;
  {
    std::lock_guard lock(state_->mutex);
    if (state_->waiters.empty()) {
      state_->set = true;
      return;
    }
    waiters.swap(state_->waiters);
  }
  for (auto& waiter : waiters) Wakeup::wake(std::move(waiter), &Wakeup::set);
}

Task<bool> AsyncEvent::wait_for(std::chrono::steady_clock::duration timeout, std::stop_token stop) {
  auto state = state_;
  auto wakeup = std::make_shared<Wakeup>(co_await asio::this_coro::executor);
  {
    std::lock_guard lock(state->mutex);
    if (std::exchange(state->set, false)) co_return true;
    state->waiters.push_back(wakeup);
  }
  if (!stop.stop_requested()) {
    auto on_stop = [wakeup] { Wakeup::wake(wakeup, &Wakeup::stopped); };
    std::stop_callback<decltype(on_stop)> callback(stop, on_stop);
    co_await wait_on(wakeup, timeout);
  }
  {
    // Still listed: nobody set the event, so this was the timeout or the stop.
    std::lock_guard lock(state->mutex);
    if (std::erase(state->waiters, wakeup) > 0) co_return false;
  }
  // set() has taken it. Its message must arrive before the caller may go on to end the io_context.
  wakeup->stopped = false;
  while (!wakeup->set) {
    co_await wait_on(wakeup, std::chrono::hours(1));
    wakeup->stopped = false;
  }
  co_return true;
}

struct TaskGroup::State {
  std::string name;
  std::stop_source stop;
  mutable std::mutex mutex;
  std::condition_variable idle;
  std::size_t running = 0;
};

TaskGroup::TaskGroup(std::string name) : state_(std::make_shared<State>()) {
  state_->name = std::move(name);
}
TaskGroup::~TaskGroup() {
  stop();
}

namespace {

Task<> run_guarded(std::string name, std::function<Task<>(std::stop_token)> body, std::stop_token stop) {
  try {
    co_await body(stop);
  } catch (const Error& e) {
    log::error("task.failed", {{"task", name}, {"error", e.what()}, {"detail", e.detail()}});
  } catch (const std::exception& e) {
    log::error("task.failed", {{"task", name}, {"error", e.what()}});
  }
}

}  // namespace

void TaskGroup::spawn(AnyExecutor executor, std::string name, std::function<Task<>(std::stop_token)> body) {
  {
    std::lock_guard lock(state_->mutex);
    ++state_->running;
  }
  asio::co_spawn(executor, run_guarded(std::move(name), std::move(body), state_->stop.get_token()),
                 [state = state_](std::exception_ptr) {
                   std::lock_guard lock(state->mutex);
                   if (--state->running == 0) state->idle.notify_all();
                 });
}

void TaskGroup::request_stop() {
  state_->stop.request_stop();
}

void TaskGroup::stop() {
  state_->stop.request_stop();
  std::unique_lock lock(state_->mutex);
  state_->idle.wait(lock, [this] { return state_->running == 0; });
}

std::stop_token TaskGroup::token() const {
  return state_->stop.get_token();
}

std::size_t TaskGroup::size() const {
  std::lock_guard lock(state_->mutex);
  return state_->running;
}

struct BlockingPool::State {
  std::string name;
  std::size_t queue_max = 0;
  mutable std::mutex mutex;
  std::condition_variable ready;
  std::deque<std::function<void()>> queue;
  bool closing = false;
  std::vector<std::jthread> threads;

  void work() {
    while (true) {
      std::function<void()> job;
      {
        std::unique_lock lock(mutex);
        ready.wait(lock, [this] { return closing || !queue.empty(); });
        if (queue.empty()) return;
        job = std::move(queue.front());
        queue.pop_front();
      }
      run(job);
    }
  }

  void run(const std::function<void()>& job) const {
    try {
      job();
    } catch (const std::exception& e) {
      log::error("pool.job_failed", {{"pool", name}, {"error", e.what()}});
    }
  }
};

BlockingPool::BlockingPool(std::string name, std::size_t threads, std::size_t queue_max)
    : state_(std::make_shared<State>()) {
  state_->name = std::move(name);
  state_->queue_max = queue_max;
  for (std::size_t i = 0; i < threads; ++i) state_->threads.emplace_back([s = state_.get()] { s->work(); });
}

BlockingPool::~BlockingPool() {
  {
    std::lock_guard lock(state_->mutex);
    state_->closing = true;
  }
  state_->ready.notify_all();
  state_->threads.clear();
}

void BlockingPool::post(std::function<void()> work) {
  {
    std::lock_guard lock(state_->mutex);
    if (state_->closing || state_->queue.size() >= state_->queue_max) {
      throw Error(ErrorKind::Unavailable, "The server is busy. Try again shortly.")
          .with_retry_after(std::chrono::seconds(1))
          .with_detail("pool " + state_->name + " is full");
    }
    state_->queue.push_back(std::move(work));
  }
  state_->ready.notify_one();
}

std::size_t BlockingPool::queued() const {
  std::lock_guard lock(state_->mutex);
  return state_->queue.size();
}

namespace {

using Completion = void(std::exception_ptr);

struct RunOnPool {
  BlockingPool* pool;
  std::function<void()> work;
  AnyExecutor executor;

  template <class Handler>
  void operator()(Handler handler) {
    auto shared = std::make_shared<Handler>(std::move(handler));
    auto keep_alive = asio::prefer(executor, asio::execution::outstanding_work.tracked);
    auto finish = [shared, keep_alive](std::exception_ptr error) {
      asio::post(keep_alive, [shared, error]() mutable { (*shared)(error); });
    };
    try {
      pool->post([job = std::move(work), finish]() mutable {
        std::exception_ptr error;
        try {
          job();
        } catch (...) {
          error = std::current_exception();
        }
        job = nullptr;
        finish(error);
      });
    } catch (...) {
      finish(std::current_exception());
    }
  }
};

}  // namespace

Task<> BlockingPool::run_erased(std::function<void()> work) {
  auto executor = co_await asio::this_coro::executor;
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, Completion>(
      RunOnPool{this, std::move(work), executor}, asio::use_awaitable);
}

}  // namespace assistiv::core
