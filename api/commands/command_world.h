#pragma once
// What commands work with beside (or without) a running server.
#include <functional>
#include <future>
#include <memory>

#include "api/config.h"
#include "core/async.h"
#include "core/clock.h"
#include "core/random.h"
#include "net/io_threads.h"
#include "storage/database.h"
#include "storage/private_postgres.h"

namespace assistiv::api {

// The database of a server that runs, or the private one started for the length of the command.
class CommandDatabase {
 public:
  explicit CommandDatabase(const Config& config);
  storage::Database& operator*() { return *database_; }

 private:
  std::unique_ptr<storage::PrivatePostgres> own_;
  std::unique_ptr<storage::Database> database_;
};

// Services speak coroutines; a command waits for one.
class Waiter {
 public:
  explicit Waiter(net::IoThreads& io) : io_(io) {}
  template <class T>
  T wait(std::function<core::Task<T>()> work) {
    auto result = std::make_shared<std::promise<T>>();
    group_.spawn(io_.next(), "command", [work, result](std::stop_token) { return run<T>(work, result); });
    return result->get_future().get();
  }

 private:
  template <class T>
  static core::Task<> run(std::function<core::Task<T>()> work, std::shared_ptr<std::promise<T>> result) {
    try {
      result->set_value(co_await work());
    } catch (...) {
      result->set_exception(std::current_exception());
    }
  }
  net::IoThreads& io_;
  core::TaskGroup group_{"command"};
};

// Brings the database up to date first.
struct CommandWorld {
  core::SystemClock clock;
  core::SystemRandom random;
  // Before the database: its threads hand over to these until they are joined.
  net::IoThreads io{1};
  CommandDatabase database;
  Waiter waiter{io};
  explicit CommandWorld(const Config& config);
};

}  // namespace assistiv::api
