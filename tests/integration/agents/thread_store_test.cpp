#include "agents/store/thread_store.h"

#include <future>

#include "support/agent_fixture.h"

namespace assistiv::agents {
namespace {

using core::Json;

class ThreadStoreTest : public AgentStoreTest {};

TEST_F(ThreadStoreTest, KeepsWhatItWasGiven) {
  NewThread input;
  input.id = ThreadId::make(clock_, random_);
  input.metadata = {{"graph_id", "triage"}, {"n", 1.5}};
  input.ttl = ThreadTtl{60, "keep_latest"};
  const auto made = run(threads_.create(as_alice_, input));
  EXPECT_EQ(made.id, *input.id);
  EXPECT_EQ(made.end_user, alice_);
  EXPECT_EQ(made.status, "idle");
  EXPECT_TRUE(made.values.is_null());
  EXPECT_EQ(run(threads_.get(as_alice_, made.id)).metadata, input.metadata);
  EXPECT_EQ(run(threads_.get(all_, made.id)).ttl->minutes, 60);

  EXPECT_EQ(fault_of(threads_.create(as_alice_, input)), core::error_code(core::ErrorKind::Conflict));
  input.existing_is_fine = true;
  EXPECT_EQ(run(threads_.create(as_alice_, input)).id, made.id);

  const auto changed =
      run(threads_.update(as_alice_, made.id, {.metadata = {{"n", 2}, {"new", true}}, .ttl = {}}));
  EXPECT_EQ(changed.metadata, (Json{{"graph_id", "triage"}, {"n", 2}, {"new", true}}));
}

TEST_F(ThreadStoreTest, MetadataDoNotGrowForEver) {
  const auto too_large = std::string(core::error_code(core::ErrorKind::PayloadTooLarge));
  const std::string half(40'000, 'h');
  EXPECT_EQ(fault_of(threads_.create(as_alice_, {.metadata = {{"a", half}, {"b", half}}})), too_large);
  const auto merge = [&](ThreadId id, Json metadata) {
    return threads_.update(as_alice_, id, {.metadata = std::move(metadata), .ttl = {}});
  };
  const auto thread = make_thread(as_alice_, {{"a", half}}).id;
  EXPECT_EQ(fault_of(merge(thread, {{"b", half}})), too_large);
  EXPECT_EQ(run(threads_.get(as_alice_, thread)).metadata, (Json{{"a", half}}));
  run(merge(thread, {{"a", "small"}, {"b", half}}));
  // What is too large from before may shrink, and grows no more.
  database_.exec(
      "update agent_thread set metadata = metadata || jsonb_build_object('c', repeat('c', 70000))");
  EXPECT_EQ(fault_of(merge(thread, {{"d", 1}})), too_large);
  EXPECT_EQ(run(merge(thread, {{"b", "small"}})).metadata.size(), 3u);

  // Two at once: each would fit alone.
  const auto other = make_thread(as_alice_).id;
  std::vector<std::future<Thread>> both;
  for (const char* name : {"a", "b"}) both.push_back(io_.start(merge(other, {{name, half}})));
  int refused = 0;
  for (auto& one : both) {
    try {
      one.get();
    } catch (const core::Error&) {
      ++refused;
    }
  }
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(run(threads_.get(as_alice_, other)).metadata.size(), 1u);
}

TEST_F(ThreadStoreTest, TellsNobodyOfOthersThreads) {
  const auto thread = make_thread(as_alice_, {{"a", 1}});
  put_states(as_alice_, thread.id, {{{"k", 1}}});
  const auto none = std::string(core::error_code(core::ErrorKind::NotFound));
  for (const auto& stranger : {as_bob_, elsewhere_, Reach{other_platform_, alice_}}) {
    EXPECT_EQ(fault_of(threads_.get(stranger, thread.id)), none);
    EXPECT_EQ(fault_of(threads_.update(stranger, thread.id, {.metadata = {{"a", 2}}, .ttl = {}})), none);
    EXPECT_EQ(fault_of(threads_.remove(stranger, thread.id)), none);
    EXPECT_EQ(fault_of(threads_.copy(stranger, thread.id)), none);
    EXPECT_EQ(fault_of(threads_.state(stranger, thread.id, "", {})), none);
    EXPECT_EQ(fault_of(threads_.history(stranger, thread.id, {})), none);
    EXPECT_EQ(fault_of(threads_.update_state(stranger, thread.id, {})), none);
    EXPECT_EQ(run(threads_.prune(stranger, {thread.id}, "delete")), 0);
    EXPECT_EQ(run(threads_.search(stranger, {})).total, 0);
    ThreadSearch by_id;
    by_id.ids = {thread.id};
    EXPECT_EQ(run(threads_.count(stranger, by_id)), 0);
  }
  // The id is free in another platform, and taken in this one, also for who does not see it.
  NewThread same{.id = thread.id};
  EXPECT_EQ(fault_of(threads_.create(elsewhere_, same)), "");
  same.existing_is_fine = true;
  EXPECT_EQ(fault_of(threads_.create(as_bob_, same)), core::error_code(core::ErrorKind::Conflict));
  EXPECT_EQ(run(threads_.get(as_alice_, thread.id)).metadata, (Json{{"a", 1}}));
}

TEST_F(ThreadStoreTest, FindsByContentStatusAndId) {
  const auto one = make_thread(as_alice_, {{"team", "red"}, {"tags", {"x", "y"}}, {"ok", true}});
  const auto two = make_thread(as_bob_, {{"team", "blue"}, {"ok", "true"}});
  const auto three = make_thread(all_, {{"team", "red"}});
  put_states(all_, two.id, {{{"city", "Oslo"}, {"text", std::string("a\0b", 3)}}});

  const auto ids = [&](const Reach& reach, ThreadSearch query) {
    std::vector<ThreadId> out;
    for (const auto& thread : run(threads_.search(reach, query)).threads) out.push_back(thread.id);
    return out;
  };
  using Ids = std::vector<ThreadId>;
  const auto ascending = [](ThreadSearch query) {
    query.ascending = true;
    query.sort_by = "thread_id";
    return query;
  };
  EXPECT_EQ(ids(all_, ascending({.metadata = {{"team", "red"}}})), (Ids{one.id, three.id}));
  EXPECT_EQ(ids(as_alice_, {.metadata = {{"team", "red"}}}), (Ids{one.id}));
  EXPECT_EQ(ids(all_, {.metadata = {{"tags", {"y"}}}}), (Ids{one.id}));
  EXPECT_EQ(ids(all_, {.metadata = {{"ok", true}}}), (Ids{one.id}));
  EXPECT_EQ(ids(all_, {.values = {{"city", "Oslo"}}}), (Ids{two.id}));
  EXPECT_EQ(ids(all_, {.ids = {three.id}}), (Ids{three.id}));
  EXPECT_EQ(ids(all_, {.metadata = {{"a') or true --", "' or 1=1"}}}), (Ids{}));
  EXPECT_EQ(ids(all_, {.status = "' or true"}), (Ids{}));
  EXPECT_EQ(fault_of(threads_.search(all_, {.sort_by = "created_at; drop table agent_thread"})),
            core::error_code(core::ErrorKind::InvalidArgument));

  ThreadSearch second = ascending({});
  second.limit = second.offset = 1;
  EXPECT_EQ(ids(all_, second), (Ids{two.id}));
  EXPECT_EQ(run(threads_.search(all_, second)).total, 3);
}

TEST_F(ThreadStoreTest, GivesEveryStateBackAsItWas) {
  const auto thread = make_thread(as_alice_);
  EXPECT_TRUE(values_of(as_alice_, thread.id).is_null());
  const std::string big(10'000, 'x');
  const std::vector<Json> steps = {
      {{"docs", {big, big}}, {"zero", -0.0}, {"one", 1}, {"nul", std::string("a\0b", 3)}},
      {{"docs", {big, big, "tail"}}, {"one", 1.5}},
      {{"huge", 18446744073709551615ULL}, {"nested", {{"a", {{"b", big}}}, {"/~", big}}}},
      {{"docs", {"other"}}}};
  std::vector<pregel::Checkpoint> made;
  pregel::Checkpoint head;
  for (const auto& values : steps) {
    head = put_states(as_alice_, thread.id, {values}, head);
    made.push_back(head);
  }
  for (const auto& one : made) {
    const auto stored = run(threads_.state(as_alice_, thread.id, "", CheckpointId::of(one.id)));
    ASSERT_TRUE(stored);
    EXPECT_TRUE(pregel::encode(stored->checkpoint, {}).dump() == pregel::encode(one, {}).dump()) << one.step;
  }
  const auto history = run(threads_.history(as_alice_, thread.id, {.metadata = {{"step", 0}}, .limit = 5}));
  ASSERT_EQ(history.states.size(), 1u);
  EXPECT_EQ(history.states[0].checkpoint.id, made[1].id);
  const auto newest =
      run(threads_.history(as_alice_, thread.id, {.before = CheckpointId::of(head.id), .limit = 1}));
  ASSERT_EQ(newest.states.size(), 1u);
  EXPECT_EQ(newest.states[0].checkpoint.id, made[2].id);
  EXPECT_EQ(run(threads_.get(as_alice_, thread.id)).values.dump(), pregel::to_json(head.values).dump());
  // The same content stands once.
  EXPECT_LE(database_.exec("select coalesce(sum(length(body)), 0) as n from agent_blob")[0].integer("n"),
            70'000);
}

// What does not fit into a reply is on the next page (reply_page_store_test.cpp).
TEST_F(ThreadStoreTest, PagesEndWhereAReplyDoes) {
  std::vector<ThreadId> made;
  for (int i = 0; i < 5; ++i) made.push_back(make_thread(as_alice_).id);
  database_.exec(
      "update agent_thread set state_values = json_build_object('k', repeat('x', 17000000))::text where "
      "thread_id = $1::uuid",
      {made[2].str()});
  ThreadSearch query;
  query.limit = 100;
  query.sort_by = "thread_id";  // the newest first
  const auto ids = [&](int offset) {
    query.offset = offset;
    const auto page = run(threads_.search(as_alice_, query));
    EXPECT_EQ(page.total, 5);
    std::vector<ThreadId> out;
    for (const auto& thread : page.threads) out.push_back(thread.id);
    return out;
  };
  EXPECT_EQ(ids(0), (std::vector<ThreadId>{made[4], made[3]}));
  EXPECT_EQ(ids(3), (std::vector<ThreadId>{made[1], made[0]}));
  query.with_values = false;
  EXPECT_EQ(ids(0).size(), 5u);
}

TEST_F(ThreadStoreTest, AHistoryGoesOnWhereAReplyEnds) {
  const auto thread = make_thread(as_alice_);
  const Json half(std::vector<int>(950'000, 0));  // a number counts 8 bytes
  const auto head = put_states(as_alice_, thread.id, {{{"half", half}}, {{"n", 1}}});
  const auto newest = run(threads_.history(as_alice_, thread.id, {.limit = 100}));
  ASSERT_EQ(newest.states.size(), 1u);
  EXPECT_EQ(newest.states[0].checkpoint.id, head.id);
  EXPECT_TRUE(newest.more);
  const auto older =
      run(threads_.history(as_alice_, thread.id, {.before = CheckpointId::of(head.id), .limit = 100}));
  ASSERT_EQ(older.states.size(), 1u);
  EXPECT_EQ(older.states[0].checkpoint.id, head.parent);
  EXPECT_FALSE(older.more);
}

TEST_F(ThreadStoreTest, CopiesAreOfTheirOwn) {
  const auto thread = make_thread(as_alice_, {{"a", 1}});
  const auto head = put_states(as_alice_, thread.id, {{{"k", std::string(9000, 'k')}}, {{"n", 2}}});
  const auto copy = run(threads_.copy(as_alice_, thread.id));
  EXPECT_NE(copy.id, thread.id);
  EXPECT_EQ(copy.end_user, alice_);
  EXPECT_EQ(copy.metadata, thread.metadata);
  put_states(as_alice_, copy.id, {{{"n", 3}}}, head);
  run(threads_.remove(as_alice_, thread.id));
  EXPECT_EQ(values_of(as_alice_, copy.id).at("n"), 3);
  EXPECT_EQ(values_of(as_alice_, copy.id).at("k").get<std::string>().size(), 9000u);
  EXPECT_EQ(run(threads_.history(as_alice_, copy.id, {})).states.size(), 3u);
}

TEST_F(ThreadStoreTest, PruningKeepsTheNewestState) {
  const auto thread = make_thread(as_alice_);
  const auto head =
      put_states(as_alice_, thread.id, {{{"a", std::string(9000, 'a')}}, {{"b", 2}}, {{"c", 3}}});
  const auto before = values_of(as_alice_, thread.id);
  EXPECT_EQ(run(threads_.prune(as_alice_, {thread.id}, "keep_latest")), 1);
  EXPECT_EQ(values_of(as_alice_, thread.id), before);
  EXPECT_EQ(count("agent_checkpoint"), 1);
  EXPECT_EQ(count("agent_blob"), 1);
  // What comes after stands on it.
  put_states(as_alice_, thread.id, {{{"d", 4}}}, head);
  EXPECT_EQ(values_of(as_alice_, thread.id).at("b"), 2);

  make_run(as_alice_, thread.id);
  EXPECT_EQ(run(threads_.prune(as_alice_, {thread.id}, "delete")), 0);
}

TEST_F(ThreadStoreTest, DeletingLeavesNothing) {
  const auto thread = make_thread(as_alice_);
  put_states(as_alice_, thread.id, {{{"a", std::string(9000, 'a')}}});
  const auto made = make_run(as_alice_, thread.id);
  run(runs_.cancel(as_alice_, made.id, CancelAction::Interrupt));
  StateUpdate tasks;
  tasks.tasks = {{ids_.next("", 0), "task", Fact::Step, "call", Json{{"gave", 1}}}};
  run(threads_.update_state(as_alice_, thread.id, tasks));
  for (const char* table : {"agent_run", "agent_checkpoint", "agent_blob", "agent_task", "agent_event"})
    EXPECT_GT(count(table), 0) << table;
  run(threads_.remove(as_alice_, thread.id));
  for (const char* table :
       {"agent_thread", "agent_run", "agent_checkpoint", "agent_blob", "agent_task", "agent_event"})
    EXPECT_EQ(count(table), 0) << table;
}

TEST_F(ThreadStoreTest, GoesWithItsEndUser) {
  const auto thread = make_thread(as_alice_);
  put_states(as_alice_, thread.id, {{{"a", std::string(9000, 'a')}}});
  database_.exec("delete from end_user where end_user_id = $1::uuid", {alice_.str()});
  for (const char* table : {"agent_thread", "agent_checkpoint", "agent_blob"})
    EXPECT_EQ(count(table), 0) << table;
}

TEST_F(ThreadStoreTest, TtlDeletesOrKeepsTheNewest) {
  NewThread input;
  input.ttl = ThreadTtl{5, "delete"};
  const auto goes = run(threads_.create(as_alice_, input));
  input.ttl->strategy = "keep_latest";
  const auto shrinks = run(threads_.create(as_alice_, input));
  put_states(as_alice_, shrinks.id, {{{"a", 1}}, {{"b", 2}}});
  const auto busy = run(threads_.create(as_alice_, input));
  make_run(as_alice_, busy.id);
  EXPECT_EQ(run(threads_.sweep(100)), 0u);
  database_.exec("update agent_thread set expires_at = now() - interval '1 second'");
  EXPECT_EQ(run(threads_.sweep(100)), 2u);
  EXPECT_EQ(fault_of(threads_.get(as_alice_, goes.id)), core::error_code(core::ErrorKind::NotFound));
  EXPECT_EQ(values_of(as_alice_, shrinks.id), (Json{{"a", 1}, {"b", 2}}));
  EXPECT_EQ(run(threads_.history(as_alice_, shrinks.id, {})).states.size(), 1u);
  EXPECT_EQ(run(threads_.get(as_alice_, busy.id)).status, "busy");
  EXPECT_EQ(run(threads_.sweep(100)), 0u);
}

TEST_F(ThreadStoreTest, StateIsNotChangedUnderARun) {
  const auto thread = make_thread(as_alice_);
  make_run(as_alice_, thread.id);
  EXPECT_EQ(fault_of(threads_.update_state(as_alice_, thread.id, {})),
            core::error_code(core::ErrorKind::Conflict));
}

TEST_F(ThreadStoreTest, OfASubgraphThatIsKeptWhichTheHeadNames) {
  const auto thread = make_thread(as_alice_);
  pregel::Checkpoint inner;
  inner.ns = "inner:1";
  const auto older = next(inner, {{"v", 1}}), newer = next(older, {{"v", 2}});
  auto head = next({}, {{"a", 1}});
  head.children["inner:1"] = older.id;  // as after a fork
  StateUpdate update;
  update.checkpoints = {row_of({}, older), row_of(older, newer), row_of({}, head)};
  update.view.emplace();
  update.view->values = pregel::to_json(head.values);
  update.view->interrupts = Json::object();
  update.view->checkpoint = head.id;
  run(threads_.update_state(as_alice_, thread.id, std::move(update)));
  EXPECT_EQ(run(threads_.prune(as_alice_, {thread.id}, "keep_latest")), 1);
  const auto kept = run(threads_.state(as_alice_, thread.id, "inner:1", {}));
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->checkpoint.id, older.id);
}

TEST_F(ThreadStoreTest, WhatWasMadeFromAStateThatHasMovedIsRefused) {
  const auto thread = make_thread(as_alice_);
  const auto made_from = [&](const std::string& ns, const pregel::Checkpoint& base) {
    StateUpdate out;
    out.made_from.push_back({ns, base.id});
    auto child = base;
    child.ns = ns;
    const auto after = next(child, {{"b", 2}});
    out.checkpoints.push_back(row_of(child, after));
    if (!ns.empty()) return out;
    out.view.emplace();
    out.view->values = pregel::to_json(after.values);
    out.view->interrupts = Json::object();
    out.view->checkpoint = after.id;
    return out;
  };
  const auto moved = [&](const std::string& ns, const pregel::Checkpoint& base) {
    try {
      run(threads_.update_state(as_alice_, thread.id, made_from(ns, base)));
    } catch (const core::Error& error) {
      return std::string(error.code());
    }
    return std::string();
  };
  EXPECT_EQ(moved("", {}), "") << "the first state";
  EXPECT_EQ(moved("", {}), "state_moved");
  const auto head = put_states(as_alice_, thread.id, {{{"a", 1}}});
  EXPECT_EQ(moved("", head), "");
  EXPECT_EQ(moved("", head), "state_moved") << "of two from one head the second";
  EXPECT_EQ(moved("inner:1", {}), "");
  EXPECT_EQ(moved("inner:1", {}), "state_moved");
}

}  // namespace
}  // namespace assistiv::agents
