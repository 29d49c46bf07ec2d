#include "agents/store/owner_count_store.h"

#include <functional>

#include "agents/store/cron_store.h"
#include "agents/store/item_store.h"
#include "support/agent_fixture.h"

namespace assistiv::agents {
namespace {

using core::Json;

class OwnerCountsTest : public AgentStoreTest {
 protected:
  // The code of what a call throws, "" when it throws nothing.
  template <class T>
  std::string code_of(core::Task<T> task) {
    try {
      run(std::move(task));
    } catch (const core::Error& e) {
      return std::string(e.code());
    }
    return "";
  }
  // What was deleted since is seen.
  void look_again() { clock_.advance(std::chrono::minutes(2)); }

  std::string create(const Reach& reach, NewRun input) {
    clock_.advance(std::chrono::milliseconds(1));
    return code_of(bounded_runs_.create(reach, std::move(input)));
  }
  std::string put(const Reach& reach, std::string key) {
    return code_of(items_.put(reach, {{"notes"}, std::move(key), {{"a", 1}}, {}}));
  }

  OwnerCounts counts_{database_.db(), clock_, {.threads = 3, .items = 2, .waiting_runs = 2}};
  ThreadStore bounded_{database_.db(), clock_, random_, &counts_};
  RunStore bounded_runs_{database_.db(), clock_, random_, {}, {}, {}, &counts_};
  ItemStore items_{database_.db(), &counts_};
  CronStore crons_{database_.db(),
                   clock_,
                   random_,
                   {},
                   [this](storage::Transaction&, const Cron&) { return std::optional(new_run()); },
                   {},
                   &counts_};
};

TEST_F(OwnerCountsTest, ThreadsOfAnOwnerEndAtTheLimit) {
  std::vector<ThreadId> made;
  for (int i = 0; i < 3; ++i) made.push_back(run(bounded_.create(as_alice_, {})).id);
  EXPECT_EQ(code_of(bounded_.create(as_alice_, {})), "too_many_threads");
  EXPECT_EQ(code_of(bounded_.copy(all_, made[0])), "too_many_threads");  // it would be alice's
  EXPECT_EQ(run(bounded_.create(as_alice_, {.id = made[0], .existing_is_fine = true})).id, made[0]);
  EXPECT_EQ(code_of(bounded_.create(as_bob_, {})), "");
  // A platform itself has ten times as many, and those of its end users are not its own.
  for (int i = 0; i < 30; ++i) ASSERT_EQ(code_of(bounded_.create(all_, {})), "") << i;
  EXPECT_EQ(code_of(bounded_.create(all_, {})), "too_many_threads");
  EXPECT_EQ(code_of(bounded_.create(elsewhere_, {})), "");

  run(bounded_.remove(as_alice_, made[0]));
  look_again();
  EXPECT_EQ(code_of(bounded_.copy(as_alice_, made[1])), "");
  EXPECT_EQ(count("agent_thread where end_user_id = '" + alice_.str() + "'"), 3);
}

TEST_F(OwnerCountsTest, RunsMakeNoMoreThreadsThanThereMayBe) {
  const auto thread = make_thread(as_alice_).id;
  auto fresh = new_run();
  fresh.claim_as = "node-1";
  EXPECT_EQ(create(as_alice_, fresh), "");
  EXPECT_EQ(create(as_alice_, fresh), "");
  EXPECT_EQ(create(as_alice_, fresh), "too_many_threads");
  fresh.thread = ThreadId::make(clock_, random_);
  fresh.create_thread = true;
  EXPECT_EQ(create(as_alice_, fresh), "too_many_threads");
  fresh.thread = thread;  // which is there
  EXPECT_EQ(create(as_alice_, fresh), "");
}

TEST_F(OwnerCountsTest, RunsThatWaitEndAtTheLimit) {
  const auto thread = make_thread(as_alice_).id, own = make_thread(all_).id;
  EXPECT_EQ(create(as_alice_, new_run(thread)), "");
  EXPECT_EQ(create(as_alice_, new_run(thread)), "");
  EXPECT_EQ(create(as_alice_, new_run(thread)), "too_many_waiting_runs");
  // Nor does the platform's key make more of alice's; those of others are not in their way.
  EXPECT_EQ(create(all_, new_run(thread)), "too_many_waiting_runs");
  EXPECT_EQ(create(all_, new_run(own)), "");
  EXPECT_EQ(create(as_bob_, new_run(make_thread(as_bob_).id)), "");
  claim_one();
  look_again();
  EXPECT_EQ(create(as_alice_, new_run(thread)), "");
  EXPECT_EQ(create(as_alice_, new_run(thread)), "too_many_waiting_runs");
}

TEST_F(OwnerCountsTest, TheSameRequestAgainIsNotOneMore) {
  auto keyed = new_run(make_thread(as_alice_).id);
  keyed.idempotency_key = "once";
  const auto first = run(bounded_runs_.create(as_alice_, keyed));
  EXPECT_EQ(create(as_alice_, new_run(keyed.thread)), "");
  EXPECT_EQ(create(as_alice_, new_run(keyed.thread)), "too_many_waiting_runs");
  const auto again = run(bounded_runs_.create(as_alice_, keyed));
  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(again.run.id, first.run.id);
  keyed.idempotency_key = "another";
  EXPECT_EQ(create(as_alice_, keyed), "too_many_waiting_runs");
}

TEST_F(OwnerCountsTest, RunsThatAreTakenAtOnceDoNotWait) {
  for (int i = 0; i < 10; ++i) {
    auto input = new_run(make_thread(as_alice_).id);
    input.claim_as = "node-1";
    ASSERT_EQ(create(as_alice_, std::move(input)), "") << i;
    if (i % 4 == 0) look_again();
  }
}

TEST_F(OwnerCountsTest, ItemsEndAtTheLimitAndAreStillReplaced) {
  EXPECT_EQ(put(as_alice_, "one"), "");
  EXPECT_EQ(put(as_alice_, "two"), "");
  EXPECT_EQ(put(as_alice_, "three"), "too_many_items");
  EXPECT_EQ(put(as_alice_, "two"), "");
  EXPECT_EQ(put(as_bob_, "three"), "");
  EXPECT_EQ(put(all_, "three"), "");
  run(items_.remove(as_alice_, {"notes"}, "one"));
  look_again();
  EXPECT_EQ(put(as_alice_, "three"), "");
}

TEST_F(OwnerCountsTest, ASchedulePassesATimeWhenTooManyWait) {
  NewCron input;
  input.assistant = core::Uuid::v7(clock_, random_);
  input.schedule = "* * * * *";
  const auto cron = run(crons_.create(as_alice_, input));
  const auto fire = [&] {
    database_.exec(
        "update agent_cron set next_run_at = date_trunc('minute', now()) - interval '1 minute' "
        "where cron_id = $1::uuid",
        {cron.id.str()});
    return run(crons_.fire_due(1));
  };
  const auto thread = make_thread(as_alice_).id;
  EXPECT_EQ(create(as_alice_, new_run(thread)), "");
  EXPECT_EQ(create(as_alice_, new_run(thread)), "");
  EXPECT_EQ(fire(), 0u);
  EXPECT_EQ(run(crons_.get(as_alice_, cron.id)).last_error, too_many(Owned::WaitingRuns).message());
  claim_one();
  look_again();
  EXPECT_EQ(fire(), 1u);
  EXPECT_EQ(run(crons_.get(as_alice_, cron.id)).last_error, std::nullopt);
}

TEST_F(OwnerCountsTest, WithoutALimitNothingIsCounted) {
  OwnerCounts none(database_.db(), clock_, {.threads = 0, .items = 0, .waiting_runs = 0});
  ThreadStore threads(database_.db(), clock_, random_, &none);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(code_of(threads.create(as_alice_, {})), "");
}

}  // namespace
}  // namespace assistiv::agents
