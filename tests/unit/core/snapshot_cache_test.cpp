#include "core/snapshot_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "support/run_task.h"

namespace assistiv::core {
namespace {

using namespace std::chrono_literals;
using test::IoThread;
using test::run;
using Cache = SnapshotCache<int, std::string>;

Cache::Loaded text(const std::string& value, std::size_t weight = 0) {
  return {std::make_shared<const std::string>(value), weight};
}

Task<Cache::Loaded> give(std::string value, std::size_t weight = 0) {
  co_return text(value, weight);
}

// Loads that end when they are told to.
struct SlowSource {
  std::shared_ptr<AsyncEvent> began = std::make_shared<AsyncEvent>();
  std::shared_ptr<AsyncEvent> go_on = std::make_shared<AsyncEvent>();
  std::atomic<int> loads{0};
  bool fails = false;

  Task<Cache::Loaded> load() {
    ++loads;
    began->set();
    co_await go_on->wait_for(1h);
    if (fails) throw Error(ErrorKind::Unavailable, "down");
    co_return text("slow");
  }
};

std::string get(Cache& cache, int key, const std::string& loads) {
  return *run(cache.get(key, [&loads] { return give(loads); }));
}

TEST(SnapshotCache, loads_once_and_again_after_a_drop) {
  Cache cache({});
  EXPECT_EQ(get(cache, 1, "a"), "a");
  EXPECT_EQ(get(cache, 1, "b"), "a");
  EXPECT_EQ(get(cache, 2, "two"), "two");
  cache.drop(1);
  EXPECT_EQ(get(cache, 1, "b"), "b");
  EXPECT_EQ(get(cache, 2, "x"), "two");
  cache.drop_all();
  EXPECT_EQ(cache.size(), 0U);
}

TEST(SnapshotCache, all_who_miss_together_share_one_load) {
  Cache cache({});
  SlowSource source;
  IoThread io;
  auto first = io.start(cache.get(1, [&source] { return source.load(); }));
  ASSERT_TRUE(run(source.began->wait_for(30s)));
  auto second = io.start(cache.get(1, [&source] { return source.load(); }));
  source.go_on->set();
  EXPECT_EQ(first.get(), second.get());
  EXPECT_EQ(source.loads, 1);
}

TEST(SnapshotCache, a_failed_load_is_everybodys_error_and_is_not_kept) {
  Cache cache({});
  SlowSource source;
  source.fails = true;
  source.go_on->set();
  EXPECT_THROW(run(cache.get(1, [&source] { return source.load(); })), Error);
  EXPECT_EQ(get(cache, 1, "a"), "a");
}

TEST(SnapshotCache, what_a_notice_overtook_is_not_kept) {
  Cache cache({});
  SlowSource source;
  IoThread io;
  auto waiting = io.start(cache.get(1, [&source] { return source.load(); }));
  ASSERT_TRUE(run(source.began->wait_for(30s)));
  cache.drop(1);
  EXPECT_EQ(get(cache, 1, "new"), "new");
  source.go_on->set();
  EXPECT_EQ(*waiting.get(), "slow");
  EXPECT_EQ(get(cache, 1, "x"), "new");

  const auto before = cache.generation();
  cache.drop(7);
  cache.keep(2, text("old"), before);
  EXPECT_EQ(cache.find(2), nullptr);
  cache.keep(2, text("kept"), cache.generation());
  EXPECT_EQ(*cache.find(2), "kept");
}

TEST(SnapshotCache, is_bounded_in_time_number_and_weight) {
  Cache stale({.ttl = 0ms});
  EXPECT_EQ(get(stale, 1, "a"), "a");
  EXPECT_EQ(get(stale, 1, "b"), "b");

  Cache few({.entries_max = 2});
  get(few, 1, "a");
  get(few, 2, "b");
  get(few, 1, "x");
  get(few, 3, "c");
  EXPECT_NE(few.find(1), nullptr);
  EXPECT_EQ(few.find(2), nullptr);

  Cache light({.weight_max = 10});
  const auto heavy = [&light](int key, std::size_t weight) {
    run(light.get(key, [weight] { return give("w", weight); }));
  };
  heavy(1, 6);
  heavy(2, 6);
  EXPECT_EQ(light.find(1), nullptr);
  heavy(3, 11);
  EXPECT_EQ(light.find(3), nullptr);
  EXPECT_NE(light.find(2), nullptr);
}

TEST(SnapshotCache, drops_a_range_of_keys) {
  Cache cache({});
  for (int key : {1, 10, 11, 12, 20}) get(cache, key, "v");
  cache.drop_while(10, [](int key) { return key < 20; });
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_NE(cache.find(20), nullptr);
}

}  // namespace
}  // namespace assistiv::core
