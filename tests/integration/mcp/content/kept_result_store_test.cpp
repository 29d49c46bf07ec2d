#include "mcp/content/kept_result_store.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "mcp/content/resource_service.h"
#include "mcp/grants/grant_service.h"
#include "mcp/sessions/pg_session_store.h"
#include "mcp/tools/tool_access.h"
#include "support/grants_fixture.h"

namespace assistiv::mcp {
namespace {

using namespace std::chrono_literals;
using core::Json;

class KeptResultsTest : public test::GrantsFixture {
 protected:
  std::optional<KeptLink> keep(const test::GrantsUser& user, std::string text,
                               const char* tool = "notes_get") {
    return run(kept_.keep({user.principal, user.connection, tool, std::move(text)}));
  }
  ReadResult read(const test::GrantsUser& user, const std::string& uri) {
    CallContext context;
    context.principal = user.principal;
    return run(resources_.read(context, uri));
  }
  bool readable(const test::GrantsUser& user, const std::string& uri) {
    return read(user, uri).outcome == ReadOutcome::Done;
  }
  std::int64_t rows() { return database_.exec("select count(*) as n from kept_result")[0].integer("n"); }
  void tell(const char* topic) { access_.on_notify(topic, platform_.str() + "/" + user_.id.str()); }

  KeptResults kept_{database_.db(),
                    *vault_,
                    clock_,
                    random_,
                    {.per_end_user_max = 3, .bytes_per_end_user_max = 100'000, .life = 3600s}};
  ToolAccess access_{database_.db(), book_};
  GrantService grants_{
      {database_.db(), audit_, book_, end_users_, keys_,
       [this](std::string_view topic, std::string_view payload) { access_.on_notify(topic, payload); }}};
  ResourceService resources_{access_, kept_};
};

TEST_F(KeptResultsTest, gives_the_whole_back_in_parts) {
  std::string text = "\"";
  while (text.size() < 70'000) text += "äöü ";  // two bytes each: parts must not end inside one
  text += "\"";
  const auto link = keep(user_, text);
  ASSERT_TRUE(link);
  EXPECT_EQ(link->bytes, text.size());
  ASSERT_EQ(link->parts, 3u);
  std::string joined;
  for (std::string uri = link->uri; !uri.empty();) {
    const auto result = read(user_, uri);
    ASSERT_EQ(result.outcome, ReadOutcome::Done) << uri;
    const Json content = core::parse_json(result.result_json)["contents"][0];
    EXPECT_EQ(content["uri"], uri);
    joined += content["text"].get<std::string>();
    uri = content["_meta"].value("assistiv/next", "");
  }
  EXPECT_EQ(joined, text);
  EXPECT_FALSE(readable(user_, link->uri + "/4"));
}

TEST_F(KeptResultsTest, is_sealed_in_the_database) {
  ASSERT_TRUE(keep(user_, R"({"private":"words"})"));
  EXPECT_EQ(database_.exec("select body from kept_result")[0].text("body").find("private"),
            std::string::npos);
}

TEST_F(KeptResultsTest, nothing_is_kept_of_a_connection_that_is_revoked_meanwhile) {
  database_.exec("update connection set status = 'revoked'");
  EXPECT_FALSE(keep(user_, "{}"));
  EXPECT_EQ(rows(), 0);
}

// What the streams of legacy sessions keep are results too.
class StreamEvents : public test::GrantsFixture {
 protected:
  StreamEvents() {
    Session session;
    session.owner = owner();
    session.id = "s1";
    session.protocol_version = "2025-11-25";
    session.client_json = session.capabilities_json = "{}";
    run(store_.create(session, 10));
    run(store_.append(owner(), "s1", "call", {1, "", false}));
    run(store_.append(owner(), "s1", "call", {2, "the answer", true}));
    run(store_.append_next(owner(), "s1", "open", "a word"));
  }
  SessionOwner owner() const { return {platform_, user_.id, ""}; }
  // Also in the database.
  bool forgotten() {
    const auto kept = database_.exec("select count(*) as n from mcp_stream_event where data <> ''");
    if (kept[0].integer("n") != 0) return false;
    const auto open = run(store_.read(owner(), "s1", "open", 0));
    return !run(store_.read(owner(), "s1", "call", 1)) && open && open->at(0).data.empty();
  }

  PgSessionStore store_{database_.db(), clock_};
};

TEST_F(StreamEvents, go_with_the_connection) {
  EXPECT_FALSE(forgotten());
  const auto bob = add_user(platform_, "bob");
  database_.exec("update connection set status = 'revoked' where end_user_id = $1::uuid", {bob.id.str()});
  EXPECT_FALSE(forgotten()) << "another user's";
  database_.exec("update connection set status = 'needs_reauth'");
  EXPECT_FALSE(forgotten());
  database_.exec("update connection set status = 'revoked'");
  EXPECT_TRUE(forgotten());
  run(store_.append_next(owner(), "s1", "open", "another"));
  EXPECT_EQ(run(store_.read(owner(), "s1", "open", 0))->back().seq, 2) << "its numbers go on";
}

TEST_F(StreamEvents, go_with_a_key_that_is_switched_off_or_removed) {
  database_.exec("update api_key set name = 'renamed'");
  EXPECT_FALSE(forgotten());
  database_.exec("update api_key set is_active = false");
  EXPECT_TRUE(forgotten());
  run(store_.append(owner(), "s1", "call2", {1, "more", true}));
  EXPECT_FALSE(forgotten());
  database_.exec("delete from api_key");
  EXPECT_TRUE(forgotten());
}

TEST_F(StreamEvents, are_kept_for_an_hour) {
  clock_.advance(61min);
  EXPECT_FALSE(run(store_.read(owner(), "s1", "call", 1)));
  EXPECT_FALSE(forgotten()) << "nobody has swept";
  run(store_.sweep(100));
  EXPECT_TRUE(forgotten());
}

TEST_F(KeptResultsTest, is_the_callers_alone) {
  const auto link = keep(user_, "{}");
  const auto bob = add_user(platform_, "bob");
  const auto eve = add_user(add_platform("globex"), "eve");
  EXPECT_TRUE(readable(user_, link->uri));
  EXPECT_FALSE(readable(bob, link->uri));
  EXPECT_FALSE(readable(eve, link->uri));
  auto other_key = std::make_shared<oauth::Principal>(*user_.principal);
  other_key->key_id = bob.principal->key_id;
  EXPECT_FALSE(readable({user_.id, user_.connection, other_key}, link->uri))
      << "another key or authorization";
}

TEST_F(KeptResultsTest, goes_with_its_connection) {
  const auto link = keep(user_, "{}");
  database_.exec("update connection set status = 'revoked' where connection_id = $1::uuid",
                 {user_.connection.str()});
  EXPECT_EQ(rows(), 0);
  tell("connection");
  EXPECT_FALSE(readable(user_, link->uri));
}

TEST_F(KeptResultsTest, goes_with_the_grant_of_its_tool) {
  const auto link = keep(user_, "{}", "notes_add");
  EXPECT_TRUE(readable(user_, link->uri));
  run(grants_.put_policy(platform_, "notes", core::parse_json(R"({"mode":"read_only"})"), by_platform()));
  EXPECT_FALSE(readable(user_, link->uri));
}

TEST_F(KeptResultsTest, goes_with_its_hour) {
  const auto link = keep(user_, "{}");
  clock_.advance(3599s);
  EXPECT_TRUE(readable(user_, link->uri));
  EXPECT_EQ(run(kept_.sweep(10)), 0u);
  clock_.advance(1s);
  EXPECT_FALSE(readable(user_, link->uri));
  EXPECT_EQ(run(kept_.sweep(10)), 1u);
  EXPECT_EQ(rows(), 0);
}

TEST_F(KeptResultsTest, the_oldest_make_room_by_number_and_by_bytes) {
  const auto bob = add_user(platform_, "bob");
  const auto bobs = keep(bob, "{}");
  std::vector<std::string> uris;
  for (int i = 0; i < 4; ++i) {
    uris.push_back(keep(user_, "{}")->uri);
    clock_.advance(1s);
  }
  EXPECT_FALSE(readable(user_, uris[0]));
  for (int i = 1; i < 4; ++i) EXPECT_TRUE(readable(user_, uris[i])) << i;
  ASSERT_TRUE(keep(user_, std::string(99'997, 'x')));
  EXPECT_FALSE(readable(user_, uris[2]));
  EXPECT_TRUE(readable(user_, uris[3])) << "there is room for two bytes more";
  EXPECT_TRUE(readable(bob, bobs->uri)) << "somebody else's room";
  EXPECT_FALSE(keep(user_, std::string(100'001, 'x')));
  EXPECT_FALSE(keep(user_, std::string(kKeptBytesMax + 1, 'x')));
}

}  // namespace
}  // namespace assistiv::mcp
