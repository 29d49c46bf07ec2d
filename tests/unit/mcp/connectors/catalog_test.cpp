#include "mcp/connectors/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "mcp/tools/icon.h"
#include "support/manifests.h"

namespace assistiv::mcp {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

const Catalog& shipped() {
  static const Catalog catalog = Catalog::load(manifest_files(""));
  return catalog;
}

TEST(ShippedCatalog, has_28_tools_for_each_kind_of_github_app) {
  for (const char* id : {"github", "github_oauth"}) {
    const App* app = shipped().find_app(id);
    ASSERT_NE(app, nullptr);
    EXPECT_EQ(app->tools.size(), 28u);
  }
  EXPECT_EQ(shipped().find_app("nothing"), nullptr);
}

TEST(ShippedCatalog, finds_tools_by_name) {
  const Tool* tool = shipped().find_tool("github_merge_pull_request");
  ASSERT_NE(tool, nullptr);
  EXPECT_EQ(tool->app, "github");
  EXPECT_EQ(tool->risk, Risk::Destructive);
  EXPECT_TRUE(tool->hints.destructive);
  EXPECT_FALSE(tool->hints.read_only);
  EXPECT_EQ(shipped().find_tool("github_delete_everything"), nullptr);
}

TEST(ShippedCatalog, gives_definitions_that_every_client_takes) {
  for (const auto& app : shipped().apps()) {
    for (const auto& tool : app->tools) {
      SCOPED_TRACE(tool.name);
      const json definition = json::parse(tool.definition_json);
      std::set<std::string> members;
      for (const auto& [name, value] : definition.items()) members.insert(name);
      EXPECT_EQ(members, (std::set<std::string>{"name", "title", "description", "inputSchema", "outputSchema",
                                                "annotations"}));
      for (const auto& [name, value] : definition["inputSchema"].items()) {
        EXPECT_THAT((std::set<std::string>{"type", "properties", "required", "additionalProperties"}),
                    testing::Contains(name));
      }
      EXPECT_EQ(definition["inputSchema"]["type"], "object");
      EXPECT_EQ(definition["outputSchema"]["type"], "object");
      EXPECT_THAT(tool.definition_json, Not(HasSubstr("$ref")));
      for (const char* hint : {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}) {
        EXPECT_TRUE(definition["annotations"][hint].is_boolean()) << hint;
      }
      EXPECT_NE(tool.input, nullptr);
      EXPECT_NE(tool.output, nullptr);
    }
  }
}

TEST(ShippedCatalog, costs_a_model_little_context) {
  for (const auto& app : shipped().apps()) {
    std::size_t bytes = 0;
    for (const auto& tool : app->tools) {
      json seen = json::parse(tool.definition_json);
      seen.erase("outputSchema");  // clients use it, models are not shown it
      bytes += seen.dump().size();
    }
    EXPECT_LT(bytes / 4, 11'000u) << app->id;
  }
}

TEST(ShippedCatalog, names_every_tool_uniquely_in_48_characters) {
  std::set<std::string> names;
  for (const auto& app : shipped().apps()) {
    for (const auto& tool : app->tools) {
      EXPECT_TRUE(names.insert(tool.name).second) << tool.name;
      EXPECT_LE(tool.name.size(), 48u);
      EXPECT_TRUE(tool.name.starts_with(app->id + "_"));
    }
  }
}

TEST(ShippedCatalog, gives_every_app_a_mark_of_its_own_at_a_short_address) {
  const auto catalog =
      Catalog::load(manifest_files(""), {}, ManifestOwner::Server, "https://mcp.example/icons");
  for (const auto& app : catalog.apps()) {
    SCOPED_TRACE(app->id);
    const json icons = json::parse(app->icons_json);
    ASSERT_EQ(icons.size(), 1u);
    EXPECT_EQ(icons[0]["mimeType"], kSvgType);
    EXPECT_EQ(icons[0]["sizes"], json::array({"any"}));
    const auto src = icons[0]["src"].get<std::string>();
    ASSERT_TRUE(src.starts_with("https://mcp.example/icons/")) << src;
    const IconFile* file = catalog.find_icon(src.substr(src.rfind('/') + 1));
    ASSERT_NE(file, nullptr) << src;
    EXPECT_EQ(file->type, kSvgType);
    EXPECT_TRUE(is_plain_svg(file->bytes));
    for (const auto& tool : app->tools) {
      EXPECT_EQ(tool.icons_json, app->icons_json);
      EXPECT_THAT(tool.definition_json, Not(HasSubstr("icons")));
    }
  }
  EXPECT_EQ(catalog.find_icon("nothing.svg"), nullptr);
}

TEST(ManifestIcons, stay_as_they_are_where_nothing_serves_them) {
  auto manifest = test::acme_manifest();
  manifest["icons"] = json::parse(R"([
    {"src": "https://acme.example/i-48.png", "mimeType": "image/png", "sizes": ["48x48", "96x96"], "theme": "dark"},
    {"src": "data:image/svg+xml;base64,PHN2Zy8+"}])");
  json shown = manifest["icons"];
  shown[1]["mimeType"] = kSvgType;
  const auto data = test::load_manifest(manifest);
  EXPECT_EQ(json::parse(data.find_app("acme")->icons_json), shown);
  EXPECT_TRUE(data.find_app("acme")->icon_files.empty());
  const auto none = test::load_manifest(test::acme_manifest());
  EXPECT_EQ(none.find_app("acme")->icons_json, "");
  EXPECT_NE(none.find_tool("acme_add_note")->definition_sha256,
            data.find_tool("acme_add_note")->definition_sha256)
      << "a list with other icons is another list";
}

TEST(ManifestExtends, may_bring_its_own_tools) {
  auto base = test::acme_manifest();
  auto own = base["tools"][0];
  own["name"] = "other_list_notes";
  const nlohmann::json child = {{"manifest", 1},
                                {"id", "other"},
                                {"extends", "acme"},
                                {"title", "Other"},
                                {"tools", nlohmann::json::array({own})}};
  const auto catalog = Catalog::load({{"acme.json", base.dump()}, {"other.json", child.dump()}});
  ASSERT_EQ(catalog.find_app("other")->tools.size(), 1u);
  EXPECT_EQ(catalog.find_app("other")->tools[0].name, "other_list_notes");
  EXPECT_EQ(catalog.find_app("acme")->tools.size(), 2u);
}

TEST(ShippedCatalog, renames_tools_of_an_extended_manifest_also_in_texts) {
  const Tool* tool = shipped().find_tool("github_oauth_create_issue");
  ASSERT_NE(tool, nullptr);
  EXPECT_THAT(tool->description, HasSubstr("github_oauth_search_issues"));
  EXPECT_THAT(tool->description, Not(HasSubstr("github_search_issues")));
}

TEST(ShippedCatalog, knows_which_scopes_a_tool_needs) {
  const Tool* create = shipped().find_tool("github_oauth_create_issue");
  EXPECT_TRUE(create->allowed_by({"repo"}));
  EXPECT_TRUE(create->allowed_by({"public_repo", "read:user"}));
  EXPECT_FALSE(create->allowed_by({"read:user"}));
  EXPECT_FALSE(create->allowed_by({}));
  const Tool* trigger = shipped().find_tool("github_oauth_trigger_workflow");
  EXPECT_FALSE(trigger->allowed_by({"repo"}));
  EXPECT_TRUE(trigger->allowed_by({"repo", "workflow"}));
  EXPECT_TRUE(shipped().find_tool("github_oauth_get_issue")->allowed_by({}));
  // A GitHub App's tokens carry no scopes: only GitHub can tell.
  EXPECT_TRUE(shipped().find_tool("github_create_issue")->allowed_by({}));
}

TEST(Catalog, covers_scopes_that_a_wider_one_contains) {
  const auto catalog = test::load_manifest(test::acme_manifest());
  EXPECT_TRUE(catalog.find_tool("acme_list_notes")->allowed_by({"notes:write"}));
  EXPECT_FALSE(catalog.find_tool("acme_add_note")->allowed_by({"notes:read"}));
}

TEST(Catalog, adds_paging_and_fields_to_the_input) {
  const auto catalog = test::load_manifest(test::acme_manifest());
  const json list =
      json::parse(catalog.find_tool("acme_list_notes")->definition_json)["inputSchema"]["properties"];
  EXPECT_EQ(list["limit"]["default"], 20);
  EXPECT_EQ(list["limit"]["maximum"], 100);
  EXPECT_EQ(list["fields"]["items"]["enum"], (json{"id", "pinned", "text"}));
  EXPECT_TRUE(list.contains("cursor"));
  EXPECT_EQ(list["folder"]["maxLength"], 50);
  const json add =
      json::parse(catalog.find_tool("acme_add_note")->definition_json)["inputSchema"]["properties"];
  EXPECT_FALSE(add.contains("limit") || add.contains("cursor") || add.contains("fields"));
}

TEST(Catalog, enforces_root_rules_that_clients_are_not_shown) {
  const Tool* tool = shipped().find_tool("github_search_issues");
  EXPECT_TRUE(tool->input->check({{"query", "x"}}).empty());
  EXPECT_TRUE(tool->input->check({{"query", "x"}, {"owner", "o"}, {"repo", "r"}}).empty());
  EXPECT_FALSE(tool->input->check({{"query", "x"}, {"owner", "o"}}).empty());
  EXPECT_FALSE(tool->input->check({{"query", "x"}, {"owner", "o is:pr"}, {"repo", "r"}}).empty());
}

TEST(ManifestFiles, come_from_a_folder_too_and_replace_shipped_ones) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "assistiv_manifests_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "acme.json") << test::acme_manifest().dump();
  std::ofstream(folder / "github.json") << "{}";
  std::ofstream(folder / "notes.txt") << "no manifest";
  const auto files = manifest_files(folder.string());
  ASSERT_EQ(files.size(), manifest_files("").size() + 1);
  EXPECT_EQ(files[0].name, "acme.json");
  EXPECT_EQ(files[1].text, "{}");
  EXPECT_EQ(files[2].name, "github_oauth.json");
  std::filesystem::remove_all(folder);
  EXPECT_THROW(manifest_files(folder.string()), core::Error);
}

}  // namespace
}  // namespace assistiv::mcp
