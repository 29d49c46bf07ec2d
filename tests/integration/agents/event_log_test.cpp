#include "agents/store/event_log.h"

#include <future>
#include <tuple>

#include "agents/store/journal_writer.h"
#include "agents/store/run_queue.h"
#include "storage/notifier.h"
#include "support/agent_fixture.h"
#include "support/database_gate.h"
#include "support/eventually.h"

namespace assistiv::agents {
namespace {

using namespace std::chrono_literals;
using core::Json;

class EventLogTest : public AgentStoreTest {
 protected:
  EventLogTest() { writer_.start(io_.executor()); }
  ~EventLogTest() override { writer_.stop(); }

  RunLease begin(ThreadId thread) {
    make_run(as_alice_, thread);
    return claim_one().lease;
  }

  void write(const RunLease& lease, const std::vector<std::string>& methods, bool ends = false) {
    JournalWrite write;
    for (const auto& method : methods) {
      write.events.emplace_back();
      write.events.back().method = method;
    }
    write.ends = ends;
    if (ends) {
      write.view.emplace();
      write.view->status = RunStatus::Success;
    }
    ASSERT_TRUE(run(writer_.append(lease, std::move(write))).applied);
  }

  // As shown_pieces() of runtime/ makes them.
  static RunEvent piece(const std::string& id, const std::string& text, std::size_t before, int number) {
    RunEvent out;
    out.method = "messages";
    out.node = "say";
    out.data = {{"type", "AIMessageChunk"},
                {"id", id},
                {"content", text},
                {"tool_call_chunks", Json::array()},
                {"langgraph", {{"step", 1}, {"content", before}, {"args", 0}, {"piece", number}}}};
    return out;
  }
  static JournalWrite whole(const std::string& id, const std::string& text) {
    JournalWrite out;
    out.events.emplace_back();
    out.events.back().method = "messages";
    out.events.back().data = {{"type", "ai"}, {"id", id}, {"content", text}};
    return out;
  }
  // What comes until the text is there: that of pieces, and that of whole messages in brackets.
  std::string read_text(EventFollower& follower, std::size_t length) {
    std::string out;
    while (out.size() < length) {
      const auto some = run(follower.next(20s));
      if (some.empty()) break;
      for (const auto& one : some) {
        if (one.event.method != "messages") continue;
        const auto text = one.event.data["content"].get<std::string>();
        out += one.event.seq > 0 ? "[" + text + "]" : text;
      }
    }
    return out;
  }

  // Until `wanted` have come.
  std::vector<std::string> follow(EventFollower& follower, std::size_t wanted) {
    std::vector<std::string> out;
    while (out.size() < wanted) {
      const auto some = run(follower.next(20s));
      if (some.empty()) break;
      for (const auto& one : some) out.push_back(one.event.method);
    }
    return out;
  }

  using Methods = std::vector<std::string>;
  EventLog log_{database_.db(), "node-1", {.poll = 1h}};
  JournalWriter writer_{database_.db(), {}, log_, {}};
};

// The run goes on meanwhile: who follows it hears the rest, and only an outage that lasts ends that.
TEST_F(EventLogTest, AFollowerOutlivesAnOutageOfTheDatabase) {
  test::DatabaseGate gate(database_.url());
  storage::Database through({.url = gate.url(), .connections = 1});
  EventLog patient(through, "node-2", {.poll = 10ms}),
      hasty(through, "node-3", {.poll = 10ms, .patience = 0ms});
  const auto thread = make_thread(as_alice_);
  const auto lease = begin(thread.id);
  auto one = run(patient.follow(as_alice_, thread.id, 0)), two = run(hasty.follow(as_alice_, thread.id, 0));
  write(lease, {"values"});
  EXPECT_EQ(follow(*one, 1), Methods{"values"});
  gate.close();
  EXPECT_EQ(fault_of(two->next(20s)), core::error_code(core::ErrorKind::Unavailable));
  auto waiting = io_.start(one->next(20s));
  write(lease, {"updates"}, true);
  gate.open();
  const auto heard = waiting.get();
  ASSERT_FALSE(heard.empty());
  EXPECT_EQ(heard[0].event.method, "updates");
  // As for the row of its run.
  RunStore rows{through, clock_, random_, {}, {}};
  gate.close();
  auto row = io_.start(rows.await_row(all_, lease.run, {}));
  EXPECT_EQ(fault_of(rows.get(all_, lease.run)), core::error_code(core::ErrorKind::Unavailable));
  gate.open();
  EXPECT_EQ(row.get().status, "success");
}

TEST_F(EventLogTest, EveryFollowerSeesAllOfThem) {
  const auto thread = make_thread(as_alice_);
  auto one = run(log_.follow(as_alice_, thread.id, 0)), two = run(log_.follow(all_, thread.id, 0));
  const auto lease = begin(thread.id);
  write(lease, {"metadata", "values"});
  EXPECT_EQ(follow(*one, 2), (Methods{"metadata", "values"}));
  write(lease, {"updates"}, true);
  EXPECT_EQ(follow(*one, 2), (Methods{"updates", "end"}));
  EXPECT_EQ(follow(*two, 4), (Methods{"metadata", "values", "updates", "end"}));
  EXPECT_EQ(one->seq(), 4);
  EXPECT_TRUE(run(one->next(0s)).empty());

  auto late = run(log_.follow(as_alice_, thread.id, 2));
  EXPECT_EQ(follow(*late, 2), (Methods{"updates", "end"}));
  auto again = run(log_.follow(as_alice_, thread.id, -1, lease.run));
  EXPECT_EQ(follow(*again, 4).size(), 4u);
  const auto second = begin(thread.id);
  write(second, {"custom"}, true);
  auto own = run(log_.follow(as_alice_, thread.id, -1, second.run));
  EXPECT_EQ(follow(*own, 2), (Methods{"custom", "end"}));
}

TEST_F(EventLogTest, LongStreamsComeInOrder) {
  const auto thread = make_thread(as_alice_);
  const auto lease = begin(thread.id);
  auto follower = run(log_.follow(as_alice_, thread.id, 0));
  write(lease, Methods(600, "custom"));
  std::int64_t seen = 0;
  while (seen < 600) {
    const auto some = run(follower->next(20s));
    ASSERT_FALSE(some.empty());
    EXPECT_LE(some.size(), 256u);
    for (const auto& one : some) ASSERT_EQ(one.event.seq, ++seen);
  }
}

// As much at a time as a reply may have, and nobody has to be told of the rest.
TEST_F(EventLogTest, LargeEventsComeAFewAtATime) {
  const auto thread = make_thread(as_alice_);
  write(begin(thread.id), {"metadata", "values", "updates", "custom"}, true);
  database_.exec("update agent_event set data = to_json(repeat('x', 17000000))::text where seq = 3");
  auto follower = run(log_.follow(as_alice_, thread.id, 0));
  EXPECT_EQ(run(follower->next(20s)).size(), 2u);
  EXPECT_EQ(run(log_.read(as_alice_, thread.id, 0, 10)).size(), 2u);
  EXPECT_EQ(run(log_.read(as_alice_, thread.id, 3, 10)).size(), 2u);
  database_.exec("update agent_event set data = '{}' where seq = 3");
  EXPECT_EQ(follow(*follower, 3), (Methods{"updates", "custom", "end"}));
}

TEST_F(EventLogTest, PiecesStandWhereTheyWereShown) {
  const auto thread = make_thread(as_alice_);
  const auto lease = begin(thread.id);
  auto journal = make_journal(database_.db(), writer_, log_, lease);
  auto follower = run(log_.follow(as_alice_, thread.id, 0));
  const auto commit = [&](const char* method) {
    JournalWrite write;
    write.events.emplace_back();
    write.events.back().method = method;
    run(journal->commit(std::move(write)));
  };
  const auto show = [&](const char* method) {
    RunEvent piece;
    piece.method = method;
    journal->show(piece);
  };
  show("a");
  commit("1");
  show("b");
  show("c");
  commit("2");
  show("d");
  EXPECT_EQ(follow(*follower, 6), (Methods{"a", "1", "b", "c", "2", "d"}));
  EXPECT_EQ(follower->seq(), 2);
  // They are bounded, and not kept.
  for (int i = 0; i < 1000; ++i) show("x");
  EXPECT_EQ(run(follower->next(0s)).size(), 256u);
  EXPECT_EQ(count("agent_event"), 2);
}

// As a run does that writes only at its end.
TEST_F(EventLogTest, EventsThatAreShownBeforeTheyAreKeptComeOnce) {
  const auto thread = make_thread(as_alice_);
  auto early = run(log_.follow(as_alice_, thread.id, 0)), gap = run(log_.follow(as_alice_, thread.id, 0));
  const auto lease = begin(thread.id);
  const auto journal = make_journal(database_.db(), writer_, log_, lease);
  const auto show = [&](const std::string& method, std::int64_t seq) {
    RunEvent event;
    event.method = method;
    event.seq = seq;
    journal->show(event);
  };
  show("lifecycle", 1);
  show("messages", 0);
  show("values", 2);
  EXPECT_EQ(follow(*early, 3), (Methods{"lifecycle", "messages", "values"}));
  EXPECT_EQ(follow(*gap, 3), (Methods{"lifecycle", "messages", "values"}));
  show("values", 4);  // the third was lost
  auto middle = run(log_.follow(as_alice_, thread.id, 0));
  EXPECT_EQ(follow(*middle, 3), (Methods{"lifecycle", "messages", "values"}));
  JournalWrite all;
  for (const auto* method : {"lifecycle", "values", "updates", "values"}) {
    all.events.emplace_back();
    all.events.back().method = method;
  }
  all.ends = true;
  all.view.emplace();
  all.view->status = RunStatus::Success;
  run(journal->commit(std::move(all)));
  auto late = run(log_.follow(as_alice_, thread.id, 0));
  EXPECT_EQ(follow(*early, 3), (Methods{"updates", "values", "end"}));
  EXPECT_EQ(follow(*late, 5), (Methods{"lifecycle", "values", "updates", "values", "end"}));
  EXPECT_EQ(early->seq(), 5);
}

TEST_F(EventLogTest, WhoComesInTheMiddleIsGivenWhatWasShownBefore) {
  const auto thread = make_thread(as_alice_);
  const auto lease = begin(thread.id);
  auto journal = make_journal(database_.db(), writer_, log_, lease);
  JournalWrite begins;
  begins.events.emplace_back();
  begins.events.back().method = "lifecycle";
  run(journal->commit(std::move(begins)));
  journal->show(piece("m", "Good ", 0, 0));
  journal->show(piece("n", "Beside ", 0, 0));
  journal->show(piece("m", "mor", 5, 1));
  auto middle = run(log_.follow(as_alice_, thread.id, 0));
  auto resumed = run(log_.follow(as_alice_, thread.id, 1, lease.run));
  journal->show(piece("m", "ning", 8, 2));
  const auto first = run(middle->next(20s));
  ASSERT_GE(first.size(), 4u);  // the row, then what was shown
  EXPECT_EQ(first[0].event.method, "lifecycle");
  for (const auto& [at, text, before] : {std::tuple{1u, "Good ", 0}, std::tuple{2u, "mor", 5}}) {
    EXPECT_EQ(first[at].event.data, piece("m", text, static_cast<std::size_t>(before), at - 1).data);
    EXPECT_EQ(first[at].run, lease.run);
  }
  EXPECT_EQ(read_text(*resumed, 19), "Good morBeside ning");
  run(journal->commit(whole("m", "Good morning")));
  auto late = run(log_.follow(as_alice_, thread.id, 0));
  EXPECT_EQ(read_text(*late, 21), "Beside [Good morning]");
  EXPECT_EQ(read_text(*resumed, 14), "[Good morning]");
  // What comes to nothing is forgotten with the run.
  journal.reset();
  auto last = run(log_.follow(as_alice_, thread.id, 0));
  EXPECT_EQ(read_text(*last, 14), "[Good morning]");
}

core::Task<> show_there(Journal* journal, RunEvent event) {
  journal->show(std::move(event));
  co_return;
}

TEST_F(EventLogTest, PiecesWaitForTheEventsThatTheyStandBehind) {
  const auto thread = make_thread(as_alice_);
  write(begin(thread.id), {"values"}, true);
  const auto lease = begin(thread.id);
  const auto journal = make_journal(database_.db(), writer_, log_, lease, {2});
  auto follower = run(log_.follow(as_alice_, thread.id, 0));
  JournalWrite begins;
  begins.events.emplace_back();
  begins.events.back().method = "lifecycle";
  auto writing = io_.start(journal->commit(std::move(begins)));
  io_.run(show_there(journal.get(), piece("m", "Good ", 0, 0)));  // behind the other on its one thread
  writing.get();
  EXPECT_EQ(follow(*follower, 4), (Methods{"values", "end", "lifecycle", "messages"}));
}

TEST_F(EventLogTest, WhatIsKeptForThoseWhoComeLaterIsBounded) {
  EventLog small(database_.db(), "node-1", {.backlog_bytes = 4000, .poll = 1h});
  const auto thread = make_thread(as_alice_);
  const auto lease = begin(thread.id);
  const auto journal = make_journal(database_.db(), writer_, small, lease);
  for (int i = 0; i < 400; ++i) journal->show(piece("m", "0123456789", static_cast<std::size_t>(i) * 10, i));
  auto middle = run(small.follow(as_alice_, thread.id, 0));
  journal->show(piece("m", "end", 4000, 400));
  std::vector<LoggedEvent> all;
  while (all.empty() || all.back().event.data["content"] != "end") {
    for (auto& one : run(middle->next(20s))) all.push_back(std::move(one));
  }
  EXPECT_LT(all.size(), 300u);
  EXPECT_GT(all.size(), 1u);
  // The oldest went: what is there has no gap.
  for (std::size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(all[i].event.data["langgraph"]["piece"], 401 - all.size() + i);
}

TEST_F(EventLogTest, FollowsOnAnotherNode) {
  EventLog elsewhere(database_.db(), "node-2", {.poll = 1h});
  storage::Notifier notifier(database_.url());
  notifier.subscribe(
      [&](std::string_view topic, std::string_view payload) { elsewhere.on_notify(topic, payload); });
  notifier.start();
  log_.start(io_.executor());
  const auto thread = make_thread(as_alice_);
  auto follower = run(elsewhere.follow(as_alice_, thread.id, 0));
  EXPECT_TRUE(run(follower->next(0s)).empty());
  write(begin(thread.id), {"values"}, true);
  EXPECT_EQ(follow(*follower, 2), (Methods{"values", "end"}));
  notifier.stop();
  log_.stop();
}

TEST_F(EventLogTest, FindsWhatNobodyToldItOf) {
  EventLog deaf(database_.db(), "node-2", {.poll = 20ms});
  const auto thread = make_thread(as_alice_);
  auto follower = run(deaf.follow(as_alice_, thread.id, 0));
  write(begin(thread.id), {"values"});
  EXPECT_EQ(follow(*follower, 1), (Methods{"values"}));
}

TEST_F(EventLogTest, TellsNobodyOfOthersEvents) {
  const auto thread = make_thread(as_alice_);
  write(begin(thread.id), {"values"});
  const auto none = std::string(core::error_code(core::ErrorKind::NotFound));
  for (const auto& stranger : {as_bob_, elsewhere_, Reach{other_platform_, alice_}}) {
    EXPECT_EQ(fault_of(log_.follow(stranger, thread.id, 0)), none);
    EXPECT_EQ(fault_of(log_.read(stranger, thread.id, 0, 10)), none);
  }
  EXPECT_EQ(log_.followers(), 0u);
}

class RunQueueTest : public AgentStoreTest {
 protected:
  struct Heard {
    std::mutex mutex;
    std::vector<LeaseNews> news;
    bool has(bool lost, std::optional<std::string> cancel) {
      const std::lock_guard lock(mutex);
      for (const auto& one : news)
        if (one.is_lost == lost && one.cancel_action == cancel) return true;
      return false;
    }
  };
  static LeaseWatch into(std::shared_ptr<Heard> heard) {
    return [heard](LeaseNews news) {
      const std::lock_guard lock(heard->mutex);
      heard->news.push_back(std::move(news));
    };
  }
};

TEST_F(RunQueueTest, KeepsLeasesAndHearsOfCancels) {
  RunQueue queue(database_.db(), runs_, threads_,
                 {.lease = 15s, .renew_every = 20ms, .poll = 1h, .upkeep = 1h});
  queue.start(io_.executor());
  const auto made = make_run(as_alice_), other = make_run(as_alice_);
  const auto lease = claim_one().lease, lost = claim_one().lease;
  const auto heard = std::make_shared<Heard>(), heard_lost = std::make_shared<Heard>();
  const auto until = [&] {
    return database_
        .exec("select lease_until::text as t from agent_run where run_id = $1::uuid", {made.id.str()})[0]
        .text("t");
  };
  const auto before = until();
  queue.hold(lease, into(heard));
  queue.hold(lost, into(heard_lost));
  EXPECT_TRUE(test::eventually([&] { return until() != before; }));
  run(runs_.cancel(as_alice_, made.id, CancelAction::Rollback));
  EXPECT_TRUE(test::eventually([&] { return heard->has(false, "rollback"); }));
  run(runs_.hand_over(lost));
  EXPECT_TRUE(test::eventually([&] { return heard_lost->has(true, std::nullopt); }));
  EXPECT_EQ(queue.held(), 1u);
  queue.release(lease);
  EXPECT_EQ(queue.held(), 0u);
  queue.stop();
}

// However long the database took to give it: its time there has begun meanwhile.
TEST_F(RunQueueTest, ALeaseIsCountedFromBeforeItWasAskedFor) {
  make_run(as_alice_);
  std::future<std::vector<ClaimedRun>> claiming;
  std::future<CreatedRun> creating;
  std::chrono::steady_clock::time_point locked;
  database_.db().execute(storage::Scope::system(), [&](storage::Transaction& tx) {
    tx.exec("lock table agent_run in exclusive mode");
    claiming = io_.start(runs_.claim("node-1", 1));
    auto input = new_run({});
    input.claim_as = "node-1";
    creating = io_.start(runs_.create(as_bob_, std::move(input)));
    run(core::sleep_for(200ms));
    locked = std::chrono::steady_clock::now();
  });
  const auto lease = io_.result(claiming).at(0).lease;
  EXPECT_LT(lease.asked_at, locked);
  EXPECT_LT(io_.result(creating).lease->asked_at, locked);

  // What is not renewed in time, counted from there, is lost.
  RunQueue queue(database_.db(), runs_, threads_,
                 {.lease = 15s, .renew_every = 20ms, .poll = 1h, .upkeep = 1h});
  auto late = lease;
  late.asked_at -= 15s;
  const auto heard = std::make_shared<Heard>(), heard_late = std::make_shared<Heard>();
  database_.db().execute(storage::Scope::system(), [&](storage::Transaction& tx) {
    tx.exec("select 1 from agent_run where run_id = $1::uuid for no key update", {lease.run.str()});
    queue.hold(late, into(heard_late));
    queue.start(io_.executor());
    EXPECT_TRUE(test::eventually([&] { return heard_late->has(true, std::nullopt); }));
    queue.hold(lease, into(heard));
    run(core::sleep_for(100ms));
  });
  EXPECT_FALSE(heard->has(true, std::nullopt));
  queue.stop();
}

TEST_F(RunQueueTest, AFlightThatEndsLateLeavesTheLeaseOfTheNext) {
  RunQueue queue(database_.db(), runs_, threads_, {.poll = 1h, .upkeep = 1h});
  make_run(as_alice_);
  const auto first = claim_one();
  queue.hold(first.lease, [](const LeaseNews&) {});
  outlive_lease(first.run);
  EXPECT_EQ(run(runs_.reap(10)).queued_again, 1u);
  const auto second = claim_one().lease;
  queue.hold(second, [](const LeaseNews&) {});
  queue.release(first.lease);
  EXPECT_EQ(queue.held(), 1u);
  queue.release(second);
  EXPECT_EQ(queue.held(), 0u);
}

TEST_F(RunQueueTest, ACancelOnAnotherNodeIsHeardAtOnce) {
  RunQueue queue(database_.db(), runs_, threads_,
                 {.lease = 15s, .renew_every = 1h, .poll = 1h, .upkeep = 1h});
  storage::Notifier notifier(database_.url());
  notifier.subscribe(
      [&](std::string_view topic, std::string_view payload) { queue.on_notify(topic, payload); });
  notifier.start();
  queue.start(io_.executor());
  const auto made = make_run(as_alice_);
  const auto heard = std::make_shared<Heard>();
  queue.hold(claim_one().lease, into(heard));
  run(runs_.cancel(as_alice_, made.id, CancelAction::Interrupt));
  EXPECT_TRUE(test::eventually([&] { return heard->has(false, "interrupt"); }));
  notifier.stop();
  queue.stop();
}

TEST_F(RunQueueTest, TakesBackWhatOthersHaveLost) {
  const auto made = make_run(as_alice_);
  claim_one("node-that-died");
  outlive_lease(made);
  RunQueue queue(database_.db(), runs_, threads_,
                 {.lease = 15s, .renew_every = 1h, .poll = 1h, .upkeep = 20ms});
  queue.start(io_.executor());
  EXPECT_TRUE(test::eventually([&] { return run(runs_.get(all_, made.id)).status == "pending"; }));
  queue.stop();
  EXPECT_EQ(claim_one().run.attempt, 2);
}

TEST_F(RunQueueTest, WakesWhoWaitsForWork) {
  RunQueue queue(database_.db(), runs_, threads_, {.poll = 1h});
  auto waiting = io_.start(queue.wait_for_work({}));
  queue.on_notify("agent_runs", "node-2");
  EXPECT_TRUE(waiting.get());
}

}  // namespace
}  // namespace assistiv::agents
