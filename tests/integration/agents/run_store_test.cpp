#include "agents/store/run_store.h"

#include <future>
#include <set>

#include "agents/service/run_shares.h"
#include "support/agent_fixture.h"

namespace assistiv::agents {
namespace {

using core::Json;

class RunStoreTest : public AgentStoreTest {
 protected:
  std::string status_of(RunId id) { return run(runs_.get(all_, id)).status; }
  std::string thread_status(ThreadId id) { return run(threads_.get(all_, id)).status; }
};

TEST_F(RunStoreTest, AnAcknowledgedRunIsThere) {
  const auto thread = make_thread(as_alice_);
  auto input = new_run(thread.id);
  input.kwargs = {{"input", {{"text", std::string("a\0b", 3)}}}};
  input.metadata = {{"who", "me"}};
  const auto made = run(runs_.create(as_alice_, input)).run;
  EXPECT_EQ(made.status, "pending");
  EXPECT_EQ(made.end_user, alice_);
  const auto read = run(runs_.get(as_alice_, made.id));
  EXPECT_EQ(read.kwargs, input.kwargs);
  EXPECT_EQ(read.agent.str(), input.agent.str());
  EXPECT_EQ(thread_status(thread.id), "busy");
  EXPECT_EQ(due_signals_, 1);

  EXPECT_EQ(fault_of(runs_.create(as_alice_, new_run(ThreadId::make(clock_, random_)))),
            core::error_code(core::ErrorKind::NotFound));
  auto fresh = new_run(ThreadId::make(clock_, random_));
  fresh.create_thread = true;
  EXPECT_EQ(run(runs_.create(as_alice_, fresh)).run.thread, *fresh.thread);
  EXPECT_EQ(run(threads_.get(as_alice_, *fresh.thread)).end_user, alice_);
}

TEST_F(RunStoreTest, ARunWithoutAThreadHasAHiddenOne) {
  const auto made = make_run(as_alice_);
  EXPECT_TRUE(made.thread_is_temporary);
  EXPECT_EQ(run(threads_.search(all_, {})).total, 0);
  EXPECT_EQ(claim_one().run.id, made.id);
}

TEST_F(RunStoreTest, TellsNobodyOfOthersRuns) {
  const auto thread = make_thread(as_alice_);
  const auto made = make_run(as_alice_, thread.id);
  const auto none = std::string(core::error_code(core::ErrorKind::NotFound));
  for (const auto& stranger : {as_bob_, elsewhere_, Reach{other_platform_, alice_}}) {
    EXPECT_EQ(fault_of(runs_.get(stranger, made.id)), none);
    EXPECT_EQ(fault_of(runs_.cancel(stranger, made.id, CancelAction::Rollback)), none);
    EXPECT_EQ(fault_of(runs_.remove(stranger, made.id)), none);
    EXPECT_EQ(fault_of(runs_.create(stranger, new_run(thread.id))), none);
    auto smuggled = new_run(thread.id, "rollback");
    smuggled.create_thread = true;
    if (stranger.platform == platform_) EXPECT_EQ(fault_of(runs_.create(stranger, smuggled)), none);
    EXPECT_EQ(fault_of(runs_.list(stranger, {.thread = thread.id})), none);
    EXPECT_EQ(run(runs_.list(stranger, {})).size(), 0u);
    EXPECT_EQ(run(runs_.count(stranger, {})), 0);
  }
  EXPECT_EQ(status_of(made.id), "pending");
  EXPECT_EQ(run(runs_.list(as_alice_, {.thread = thread.id, .status = "pending"})).size(), 1u);
}

TEST_F(RunStoreTest, PagesEndWhereAReplyDoes) {
  const auto thread = make_thread(as_alice_).id;
  std::vector<RunId> made;
  for (int i = 0; i < 4; ++i) made.push_back(make_run(as_alice_, thread).id);
  database_.exec(
      "update agent_run set kwargs = json_build_object('input', repeat('x', 17000000))::text where run_id = "
      "$1::uuid",
      {made[1].str()});
  RunSearch query{.thread = thread, .limit = 100};
  const auto listed = [&](int offset) {
    query.offset = offset;
    std::vector<RunId> out;
    const auto runs = run(runs_.list(as_alice_, query));
    for (const auto& one : runs) out.push_back(one.id);
    return out;
  };
  EXPECT_EQ(listed(0), (std::vector<RunId>{made[3], made[2]}));
  EXPECT_EQ(listed(3), (std::vector<RunId>{made[0]}));
  EXPECT_TRUE(listed(4).empty());

  query.offset = 0;
  EXPECT_EQ(run(runs_.ids(as_alice_, query)).size(), 4u);
  EXPECT_TRUE(run(runs_.ids(as_bob_, {})).empty());
  database_.exec("update agent_run set kwargs = '{}'");
  run(runs_.cancel(as_alice_, made[0], CancelAction::Interrupt));
  claim_one();
  query.open = true;  // one runs, two wait
  EXPECT_EQ(run(runs_.count(as_alice_, query)), 3);
  EXPECT_EQ(run(runs_.ids(as_alice_, query)), (std::vector<RunId>{made[3], made[2], made[1]}));
}

TEST_F(RunStoreTest, AnIdempotencyKeyMakesOneRun) {
  auto input = new_run();
  input.idempotency_key = "k";
  input.fingerprint = "f";
  const auto first = run(runs_.create(as_alice_, input));
  const auto again = run(runs_.create(as_alice_, input));
  EXPECT_FALSE(first.repeated);
  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(again.run.id, first.run.id);
  // The key of somebody else is another one.
  EXPECT_FALSE(run(runs_.create(as_bob_, input)).repeated);
  input.fingerprint = "g";
  EXPECT_EQ(fault_of(runs_.create(as_alice_, input)), core::error_code(core::ErrorKind::Conflict));

  input.idempotency_key = "many";
  std::vector<std::future<CreatedRun>> racing;
  for (int i = 0; i < 8; ++i) racing.push_back(io_.start(runs_.create(as_alice_, input)));
  std::set<std::string> ids;
  for (auto& one : racing) ids.insert(one.get().run.id.str());
  EXPECT_EQ(ids.size(), 1u);
}

TEST_F(RunStoreTest, EachRunIsClaimedOnce) {
  const int runs = 60;
  for (int i = 0; i < runs; ++i) make_run(i % 2 == 0 ? as_alice_ : elsewhere_);
  std::vector<std::future<std::vector<ClaimedRun>>> claims;
  for (int i = 0; i < 24; ++i) claims.push_back(io_.start(runs_.claim("node-" + std::to_string(i), 5)));
  std::set<std::string> seen;
  int taken = 0;
  for (auto& claim : claims) {
    for (const auto& one : claim.get()) {
      seen.insert(one.run.id.str());
      ++taken;
      EXPECT_EQ(one.lease.epoch, 1);
      EXPECT_EQ(one.run.attempt, 1);
    }
  }
  while (true) {
    const auto rest = run(runs_.claim("last", 5));
    if (rest.empty()) break;
    for (const auto& one : rest) seen.insert(one.run.id.str());
    taken += static_cast<int>(rest.size());
  }
  EXPECT_EQ(taken, runs);
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(runs));
}

TEST_F(RunStoreTest, AClaimLeavesWhoseShareIsFull) {
  const auto of_alice = make_run(as_alice_), of_bob = make_run(as_bob_), elsewhere = make_run(elsewhere_);
  const auto ids = [](const std::vector<ClaimedRun>& claimed) {
    std::set<std::string> out;
    for (const auto& one : claimed) out.insert(one.run.id.str());
    return out;
  };
  EXPECT_TRUE(run(runs_.claim("node-1", 10, {{platform_, other_platform_}, {}})).empty());
  EXPECT_EQ(ids(run(runs_.claim("node-1", 10, {{other_platform_}, {alice_}}))),
            std::set<std::string>{of_bob.id.str()});
  EXPECT_EQ(ids(run(runs_.claim("node-1", 10, {{}, {alice_}}))), std::set<std::string>{elsewhere.id.str()});
  EXPECT_EQ(claim_one().run.id, of_alice.id);
}

TEST(RunShares, NobodyTakesAllPlaces) {
  const auto platform = [](std::uint8_t n) {
    core::PlatformId out;
    out.uuid.bytes[0] = n;
    return out;
  };
  const auto user = [](std::uint8_t n) {
    core::EndUserId out;
    out.uuid.bytes[0] = n;
    return out;
  };
  RunShares shares({.all = 8});
  std::vector<RunShares::Place> places;
  const auto fill = [&](const Reach& who) {
    int n = 0;
    while (auto place = shares.take(who)) {
      places.push_back(std::move(place));
      ++n;
    }
    return n;
  };
  const Reach alice{platform(1), user(1)}, bob{platform(1), user(2)}, other{platform(2), {}};
  EXPECT_EQ(shares.room(), 4u);
  EXPECT_EQ(fill(alice), 4);
  ASSERT_EQ(shares.full().end_users.size(), 1u);
  EXPECT_EQ(shares.full().end_users[0], *alice.end_user);
  EXPECT_EQ(shares.room(), 2u) << "of the platform";
  EXPECT_EQ(fill(bob), 2);
  EXPECT_EQ(shares.full().platforms.size(), 1u);
  EXPECT_EQ(fill(other), 2);
  EXPECT_EQ(shares.room(), 0u);
  places.clear();
  EXPECT_EQ(shares.room(), 4u);
  EXPECT_TRUE(shares.full().platforms.empty() && shares.full().end_users.empty());
  // What is there counts, however much it is.
  for (int i = 0; i < 9; ++i) places.push_back(shares.occupy(other));
  EXPECT_EQ(fill(alice), 0);
  RunShares one({.all = 1});
  EXPECT_TRUE(one.take(alice));
}

TEST_F(RunStoreTest, AThreadRunsOneAfterTheOther) {
  const auto thread = make_thread(as_alice_);
  auto later = new_run(thread.id);
  later.after = std::chrono::seconds(3600);
  const auto delayed = run(runs_.create(as_alice_, later)).run;
  const auto first = make_run(as_alice_, thread.id), second = make_run(as_alice_, thread.id);
  const auto claimed = run(runs_.claim("node-1", 10));
  ASSERT_EQ(claimed.size(), 1u);
  EXPECT_EQ(claimed[0].run.id, first.id);
  EXPECT_TRUE(run(runs_.claim("node-2", 10)).empty());
  run(runs_.cancel(as_alice_, first.id, CancelAction::Interrupt));
  EXPECT_TRUE(run(runs_.finish_cancel(claimed[0].lease)));
  EXPECT_EQ(status_of(first.id), "interrupted");
  EXPECT_EQ(thread_status(thread.id), "busy");
  EXPECT_EQ(claim_one("node-2").run.id, second.id);
  EXPECT_EQ(status_of(delayed.id), "pending");
}

TEST_F(RunStoreTest, ACreatorMayTakeItsRunAtOnce) {
  const auto thread = make_thread(as_alice_);
  auto input = new_run(thread.id);
  input.claim_as = "node-1";
  const auto made = run(runs_.create(as_alice_, input));
  ASSERT_TRUE(made.lease);
  EXPECT_EQ(made.run.status, "running");
  EXPECT_TRUE(run(runs_.claim("node-2", 10)).empty());
  EXPECT_EQ(runs_.renew({*made.lease}).size(), 1u);
  // Behind another one it waits like all.
  const auto next = run(runs_.create(as_alice_, input));
  EXPECT_FALSE(next.lease);
  EXPECT_EQ(next.run.status, "pending");
}

TEST_F(RunStoreTest, StrategiesOnABusyThread) {
  const auto thread = make_thread(as_alice_);
  const auto running = make_run(as_alice_, thread.id);
  const auto lease = claim_one().lease;
  const auto waiting = make_run(as_alice_, thread.id);
  EXPECT_EQ(fault_of(runs_.create(as_alice_, new_run(thread.id, "reject"))),
            core::error_code(core::ErrorKind::Conflict));

  const auto third = make_run(as_alice_, thread.id, "interrupt");
  EXPECT_EQ(status_of(waiting.id), "interrupted");
  EXPECT_EQ(status_of(running.id), "running");
  const auto renewed = runs_.renew({lease});
  ASSERT_EQ(renewed.size(), 1u);
  EXPECT_EQ(renewed[0].cancel_action, "interrupt");
  EXPECT_TRUE(run(runs_.claim("node-2", 1)).empty());
  EXPECT_TRUE(run(runs_.finish_cancel(lease)));
  EXPECT_EQ(claim_one("node-2").run.id, third.id);

  const auto fourth = make_run(as_alice_, thread.id, "rollback");
  outlive_lease(third);
  EXPECT_EQ(run(runs_.reap(10)).cancelled, 1u);
  EXPECT_EQ(fault_of(runs_.get(as_alice_, third.id)), core::error_code(core::ErrorKind::NotFound));
  EXPECT_EQ(claim_one("node-2").run.id, fourth.id);
}

TEST_F(RunStoreTest, ALostRunIsTakenUpAgainAndItsOldOwnerIsShutOut) {
  const auto made = make_run(as_alice_);
  const auto lost = claim_one("node-1").lease;
  EXPECT_EQ(run(runs_.reap(10)).queued_again, 0u);
  outlive_lease(made);
  EXPECT_EQ(run(runs_.reap(10)).queued_again, 1u);
  const auto second = claim_one("node-2");
  EXPECT_EQ(second.run.id, made.id);
  EXPECT_EQ(second.run.attempt, 2);
  EXPECT_GT(second.lease.epoch, lost.epoch);
  EXPECT_TRUE(runs_.renew({lost}).empty());
  EXPECT_FALSE(run(runs_.hand_over(lost)));
  EXPECT_FALSE(run(runs_.finish_cancel(lost)));
  EXPECT_EQ(runs_.renew({second.lease}).size(), 1u);
  // The same owner under an older epoch is a stranger too.
  auto older = second.lease;
  older.epoch = lost.epoch;
  EXPECT_TRUE(runs_.renew({older}).empty());
}

// A long write holds its run's row: nobody else's lease may wait for it.
TEST_F(RunStoreTest, ARowThatIsHeldCostsNoOtherItsLease) {
  make_run(as_alice_), make_run(elsewhere_);
  const auto held = claim_one().lease, other = claim_one().lease;
  for (const auto& lease : {held, other})
    database_.exec("update agent_run set lease_until = now() where run_id = $1::uuid", {lease.run.str()});
  std::vector<RenewedRun> renewed;
  database_.db().execute(storage::Scope::system(), [&](storage::Transaction& tx) {
    tx.exec("select 1 from agent_run where run_id = $1::uuid for no key update", {held.run.str()});
    renewed = runs_.renew({held, other});
  });
  ASSERT_EQ(renewed.size(), 2u);
  for (const auto& one : renewed) {
    EXPECT_EQ(one.renewed, one.run == other.run);
    EXPECT_EQ(count("agent_run where lease_until > now() and run_id = '" + one.run.str() + "'"),
              one.renewed ? 1 : 0);
  }
  EXPECT_TRUE(runs_.renew({held})[0].renewed);
}

TEST_F(RunStoreTest, AttemptsRunOut) {
  const auto thread = make_thread(as_alice_);
  const auto made = make_run(as_alice_, thread.id);
  for (int attempt = 1; attempt <= 3; ++attempt) {
    EXPECT_EQ(claim_one().run.attempt, attempt);
    outlive_lease(made);
    const auto reaped = run(runs_.reap(10));
    EXPECT_EQ(reaped.queued_again, attempt < 3 ? 1u : 0u);
    EXPECT_EQ(reaped.exhausted, attempt < 3 ? 0u : 1u);
  }
  const auto over = run(runs_.get(as_alice_, made.id));
  EXPECT_EQ(over.status, "error");
  EXPECT_EQ(over.error.at("error"), "attempts_exhausted");
  EXPECT_EQ(thread_status(thread.id), "error");
  EXPECT_TRUE(run(runs_.claim("node-1", 1)).empty());
}

TEST_F(RunStoreTest, ARunThatGetsOnIsTakenUpHoweverOftenItIsLost) {
  const auto made = make_run(as_alice_);
  RunTotals totals;
  const auto lose = [&](bool gets_on) {
    claim_one();
    if (gets_on) ++totals.llm_calls;
    database_.exec("update agent_run set usage = $2, journal = journal + 1 where run_id = $1::uuid",
                   {made.id.str(), to_json(totals).dump()});
    outlive_lease(made);
    return run(runs_.reap(10)).exhausted;
  };
  // Its time passes, and that it was taken up again is written, too: that is not getting on.
  for (int day = 0; day < 4; ++day) {
    EXPECT_EQ(lose(true), 0u);
    totals.active_ms += 1000;
    EXPECT_EQ(lose(false), 0u);
    EXPECT_EQ(lose(false), 0u);
  }
  EXPECT_EQ(run(runs_.get(as_alice_, made.id)).attempt, 12);
  EXPECT_EQ(lose(false), 1u);
  EXPECT_EQ(run(runs_.get(as_alice_, made.id)).error.at("error"), "attempts_exhausted");
}

TEST_F(RunStoreTest, HandingOverSpendsNoAttempt) {
  make_run(as_alice_);
  for (int i = 0; i < 6; ++i) {
    const auto claimed = claim_one();
    EXPECT_EQ(claimed.run.attempt, 1);
    EXPECT_TRUE(run(runs_.hand_over(claimed.lease)));
  }
}

TEST_F(RunStoreTest, CancellingIsFinal) {
  const auto waiting = make_run(as_alice_);
  EXPECT_EQ(run(runs_.cancel(as_alice_, waiting.id, CancelAction::Interrupt))->status, "interrupted");
  EXPECT_TRUE(run(runs_.claim("node-1", 1)).empty());
  EXPECT_EQ(run(runs_.cancel(as_alice_, waiting.id, CancelAction::Rollback))->status, "interrupted");

  const auto running = make_run(as_alice_);
  const auto lease = claim_one().lease;
  EXPECT_EQ(fault_of(runs_.remove(as_alice_, running.id)), core::error_code(core::ErrorKind::Conflict));
  EXPECT_EQ(run(runs_.cancel(as_alice_, running.id, CancelAction::Interrupt))->status, "running");
  // Its owner is gone: the reaper ends it instead of running it again.
  outlive_lease(running);
  EXPECT_EQ(run(runs_.reap(10)).cancelled, 1u);
  EXPECT_EQ(status_of(running.id), "interrupted");
  EXPECT_FALSE(run(runs_.finish_cancel(lease)));
  run(runs_.remove(as_alice_, running.id));
  EXPECT_EQ(fault_of(runs_.get(as_alice_, running.id)), core::error_code(core::ErrorKind::NotFound));

  const auto third = make_run(as_alice_);
  EXPECT_FALSE(run(runs_.cancel(as_alice_, third.id, CancelAction::Rollback)));
}

TEST_F(RunStoreTest, RollingBackRestoresTheStateBefore) {
  const auto thread = make_thread(as_alice_);
  const auto before = put_states(as_alice_, thread.id, {{{"n", 1}}});
  const auto made = make_run(as_alice_, thread.id);
  const auto lease = claim_one().lease;
  const auto checkpoint = next(before, {{"n", 2}, {"big", std::string(9000, 'b')}});
  database_.db().execute(storage::Scope::system(), [&](storage::Transaction& tx) {
    const auto rows = to_rows({row_of(before, checkpoint)});
    CheckpointStore::insert(tx, {{{platform_, thread.id}, made.id, &rows}});
    tx.exec("update agent_thread set head_id = $1::uuid, state_values = '{\"n\":2}'", {checkpoint.id});
  });
  EXPECT_EQ(values_of(as_alice_, thread.id).at("n"), 2);
  run(runs_.cancel(as_alice_, made.id, CancelAction::Rollback));
  EXPECT_TRUE(run(runs_.finish_cancel(lease)));
  EXPECT_EQ(values_of(as_alice_, thread.id), (Json{{"n", 1}}));
  EXPECT_EQ(run(threads_.get(as_alice_, thread.id)).values, (Json{{"n", 1}}));
  EXPECT_EQ(count("agent_checkpoint"), 1);
  EXPECT_EQ(count("agent_blob"), 0);
  EXPECT_EQ(thread_status(thread.id), "idle");
}

}  // namespace
}  // namespace assistiv::agents
