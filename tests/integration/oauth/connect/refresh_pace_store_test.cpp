// How fast refreshes go out to one provider: its limits are for an OAuth client, whoever uses it.
#include "oauth/connect/refresh_pace_store.h"

#include <functional>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "support/connect_fixture.h"
#include "support/eventually.h"

namespace assistiv::test {

using oauth::TokenStatus;
using std::chrono::milliseconds;
using std::chrono::seconds;

class RefreshPaceTest : public ConnectTest {
 protected:
  // Of 20 in 100 seconds 10 may go at once and then one every 12.5 s; 7 of them, and one every 16.6 s, are a
  // tenant's.
  static constexpr int kAtOnce = 10, kTenantAtOnce = 7;

  void SetUp() override {
    limit(20, 100);
    platform_ = make_platform();
    activate(platform_);
  }
  void limit(int requests, int in_seconds, const std::string& throttled_per = "client") {
    auto manifest = core::parse_json(demo_manifest());
    manifest["oauth"]["refresh"]["limit"] = {{"requests", requests}, {"seconds", in_seconds}};
    manifest["oauth"]["errors"]["throttled_per"] = throttled_per;
    registry_.add(core::dump_json(manifest));
  }
  // Connections of as many end users.
  std::vector<core::ConnectionId> connect_many(core::PlatformId platform, int count) {
    std::vector<core::ConnectionId> out;
    for (int i = 0; i < count; ++i) {
      const auto number = ++made_;
      out.push_back(connect(platform, make_end_user(platform, "user-" + std::to_string(number)), number,
                            std::to_string(number)));
    }
    return out;
  }
  void expire_all() {
    clock_.advance(std::chrono::hours(9));
    http_.always("POST", kTokenUrl, FakeHttpClient::replies(200, token_json(1000)));
    sent_before_ = http_.requests("POST", kTokenUrl).size();
  }
  std::size_t sent() { return http_.requests("POST", kTokenUrl).size() - sent_before_; }
  std::unique_ptr<ConnectNode> node(milliseconds pace_wait) {
    oauth::TokenServiceOptions options;
    options.pace_wait = pace_wait;
    return std::make_unique<ConnectNode>(database_.db(), *vault_, http_, registry_, clock_, random_, options);
  }
  oauth::TokenAnswer token(ConnectNode& node, core::PlatformId platform, core::ConnectionId connection) {
    return run(node.tokens.access_token(platform, connection, "main"));
  }
  void throttle_once() {
    http_.once("POST", kTokenUrl, [](const core::OutboundRequest&) {
      auto response = FakeHttpClient::json(429, "");
      response.headers.set("retry-after", "120");
      return response;
    });
  }
  // The client's next turn comes after `time`.
  void fill_until(milliseconds time) {
    const milliseconds ahead = milliseconds(12500) * (kAtOnce - 1);
    const auto key = oauth::pace_key(*run(registry_.find(platform_, "demo")), platform_, "client-1");
    database_.exec("update refresh_pace set busy_until = assistiv_time($1::bigint) where pace_key = $2",
                   {std::to_string(core::to_epoch_ms(clock_.now() + ahead + time)), key.client});
  }
  static bool at_last(const std::function<bool()>& condition) {
    for (int i = 0; i < 6; ++i) {
      if (eventually(condition)) return true;
    }
    return false;
  }

  core::PlatformId platform_;
  int made_ = 0;
  std::size_t sent_before_ = 0;
};

TEST_F(RefreshPaceTest, connections_that_expire_together_go_as_the_provider_takes_them_over_all_nodes) {
  const auto mine = connect_many(platform_, kTenantAtOnce + 3);
  const auto other = make_platform("Other");
  activate(other);
  const auto theirs = connect_many(other, 1);
  expire_all();
  const auto one = node(seconds(0)), two = node(seconds(0));
  std::size_t ready = 0;
  for (std::size_t i = 0; i < mine.size(); ++i) {
    const auto answer = token(i % 2 == 0 ? *one : *two, platform_, mine[i]);
    if (answer.status == TokenStatus::Ready) ++ready;
    if (answer.status == TokenStatus::Ready) continue;
    EXPECT_EQ(answer.status, TokenStatus::RetryLater);
    EXPECT_GE(answer.retry_after, seconds(1));
    EXPECT_LE(answer.retry_after, seconds(17));
  }
  EXPECT_EQ(ready, static_cast<std::size_t>(kTenantAtOnce));
  EXPECT_EQ(sent(), ready);
  EXPECT_EQ(token(*two, other, theirs[0]).status, TokenStatus::Ready) << "the other tenant's part is left";
  EXPECT_EQ(count("from credential where lease_owner is not null or failures > 0 or outcome_unknown"), 0)
      << "who was too early has lost nothing";
  // Later it is their turn, one after the other.
  for (std::size_t i = ready; i < mine.size(); ++i) {
    clock_.advance(seconds(17));
    EXPECT_EQ(token(*one, platform_, mine[i]).status, TokenStatus::Ready) << i;
  }
  EXPECT_EQ(sent(), mine.size() + 1);
}

TEST_F(RefreshPaceTest, a_short_wait_is_waited_for_under_the_lease) {
  const auto mine = connect_many(platform_, 2);
  expire_all();
  EXPECT_EQ(token(*node_, platform_, mine[0]).status, TokenStatus::Ready);
  fill_until(milliseconds(300));
  EXPECT_EQ(token(*node_, platform_, mine[1]).status, TokenStatus::Ready);
  EXPECT_EQ(sent(), 2u);
}

TEST_F(RefreshPaceTest, a_token_that_still_lives_is_used_meanwhile) {
  const auto mine = connect_many(platform_, 2);
  clock_.advance(std::chrono::hours(8) - std::chrono::minutes(1));
  http_.always("POST", kTokenUrl, FakeHttpClient::replies(200, token_json(1000)));
  sent_before_ = http_.requests("POST", kTokenUrl).size();
  EXPECT_EQ(token(*node_, platform_, mine[0]).token.reveal(), "access-1000");
  fill_until(std::chrono::minutes(1));
  EXPECT_EQ(token(*node_, platform_, mine[1]).token.reveal(), "access-2");
  EXPECT_EQ(sent(), 1u);
}

TEST_F(RefreshPaceTest, a_429_to_one_slows_down_the_others_of_its_client_on_every_node) {
  const auto mine = connect_many(platform_, 2);
  const auto other = make_platform("Other");
  activate(other);
  const auto theirs = connect_many(other, 1);
  const auto stranger = make_platform("Stranger");
  activate(stranger);
  const auto elsewhere = connect_many(stranger, 1);
  expire_all();
  throttle_once();
  const auto two = node(seconds(10));
  EXPECT_EQ(token(*node_, platform_, mine[0]).retry_after, seconds(120));
  EXPECT_EQ(token(*two, platform_, mine[1]).retry_after, seconds(120));
  EXPECT_EQ(token(*two, other, theirs[0]).retry_after, seconds(120));
  EXPECT_EQ(sent(), 1u);
  // Another client of the provider has limits of its own.
  database_.exec("update mcp_app set client_id = 'client-2' where platform_id = $1::uuid", {stranger.str()});
  database_.exec("update connection set client_id = 'client-2' where platform_id = $1::uuid",
                 {stranger.str()});
  EXPECT_EQ(token(*two, stranger, elsewhere[0]).status, TokenStatus::Ready);
  clock_.advance(seconds(121));
  EXPECT_EQ(token(*two, platform_, mine[1]).status, TokenStatus::Ready);
  // The bucket is empty after a pause: on they go steadily, not all at once.
  EXPECT_EQ(count("from refresh_pace where not_before is not null"), 1);
}

TEST_F(RefreshPaceTest, a_429_about_one_grant_is_its_own_affair) {
  limit(20, 100, "grant");
  const auto mine = connect_many(platform_, 2);
  expire_all();
  throttle_once();
  EXPECT_EQ(token(*node_, platform_, mine[0]).retry_after, seconds(120));
  EXPECT_EQ(token(*node_, platform_, mine[1]).status, TokenStatus::Ready);
}

TEST_F(RefreshPaceTest, who_has_waited_looks_whether_the_provider_has_said_stop) {
  const auto mine = connect_many(platform_, 2);
  expire_all();
  EXPECT_EQ(token(*node_, platform_, mine[0]).status, TokenStatus::Ready);
  fill_until(milliseconds(200));
  // Somebody else hears 429 right after this one got its turn.
  database_.exec(
      "create function stop() returns trigger language plpgsql as $$ begin"
      " new.not_before := new.busy_until + interval '1 hour'; return new; end $$;"
      " create trigger stop before update on refresh_pace for each row execute function stop()");
  const auto answer = token(*node_, platform_, mine[1]);
  EXPECT_EQ(answer.status, TokenStatus::RetryLater);
  EXPECT_GE(answer.retry_after, std::chrono::minutes(59));
  EXPECT_EQ(sent(), 1u);
  EXPECT_EQ(count("from credential where lease_owner is not null or failures > 0 or outcome_unknown"), 0);
}

TEST_F(RefreshPaceTest, a_process_that_ends_leaves_what_waits_for_its_turn_as_it_was) {
  const auto mine = connect_many(platform_, 2);
  expire_all();
  const auto patient = node(std::chrono::hours(2));
  EXPECT_EQ(token(*patient, platform_, mine[0]).status, TokenStatus::Ready);
  fill_until(std::chrono::hours(1));
  auto call = io_.start(patient->tokens.access_token(platform_, mine[1], "main"));
  ASSERT_TRUE(at_last([this] { return count("from credential where lease_owner is not null") == 1; }));
  patient->tokens.stop();
  EXPECT_EQ(call.get().status, TokenStatus::RetryLater);
  EXPECT_EQ(sent(), 1u);
  EXPECT_EQ(count("from credential where lease_owner is not null or failures > 0 or outcome_unknown"), 0);
}

TEST_F(RefreshPaceTest, rows_go_when_they_say_nothing_any_more) {
  const auto mine = connect_many(platform_, 1);
  expire_all();
  EXPECT_EQ(token(*node_, platform_, mine[0]).status, TokenStatus::Ready);
  run(node_->worker.run_once({}));
  EXPECT_EQ(count("from refresh_pace"), 2);
  clock_.advance(std::chrono::hours(2));
  run(node_->worker.run_once({}));
  EXPECT_EQ(count("from refresh_pace"), 0);
}

}  // namespace assistiv::test
