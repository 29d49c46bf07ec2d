// What becomes of a grant when its refresh goes wrong, at a vendor whose refresh tokens work once.
#include "oauth/connect/token_renewals.h"

#include <functional>
#include <future>
#include <memory>
#include <mutex>

#include "core/encoding.h"
#include "support/connect_fixture.h"
#include "support/eventually.h"

namespace assistiv::test {

namespace {

using oauth::TokenStatus;
using std::chrono::milliseconds;

// "refresh-1" gives the pair 2, and so on; a token that was used is refused, or with a grace gives the same
// pair.
class RotatingVendor {
 public:
  core::OutboundResponse answer(const core::OutboundRequest& request, bool lose) {
    std::lock_guard lock(mutex_);
    const auto fields = core::form_decode(request.body);
    for (const auto& [name, value] : *fields) {
      if (name == "refresh_token") return answer(value, lose);
    }
    return FakeHttpClient::json(400, "{}");
  }
  void be_graceful() { grace_ = true; }
  int rotations() const {
    std::lock_guard lock(mutex_);
    return current_ - 1;
  }
  int refused() const {
    std::lock_guard lock(mutex_);
    return refused_;
  }

 private:
  core::OutboundResponse answer(const std::string& token, bool lose) {
    if (token == name_of(current_)) {
      ++current_;
    } else if (!grace_ || token != name_of(current_ - 1)) {
      ++refused_;
      return FakeHttpClient::json(200, R"({"error":"bad_refresh_token"})");
    }
    if (lose) throw core::OutboundError(core::OutboundFailure::Broken, "the reply was lost");
    const auto number = std::to_string(current_);
    return FakeHttpClient::json(200, R"({"access_token":"access-)" + number + R"(","refresh_token":")" +
                                         name_of(current_) + R"(","expires_in":28800})");
  }
  static std::string name_of(int number) { return "refresh-" + std::to_string(number); }

  mutable std::mutex mutex_;
  int current_ = 1, refused_ = 0;
  bool grace_ = false;
};

// A state of the database that another thread brings about, however slow the machine is.
bool at_last(const std::function<bool()>& condition) {
  for (int i = 0; i < 6; ++i) {
    if (eventually(condition)) return true;
  }
  return false;
}

}  // namespace

class TokenRenewalsTest : public ConnectTest {
 protected:
  void SetUp() override {
    platform_ = make_platform();
    end_user_ = make_end_user(platform_);
    activate(platform_);
    connection_ = connect(platform_, end_user_);
    http_.always("POST", kTokenUrl,
                 [this](const core::OutboundRequest& request) { return vendor_.answer(request, false); });
    clock_.advance(std::chrono::hours(9));
  }
  void lose_next_reply() {
    http_.once("POST", kTokenUrl,
               [this](const core::OutboundRequest& request) { return vendor_.answer(request, true); });
  }
  // Callers who do not wait for a slow vendor; leases are kept every few milliseconds.
  std::unique_ptr<ConnectNode> impatient_node(std::chrono::milliseconds lease_renewal = milliseconds(20)) {
    oauth::TokenServiceOptions options;
    options.wait_max = milliseconds(50);
    options.lease_renewal = lease_renewal;
    options.stop_patience = std::chrono::minutes(5);
    return std::make_unique<ConnectNode>(database_.db(), *vault_, http_, registry_, clock_, random_, options);
  }
  core::Task<oauth::TokenAnswer> ask(ConnectNode& node) {
    return node.tokens.access_token(platform_, connection_, "main");
  }
  std::string status() { return column("select status from connection"); }
  std::string version() { return column("select version from credential"); }
  std::string lease_end() { return column("select lease_until from credential"); }

  RotatingVendor vendor_;
  core::PlatformId platform_;
  core::EndUserId end_user_;
  core::ConnectionId connection_;
};

TEST_F(TokenRenewalsTest, a_reply_that_comes_when_nobody_waits_any_more_is_taken) {
  const auto one = impatient_node(), two = impatient_node();
  http_.hold("POST", kTokenUrl);
  EXPECT_EQ(run(ask(*one)).status, TokenStatus::RetryLater);
  // Its lease outlives every length that it was given, so that nobody else presents the same refresh token.
  for (int i = 0; i < 3; ++i) {
    const auto before = lease_end();
    ASSERT_TRUE(at_last([&] { return lease_end() != before; }));
    EXPECT_EQ(run(ask(*two)).status, TokenStatus::RetryLater);
    EXPECT_EQ(run(ask(*one)).status, TokenStatus::RetryLater);
  }
  http_.release("POST", kTokenUrl);
  ASSERT_TRUE(at_last([this] { return version() == "2"; }));
  EXPECT_EQ(run(ask(*one)).token.reveal(), "access-2");
  EXPECT_EQ(run(ask(*two)).token.reveal(), "access-2");
  EXPECT_EQ(vendor_.rotations(), 1);
  EXPECT_EQ(vendor_.refused(), 0);
  EXPECT_EQ(status(), "active");
}

TEST_F(TokenRenewalsTest, a_reply_that_is_lost_is_asked_for_again_where_the_vendor_has_a_grace) {
  vendor_.be_graceful();
  lose_next_reply();
  run(ask(*node_));
  ASSERT_TRUE(at_last([this] { return version() == "2"; }));
  EXPECT_EQ(run(ask(*node_)).token.reveal(), "access-2");
  EXPECT_EQ(vendor_.rotations(), 1);
  EXPECT_EQ(status(), "active");
}

TEST_F(TokenRenewalsTest, a_reply_that_is_lost_needs_the_user_where_a_refresh_token_works_once) {
  lose_next_reply();
  run(ask(*node_));
  ASSERT_TRUE(at_last([this] { return status() == "needs_reauth"; }));
  EXPECT_EQ(run(ask(*node_)).status, TokenStatus::NeedsReauth);
  EXPECT_EQ(column("select status_reason from connection"), "refused_by_provider");
}

TEST_F(TokenRenewalsTest, a_process_that_was_frozen_past_its_lease_brings_the_grant_back) {
  const auto frozen = impatient_node(std::chrono::hours(1)), other = impatient_node();
  IoThread thread;
  std::promise<void> thaw;
  std::promise<void> arrived;
  http_.once("POST", kTokenUrl, [&](const core::OutboundRequest& request) {
    auto response = vendor_.answer(request, false);
    arrived.set_value();
    thaw.get_future().wait();
    return response;
  });
  auto call = thread.start(ask(*frozen));
  arrived.get_future().wait();
  database_.exec("update credential set lease_until = now() - interval '1 second'");
  run(ask(*other));
  EXPECT_TRUE(at_last([this] { return status() == "needs_reauth"; }));
  EXPECT_EQ(run(ask(*other)).status, TokenStatus::NeedsReauth);
  thaw.set_value();
  call.wait();
  EXPECT_TRUE(at_last([this] { return version() == "2"; }));
  EXPECT_EQ(status(), "active");
  EXPECT_EQ(count("from audit_entry where event = 'connection.restored'"), 1);
  EXPECT_EQ(run(ask(*other)).token.reveal(), "access-2");
  frozen->tokens.stop();
}

TEST_F(TokenRenewalsTest, new_tokens_outlast_a_database_that_is_away) {
  // What PostgreSQL says when it has no room for another connection; the sequence counts, as nothing undoes
  // it.
  database_.exec(
      "create sequence tries; grant all on sequence tries to public;"
      " create function away() returns trigger language plpgsql as $$ begin"
      " if new.version > old.version then perform nextval('tries');"
      " raise exception 'away' using errcode = '53300'; end if; return new; end $$;"
      " create trigger away before update on credential for each row execute function away()");
  auto call = io_.start(ask(*node_));
  EXPECT_TRUE(at_last([this] { return std::stoi(column("select last_value from tries")) >= 5; }));
  database_.exec("drop trigger away on credential");
  call.wait();
  ASSERT_TRUE(at_last([this] { return version() == "2"; }));
  EXPECT_EQ(run(ask(*node_)).token.reveal(), "access-2");
  EXPECT_EQ(vendor_.rotations(), 1);
  EXPECT_EQ(status(), "active");
}

TEST_F(TokenRenewalsTest, a_process_that_ends_hears_the_reply_first) {
  const auto node = impatient_node();
  http_.hold("POST", kTokenUrl);
  EXPECT_EQ(run(ask(*node)).status, TokenStatus::RetryLater);
  auto stopped = std::async(std::launch::async, [&] { node->tokens.stop(); });
  http_.release("POST", kTokenUrl);
  stopped.wait();
  EXPECT_EQ(version(), "2");
  EXPECT_EQ(run(ask(*node_)).token.reveal(), "access-2");
}

}  // namespace assistiv::test
