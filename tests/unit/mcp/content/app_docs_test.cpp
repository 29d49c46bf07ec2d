#include "mcp/content/app_docs.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mcp/connectors/catalog.h"
#include "mcp/grants/grant_store.h"
#include "mcp/tools/tool_selection.h"
#include "oauth/connect/connected_app_store.h"
#include "support/tool_fixture.h"

namespace assistiv::mcp {
namespace {

class AppDocsTest : public ::testing::Test {
 protected:
  VisibleApps apps(PolicyMode mode = PolicyMode::All, const CallContext& context = {},
                   std::vector<std::string> scopes = {"notes"}) {
    oauth::ConnectedApp notes{"notes", true, {}};
    notes.link = {core::ConnectionId::of("018f0000-0000-7000-8000-0000000000c1"),
                  oauth::ConnectionStatus::Active, std::move(scopes), "Work", "42"};
    Policy policy;
    policy.mode = mode;
    return visible_apps(
        make_snapshot(catalog_, lists_, {{"mail", true, {}}, notes}, GrantSet({{"notes", policy}}, {}),
                      core::KeyId::of("018f0000-0000-7000-8000-000000000001")),
        context);
  }
  CatalogPtr catalog_ = std::make_shared<const Catalog>(test::small_catalog());
  ToolLists lists_;
};

TEST_F(AppDocsTest, shows_what_may_be_called_and_nothing_else) {
  EXPECT_EQ(apps().apps.size(), 2u);
  EXPECT_EQ(apps().find("notes")->tools.size(), 4u);
  EXPECT_EQ(apps(PolicyMode::ReadOnly).find("notes")->tools.size(), 1u);
  EXPECT_EQ(apps(PolicyMode::ReadOnly).find_by_tool("notes_wipe"), nullptr);
  EXPECT_EQ(apps(PolicyMode::None).find("notes"), nullptr) << "an app without a tool is not there";
  CallContext one_app;
  one_app.app = "mail";
  EXPECT_EQ(apps(PolicyMode::All, one_app).apps.size(), 1u);
  CallContext selected;
  selected.selection = std::make_shared<const ToolSelection>(ToolSelection{.tools = {"notes_get"}});
  const auto few = apps(PolicyMode::All, selected);
  ASSERT_EQ(few.apps.size(), 1u);
  EXPECT_EQ(few.apps[0].tools.size(), 1u);
}

TEST_F(AppDocsTest, a_connection_is_told_without_anything_secret) {
  const auto all = apps();
  const VisibleApp& notes = *all.find("notes");
  const core::Json expected = {{"id", "018f0000-0000-7000-8000-0000000000c1"},
                               {"app", "notes"},
                               {"app_title", "Notes"},
                               {"label", "Work"},
                               {"account_id", "42"},
                               {"status", "active"},
                               {"is_default", true},
                               {"scopes", {"notes"}},
                               {"uri", "assistiv://connections/018f0000-0000-7000-8000-0000000000c1"}};
  EXPECT_EQ(connection_json(notes, notes.own_accounts().front()), expected);
}

TEST_F(AppDocsTest, a_tools_document_has_arguments_permissions_and_risk) {
  const auto all = apps(PolicyMode::All, {}, {});
  const VisibleApp& notes = *all.find("notes");
  const std::string text = tool_document(notes, *notes.find("notes_wipe"));
  for (const char* part :
       {"`notes_wipe`", "Does notes_wipe in a test.", "| `text` | string | yes | Any text.",
        "Risk: destructive", "`notes`", "lacks the permission", "```json", "assistiv://apps/notes"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  const std::string app = app_document(notes);
  EXPECT_NE(app.find("assistiv://tools/notes_get"), std::string::npos) << app;
  EXPECT_NE(app.find("The app is connected."), std::string::npos) << app;
  EXPECT_NE(app_document(*all.find("mail")).find("The app is not connected."), std::string::npos);
}

}  // namespace
}  // namespace assistiv::mcp
