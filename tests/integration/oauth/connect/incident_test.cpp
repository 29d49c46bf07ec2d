#include "oauth/connect/incident.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "support/connect_fixture.h"

namespace assistiv::test {

class IncidentTest : public ConnectTest {
 protected:
  void SetUp() override {
    auto manifest = core::parse_json(demo_manifest());
    manifest["oauth"]["revoke"].erase("grant");
    manifest["oauth"]["revoke"]["token"]["per_minute"] = 6000;
    registry_.add(core::dump_json(manifest));
    for (const char* name : {"Acme", "Globex"}) {
      platforms_.push_back(make_platform(name));
      activate(platforms_.back());
      users_.push_back(make_end_user(platforms_.back()));
    }
    ids_.push_back(connect(platforms_[0], users_[0], 1, "41"));
    ids_.push_back(connect(platforms_[0], make_end_user(platforms_[0], "other"), 2, "42"));
    ids_.push_back(connect(platforms_[1], users_[1], 3, "43"));
  }

  struct Upstream {
    std::size_t revoked = 0;
    std::vector<std::string> failed;  // "account: reason"
  };
  core::Task<bool> upstream(oauth::IncidentScope scope, std::chrono::seconds patience, Upstream* out) {
    co_await incident_.revoke_upstream(scope, patience, [out](const oauth::RevocationTry& tried) {
      if (tried.result.revoked) {
        ++out->revoked;
      } else {
        out->failed.push_back(tried.account_id + ": " + tried.result.reason.value_or(""));
      }
    });
    co_return true;
  }
  Upstream revoke_upstream(oauth::IncidentScope scope,
                           std::chrono::seconds patience = std::chrono::seconds(0)) {
    Upstream out;
    run(upstream(std::move(scope), patience, &out));
    std::sort(out.failed.begin(), out.failed.end());
    return out;
  }
  std::size_t end_ours(const oauth::IncidentScope& scope) {
    return run(incident_.end_ours(scope, run(incident_.shares(scope)), context()));
  }
  std::string status(std::size_t platform, std::size_t i) {
    return std::string(
        oauth::connection_status(run(node_->connections.get(platforms_[platform], ids_[i])).status));
  }
  // Answers by what the request carries: "access-2" -> the answer of 2.
  void provider_answers(std::map<int, FakeHttpClient::Answer> answers) {
    http_.always("DELETE", kRevokeTokenUrl, [answers](const core::OutboundRequest& request) {
      for (const auto& [n, answer] : answers) {
        if (request.body.find("access-" + std::to_string(n) + "\"") != std::string::npos)
          return answer(request);
      }
      return FakeHttpClient::json(204, "");
    });
  }

  oauth::IncidentResponse incident_{node_->world, node_->connections, node_->revocations};
  std::vector<core::PlatformId> platforms_;
  std::vector<core::EndUserId> users_;
  std::vector<core::ConnectionId> ids_;
};

TEST_F(IncidentTest, counts_without_a_change) {
  const auto shares = run(incident_.shares({"demo", {}, {}}));
  ASSERT_EQ(shares.size(), 2u);
  EXPECT_EQ(shares[0].platform, "Acme");
  EXPECT_EQ(shares[0].connections, 2u);
  EXPECT_EQ(shares[0].tokens, (std::map<std::string, std::size_t>{{"main", 2}}));
  EXPECT_EQ(shares[1].connections, 1u);
  EXPECT_EQ(run(incident_.shares({"demo", platforms_[1], {}})).size(), 1u);
  EXPECT_EQ(run(incident_.shares({"demo", {}, users_[0]}))[0].connections, 1u);
  EXPECT_TRUE(run(incident_.shares({"plain", {}, {}})).empty());
  EXPECT_TRUE(run(incident_.out_of_reach({"demo", {}, {}}, shares)).empty());
  EXPECT_EQ(count("from connection where status = 'active'"), 3);
}

TEST_F(IncidentTest, ours_end_first_and_the_server_leaves_the_rest_to_the_command) {
  ASSERT_EQ(run(node_->tokens.access_token(platforms_[0], ids_[0], "main")).status,
            oauth::TokenStatus::Ready);
  const oauth::IncidentScope everything{"demo", {}, {}};
  EXPECT_EQ(end_ours(everything), 3u);
  EXPECT_EQ(status(0, 0), "revoked");
  EXPECT_EQ(run(node_->tokens.access_token(platforms_[0], ids_[0], "main")).status,
            oauth::TokenStatus::NotConnected);
  EXPECT_EQ(count("from credential"), 0);
  EXPECT_EQ(run(node_->revocations.run_due(100)), 0u) << "the command has its turn";
  provider_answers({});
  const auto result = revoke_upstream(everything);
  EXPECT_EQ(result.revoked, 3u);
  EXPECT_TRUE(result.failed.empty());
  EXPECT_TRUE(run(node_->revocations.waiting(everything, 10)).empty());
  EXPECT_EQ(count("from audit_entry where event = 'connection.revoked'"), 3);
  EXPECT_EQ(count("from audit_entry where event = 'connection.revocation' and"
                  " (details ->> 'revoked_upstream')::boolean and end_user_id is not null"),
            3);
}

TEST_F(IncidentTest, a_platform_or_one_end_user_alone) {
  provider_answers({});
  const oauth::IncidentScope one{"demo", platforms_[0], users_[0]};
  EXPECT_EQ(end_ours(one), 1u);
  const oauth::IncidentScope globex{"demo", platforms_[1], {}};
  EXPECT_EQ(end_ours(globex), 1u);
  EXPECT_EQ(revoke_upstream(one).revoked, 1u);
  EXPECT_EQ(run(node_->revocations.waiting(globex, 10)).size(), 1u) << "not in the scope";
  EXPECT_EQ(status(0, 1), "active");
  EXPECT_EQ(revoke_upstream(globex).revoked, 1u);
}

TEST_F(IncidentTest, says_what_could_not_be_revoked_and_a_second_run_goes_on) {
  provider_answers(
      {{1, FakeHttpClient::replies(403, "{}")}, {2, FakeHttpClient::fails(core::OutboundFailure::Timeout)}});
  const oauth::IncidentScope everything{"demo", {}, {}};
  end_ours(everything);
  const auto first = revoke_upstream(everything);
  EXPECT_EQ(first.revoked, 1u);
  EXPECT_EQ(first.failed, std::vector<std::string>{"41: refused"});
  const auto left = run(node_->revocations.waiting(everything, 10));
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].account_id, "42");
  EXPECT_EQ(left[0].attempts, 1);

  // Not before its time; then it is done.
  provider_answers({});
  EXPECT_EQ(revoke_upstream(everything).revoked, 0u);
  clock_.advance(std::chrono::minutes(1));
  EXPECT_EQ(end_ours(everything), 0u);
  EXPECT_EQ(revoke_upstream(everything).revoked, 1u);
  EXPECT_TRUE(run(node_->revocations.waiting(everything, 10)).empty());
}

TEST_F(IncidentTest, obeys_a_provider_that_wants_time) {
  const auto wait = [](const core::OutboundRequest&) {
    auto response = FakeHttpClient::json(429, "{}");
    response.headers.add("retry-after", "600");
    return response;
  };
  provider_answers({{1, wait}, {2, wait}, {3, wait}});
  const oauth::IncidentScope everything{"demo", {}, {}};
  end_ours(everything);
  EXPECT_EQ(revoke_upstream(everything, std::chrono::seconds(5)).revoked, 0u);
  const auto asked = http_.requests("DELETE", kRevokeTokenUrl).size();
  EXPECT_GE(asked, 1u);
  EXPECT_LE(asked, static_cast<std::size_t>(oauth::IncidentResponse::kWorkers));
  // What was told to wait waits as long as it was told; no back-off of ours is shorter.
  for (const auto& row : run(node_->revocations.waiting(everything, 10))) {
    if (row.attempts > 0) EXPECT_EQ(row.due_at, clock_.now() + std::chrono::seconds(600));
  }
  clock_.advance(std::chrono::seconds(601));
  provider_answers({});
  EXPECT_EQ(revoke_upstream(everything).revoked, 3u);
}

TEST_F(IncidentTest, tokens_that_an_app_cannot_revoke_are_counted) {
  activate(platforms_[0], "plain");
  const auto browser = start_flow(platforms_[0], users_[0], [] {
    oauth::NewLink link;
    link.app = "plain";
    return link;
  }());
  provider_grants(7, "77");
  ASSERT_FALSE(run(node_->flow.finish(callback(browser, "plain"))).fault.has_value());
  const oauth::IncidentScope plain{"plain", {}, {}};
  const auto shares = run(incident_.shares(plain));
  EXPECT_EQ(run(incident_.out_of_reach(plain, shares)), (std::map<std::string, std::size_t>{{"main", 1}}));
  EXPECT_EQ(end_ours(plain), 1u);
  EXPECT_EQ(revoke_upstream(plain).revoked, 0u);
  EXPECT_EQ(status(0, 0), "active") << "of the other app";
}

TEST_F(IncidentTest, a_row_that_no_key_opens_is_named_and_holds_up_nothing) {
  const oauth::IncidentScope everything{"demo", {}, {}};
  end_ours(everything);
  database_.exec("update upstream_revocation set payload = 'broken' where account_id = '42'");
  provider_answers({});
  const auto result = revoke_upstream(everything);
  EXPECT_EQ(result.revoked, 2u);
  EXPECT_EQ(result.failed, std::vector<std::string>{"42: unreadable"});
}

}  // namespace assistiv::test
