#include "net/io_threads.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <string>
#include <thread>

#include "core/async.h"
#include "core/log.h"

namespace assistiv::net {

namespace asio = boost::asio;

namespace {

struct IoThread {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::thread thread;
};

void run_context(asio::io_context& context, std::size_t index) {
  core::mark_io_thread();
  pthread_setname_np(pthread_self(), ("io" + std::to_string(index)).c_str());
  while (true) {
    try {
      context.run();
      return;
    } catch (const std::exception& e) {
      core::log::error("io.unhandled_exception", {{"error", e.what()}});
    }
  }
}

}  // namespace

struct IoThreads::State {
  std::vector<std::unique_ptr<IoThread>> threads;
  std::atomic<std::size_t> turn{0};
};

IoThreads::IoThreads(std::size_t count) : state_(std::make_unique<State>()) {
  if (count == 0) count = std::max(1U, std::thread::hardware_concurrency());
  for (std::size_t i = 0; i < count; ++i) state_->threads.push_back(std::make_unique<IoThread>());
  for (std::size_t i = 0; i < count; ++i) {
    auto& one = *state_->threads[i];
    one.thread = std::thread([&one, i] { run_context(one.context, i); });
  }
}

IoThreads::~IoThreads() {
  stop();
}

std::size_t IoThreads::size() const {
  return state_->threads.size();
}

core::AnyExecutor IoThreads::executor(std::size_t index) const {
  return state_->threads.at(index)->context.get_executor();
}

core::AnyExecutor IoThreads::next() {
  return executor(state_->turn.fetch_add(1) % size());
}

void IoThreads::stop() {
  for (auto& one : state_->threads) {
    one->work.reset();
    one->context.stop();
  }
  for (auto& one : state_->threads)
    if (one->thread.joinable()) one->thread.join();
}

}  // namespace assistiv::net
