#include "mcp/content/resource_service.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "mcp/content/completion_service.h"
#include "mcp/content/content_uri.h"
#include "mcp/content/kept_result_store.h"
#include "mcp/grants/grant_service.h"
#include "mcp/tools/tool_access.h"
#include "support/grants_fixture.h"

namespace assistiv::mcp {
namespace {

using core::Json;

class ResourceServiceTest : public test::GrantsFixture {
 protected:
  CallContext by(const test::GrantsUser& user, std::optional<std::string> app = {}) {
    CallContext out;
    out.principal = user.principal;
    out.app = std::move(app);
    return out;
  }
  std::vector<std::string> listed(const test::GrantsUser& user, std::optional<std::string> app = {}) {
    std::vector<std::string> out;
    const auto list = run(resources_.list(by(user, std::move(app))));
    for (const auto& item : list->items) out.push_back(core::parse_json(item)["uri"].get<std::string>());
    return out;
  }
  ReadResult read(const test::GrantsUser& user, const std::string& uri, std::optional<std::string> app = {}) {
    return run(resources_.read(by(user, std::move(app)), uri));
  }
  static std::string text_in(const ReadResult& result) {
    EXPECT_EQ(result.outcome, ReadOutcome::Done);
    return core::parse_json(result.result_json)["contents"][0]["text"].get<std::string>();
  }
  Json completion(const Json& ref, const std::string& argument, const std::string& typed) {
    const Json params = {{"ref", ref}, {"argument", {{"name", argument}, {"value", typed}}}};
    return core::parse_json(run(completions_.complete(by(user_), params)).result_json)["completion"];
  }
  std::string of(core::ConnectionId id) { return connection_uri(id.str()); }

  ToolAccess access_{database_.db(), book_};
  GrantService grants_{
      {database_.db(), audit_, book_, end_users_, keys_,
       [this](std::string_view topic, std::string_view payload) { access_.on_notify(topic, payload); }}};
  KeptResults kept_{database_.db(), *vault_, clock_, random_};
  ResourceService resources_{access_, kept_};
  CompletionService completions_{access_};
};

TEST_F(ResourceServiceTest, lists_and_reads_the_callers_own_connections_only) {
  const auto bob = add_user(platform_, "bob");
  const auto eve = add_user(add_platform("globex"), "eve");
  EXPECT_EQ(listed(user_), (std::vector<std::string>{"assistiv://connections", of(user_.connection),
                                                     "assistiv://apps/notes"}));
  const Json mine = core::parse_json(text_in(read(user_, "assistiv://connections")));
  ASSERT_EQ(mine["connections"].size(), 1u);
  EXPECT_EQ(mine["connections"][0]["id"], user_.connection.str());
  EXPECT_EQ(core::parse_json(text_in(read(user_, of(user_.connection))))["status"], "active");
  for (const auto& stranger : {bob, eve}) {
    EXPECT_EQ(read(user_, of(stranger.connection)).outcome, ReadOutcome::Unknown);
    EXPECT_EQ(read(stranger, of(user_.connection)).outcome, ReadOutcome::Unknown);
  }
  EXPECT_EQ(read(user_, "assistiv://connections/nothing").outcome, ReadOutcome::Unknown);
  EXPECT_EQ(read(user_, "file:///etc/passwd").outcome, ReadOutcome::Unknown);
}

TEST_F(ResourceServiceTest, a_connection_that_is_gone_is_unknown) {
  database_.exec("update connection set status = 'revoked'");
  access_.on_notify("connection", platform_.str() + "/" + user_.id.str());
  EXPECT_EQ(read(user_, of(user_.connection)).outcome, ReadOutcome::Unknown);
  EXPECT_EQ(core::parse_json(text_in(read(user_, "assistiv://connections")))["connections"], Json::array());
}

TEST_F(ResourceServiceTest, documents_what_the_grants_let_through) {
  EXPECT_NE(text_in(read(user_, "assistiv://tools/notes_add")).find("notes_add"), std::string::npos);
  EXPECT_EQ(read(user_, "assistiv://tools/mail_list").outcome, ReadOutcome::Unknown) << "not activated";
  run(grants_.put_policy(platform_, "notes", core::parse_json(R"({"mode":"read_only"})"), by_platform()));
  EXPECT_EQ(read(user_, "assistiv://tools/notes_add").outcome, ReadOutcome::Unknown);
  EXPECT_EQ(text_in(read(user_, "assistiv://apps/notes")).find("notes_add"), std::string::npos);
  EXPECT_EQ(completion({{"type", "ref/resource"}, {"uri", "assistiv://tools/{tool}"}}, "tool", "")["values"],
            Json::array({"notes_get"}));
}

TEST_F(ResourceServiceTest, one_apps_address_shows_that_app) {
  activate(platform_, "mail");
  access_.on_notify("app", platform_.str() + "/mail");
  EXPECT_EQ(listed(user_, "mail"),
            (std::vector<std::string>{"assistiv://connections", "assistiv://apps/mail"}));
  EXPECT_EQ(read(user_, of(user_.connection), "mail").outcome, ReadOutcome::Unknown);
  EXPECT_EQ(read(user_, "assistiv://tools/notes_get", "mail").outcome, ReadOutcome::Unknown);
}

TEST_F(ResourceServiceTest, a_list_changes_its_etag_with_what_is_in_it) {
  const auto before = run(resources_.list(by(user_)))->etag;
  EXPECT_EQ(run(resources_.list(by(user_)))->etag, before);
  connect(platform_, user_.id, "notes", "second account");
  access_.on_notify("connection", platform_.str() + "/" + user_.id.str());
  EXPECT_NE(run(resources_.list(by(user_)))->etag, before);
}

TEST_F(ResourceServiceTest, completes_names_that_the_caller_may_see) {
  const Json tools = {{"type", "ref/resource"}, {"uri", "assistiv://tools/{tool}"}};
  EXPECT_EQ(completion(tools, "tool", "NOTES_P")["values"], Json::array({"notes_post"}));
  EXPECT_EQ(completion(tools, "tool", "wipe")["values"], Json::array({"notes_wipe"}));
  EXPECT_EQ(completion(tools, "tool", "mail")["values"], Json::array());
  EXPECT_EQ(completion({{"type", "ref/resource"}, {"uri", "assistiv://apps/{app}"}}, "app", "no")["values"],
            Json::array({"notes"}));
  EXPECT_EQ(completion({{"type", "ref/resource"}, {"uri", "assistiv://connections/{connection_id}"}},
                       "connection_id", "")["values"],
            Json::array({user_.connection.str()}));
  EXPECT_EQ(completion({{"type", "ref/resource"}, {"uri", "test://else/{x}"}}, "x", "")["total"], 0);
  for (const Json& wrong :
       {Json(), Json::object(), Json{{"ref", 1}, {"argument", 2}},
        Json{{"ref", {{"type", "ref/tool"}, {"name", "x"}}}, {"argument", {{"name", "a"}, {"value", ""}}}}}) {
    EXPECT_EQ(run(completions_.complete(by(user_), wrong)).outcome, ReadOutcome::InvalidArguments) << wrong;
  }
}

}  // namespace
}  // namespace assistiv::mcp
