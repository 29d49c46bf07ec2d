#include "api/routes/repeated_posts.h"

#include <gtest/gtest.h>

#include "core/ids.h"
#include "support/manual_clock.h"
#include "support/scripted_random.h"

namespace assistiv::api {
namespace {

class RepeatedPostsTest : public ::testing::Test {
 protected:
  RepeatedPosts::Post post(std::string text = "hi") {
    return {reach_, thread_, {{"assistant_id", "helper"}, {"input", std::move(text)}}, clock_.now()};
  }
  test::ManualClock clock_;
  test::ScriptedRandom random_{5};
  agents::Reach reach_{core::PlatformId::make(clock_, random_), {}};
  std::optional<agents::ThreadId> thread_ = agents::ThreadId::make(clock_, random_);
  RepeatedPosts posts_;
};

TEST_F(RepeatedPostsTest, ALostAnswerIsGivenOnce) {
  EXPECT_FALSE(posts_.take(post()));
  const auto run = agents::RunId::make(clock_, random_);
  posts_.lose(post(), run);
  EXPECT_FALSE(posts_.take(post("something else")));
  clock_.advance(std::chrono::seconds(20));
  const auto lost = posts_.take(post());
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->run, run);
  EXPECT_FALSE(posts_.take(post()));
}

TEST_F(RepeatedPostsTest, OfOthersAndOfLongAgoItIsNothing) {
  posts_.lose(post(), {});
  const auto thread = std::exchange(thread_, agents::ThreadId::make(clock_, random_));
  EXPECT_FALSE(posts_.take(post()));
  thread_ = thread;
  reach_.end_user = core::EndUserId::make(clock_, random_);
  EXPECT_FALSE(posts_.take(post()));
  reach_.end_user.reset();
  clock_.advance(std::chrono::seconds(31));
  EXPECT_FALSE(posts_.take(post()));
}

TEST_F(RepeatedPostsTest, TheyAreBounded) {
  for (int i = 0; i < 2000; ++i) posts_.lose(post(std::to_string(i)), {});
  EXPECT_TRUE(posts_.take(post("999")));
  EXPECT_FALSE(posts_.take(post("1000")));
  clock_.advance(std::chrono::seconds(31));
  posts_.lose(post("later"), {});
  EXPECT_TRUE(posts_.take(post("later")));
}

}  // namespace
}  // namespace assistiv::api
