#include "agents/store/wait_store.h"

#include "core/json_read.h"
#include "support/agent_fixture.h"

namespace assistiv::agents {
namespace {

using core::Json;

// What a gate of a tool asks, as the executor records it.
Json asks(const std::string& id, const std::string& type, Json ask) {
  return {{"task-1", {{{"id", id}, {"value", {{"type", type}, {"ask", std::move(ask)}}}}}}};
}
Json asks_for_app(const std::string& app) {
  return asks("int-" + app, "connection_required", {{"app", app}});
}

class WaitStoreTest : public AgentStoreTest {
 protected:
  WaitStoreTest() {
    for (const auto* app : {"github", "slack"})
      database_.exec(
          "insert into mcp_app (platform_id, app, client_id, client_secret, return_urls, created_at, "
          "updated_at) values ($1::uuid, $2, 'c', 's', '[]', now(), now())",
          {platform_.str(), app});
  }

  agents::Run begin(std::optional<ThreadId> thread = {}) {
    run(runs_.create(as_alice_, new_run(thread ? *thread : make_thread(as_alice_).id)));
    return claim_one().run;
  }
  // The run parks with these questions.
  void park(const agents::Run& of, const Json& interrupts) {
    database_.db().execute(storage::Scope::tenant(platform_), [&](storage::Transaction& tx) {
      tx.exec("update agent_thread set interrupts = $2 where thread_id = $1::uuid",
              {of.thread.str(), core::dump_json(interrupts)});
      end_runs(tx, {{platform_, of.id, "interrupted", nullptr}}, WaitStore::note);
    });
  }
  agents::Run parked(const Json& interrupts) {
    auto out = begin();
    park(out, interrupts);
    return out;
  }
  std::string connect(const std::string& app) {
    const auto id = core::ConnectionId::make(clock_, random_).str();
    database_.exec(
        "insert into connection (platform_id, connection_id, end_user_id, app, client_id, "
        "provider_account_id, account_label, status, scopes, vars, created_at, updated_at) values ($1::uuid, "
        "$2::uuid, $3::uuid, $4, 'c', $2, 'a', 'active', '[]', '{}', now(), now())",
        {platform_.str(), id, alice_.str(), app});
    return id;
  }
  std::string ask_approval() {
    const auto connection = connect("github");
    const auto id = core::ApprovalId::make(clock_, random_).str();
    database_.exec(
        "insert into approval (platform_id, approval_id, end_user_id, connection_id, app, tool, risk, "
        "arguments_sha256, arguments, status, created_at, expires_at) values ($1::uuid, $2::uuid, $3::uuid, "
        "$4::uuid, 'github', 't', 'write', $2, '', 'pending', now(), now() + interval '100 years')",
        {platform_.str(), id, alice_.str(), connection});
    return id;
  }
  void decide(const std::string& approval) {
    database_.exec("update approval set status = 'denied' where approval_id = $1::uuid", {approval});
  }
  // The run that goes on with the thread; nothing when it still waits.
  std::optional<agents::Run> next_of(const agents::Run& of) {
    const auto runs = run(runs_.list(all_, {.thread = of.thread, .status = "pending"}));
    return runs.empty() ? std::nullopt : std::optional(runs[0]);
  }
  bool still_waits(const agents::Run& of) {
    return !next_of(of) && run(threads_.get(all_, of.thread)).status == "interrupted";
  }

  RunStore runs_{database_.db(), clock_, random_, {}, {}, WaitStore::note};
  WaitStore waits_{database_.db(), clock_, random_, {}, WaitStore::note};
};

TEST_F(WaitStoreTest, AnApprovalThatWasDecidedBeforeTheRunHadParkedIsNotMissed) {
  const auto approval = ask_approval();
  const auto asking = begin();
  decide(approval);
  EXPECT_EQ(run(waits_.approval_changed(platform_, approval)), 0U);  // the notice finds nobody
  park(asking, asks("int-1", "approval_required", {{"app", "github"}, {"approval_id", approval}}));
  EXPECT_EQ(run(waits_.check_noted(10)), 1U);
  const auto next = next_of(asking);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->kwargs.at("command"), (Json{{"resume", {{"int-1", {{"settled", true}}}}}}));
  EXPECT_EQ(next->agent, asking.agent);
  EXPECT_EQ(next->key, asking.key);
  EXPECT_EQ(run(waits_.check_noted(10)), 0U);
  EXPECT_EQ(count("agent_wait"), 0);
}

TEST_F(WaitStoreTest, NothingGoesOnWhileAnApprovalIsPending) {
  const auto approval = ask_approval();
  const auto asking =
      parked(asks("int-1", "approval_required", {{"app", "github"}, {"approval_id", approval}}));
  EXPECT_EQ(run(waits_.check_noted(10)), 0U);
  EXPECT_EQ(run(waits_.approval_changed(platform_, approval)), 0U);
  EXPECT_TRUE(still_waits(asking));
  decide(approval);
  EXPECT_EQ(run(waits_.check_noted(10)), 0U) << "each is looked at once";
  EXPECT_EQ(run(waits_.approval_changed(other_platform_, approval)), 0U);
  EXPECT_EQ(run(waits_.approval_changed(platform_, approval)), 1U);
  EXPECT_EQ(run(waits_.approval_changed(platform_, approval)), 0U);
}

TEST_F(WaitStoreTest, AConnectionWakesOnlyWhatWaitsForItsApp) {
  const auto for_github = parked(asks_for_app("github"));
  const auto for_slack = parked(asks_for_app("slack"));
  EXPECT_EQ(run(waits_.check_noted(10)), 0U);
  connect("slack");
  EXPECT_EQ(run(waits_.connection_changed(platform_, bob_)), 0U);
  EXPECT_EQ(run(waits_.connection_changed(platform_, alice_)), 1U);
  EXPECT_TRUE(next_of(for_slack));
  EXPECT_TRUE(still_waits(for_github));
}

TEST_F(WaitStoreTest, AConnectionThatWasNotEnoughWakesOnce) {
  auto asking = begin();
  const auto connection = connect("github");
  park(asking, asks_for_app("github"));
  EXPECT_EQ(run(waits_.check_noted(10)), 1U);
  asking = claim_one().run;  // goes on, finds that a scope is missing, asks again
  park(asking, asks_for_app("github"));
  EXPECT_EQ(run(waits_.check_noted(10)), 0U);
  EXPECT_EQ(run(waits_.connection_changed(platform_, alice_)), 0U);
  EXPECT_TRUE(still_waits(asking));
  database_.exec("update connection set updated_at = updated_at + interval '1 minute'");
  EXPECT_EQ(run(waits_.connection_changed(platform_, alice_)), 1U);
}

TEST_F(WaitStoreTest, WhatWasSettledWhileTheThreadWasBusyGoesOnAfterwards) {
  const auto asking = parked(asks_for_app("github"));
  EXPECT_EQ(run(waits_.check_noted(10)), 0U);
  const auto waiting = run(runs_.create(as_alice_, new_run(asking.thread))).run;
  connect("github");
  EXPECT_EQ(run(waits_.connection_changed(platform_, alice_)), 0U);
  run(runs_.cancel(as_alice_, waiting.id, CancelAction::Interrupt));
  EXPECT_EQ(run(waits_.check_noted(10)), 1U);
  EXPECT_EQ(next_of(waiting)->kwargs.at("command").at("resume").contains("int-github"), true);
}

// A second answer to the same question, say.
TEST_F(WaitStoreTest, ARunThatFailsBesideAQuestionDoesNotSilenceIt) {
  const auto asking = parked(asks_for_app("github"));
  const auto wrong = begin(asking.thread);
  database_.db().execute(storage::Scope::tenant(platform_), [&](storage::Transaction& tx) {
    end_runs(tx, {{platform_, wrong.id, "error", {{"error", "NO_SUCH_INTERRUPT"}}}}, WaitStore::note);
  });
  connect("github");
  EXPECT_EQ(run(waits_.connection_changed(platform_, alice_)), 1U);
  EXPECT_EQ(next_of(asking)->kwargs.at("command").at("resume").contains("int-github"), true);
}

TEST_F(WaitStoreTest, NoClockRunsForAQuestionThatIsOpenAgain) {
  const auto thread = make_thread(as_alice_);
  const auto head = put_states(as_alice_, thread.id, {{{"a", 1}}});
  auto input = new_run(thread.id);
  input.max_wait = std::chrono::hours(1);
  run(runs_.create(as_alice_, input));
  const auto asking = claim_one().run;
  park(asking, {{"task-1", {{{"id", "int-1"}, {"value", "well?"}}}}});
  StateUpdate answered;
  answered.tasks = {{head.id, "", Fact::Answer, "int-1", "no good"}};
  run(threads_.update_state(as_alice_, thread.id, answered));
  database_.exec("update agent_wait set expires_at = now()");
  EXPECT_EQ(run(waits_.fire_expired(10)), 0U);
  EXPECT_FALSE(next_of(asking));
}

TEST_F(WaitStoreTest, ARunThatIsQueuedForLaterHoldsNothingUp) {
  const auto asking = parked(asks_for_app("github"));
  auto later = new_run(asking.thread);
  later.after = std::chrono::hours(1);
  run(runs_.create(as_alice_, later));
  EXPECT_EQ(run(threads_.get(all_, asking.thread)).status, "interrupted") << "it may be answered";
  connect("github");
  EXPECT_EQ(run(waits_.connection_changed(platform_, alice_)), 1U);
  EXPECT_EQ(run(threads_.get(all_, asking.thread)).status, "busy");
  EXPECT_TRUE(claim_one().run.kwargs.contains("command"));
}

TEST_F(WaitStoreTest, ADeadlineOutlivesARunThatWasCancelledBeforeItBegan) {
  auto input = new_run(make_thread(as_alice_).id);
  input.max_wait = std::chrono::hours(1);
  run(runs_.create(as_alice_, input));
  const auto asking = claim_one().run;
  park(asking, asks_for_app("github"));
  connect("github");
  EXPECT_EQ(run(waits_.connection_changed(platform_, alice_)), 1U);
  run(runs_.cancel(as_alice_, next_of(asking)->id, CancelAction::Interrupt));
  EXPECT_TRUE(still_waits(asking));
  EXPECT_EQ(run(waits_.connection_changed(platform_, alice_)), 0U) << "it was cancelled";
  EXPECT_EQ(run(waits_.check_noted(10)), 0U);
  database_.exec("update agent_wait set expires_at = now()");
  EXPECT_EQ(run(waits_.fire_expired(10)), 1U);
  EXPECT_EQ(next_of(asking)->kwargs.at("command"),
            (Json{{"resume", {{"int-github", {{"__expired__", true}}}}}}));
  EXPECT_EQ(count("agent_wait"), 0);
}

TEST_F(WaitStoreTest, OneThatCannotGoOnKeepsNoOtherFromIt) {
  const auto broken = parked(asks_for_app("github")), busy = parked(asks_for_app("github"));
  const auto whole = parked(asks_for_app("github"));
  database_.exec("update agent_run set kwargs = 'no JSON' where run_id = $1::uuid", {broken.id.str()});
  begin(busy.thread);
  database_.exec(
      "update agent_wait set expires_at = now() - case when run_id = $1::uuid then interval '1 minute' else "
      "interval '2 minutes' end",
      {whole.id.str()});
  EXPECT_EQ(run(waits_.fire_expired(2)), 1U) << "busy threads take nobody's place";
  EXPECT_TRUE(next_of(whole));
  EXPECT_FALSE(next_of(busy));
}

TEST_F(WaitStoreTest, ARunThatIsRolledBackLeavesTheQuestionsOpen) {
  const auto asking = parked(asks_for_app("github"));
  const auto wrong = begin(asking.thread);
  run(runs_.cancel(as_alice_, wrong.id, CancelAction::Rollback));
  outlive_lease(wrong);
  EXPECT_EQ(run(runs_.reap(10)).cancelled, 1U);
  EXPECT_TRUE(still_waits(asking));
  connect("github");
  EXPECT_EQ(run(waits_.connection_changed(platform_, alice_)), 1U);
  EXPECT_EQ(next_of(asking)->agent, asking.agent);
}

TEST_F(WaitStoreTest, LostNoticesAreMadeUpFor) {
  const auto asking = parked(asks_for_app("github"));
  EXPECT_EQ(run(waits_.check_noted(10)), 0U);
  connect("github");
  EXPECT_EQ(run(waits_.check_noted(10)), 0U);
  run(waits_.forget_checks());
  EXPECT_EQ(run(waits_.check_noted(10)), 1U);
  EXPECT_TRUE(next_of(asking));
}

TEST_F(WaitStoreTest, AWaitThatIsOverIsAnsweredOnce) {
  auto input = new_run(make_thread(as_alice_).id);
  input.max_wait = std::chrono::milliseconds(1);
  run(runs_.create(as_alice_, input));
  const auto asking = claim_one().run;
  park(asking, {{"task-1", {{{"id", "int-1"}, {"value", "well?"}}}}});
  database_.exec("update agent_wait set expires_at = now()");
  EXPECT_EQ(run(waits_.fire_expired(10)), 1U);
  EXPECT_EQ(run(waits_.fire_expired(10)), 0U);
  EXPECT_EQ(next_of(asking)->kwargs.at("command"), (Json{{"resume", {{"int-1", {{"__expired__", true}}}}}}));
}

}  // namespace
}  // namespace assistiv::agents
