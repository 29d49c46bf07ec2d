#include "net/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_task.h"

namespace assistiv::net {
namespace {

using namespace std::chrono_literals;
using Addresses = std::vector<std::string>;

TEST(SystemResolver, resolves_names_of_this_machine) {
  SystemResolver resolver;
  test::IoThread io;
  EXPECT_THAT(io.run(resolver.resolve("localhost", 10s, {})),
              testing::AnyOf(testing::Contains("127.0.0.1"), testing::Contains("::1")));
  EXPECT_EQ(io.run(resolver.resolve("127.0.0.1", 10s, {})), Addresses{"127.0.0.1"});
}

TEST(SystemResolver, gives_nothing_for_a_name_that_does_not_exist) {
  SystemResolver resolver;
  test::IoThread io;
  EXPECT_EQ(io.run(resolver.resolve("no such name", 10s, {})), Addresses{});
}

TEST(SystemResolver, answers_callers_that_ask_at_the_same_time) {
  SystemResolver resolver;
  test::IoThread io;
  std::vector<std::future<Addresses>> answers;
  for (int i = 0; i < 200; ++i) answers.push_back(io.start(resolver.resolve("127.0.0.1", 10s, {})));
  for (auto& answer : answers) EXPECT_EQ(answer.get(), Addresses{"127.0.0.1"});
}

TEST(SystemResolver, gives_up_when_told_to) {
  SystemResolver resolver;
  test::IoThread io;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(io.run(resolver.resolve("stopped.invalid", 1min, stop.get_token())), Addresses{});
}

TEST(SystemResolver, keeps_answering_past_the_size_of_its_cache) {
  SystemResolver resolver;
  test::IoThread io;
  for (int i = 0; i < 1100; ++i) {
    const std::string address = "127.0." + std::to_string(i / 250) + "." + std::to_string(i % 250);
    ASSERT_EQ(io.run(resolver.resolve(address, 10s, {})), Addresses{address});
  }
}

}  // namespace
}  // namespace assistiv::net
