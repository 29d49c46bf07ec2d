#include "agents/store/journal_writer.h"

#include <future>

#include "agents/service/run_notices.h"
#include "billing/webhook_events.h"
#include "core/json_read.h"
#include "support/agent_fixture.h"
#include "support/database_gate.h"

namespace assistiv::agents {
namespace {

using core::Json;

class JournalTest : public AgentStoreTest {
 protected:
  ~JournalTest() override { writer_.stop(); }

  ClaimedRun claimed(Reach reach, std::optional<ThreadId> thread = {}) {
    make_run(reach, thread);
    return claim_one();
  }

  JournalWrite step(const pregel::Checkpoint& parent, const pregel::Checkpoint& checkpoint, int events = 2) {
    JournalWrite out;
    out.checkpoints = {row_of(parent, checkpoint)};
    for (int i = 0; i < events; ++i)
      out.events.push_back(event("updates", {{"step", checkpoint.step}, {"i", i}}));
    out.view.emplace();
    out.view->values = pregel::to_json(checkpoint.values);
    out.view->interrupts = Json::object();
    out.view->checkpoint = checkpoint.id;
    return out;
  }

  JournalWrite end_of(JournalWrite write, RunStatus status = RunStatus::Success) {
    write.ends = true;
    if (!write.view) write.view.emplace();
    write.view->status = status;
    return write;
  }

  RunEvent event(std::string method, Json data) {
    RunEvent out;
    out.method = std::move(method);
    out.at = clock_.now();
    out.data = std::move(data);
    return out;
  }

  void expect_no_gaps(ThreadId thread, std::size_t events) {
    const auto all = run(log_.read(all_, thread, 0, 10'000));
    EXPECT_EQ(all.size(), events);
    for (std::size_t i = 0; i < all.size(); ++i)
      EXPECT_EQ(all[i].event.seq, static_cast<std::int64_t>(i + 1));
  }

  EventLog log_{database_.db(), "node-1"};
  int ended_ = 0;
  JournalWriter writer_{database_.db(), {}, log_, [this] { ++ended_; }};
};

TEST_F(JournalTest, AStepIsThereAsAWhole) {
  writer_.start(io_.executor());
  const auto thread = make_thread(as_alice_);
  const auto mine = claimed(as_alice_, thread.id);
  auto journal = make_journal(database_.db(), writer_, log_, mine.lease);
  EXPECT_FALSE(run(journal->load("", "")));

  const auto first = next({}, {{"n", 1}});
  const auto second = next(first, {{"text", std::string("a\0b", 3)}});
  run(journal->commit(step({}, first)));
  auto write = step(first, second);
  write.tasks = {{second.id, "t", Fact::Step, "call", {{"gave", 1}}},
                 {second.id, "t", Fact::Step, "call", {{"gave", 2}}},
                 {second.id, "t", Fact::Started, "other", nullptr}};
  write.totals.tokens = 42;
  run(journal->commit(write));

  const auto head = run(journal->load("", ""));
  ASSERT_TRUE(head);
  EXPECT_EQ(head->checkpoint.id, second.id);
  EXPECT_EQ(pregel::to_json(head->checkpoint.values), (Json{{"n", 1}, {"text", std::string("a\0b", 3)}}));
  EXPECT_EQ(head->pending.tasks.at("t").steps.at("call").json(), (Json{{"gave", 2}}));
  EXPECT_TRUE(head->pending.tasks.at("t").started.contains("other"));
  EXPECT_EQ(run(journal->load("", first.id))->checkpoint.values.size(), 1u);
  const auto seen = run(runs_.get(as_alice_, mine.run.id));
  EXPECT_EQ(seen.status, "running");
  EXPECT_EQ(totals_of(seen.usage).tokens, 42);
  expect_no_gaps(thread.id, 4);
}

TEST_F(JournalTest, TheEndSettlesRunAndThread) {
  writer_.start(io_.executor());
  const auto thread = make_thread(as_alice_);
  const auto first = claimed(as_alice_, thread.id);
  const auto waiting = make_run(as_alice_, thread.id);
  auto journal = make_journal(database_.db(), writer_, log_, first.lease);
  const auto state = next({}, {{"n", 1}});
  auto parked = end_of(step({}, state), RunStatus::Interrupted);
  parked.view->interrupts = {{"task", {{{"id", "i"}, {"value", "sure?"}}}}};
  run(journal->commit(parked));
  EXPECT_EQ(ended_, 1);
  EXPECT_EQ(run(runs_.get(as_alice_, first.run.id)).status, "interrupted");
  auto seen = run(threads_.get(as_alice_, thread.id));
  EXPECT_EQ(seen.status, "busy");  // another one waits
  EXPECT_EQ(seen.values, (Json{{"n", 1}}));
  EXPECT_EQ(seen.interrupts, parked.view->interrupts);

  const auto second = claim_one();
  EXPECT_EQ(second.run.id, waiting.id);
  auto failing = make_journal(database_.db(), writer_, log_, second.lease);
  auto failed = end_of({}, RunStatus::Error);
  failed.view->error_code = "boom";
  failed.view->error_message = "it went";
  run(failing->commit(failed));
  const auto over = run(runs_.get(as_alice_, waiting.id));
  EXPECT_EQ(over.status, "error");
  EXPECT_EQ(over.error, (Json{{"error", "boom"}, {"message", "it went"}}));
  seen = run(threads_.get(as_alice_, thread.id));
  EXPECT_EQ(seen.status, "interrupted") << "it has answered nothing";
  EXPECT_EQ(seen.error.at("error"), "boom");
  // Each run is closed by an event, whoever ended it.
  const auto all = run(log_.read(as_alice_, thread.id, 0, 100));
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[2].event.method, "end");
  EXPECT_EQ(all[3].event.method, "end");
  EXPECT_EQ(all[3].event.data.at("status"), "error");
  // What is over takes nothing more.
  EXPECT_EQ(fault_of(failing->commit(step(state, next(state, {{"n", 2}})))),
            core::error_code(core::ErrorKind::Conflict));
  EXPECT_EQ(count("agent_checkpoint"), 1);
}

TEST_F(JournalTest, QuestionsAreOfTheHead) {
  writer_.start(io_.executor());
  const auto state = next({}, {{"n", 1}});
  const auto park = [&](ThreadId thread) {
    auto parked = end_of(step({}, state), RunStatus::Interrupted);
    parked.view->interrupts = {{"task", {{{"id", "i"}, {"value", "sure?"}}}}};
    run(make_journal(database_.db(), writer_, log_, claimed(as_alice_, thread).lease)->commit(parked));
  };
  const auto thread = make_thread(as_alice_).id, other = make_thread(as_alice_).id;
  park(thread);
  const auto second = claimed(as_alice_, thread);
  auto onward = step(state, next(state, {{"n", 2}}));
  onward.view.reset();
  run(make_journal(database_.db(), writer_, log_, second.lease)->commit(onward));
  EXPECT_EQ(run(threads_.get(as_alice_, thread)).interrupts, Json::object()) << "the head has moved";
  run(runs_.cancel(as_alice_, second.run.id, CancelAction::Interrupt));
  outlive_lease(second.run);
  EXPECT_EQ(run(runs_.reap(10)).cancelled, 1u);
  EXPECT_EQ(run(threads_.get(as_alice_, thread)).status, "idle");

  park(other);
  auto failed = end_of({}, RunStatus::Error);
  failed.view->error_code = "boom";
  failed.tasks = {{state.id, "", Fact::Answer, "i", "no good"}};
  run(make_journal(database_.db(), writer_, log_, claimed(as_alice_, other).lease)->commit(failed));
  const auto seen = run(threads_.get(as_alice_, other));
  EXPECT_EQ(seen.status, "error") << "its answer made it fail";
  EXPECT_EQ(seen.interrupts.size(), 1u);
}

TEST_F(JournalTest, AnOwnerThatWasPausedWritesNothing) {
  writer_.start(io_.executor());
  const auto thread = make_thread(as_alice_);
  const auto old = claimed(as_alice_, thread.id);
  auto paused = make_journal(database_.db(), writer_, log_, old.lease);
  const auto first = next({}, {{"n", 1}});
  run(paused->commit(step({}, first)));
  outlive_lease(old.run);
  run(runs_.reap(10));
  const auto fenced = std::string(core::error_code(core::ErrorKind::Conflict));
  EXPECT_EQ(fault_of(paused->commit(step(first, next(first, {{"n", 666}})))), fenced);

  const auto again = claim_one("node-1");  // even under the same name
  auto journal = make_journal(database_.db(), writer_, log_, again.lease);
  EXPECT_EQ(fault_of(paused->commit(end_of({}))), fenced);
  const auto found = run(journal->load("", ""));
  EXPECT_EQ(found->checkpoint.id, first.id);
  const auto second = next(first, {{"n", 2}});
  run(journal->commit(end_of(step(first, second))));
  EXPECT_EQ(fault_of(paused->commit(step(first, next(first, {{"n", 666}})))), fenced);
  EXPECT_EQ(values_of(as_alice_, thread.id), (Json{{"n", 2}}));
  expect_no_gaps(thread.id, 5);
}

// A run says how it stands at its end only; its process may die before.
TEST_F(JournalTest, ARunIsTakenUpAgainWhereItsLastWriteStands) {
  writer_.start(io_.executor());
  const auto thread = make_thread(as_alice_);
  const auto lost = claimed(as_alice_, thread.id);
  const auto first = next({}, {{"n", 1}});
  auto inner = next(first, {{"n", 2}});
  inner.ns = "sub:1";
  auto write = step({}, first);
  write.checkpoints.push_back(row_of({}, inner));
  write.view.reset();
  run(make_journal(database_.db(), writer_, log_, lost.lease)->commit(std::move(write)));
  outlive_lease(lost.run);
  EXPECT_EQ(run(runs_.reap(10)).queued_again, 1u);
  const auto again = claim_one("node-2");
  const auto head = run(make_journal(database_.db(), writer_, log_, again.lease)->load("", ""));
  ASSERT_TRUE(head);
  EXPECT_EQ(head->checkpoint.id, first.id);
}

TEST_F(JournalTest, SeveralRunsShareACommit) {
  std::vector<std::future<JournalWriter::Receipt>> receipts;
  std::vector<ThreadId> threads;
  for (int i = 0; i < 24; ++i) {
    const auto mine = claimed(i % 2 == 0 ? as_alice_ : elsewhere_);
    threads.push_back(mine.run.thread);
    receipts.push_back(io_.start(writer_.append(mine.lease, end_of(step({}, next({}, {{"i", i}}))))));
  }
  writer_.start(io_.executor());
  for (auto& one : receipts) {
    const auto receipt = one.get();
    EXPECT_TRUE(receipt.applied);
    EXPECT_EQ(receipt.last_seq, 3);
  }
  EXPECT_EQ(count("(select distinct xmin::text from agent_checkpoint) x"), 1);
  EXPECT_EQ(values_of(elsewhere_, threads[1]), (Json{{"i", 1}}));
}

TEST_F(JournalTest, WhatCannotBeWrittenTakesNoOtherWithIt) {
  const auto good = claimed(as_alice_), bad = claimed(as_bob_);
  auto refused = step({}, next({}, {{"n", 1}}));
  refused.events[0].node = std::string("a\0b", 3);
  auto first = io_.start(writer_.append(good.lease, step({}, next({}, {{"n", 1}}))));
  auto second = io_.start(writer_.append(bad.lease, refused));
  writer_.start(io_.executor());
  EXPECT_TRUE(first.get().applied);
  EXPECT_THROW(second.get(), core::Error);
  // Its run may still say how it ended.
  EXPECT_TRUE(run(writer_.append(bad.lease, end_of({}, RunStatus::Error))).applied);
}

TEST_F(JournalTest, AWriteKeepsTheLease) {
  writer_.start(io_.executor());
  const auto mine = claimed(as_alice_);
  outlive_lease(mine.run);
  EXPECT_TRUE(run(writer_.append(mine.lease, step({}, next({}, {{"n", 1}})))).applied);
  EXPECT_EQ(run(runs_.reap(10)).queued_again, 0u);
  EXPECT_EQ(count("agent_run where lease_until > now()"), 1);
}

TEST_F(JournalTest, WhatIsTooLargeIsRefusedBeforeItIsWritten) {
  JournalWriter writer(database_.db(), {.append_bytes_max = 10'000}, log_, {});
  writer.start(io_.executor());
  const auto mine = claimed(as_alice_);
  const auto first = next({}, {{"n", 1}});
  EXPECT_TRUE(run(writer.append(mine.lease, step({}, first))).applied);
  std::string code;
  try {
    run(writer.append(mine.lease, step(first, next(first, {{"text", std::string(10'000, 'x')}}))));
  } catch (const core::Error& e) {
    code = e.code();
  }
  EXPECT_EQ(code, "STATE_TOO_LARGE");
  EXPECT_TRUE(run(writer.append(mine.lease, end_of({}, RunStatus::Error))).applied);
  EXPECT_EQ(run(runs_.get(all_, mine.run.id)).status, "error");
  writer.stop();
}

TEST_F(JournalTest, LargeWritesHaveTransactionsOfTheirOwn) {
  JournalWriter writer(database_.db(), {.writers = 1, .batch_bytes_max = 10'000}, log_, {});
  std::vector<std::future<JournalWriter::Receipt>> receipts;
  for (int i = 0; i < 6; ++i) {
    const auto mine = claimed(as_alice_);
    const std::string text(i < 3 ? 10'000 : 10, 'x');
    receipts.push_back(io_.start(writer.append(mine.lease, end_of(step({}, next({}, {{"text", text}}))))));
  }
  writer.start(io_.executor());
  for (auto& one : receipts) EXPECT_TRUE(one.get().applied);
  EXPECT_EQ(count("(select distinct xmin::text from agent_checkpoint) x"), 4);
  writer.stop();
}

TEST_F(JournalTest, EventsHaveNoGapsWhoeverWritesThem) {
  writer_.start(io_.executor());
  const auto thread = make_thread(as_alice_);
  const auto mine = claimed(as_alice_, thread.id);
  std::vector<agents::Run> waiting;
  for (int i = 0; i < 10; ++i) waiting.push_back(make_run(as_alice_, thread.id));
  std::vector<std::future<std::optional<agents::Run>>> cancels;
  for (const auto& one : waiting)
    cancels.push_back(io_.start(runs_.cancel(as_alice_, one.id, CancelAction::Interrupt)));
  auto journal = make_journal(database_.db(), writer_, log_, mine.lease);
  pregel::Checkpoint at;
  for (int i = 0; i < 10; ++i) {
    auto after = next(at, {{"n", i}});
    run(journal->commit(step(at, after, 3)));
    at = std::move(after);
  }
  for (auto& one : cancels) one.get();
  expect_no_gaps(thread.id, 40);
}

class JournalInDoubtTest : public JournalTest, public ::testing::WithParamInterface<test::Cut> {};

TEST_P(JournalInDoubtTest, ACommitInDoubtIsMadeOnce) {
  test::DatabaseGate gate(database_.url());
  storage::Database through({.url = gate.url(), .connections = 2});
  JournalWriter writer(through, {}, log_, {});
  writer.start(io_.executor());
  const auto thread = make_thread(as_alice_);
  const auto mine = claimed(as_alice_, thread.id);
  const auto first = next({}, {{"n", 1}}), second = next(first, {{"n", 2}});
  EXPECT_TRUE(run(writer.append(mine.lease, step({}, first))).applied);
  gate.cut_once("commit", GetParam());
  EXPECT_TRUE(run(writer.append(mine.lease, step(first, second))).applied);
  gate.cut_once("commit", GetParam());
  EXPECT_TRUE(run(writer.append(mine.lease, end_of({}))).applied);
  expect_no_gaps(thread.id, 5);
  EXPECT_EQ(count("agent_checkpoint"), 2);
  EXPECT_EQ(run(runs_.get(all_, mine.run.id)).status, "success");
  writer.stop();
}

INSTANTIATE_TEST_SUITE_P(Cuts, JournalInDoubtTest,
                         ::testing::Values(test::Cut::BeforeServer, test::Cut::AfterServer));

// What platforms are told of ends (agents/service/run_notices.h).
class RunNoticesTest : public JournalTest {
 protected:
  static constexpr const char* kUrl = "https://hooks.example/runs";

  ~RunNoticesTest() override { telling_.stop(); }

  billing::WebhookId endpoint(const std::string& url, std::vector<std::string> events) {
    const auto id = billing::WebhookId::make(clock_, random_);
    database_.db().execute(storage::Scope::tenant(platform_), [&](storage::Transaction& tx) {
      hooks_.create(tx, platform_, id, {url, "", events}, "sealed");
    });
    return id;
  }
  ClaimedRun begun(const std::optional<std::string>& webhook) {
    auto input = new_run(make_thread(as_alice_).id);
    input.webhook = webhook;
    input.kwargs = {{"config", {{"configurable", {{"graph_id", "helper"}}}}}, {"input", {{"n", "a secret"}}}};
    run(runs_.create(as_alice_, std::move(input)));
    return claim_one();
  }
  JournalWrite last_write() {
    auto out = end_of(step({}, next({}, {{"n", "a secret"}})));
    out.totals.tokens = 42;
    out.totals.cost_nano_usd = 1'500'000;
    return out;
  }
  std::int64_t deliveries_to(billing::WebhookId id) {
    return count("webhook_delivery where endpoint_id = '" + id.str() + "'");
  }

  billing::WebhookStore hooks_{clock_, random_};
  billing::WebhookEvents outbox_{hooks_};
  RunNotices notices_{outbox_};
  RunEndHook hook_{[this](storage::Transaction& tx, const EndedRun& ended) { notices_.note(tx, ended); }};
  JournalWriter telling_{database_.db(), {}, log_, [this] { ++ended_; }, hook_};
};

TEST_F(RunNoticesTest, AnEndIsToldOnceToWhoChoseItAndToTheRunsOwnWebhook) {
  telling_.start(io_.executor());
  const auto chosen = endpoint("https://hooks.example/all", {"agent.run.completed"});
  const auto named = endpoint(kUrl, {"budget.suspended"});
  const auto other = endpoint("https://hooks.example/other", {"budget.suspended"});
  const auto mine = begun(kUrl);
  auto journal = make_journal(database_.db(), telling_, log_, mine.lease);
  run(journal->commit(last_write()));
  // What comes late ends nothing.
  EXPECT_EQ(fault_of(journal->commit(last_write())), core::error_code(core::ErrorKind::Conflict));

  const auto rows = database_.exec("select event_id, event_type, payload from webhook_message");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].text("event_id"), mine.run.id.str() + ":agent.run.completed");
  EXPECT_EQ(rows[0].text("event_type"), "agent.run.completed");
  EXPECT_EQ(deliveries_to(chosen), 1);
  EXPECT_EQ(deliveries_to(named), 1);
  EXPECT_EQ(deliveries_to(other), 0);
  const auto payload = rows[0].text("payload");
  EXPECT_EQ(payload.find("a secret"), std::string::npos) << payload;
  const auto data = core::parse_json(payload).at("data");
  EXPECT_EQ(data.at("run_id"), mine.run.id.str());
  EXPECT_EQ(data.at("thread_id"), mine.run.thread.str());
  EXPECT_EQ(data.at("agent"), "helper");
  EXPECT_EQ(data.at("agent_version"), 1);
  EXPECT_EQ(data.at("end_user_id"), alice_.str());
  EXPECT_EQ(data.at("status"), "success");
  EXPECT_EQ(data.at("error"), nullptr);
  EXPECT_EQ(data.at("usage").at("tokens"), 42);
  EXPECT_EQ(data.at("usage").at("cost_usd"), "0.0015");
  EXPECT_TRUE(data.at("started_at").is_string());
  EXPECT_TRUE(data.at("ended_at").is_string());
}

TEST_F(RunNoticesTest, WhatNobodyListensToIsNotWritten) {
  telling_.start(io_.executor());
  endpoint(kUrl, {"budget.suspended"});
  const auto mine = begun({});
  run(make_journal(database_.db(), telling_, log_, mine.lease)->commit(last_write()));
  EXPECT_EQ(run(runs_.get(as_alice_, mine.run.id)).status, "success");
  EXPECT_EQ(count("webhook_message"), 0);
}

TEST_F(RunNoticesTest, TheMessageIsThereExactlyWhenTheEndIs) {
  endpoint(kUrl, {"agent.run.completed"});
  const auto mine = begun(kUrl);
  EXPECT_THROW(database_.db().execute(storage::Scope::system(),
                                      [&](storage::Transaction& tx) {
                                        end_runs(tx, {{platform_, mine.run.id, "success", nullptr}}, hook_);
                                        throw core::internal("by the test");
                                      }),
               core::Error);
  EXPECT_EQ(run(runs_.get(as_alice_, mine.run.id)).status, "running");
  EXPECT_EQ(count("webhook_message"), 0);
  database_.db().execute(storage::Scope::system(), [&](storage::Transaction& tx) {
    end_runs(tx, {{platform_, mine.run.id, "success", nullptr}}, hook_);
  });
  EXPECT_EQ(count("webhook_message"), 1);
  EXPECT_EQ(count("webhook_delivery"), 1);
}

// The rollback was promised before the run had come to its end.
TEST_F(RunNoticesTest, ARollbackThatCameJustBeforeTheEndIsDone) {
  telling_.start(io_.executor());
  endpoint(kUrl, {"agent.run.completed"});
  const auto before = next({}, {{"n", 1}});
  const auto thread = make_thread(as_alice_);
  run(make_journal(database_.db(), telling_, log_, claimed(as_alice_, thread.id).lease)
          ->commit(end_of(step({}, before))));
  ASSERT_EQ(count("webhook_message"), 1);
  for (const auto status : {RunStatus::Success, RunStatus::Error, RunStatus::Interrupted}) {
    for (const bool by_strategy : {false, true}) {
      const auto mine = claimed(as_alice_, thread.id);
      auto journal = make_journal(database_.db(), telling_, log_, mine.lease);
      const auto middle = next(before, {{"n", 2}});
      run(journal->commit(step(before, middle)));
      if (by_strategy) {
        make_run(as_alice_, thread.id, "rollback");
      } else {
        EXPECT_EQ(run(runs_.cancel(as_alice_, mine.run.id, CancelAction::Rollback))->status, "running");
      }
      auto last = end_of(step(middle, next(middle, {{"n", 3}})), status);
      last.view->error_code = status == RunStatus::Error ? "boom" : "";
      if (status == RunStatus::Interrupted)
        last.view->interrupts = {{"task", {{{"id", "i"}, {"value", "sure?"}}}}};
      EXPECT_EQ(fault_of(journal->commit(last)), core::error_code(core::ErrorKind::Conflict))
          << "its executor must not tell of an end";
      EXPECT_EQ(fault_of(runs_.get(as_alice_, mine.run.id)), core::error_code(core::ErrorKind::NotFound));
      const auto seen = run(threads_.get(as_alice_, thread.id));
      EXPECT_EQ(seen.values, (Json{{"n", 1}}));
      EXPECT_EQ(seen.interrupts, Json::object());
      EXPECT_EQ(seen.status, by_strategy ? "busy" : "idle");
      EXPECT_TRUE(seen.error.is_null()) << seen.error.dump();
      EXPECT_EQ(count("agent_checkpoint"), 1);
      if (!by_strategy) continue;
      const auto fresh = claim_one();
      EXPECT_EQ(fresh.run.base_head->str(), before.id);
      run(make_journal(database_.db(), telling_, log_, fresh.lease)->commit(end_of({})));
      run(runs_.remove(as_alice_, fresh.run.id));
    }
  }
  EXPECT_EQ(count("webhook_message"), 4) << "only of what stayed";
}

TEST_F(RunNoticesTest, ARunThatIsRolledBackIsToldToNobody) {
  endpoint(kUrl, {"agent.run.completed"});
  RunStore telling{database_.db(), clock_, random_, {}, {}, hook_};
  auto input = new_run(make_thread(as_alice_).id);
  input.webhook = kUrl;
  const auto first = run(telling.create(as_alice_, input)).run;
  EXPECT_FALSE(run(telling.cancel(as_alice_, first.id, CancelAction::Rollback)));
  EXPECT_EQ(count("webhook_message"), 0);
  const auto second = run(telling.create(as_alice_, input)).run;
  run(telling.cancel(as_alice_, second.id, CancelAction::Interrupt));
  ASSERT_EQ(count("webhook_message"), 1);
  EXPECT_EQ(count("webhook_message where event_id = '" + second.id.str() + ":agent.run.completed'"), 1);
}

}  // namespace
}  // namespace assistiv::agents
