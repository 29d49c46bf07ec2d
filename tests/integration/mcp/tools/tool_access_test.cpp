#include "mcp/tools/tool_access.h"

#include <gtest/gtest.h>

#include "storage/notifier.h"
#include "support/grants_fixture.h"

namespace assistiv::mcp {
namespace {

using namespace std::chrono_literals;

class ToolAccessTest : public test::GrantsFixture {
 protected:
  std::shared_ptr<const AccessSnapshot> get(const test::GrantsUser& user) {
    return run(access_.get(user.principal));
  }
  std::shared_ptr<const AccessSnapshot> get() { return get(user_); }
  std::string about(const test::GrantsUser& user) const { return platform_.str() + "/" + user.id.str(); }

  ToolAccess access_{database_.db(), book_};
};

TEST_F(ToolAccessTest, answers_from_memory_until_something_changes) {
  const auto first = get();
  EXPECT_EQ(first->all->tools.size(), 4u);
  database_.exec("update connection set status = 'revoked'");
  EXPECT_EQ(get(), first) << "nobody said that it changed";
  access_.on_notify("connection", about(user_));
  EXPECT_EQ(get()->find("notes")->state, ConnectionState::None);
}

TEST_F(ToolAccessTest, reads_state_and_scopes_of_the_usable_connection) {
  const auto notes = get()->find("notes");
  ASSERT_NE(notes, nullptr);
  EXPECT_EQ(notes->state, ConnectionState::Active);
  EXPECT_EQ(notes->connection_id, user_.connection);
  EXPECT_EQ(notes->granted_scopes, std::vector<std::string>{"notes"});
  const auto second = connect(platform_, user_.id, "notes", "second account");
  database_.exec("update connection set status = 'needs_reauth' where connection_id = $1::uuid",
                 {user_.connection.str()});
  access_.on_notify("connection", about(user_));
  EXPECT_EQ(get()->find("notes")->connection_id, second);
  database_.exec("update connection set status = 'needs_reauth'");
  access_.on_notify("connection", about(user_));
  EXPECT_EQ(get()->find("notes")->state, ConnectionState::NeedsReauth);
}

TEST_F(ToolAccessTest, drops_exactly_what_a_notice_is_about) {
  const auto bob = add_user(platform_, "bob");
  const auto globex = add_platform("globex");
  const auto eve = add_user(globex, "eve");
  for (const char* topic : {"connection", "grant", "end_user"}) {
    const auto ann_before = get(), bob_before = get(bob);
    access_.on_notify(topic, about(user_));
    EXPECT_NE(get(), ann_before) << topic;
    EXPECT_EQ(get(bob), bob_before) << topic;
  }
  const auto payloads = {std::pair<std::string, std::string>{"app", platform_.str() + "/notes"},
                         {"platform", platform_.str()},
                         {"grant", platform_.str() + "/*"}};
  for (const auto& [topic, payload] : payloads) {
    const auto ann_before = get(), bob_before = get(bob), eve_before = get(eve);
    access_.on_notify(topic, payload);
    EXPECT_NE(get(), ann_before) << topic;
    EXPECT_NE(get(bob), bob_before) << topic;
    EXPECT_EQ(get(eve), eve_before) << topic;
  }
  access_.on_notify("resync", "");
  EXPECT_EQ(access_.size(), 0u);
}

TEST_F(ToolAccessTest, ignores_notices_that_it_does_not_know) {
  const auto before = get();
  access_.on_notify("approval", about(user_));
  access_.on_notify("connection", "garbage");
  access_.on_notify("platform", "");
  EXPECT_EQ(get(), before);
}

TEST_F(ToolAccessTest, a_notice_from_the_database_reaches_it) {
  storage::Notifier notifier(database_.url());
  core::AsyncEvent dropped;
  notifier.subscribe([&](std::string_view topic, std::string_view payload) {
    access_.on_notify(topic, payload);
    if (topic == "grant") dropped.set();
  });
  notifier.start();
  const auto before = get();
  database_.db().execute(storage::Scope::tenant(platform_),
                         [&](storage::Transaction& tx) { tx.notify("grant", platform_.str() + "/*"); });
  EXPECT_TRUE(run(dropped.wait_for(10s)));
  EXPECT_NE(get(), before);
  notifier.stop();
}

TEST_F(ToolAccessTest, callers_that_miss_together_share_one_load) {
  test::IoThread other_thread;
  std::vector<std::future<std::shared_ptr<const AccessSnapshot>>> loads;
  for (int i = 0; i < 32; ++i) {
    loads.push_back((i % 2 == 0 ? io_ : other_thread).start(access_.get(user_.principal)));
  }
  const auto first = loads[0].get();
  for (std::size_t i = 1; i < loads.size(); ++i) EXPECT_EQ(loads[i].get(), first);
}

// Readers while the truth changes: after the notice of a change, nobody may see what was before it.
TEST_F(ToolAccessTest, never_shows_the_past_after_a_notice) {
  test::IoThread other_thread;
  for (int round = 0; round < 30; ++round) {
    const std::string status = round % 2 == 0 ? "revoked" : "active";
    auto early = other_thread.start(access_.get(user_.principal));
    database_.exec("update connection set status = $1", {status});
    access_.on_notify("connection", about(user_));
    EXPECT_EQ(get()->find("notes")->state, round % 2 == 0 ? ConnectionState::None : ConnectionState::Active);
    early.get();
    EXPECT_EQ(get()->find("notes")->state, round % 2 == 0 ? ConnectionState::None : ConnectionState::Active);
  }
}

TEST_F(ToolAccessTest, a_load_that_fails_is_not_kept) {
  database_.exec("alter table tool_policy rename to tool_policy_away");
  EXPECT_EQ(error_of([&] { get(); }).kind(), core::ErrorKind::Internal);
  database_.exec("alter table tool_policy_away rename to tool_policy");
  EXPECT_EQ(get()->all->tools.size(), 4u);
}

TEST_F(ToolAccessTest, keeps_a_bounded_number_and_lets_the_least_used_go) {
  ToolAccess small(database_.db(), book_, {.snapshots_max = 2});
  const auto bob = add_user(platform_, "bob"), eve = add_user(platform_, "eve");
  const auto ann_first = run(small.get(user_.principal));
  const auto bob_first = run(small.get(bob.principal));
  EXPECT_EQ(run(small.get(user_.principal)), ann_first);
  run(small.get(eve.principal));
  EXPECT_EQ(small.size(), 2u);
  EXPECT_EQ(run(small.get(user_.principal)), ann_first);
  EXPECT_NE(run(small.get(bob.principal)), bob_first);
}

TEST_F(ToolAccessTest, keeps_a_bounded_number_of_bytes) {
  const auto bob = add_user(platform_, "bob");
  ToolAccess room_for_none(database_.db(), book_, {.bytes_max = 100});
  EXPECT_EQ(run(room_for_none.get(user_.principal))->all->tools.size(), 4u);
  EXPECT_EQ(room_for_none.size(), 0u);
  ToolAccess room(database_.db(), book_, {.bytes_max = 1 << 20});
  run(room.get(user_.principal));
  run(room.get(bob.principal));
  EXPECT_EQ(room.size(), 2u);
}

TEST_F(ToolAccessTest, reloads_when_a_snapshot_is_too_old) {
  ToolAccess forgetful(database_.db(), book_, {.ttl = 0ms});
  const auto first = run(forgetful.get(user_.principal));
  EXPECT_NE(run(forgetful.get(user_.principal)), first);
}

TEST_F(ToolAccessTest, each_key_has_its_own_view) {
  core::KeyId second_key;
  database_.db().execute(storage::Scope::tenant(platform_), [&](storage::Transaction& tx) {
    second_key = keys_.issue(tx, {platform_, user_.id}, {}).key.id;
  });
  database_.exec(
      "insert into tool_grant (platform_id, end_user_id, app, key_id, policy) values ($1::uuid, $2::uuid,"
      " 'notes', $3::uuid, '{\"mode\":\"read_only\"}')",
      {platform_.str(), user_.id.str(), second_key.str()});
  auto narrow = std::make_shared<oauth::Principal>(*user_.principal);
  narrow->key_id = second_key;
  EXPECT_EQ(get()->all->tools.size(), 4u);
  EXPECT_EQ(run(access_.get(narrow))->all->tools.size(), 1u);
}

TEST_F(ToolAccessTest, is_for_end_users_only) {
  const auto error = error_of([&] { run(access_.get(by_platform().actor)); });
  EXPECT_EQ(error.kind(), core::ErrorKind::PermissionDenied);
}

}  // namespace
}  // namespace assistiv::mcp
