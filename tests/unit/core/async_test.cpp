#include "core/async.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

#include "core/error.h"
#include "support/run_task.h"

namespace assistiv::core {
namespace {

using namespace std::chrono_literals;
using test::IoThread;
using test::run;

constexpr auto kLong = std::chrono::hours(1);

Task<bool> wait(std::shared_ptr<AsyncEvent> event, std::stop_token stop = {}) {
  co_return co_await event->wait_for(kLong, stop);
}

TEST(SleepFor, ends_early_when_stopped_before_or_meanwhile) {
  std::stop_source before;
  before.request_stop();
  run(sleep_for(kLong, before.get_token()));

  std::stop_source meanwhile;
  IoThread io;
  auto sleeping = io.start(sleep_for(kLong, meanwhile.get_token()));
  meanwhile.request_stop();
  sleeping.get();
}

TEST(AsyncEvent, releases_the_next_waiter_when_it_was_set_before) {
  auto event = std::make_shared<AsyncEvent>();
  event->set();
  EXPECT_TRUE(run(wait(event)));
  EXPECT_FALSE(run(event->wait_for(0ms)));
}

TEST(AsyncEvent, releases_a_waiter_from_another_thread) {
  IoThread io;
  auto event = std::make_shared<AsyncEvent>();
  auto waiting = io.start(wait(event));
  event->set();
  EXPECT_TRUE(waiting.get());
}

TEST(AsyncEvent, says_false_at_the_timeout_and_when_stopped) {
  auto event = std::make_shared<AsyncEvent>();
  EXPECT_FALSE(run(event->wait_for(1ms)));
  std::stop_source stop;
  IoThread io;
  auto waiting = io.start(wait(event, stop.get_token()));
  stop.request_stop();
  EXPECT_FALSE(waiting.get());
}

// Every set() must be seen by somebody: lost wake-ups would hang this test.
TEST(AsyncEvent, loses_no_signal_between_threads) {
  IoThread there, here;
  auto ping = std::make_shared<AsyncEvent>();
  auto pong = std::make_shared<AsyncEvent>();
  static constexpr int kRounds = 2000;
  struct Player {
    static Task<int> play(std::shared_ptr<AsyncEvent> hear, std::shared_ptr<AsyncEvent> say) {
      int heard = 0;
      for (; heard < kRounds; ++heard) {
        if (!co_await hear->wait_for(kLong)) break;
        say->set();
      }
      co_return heard;
    }
  };
  auto a = there.start(Player::play(ping, pong));
  auto b = here.start(Player::play(pong, ping));
  ping->set();
  EXPECT_EQ(a.get(), kRounds);
  EXPECT_EQ(b.get(), kRounds);
}

Task<> count_until_stopped(std::shared_ptr<std::atomic<int>> ended, std::stop_token stop) {
  co_await sleep_for(kLong, stop);
  ++*ended;
}

TEST(TaskGroup, stop_ends_and_joins_every_coroutine) {
  IoThread io;
  auto ended = std::make_shared<std::atomic<int>>(0);
  TaskGroup group("test");
  for (int i = 0; i < 50; ++i) {
    group.spawn(io.executor(), "sleeper",
                [ended](std::stop_token stop) { return count_until_stopped(ended, stop); });
  }
  EXPECT_EQ(group.size(), 50u);
  group.stop();
  EXPECT_EQ(*ended, 50);
  EXPECT_EQ(group.size(), 0u);
}

Task<> fail() {
  co_await current_executor();
  throw internal("on purpose");
}

TEST(TaskGroup, outlives_a_coroutine_that_throws) {
  IoThread io;
  auto ended = std::make_shared<std::atomic<int>>(0);
  TaskGroup group("test");
  group.spawn(io.executor(), "failing", [](std::stop_token) { return fail(); });
  group.spawn(io.executor(), "sleeper",
              [ended](std::stop_token stop) { return count_until_stopped(ended, stop); });
  group.stop();
  EXPECT_EQ(*ended, 1);
}

TEST(TaskGroup, hands_a_stopped_token_to_what_is_spawned_after_stop) {
  IoThread io;
  auto ended = std::make_shared<std::atomic<int>>(0);
  TaskGroup group("test");
  group.stop();
  group.spawn(io.executor(), "late",
              [ended](std::stop_token stop) { return count_until_stopped(ended, stop); });
  group.stop();
  EXPECT_EQ(*ended, 1);
}

TEST(BlockingPool, gives_back_results_and_exceptions_on_the_callers_thread) {
  BlockingPool pool("test", 2, 10);
  struct Caller {
    static Task<bool> call(BlockingPool& pool) {
      const auto before = std::this_thread::get_id();
      const auto worker = co_await pool.run([] { return std::this_thread::get_id(); });
      co_return std::this_thread::get_id() == before&& worker != before;
    }
  };
  EXPECT_TRUE(run(Caller::call(pool)));
  EXPECT_EQ(run(pool.run([] { return std::string("text"); })), "text");
  EXPECT_THROW(run(pool.run([]() -> int { throw bad_request("no"); })), Error);
  run(pool.run([] {}));
}

TEST(BlockingPool, takes_a_callable_that_can_only_be_moved) {
  BlockingPool pool("test", 1, 10);
  EXPECT_EQ(run(pool.run([value = std::make_unique<int>(7)] { return *value; })), 7);
}

TEST(BlockingPool, refuses_at_once_when_the_queue_is_full) {
  std::latch started(1), release(1);
  BlockingPool pool("test", 1, 2);
  pool.post([&] {
    started.count_down();
    release.wait();
  });
  started.wait();
  pool.post([] {});
  pool.post([] {});
  EXPECT_EQ(pool.queued(), 2u);
  try {
    run(pool.run([] {}));
    ADD_FAILURE() << "was queued";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Unavailable);
    EXPECT_TRUE(e.retry_after());
  }
  release.count_down();
}

TEST(BlockingPool, runs_what_is_queued_before_it_ends) {
  std::atomic<int> done = 0;
  {
    BlockingPool pool("test", 2, 1000);
    for (int i = 0; i < 500; ++i) pool.post([&done] { ++done; });
  }
  EXPECT_EQ(done, 500);
}

TEST(BlockingPool, survives_posted_work_that_throws) {
  std::atomic<bool> after = false;
  {
    BlockingPool pool("test", 1, 10);
    pool.post([] { throw internal("on purpose"); });
    pool.post([&after] { after = true; });
  }
  EXPECT_TRUE(after);
}

TEST(BlockingPool, serves_many_coroutines_at_once) {
  BlockingPool pool("test", 4, 10000);
  IoThread a, b;
  std::vector<std::future<int>> results;
  for (int i = 0; i < 1000; ++i) {
    results.push_back((i % 2 == 0 ? a : b).start(pool.run([i] { return i; })));
  }
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)].get(), i);
}

TEST(IoThreadMark, is_set_on_io_threads_only) {
  struct Ask {
    static Task<bool> here() { co_return on_io_thread(); }
  };
  EXPECT_FALSE(on_io_thread());
  EXPECT_TRUE(run(Ask::here()));
}

}  // namespace
}  // namespace assistiv::core
