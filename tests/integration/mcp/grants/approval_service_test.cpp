#include "mcp/grants/approval_service.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "core/encoding.h"
#include "core/json_read.h"
#include "support/grants_fixture.h"

namespace assistiv::mcp {
namespace {

using namespace std::chrono_literals;

class ApprovalServiceTest : public test::GrantsFixture {
 protected:
  ApprovalRequest request(const test::GrantsUser& user,
                          const std::string& arguments = R"({"text":"private"})") {
    return {user.principal,    user.connection, "notes",    "notes_wipe",
            Risk::Destructive, arguments,       "request-2"};
  }
  ApprovalRequest request() { return request(user_); }
  Approval claim() { return run(service_.claim(request())); }
  Approval decide(core::ApprovalId id, ApprovalChoice choice, const std::string& reason = "") {
    return run(service_.decide(platform_, id, choice, reason, by_platform()));
  }
  std::int64_t count(std::optional<ApprovalStatus> status) {
    return run(service_.list(platform_, {.status = status, .end_user_id = {}}, {})).total;
  }

  ApprovalService service_{database_.db(), audit_, *vault_, clock_, random_};
};

TEST_F(ApprovalServiceTest, the_same_call_waits_on_the_same_approval) {
  const Approval first = claim();
  EXPECT_EQ(first.status, ApprovalStatus::Pending);
  EXPECT_EQ(first.expires_at, clock_.now() + 1h);
  EXPECT_EQ(claim().id, first.id);
  EXPECT_EQ(count(ApprovalStatus::Pending), 1);
  EXPECT_EQ(audit("approval.requested").size(), 1u);
}

TEST_F(ApprovalServiceTest, other_arguments_connection_tool_or_end_user_are_another_call) {
  std::set<core::ApprovalId> ids = {claim().id};
  ids.insert(run(service_.claim(request(user_, R"({"text":"else"})"))).id);
  ids.insert(run(service_.claim(request(add_user(platform_, "bob")))).id);
  auto other_tool = request();
  other_tool.tool = "notes_post";
  ids.insert(run(service_.claim(other_tool)).id);
  auto other_connection = request();
  other_connection.connection_id = connect(platform_, user_.id, "notes", "second account");
  ids.insert(run(service_.claim(other_connection)).id);
  EXPECT_EQ(ids.size(), 5u);
}

TEST_F(ApprovalServiceTest, an_approved_call_goes_through_once) {
  const auto id = claim().id;
  EXPECT_EQ(decide(id, ApprovalChoice::Approve).status, ApprovalStatus::Approved);
  const Approval used = claim();
  EXPECT_EQ(used.id, id);
  EXPECT_EQ(used.status, ApprovalStatus::Used);
  const Approval again = claim();
  EXPECT_NE(again.id, id);
  EXPECT_EQ(again.status, ApprovalStatus::Pending);
  EXPECT_EQ(run(service_.get(platform_, id)).status, ApprovalStatus::Used);
}

TEST_F(ApprovalServiceTest, exactly_one_of_many_concurrent_calls_gets_it) {
  const auto id = claim().id;
  decide(id, ApprovalChoice::Approve);
  test::IoThread other_thread;
  std::vector<std::future<Approval>> claims;
  for (int i = 0; i < 24; ++i)
    claims.push_back((i % 2 == 0 ? io_ : other_thread).start(service_.claim(request())));
  int used = 0;
  std::set<core::ApprovalId> pending;
  for (auto& future : claims) {
    const Approval approval = future.get();
    used += approval.status == ApprovalStatus::Used ? 1 : 0;
    if (approval.status == ApprovalStatus::Pending) pending.insert(approval.id);
  }
  EXPECT_EQ(used, 1);
  EXPECT_EQ(pending.size(), 1u) << "the others wait on one new approval";
  EXPECT_EQ(audit("approval.used").size(), 1u);
}

TEST_F(ApprovalServiceTest, concurrent_first_calls_make_one_approval) {
  test::IoThread other_thread;
  std::vector<std::future<Approval>> claims;
  for (int i = 0; i < 24; ++i)
    claims.push_back((i % 2 == 0 ? io_ : other_thread).start(service_.claim(request())));
  std::set<core::ApprovalId> ids;
  for (auto& future : claims) ids.insert(future.get().id);
  EXPECT_EQ(ids.size(), 1u);
  EXPECT_EQ(audit("approval.requested").size(), 1u);
}

TEST_F(ApprovalServiceTest, a_denial_holds_until_the_request_would_have_expired) {
  const auto id = claim().id;
  decide(id, ApprovalChoice::Deny, "Not before Monday");
  const Approval denied = claim();
  EXPECT_EQ(denied.id, id);
  EXPECT_EQ(denied.status, ApprovalStatus::Denied);
  EXPECT_EQ(denied.reason, "Not before Monday");
  clock_.advance(1h);
  EXPECT_EQ(claim().status, ApprovalStatus::Pending);
}

TEST_F(ApprovalServiceTest, a_pending_approval_expires) {
  const auto id = claim().id;
  clock_.advance(1h);
  EXPECT_EQ(run(service_.get(platform_, id)).status, ApprovalStatus::Expired);
  EXPECT_EQ(error_of([&] { decide(id, ApprovalChoice::Approve); }).kind(), core::ErrorKind::Conflict);
  EXPECT_NE(claim().id, id);
  EXPECT_EQ(count(ApprovalStatus::Expired), 1);
  EXPECT_EQ(count(ApprovalStatus::Pending), 1);
}

TEST_F(ApprovalServiceTest, an_approval_that_is_not_used_in_time_expires) {
  const auto id = claim().id;
  clock_.advance(50min);
  EXPECT_EQ(decide(id, ApprovalChoice::Approve).expires_at, clock_.now() + 15min);
  clock_.advance(15min);
  const Approval next = claim();
  EXPECT_EQ(next.status, ApprovalStatus::Pending);
  EXPECT_NE(next.id, id);
  EXPECT_EQ(run(service_.get(platform_, id)).status, ApprovalStatus::Expired);
}

TEST_F(ApprovalServiceTest, is_decided_once) {
  const auto id = claim().id;
  decide(id, ApprovalChoice::Approve);
  const auto error = error_of([&] { decide(id, ApprovalChoice::Deny); });
  EXPECT_EQ(error.kind(), core::ErrorKind::Conflict);
  EXPECT_NE(error.message().find("approved"), std::string::npos) << error.message();
}

TEST_F(ApprovalServiceTest, decisions_are_audited_with_who_and_what) {
  const auto first = claim();
  decide(first.id, ApprovalChoice::Approve);
  claim();
  const auto second = claim();
  decide(second.id, ApprovalChoice::Deny);
  const auto approved = audit("approval.approved");
  ASSERT_EQ(approved.size(), 1u);
  EXPECT_EQ(approved[0]["subject"], first.id.str());
  EXPECT_EQ(approved[0]["actor"], "platform");
  EXPECT_EQ(approved[0]["end_user"], user_.id.str());
  EXPECT_EQ(approved[0]["details"]["tool"], "notes_wipe");
  EXPECT_EQ(approved[0]["details"]["arguments_sha256"], core::sha256_hex(R"({"text":"private"})"));
  EXPECT_EQ(audit("approval.denied").size(), 1u);
  const auto used = audit("approval.used");
  ASSERT_EQ(used.size(), 1u);
  EXPECT_EQ(used[0]["actor"], "end_user");
  EXPECT_EQ(used[0]["request"], "request-2");
}

TEST_F(ApprovalServiceTest, arguments_are_readable_for_the_decider_and_sealed_at_rest) {
  const auto id = claim().id;
  EXPECT_EQ(run(service_.get(platform_, id)).arguments_json, R"({"text":"private"})");
  EXPECT_EQ(run(service_.list(platform_, {}, {})).items[0].arguments_json, R"({"text":"private"})");
  const auto row = database_.exec("select approval::text as all_of_it from approval");
  EXPECT_EQ(row[0].text("all_of_it").find("private"), std::string::npos);
  EXPECT_EQ(claim().arguments_json, "") << "the caller knows them";
}

TEST_F(ApprovalServiceTest, is_listed_without_arguments_when_no_key_opens_them) {
  claim();
  database_.exec("update approval set arguments = 'garbage'");
  const auto page = run(service_.list(platform_, {}, {}));
  ASSERT_EQ(page.items.size(), 1u);
  EXPECT_TRUE(to_json(page.items[0])["arguments"].is_null());
}

TEST_F(ApprovalServiceTest, arguments_that_are_too_large_are_refused) {
  const auto error = error_of([&] { run(service_.claim(request(user_, std::string(300 * 1024, 'x')))); });
  EXPECT_EQ(error.kind(), core::ErrorKind::PayloadTooLarge);
  EXPECT_EQ(count({}), 0);
}

TEST_F(ApprovalServiceTest, an_end_user_has_a_bounded_number_pending) {
  ApprovalService bounded(database_.db(), audit_, *vault_, clock_, random_, {.pending_max = 3});
  const auto nth = [&](int i) {
    return run(bounded.claim(request(user_, "{\"n\":" + std::to_string(i) + "}")));
  };
  const auto first = nth(0);
  nth(1);
  nth(2);
  EXPECT_EQ(error_of([&] { nth(3); }).kind(), core::ErrorKind::RateLimited);
  EXPECT_EQ(nth(0).id, first.id) << "those that wait go on waiting";
  run(bounded.claim(request(add_user(platform_, "bob"))));
  clock_.advance(1h);
  EXPECT_EQ(nth(3).status, ApprovalStatus::Pending) << "expired ones do not count";
}

TEST_F(ApprovalServiceTest, the_bound_holds_under_concurrency) {
  ApprovalService bounded(database_.db(), audit_, *vault_, clock_, random_, {.pending_max = 3});
  std::vector<std::future<Approval>> claims;
  for (int i = 0; i < 16; ++i) {
    claims.push_back(io_.start(bounded.claim(request(user_, "{\"n\":" + std::to_string(i) + "}"))));
  }
  int refused = 0;
  for (auto& future : claims) {
    try {
      io_.result(future);
    } catch (const core::Error& e) {
      EXPECT_EQ(e.kind(), core::ErrorKind::RateLimited);
      ++refused;
    }
  }
  EXPECT_EQ(refused, 13);
  EXPECT_EQ(count(ApprovalStatus::Pending), 3);
}

TEST_F(ApprovalServiceTest, is_listed_newest_first_by_status_and_end_user) {
  const auto first = claim();
  clock_.advance(1min);
  const auto bob = add_user(platform_, "bob");
  const auto second = run(service_.claim(request(bob)));
  decide(second.id, ApprovalChoice::Deny);
  const auto all = run(service_.list(platform_, {}, {.page = 1, .limit = 1}));
  EXPECT_EQ(all.total, 2);
  ASSERT_EQ(all.items.size(), 1u);
  EXPECT_EQ(all.items[0].id, second.id);
  EXPECT_EQ(run(service_.list(platform_, {}, {.page = 2, .limit = 1})).items[0].id, first.id);
  const auto denied =
      run(service_.list(platform_, {.status = ApprovalStatus::Denied, .end_user_id = {}}, {}));
  ASSERT_EQ(denied.items.size(), 1u);
  EXPECT_EQ(denied.items[0].end_user_id, bob.id);
  EXPECT_EQ(run(service_.list(platform_, {.status = {}, .end_user_id = user_.id}, {})).items[0].id, first.id);
}

TEST_F(ApprovalServiceTest, does_not_exist_for_another_tenant) {
  const auto id = claim().id;
  const auto stranger = add_platform("globex");
  EXPECT_EQ(error_of([&] { run(service_.get(stranger, id)); }).kind(), core::ErrorKind::NotFound);
  EXPECT_EQ(error_of([&] {
              run(service_.decide(stranger, id, ApprovalChoice::Approve, "", by_platform()));
            }).kind(),
            core::ErrorKind::NotFound);
  EXPECT_EQ(run(service_.list(stranger, {}, {})).total, 0);
  EXPECT_EQ(claim().status, ApprovalStatus::Pending);
}

TEST_F(ApprovalServiceTest, a_reason_has_a_limit) {
  const auto id = claim().id;
  const auto error = error_of([&] { decide(id, ApprovalChoice::Deny, std::string(1001, 'x')); });
  EXPECT_EQ(error.field(), "/reason");
}

TEST_F(ApprovalServiceTest, sweep_removes_what_is_long_over) {
  claim();
  clock_.advance(24h * 30);
  EXPECT_EQ(run(service_.sweep()), 0);
  clock_.advance(2h);
  claim();
  EXPECT_EQ(run(service_.sweep()), 1);
  EXPECT_EQ(count({}), 1);
}

TEST_F(ApprovalServiceTest, goes_with_its_connection) {
  claim();
  database_.exec("delete from connection");
  EXPECT_EQ(count({}), 0);
}

TEST_F(ApprovalServiceTest, sealed_column_is_opened_by_reencryption) {
  claim();
  const std::string before = vault_->active_kid();
  oauth::Reencryption reencryption(database_.db(), *vault_, approval_sealed_columns());
  reencryption.rotate(random_);
  const auto report = reencryption.run();
  EXPECT_TRUE(report.complete());
  ASSERT_EQ(report.columns.size(), 1u);
  EXPECT_EQ(report.columns[0].resealed, 1);
  EXPECT_EQ(report.columns[0].unreadable, 0);
  EXPECT_NE(vault_->active_kid(), before);
  EXPECT_EQ(run(service_.list(platform_, {}, {})).items[0].arguments_json, R"({"text":"private"})");
}

TEST(CanonicalJson, does_not_depend_on_order_or_white_space) {
  EXPECT_EQ(canonical_json(core::parse_json(R"({"b":[1, 2],"a":{"d":1,"c":2}})")),
            canonical_json(core::parse_json("{\"a\":{\"c\":2,\"d\":1},\n\"b\":[1,2]}")));
  EXPECT_NE(canonical_json(core::parse_json("[1,2]")), canonical_json(core::parse_json("[2,1]")));
  EXPECT_NE(canonical_json(core::parse_json("1")), canonical_json(core::parse_json("\"1\"")));
}

}  // namespace
}  // namespace assistiv::mcp
