#include "agents/store/cron_store.h"

#include <atomic>
#include <chrono>
#include <future>

#include "agents/store/run_queue.h"
#include "support/agent_fixture.h"
#include "support/eventually.h"

namespace assistiv::agents {
namespace {

using core::Json;

class CronStoreTest : public AgentStoreTest {
 protected:
  NewCron daily() {
    NewCron out;
    out.assistant = core::Uuid::v7(clock_, random_);
    out.schedule = "0 9 * * *";
    out.payload = {{"input", {{"text", "go"}}}};
    return out;
  }

  void make_due(CronId id, const std::string& when = "now() - interval '1 minute'") {
    database_.exec(
        "update agent_cron set next_run_at = date_trunc('minute', " + when + ") where cron_id = $1::uuid",
        {id.str()});
  }

  // The next three firings after `after`, in UTC.
  std::vector<std::string> three(const std::string& schedule, const std::string& zone,
                                 const std::string& after) {
    std::vector<std::string> out;
    database_.db().execute(storage::Scope::system(), [&](storage::Transaction& tx) {
      auto time = core::parse_time(after).value();
      for (int i = 0; i < 3; ++i) {
        const auto next = next_firing(tx, CronSchedule::parse(schedule), zone, time);
        if (!next) break;
        out.push_back(core::format_time(*next).substr(0, 16));
        time = *next;
      }
    });
    return out;
  }

  CronRun make_ = [this](storage::Transaction&, const Cron& cron) -> std::optional<NewRun> {
    if (is_gone_) return {};
    auto out = new_run();
    out.assistant = cron.assistant;
    out.kwargs = cron.payload;
    out.multitask_strategy = cron.id == refused_ ? "no strategy" : strategy_;
    if (is_away_) throw core::Error(core::ErrorKind::Unavailable, "away");
    return out;
  };
  bool is_gone_ = false;
  std::optional<CronId> refused_;
  std::atomic<bool> is_away_{false};
  std::string strategy_ = "enqueue";
  CronStore crons_{database_.db(), clock_, random_, {}, make_};
};

using Times = std::vector<std::string>;

TEST_F(CronStoreTest, FollowsTheWallClockOfItsZone) {
  EXPECT_EQ(three("0 9 * * *", "UTC", "2026-11-22T01:30:00Z"),
            (Times{"2026-11-22T09:00", "2026-11-23T09:00", "2026-11-24T09:00"}));
  EXPECT_EQ(three("0 9 * * *", "Asia/Kolkata", "2026-11-22T01:30:00Z"),
            (Times{"2026-11-22T03:30", "2026-11-23T03:30", "2026-11-24T03:30"}));
  EXPECT_EQ(three("0 0 1 * *", "Pacific/Auckland", "2026-11-22T01:30:00Z"),
            (Times{"2026-11-30T11:00", "2026-12-31T11:00", "2027-01-31T11:00"}));
}

// Europe/Berlin: 2027-03-28 02:00 -> 03:00 and 2026-10-25 03:00 -> 02:00.
TEST_F(CronStoreTest, ATimeThatIsSkippedComesAfterTheChange) {
  EXPECT_EQ(three("30 2 * * *", "Europe/Berlin", "2027-03-26T12:00:00Z"),
            (Times{"2027-03-27T01:30", "2027-03-28T01:30", "2027-03-29T00:30"}));
  EXPECT_EQ(three("0 9 * * *", "Europe/Berlin", "2027-03-27T00:00:00Z"),
            (Times{"2027-03-27T08:00", "2027-03-28T07:00", "2027-03-29T07:00"}));
}

TEST_F(CronStoreTest, ATimeThatIsShownTwiceCountsOnce) {
  EXPECT_EQ(three("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z"),
            (Times{"2026-10-25T00:30", "2026-10-26T01:30", "2026-10-27T01:30"}));
  EXPECT_EQ(three("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z"),
            (Times{"2026-10-26T01:30", "2026-10-27T01:30", "2026-10-28T01:30"}));
}

TEST_F(CronStoreTest, EveryHourFollowsRealTime) {
  EXPECT_EQ(three("30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z"),
            (Times{"2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"}));
  EXPECT_EQ(three("30 * * * *", "Europe/Berlin", "2027-03-28T00:00:00Z"),
            (Times{"2027-03-28T00:30", "2027-03-28T01:30", "2027-03-28T02:30"}));
  EXPECT_EQ(three("*/30 * * * *", "Australia/Lord_Howe", "2027-04-03T14:15:00Z"),
            (Times{"2027-04-03T14:30", "2027-04-03T15:00", "2027-04-03T15:30"}));
}

TEST_F(CronStoreTest, KeepsAndChangesSchedules) {
  auto input = daily();
  input.zone = "Europe/Berlin";
  input.metadata = {{"team", "red"}};
  const auto made = run(crons_.create(as_alice_, input));
  EXPECT_TRUE(made.next_run_at);
  EXPECT_EQ(run(crons_.get(as_alice_, made.id)).payload, input.payload);
  EXPECT_EQ(run(crons_.search(as_alice_, {.metadata = {{"team", "red"}}})).size(), 1u);
  EXPECT_EQ(run(crons_.count(all_, {.assistant = core::Uuid::v7(clock_, random_)})), 0);
  EXPECT_FALSE(run(crons_.update(as_alice_, made.id, {.is_enabled = false})).next_run_at);
  CronPatch patch;
  patch.is_enabled = true;
  patch.schedule = "* * * * *";
  EXPECT_TRUE(run(crons_.update(as_alice_, made.id, patch)).next_run_at);
  CronPatch past;
  past.end_time = core::from_epoch_ms(1'000'000'000'000);
  EXPECT_FALSE(run(crons_.update(as_alice_, made.id, past)).next_run_at);
  const auto bad = core::error_code(core::ErrorKind::InvalidArgument);
  EXPECT_EQ(fault_of(crons_.update(as_alice_, made.id, {.zone = "Europe/Atlantis"})), bad);
  EXPECT_EQ(fault_of(crons_.update(as_alice_, made.id, {.schedule = "61 * * * *"})), bad);
  run(crons_.remove(as_alice_, made.id));
  EXPECT_EQ(count("agent_cron"), 0);
}

TEST_F(CronStoreTest, TellsNobodyOfOthersSchedules) {
  const auto thread = make_thread(as_alice_);
  const auto made = run(crons_.create(as_alice_, daily()));
  const auto none = std::string(core::error_code(core::ErrorKind::NotFound));
  auto on_foreign_thread = daily();
  on_foreign_thread.thread = thread.id;
  for (const auto& stranger : {as_bob_, elsewhere_, Reach{other_platform_, alice_}}) {
    EXPECT_EQ(fault_of(crons_.get(stranger, made.id)), none);
    EXPECT_EQ(fault_of(crons_.update(stranger, made.id, {.is_enabled = false})), none);
    EXPECT_EQ(fault_of(crons_.remove(stranger, made.id)), none);
    EXPECT_EQ(run(crons_.count(stranger, {})), 0);
    if (!stranger.end_user || stranger.platform == platform_)
      EXPECT_EQ(fault_of(crons_.create(stranger, on_foreign_thread)), none);
  }
  EXPECT_EQ(run(crons_.count(all_, {})), 1);
}

TEST_F(CronStoreTest, ASlotFiresOnceOverManyNodes) {
  const auto made = run(crons_.create(as_alice_, daily()));
  for (int round = 1; round <= 3; ++round) {
    make_due(made.id, "now() - interval '1 minute' * " + std::to_string(round));
    std::vector<std::future<std::size_t>> nodes;
    for (int i = 0; i < 8; ++i) nodes.push_back(io_.start(crons_.fire_due(10)));
    std::size_t fired = 0;
    for (auto& node : nodes) fired += node.get();
    EXPECT_EQ(fired, 1u);
  }
  const auto all = run(runs_.list(as_alice_, {}));
  EXPECT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].kwargs, (Json{{"input", {{"text", "go"}}}}));
  EXPECT_EQ(all[0].end_user, alice_);
  EXPECT_GT(run(crons_.get(as_alice_, made.id)).next_run_at, made.created_at);
}

TEST_F(CronStoreTest, ASlotThatFiredBeforeFiresNoSecondTime) {
  const std::string slot = "timestamptz '2026-01-02 09:00Z'";
  const auto made = run(crons_.create(as_alice_, daily())), other = run(crons_.create(as_alice_, daily()));
  make_due(made.id, slot);
  EXPECT_EQ(run(crons_.fire_due(10)), 1u);
  make_due(made.id, slot);  // as if the clock of the schedule had been put back
  make_due(other.id);
  EXPECT_EQ(run(crons_.fire_due(10)), 1u) << "the other one";
  EXPECT_EQ(run(runs_.count(all_, {})), 2);
  EXPECT_GT(run(crons_.get(as_alice_, made.id)).next_run_at, made.created_at);
}

TEST_F(CronStoreTest, OneThatTheDatabaseRefusesIsPutOffAndKeepsNoOtherFromItsTurn) {
  const auto broken = run(crons_.create(as_alice_, daily())), lost = run(crons_.create(as_alice_, daily()));
  const auto whole = run(crons_.create(as_alice_, daily()));
  refused_ = broken.id;
  make_due(broken.id, "now() - interval '3 minutes'");
  make_due(lost.id, "now() - interval '2 minutes'");
  make_due(whole.id);
  database_.exec("update agent_cron set zone = 'No/Where' where cron_id = $1::uuid", {lost.id.str()});
  EXPECT_EQ(run(crons_.fire_due(10)), 1u);
  EXPECT_FALSE(run(crons_.get(as_alice_, whole.id)).last_error);
  const auto seen = run(crons_.get(as_alice_, broken.id));
  EXPECT_TRUE(seen.last_error);
  EXPECT_GT(seen.next_run_at, seen.created_at);
  EXPECT_FALSE(run(crons_.get(as_alice_, lost.id)).is_enabled) << "it has no next time";
  EXPECT_EQ(run(crons_.fire_due(10)), 0u);
}

TEST_F(CronStoreTest, WhatFailsInOneCareOfTheQueueStopsNoOther) {
  using namespace std::chrono_literals;
  const auto made = run(crons_.create(as_alice_, daily()));
  is_away_ = true;
  make_due(made.id);
  const auto old = make_thread(as_alice_);
  database_.exec("update agent_thread set expires_at = now() where thread_id = $1::uuid", {old.id.str()});
  RunQueue queue(database_.db(), runs_, threads_, {.poll = 1h, .upkeep = 1h}, {&crons_, nullptr});
  queue.start(io_.executor());
  EXPECT_TRUE(test::eventually([&] { return !run(threads_.find(as_alice_, old.id)); }));
  queue.stop();
}

TEST_F(CronStoreTest, TheQueueFiresWhatIsDueAndWakes) {
  using namespace std::chrono_literals;
  const auto made = run(crons_.create(as_alice_, daily()));
  make_due(made.id);
  RunQueue queue(database_.db(), runs_, threads_, {.poll = 1h, .upkeep = 1h}, {&crons_, nullptr});
  auto waiting = io_.start(queue.wait_for_work({}));
  queue.start(io_.executor());
  EXPECT_TRUE(waiting.get());
  EXPECT_EQ(claim_one().run.kwargs, made.payload);
  queue.stop();
}

TEST_F(CronStoreTest, WhatCannotFireSaysWhy) {
  const auto thread = make_thread(as_alice_);
  auto input = daily();
  input.thread = thread.id;
  const auto made = run(crons_.create(as_alice_, input));
  make_run(as_alice_, thread.id);
  strategy_ = "reject";
  make_due(made.id);
  EXPECT_EQ(run(crons_.fire_due(10)), 0u);
  auto seen = run(crons_.get(as_alice_, made.id));
  EXPECT_TRUE(seen.last_error);
  EXPECT_TRUE(seen.next_run_at);
  is_gone_ = true;
  make_due(made.id);
  EXPECT_EQ(run(crons_.fire_due(10)), 0u);
  seen = run(crons_.get(as_alice_, made.id));
  EXPECT_FALSE(seen.is_enabled);
  run(threads_.remove(as_alice_, thread.id));
  EXPECT_EQ(count("agent_cron"), 0);
}

}  // namespace
}  // namespace assistiv::agents
