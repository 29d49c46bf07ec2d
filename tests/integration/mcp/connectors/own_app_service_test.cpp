#include "mcp/connectors/own_app_service.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "storage/notifier.h"
#include "support/eventually.h"
#include "support/grants_fixture.h"
#include "support/manifests.h"
#include "support/tool_fixture.h"

namespace assistiv::mcp {
namespace {

using core::ErrorKind;

core::Json own(const std::string& id = "own_acme", const std::string& version = "1") {
  auto manifest = test::acme_manifest();
  manifest["id"] = id;
  manifest["version"] = version;
  const std::vector<std::string> verbs = {"_list", "_add"};
  for (std::size_t i = 0; i < 2; ++i) manifest["tools"][i]["name"] = id + verbs[i];
  return manifest;
}

class OwnAppServiceTest : public test::GrantsFixture {
 protected:
  OwnManifest submit(core::Json manifest, std::optional<core::PlatformId> platform = {}) {
    return run(service_.submit(platform.value_or(platform_), std::move(manifest), by_platform()));
  }
  OwnManifest approve(ManifestId id) { return run(service_.approve(id, by_platform())); }
  // The version that serves, "" for none.
  std::string serving(core::PlatformId platform, const std::string& app = "own_acme") {
    const auto catalog = run(own_.get(platform));
    const App* found = catalog->find_app(app);
    return found == nullptr ? "" : found->version;
  }
  std::string serving() { return serving(platform_); }
  // "<version> <status>" of each, newest first.
  std::vector<std::string> versions(core::PlatformId platform) {
    std::vector<std::string> out;
    for (const auto& one : run(service_.list(platform, {}, {1, 100})).items) {
      out.push_back(one.version + " " + std::string(manifest_status_name(one.status)));
    }
    return out;
  }

  OwnAppSource source_{{}, &audit_};
  AppBook own_{database_.db(), test::small_catalog(), {&source_}};
  OwnAppService service_{
      {database_.db(),
       audit_,
       own_,
       clock_,
       random_,
       {},
       [this](std::string_view topic, std::string_view payload) { own_.on_notify(topic, payload); }}};
};

TEST_F(OwnAppServiceTest, serves_nothing_before_it_is_approved) {
  const auto pending = submit(own());
  EXPECT_EQ(pending.status, ManifestStatus::Pending);
  EXPECT_EQ(serving(), "");
  const auto approved = approve(pending.id);
  EXPECT_EQ(approved.status, ManifestStatus::Serving);
  EXPECT_TRUE(approved.decided_at.has_value());
  EXPECT_EQ(serving(), "1");
}

TEST_F(OwnAppServiceTest, one_that_cannot_be_used_any_more_says_why_and_is_back_when_it_can) {
  approve(submit(own()).id);
  const auto move_to = [&](const std::string& from, const std::string& to) {
    database_.exec("update own_app_manifest set document = replace(document, $1, $2)", {from, to});
    own_.on_notify("platform", platform_.str());
    return serving();
  };
  const auto entries = [&](const std::string& event) {
    return database_.exec("select count(*) as n from audit_entry where event = $1", {event})[0].integer("n");
  };
  EXPECT_EQ(serving(), "1");
  EXPECT_TRUE(run(service_.left_out(platform_)).empty());
  // The rules of a later version refuse what this one allowed.
  const auto host = own()["hosts"][0].get<std::string>();
  EXPECT_EQ(move_to(host, "10.0.0.1"), "");
  const auto why = run(service_.left_out(platform_));
  ASSERT_TRUE(why.contains("own_acme"));
  EXPECT_NE(why.at("own_acme").find("/hosts"), std::string::npos) << why.at("own_acme");
  const auto listed = run(service_.list(platform_, {}, {1, 10})).items.at(0);
  EXPECT_EQ(listed.status, ManifestStatus::Serving);
  EXPECT_EQ(listed.fault, why.at("own_acme"));
  own_.on_notify("platform", platform_.str());
  EXPECT_EQ(serving(), "");
  EXPECT_EQ(entries("manifest.unusable"), 1) << "once, however often it is looked at";
  EXPECT_EQ(move_to("10.0.0.1", host), "1");
  EXPECT_TRUE(run(service_.left_out(platform_)).empty());
  EXPECT_EQ(run(service_.list(platform_, {}, {1, 10})).items.at(0).fault, "");
  EXPECT_EQ(entries("manifest.unusable"), 1);
  EXPECT_EQ(entries("manifest.usable"), 1);
}

TEST_F(OwnAppServiceTest, the_old_version_serves_while_the_new_one_waits) {
  approve(submit(own()).id);
  const auto second = submit(own("own_acme", "2"));
  EXPECT_EQ(second.number, 2);
  EXPECT_EQ(serving(), "1");
  EXPECT_EQ(versions(platform_), (std::vector<std::string>{"2 pending", "1 serving"}));
  approve(second.id);
  EXPECT_EQ(serving(), "2");
  EXPECT_EQ(versions(platform_), (std::vector<std::string>{"2 serving", "1 replaced"}));
}

TEST_F(OwnAppServiceTest, what_the_operator_read_is_what_is_approved) {
  const auto first = submit(own("own_acme", "1"));
  EXPECT_EQ(submit(own("own_acme", "1")).id, first.id) << "the same again";
  const auto second = submit(own("own_acme", "2"));
  EXPECT_NE(second.id, first.id);
  EXPECT_EQ(error_of([&] { approve(first.id); }).kind(), ErrorKind::Conflict) << "it was withdrawn meanwhile";
  approve(second.id);
  EXPECT_EQ(serving(), "2");
}

TEST_F(OwnAppServiceTest, a_refusal_says_why_and_changes_nothing_that_serves) {
  approve(submit(own()).id);
  const auto second = submit(own("own_acme", "2"));
  run(service_.refuse(second.id, "An unknown host.", by_platform()));
  const auto read = run(service_.get(platform_, second.id));
  EXPECT_EQ(read.status, ManifestStatus::Refused);
  EXPECT_EQ(read.reason, "An unknown host.");
  EXPECT_EQ(serving(), "1");
  EXPECT_EQ(error_of([&] { approve(second.id); }).kind(), ErrorKind::Conflict);
}

TEST_F(OwnAppServiceTest, no_platform_sees_anothers) {
  const auto globex = add_platform("globex");
  const auto ours = submit(own());
  approve(ours.id);
  EXPECT_EQ(serving(globex), "");
  EXPECT_EQ(error_of([&] { run(service_.get(globex, ours.id)); }).kind(), ErrorKind::NotFound);
  EXPECT_EQ(run(service_.list(globex, {}, {})).total, 0);
  EXPECT_EQ(error_of([&] { run(service_.remove(globex, "own_acme", by_platform())); }).kind(),
            ErrorKind::NotFound);
  approve(submit(own("own_acme", "theirs"), globex).id);
  EXPECT_EQ(serving(globex), "theirs");
  EXPECT_EQ(serving(), "1");
  run(service_.remove(globex, "own_acme", by_platform()));
  EXPECT_EQ(serving(globex), "");
  EXPECT_EQ(serving(), "1");
  EXPECT_EQ(run(service_.list_all({}, {})).total, 1);
}

TEST_F(OwnAppServiceTest, an_activated_app_is_not_deleted_under_its_connections) {
  approve(submit(own()).id);
  activate(platform_, "own_acme");
  EXPECT_EQ(error_of([&] { run(service_.remove(platform_, "own_acme", by_platform())); }).kind(),
            ErrorKind::Conflict);
  database_.exec("delete from mcp_app where app = 'own_acme'");
  run(service_.remove(platform_, "own_acme", by_platform()));
  EXPECT_EQ(serving(), "");
  EXPECT_EQ(submit(own()).number, 1);
}

TEST_F(OwnAppServiceTest, two_apps_have_no_tool_of_one_name) {
  approve(submit(own("own_acme_list", "1")).id);
  auto other = own("own_acme", "1");
  other["tools"][0]["name"] = "own_acme_list_add";
  const auto error = error_of([&] { submit(other); });
  EXPECT_EQ(error.kind(), ErrorKind::Conflict);
  EXPECT_EQ(error.field(), "/manifest/tools/0/name");
}

TEST_F(OwnAppServiceTest, faults_are_all_named) {
  auto bad = own();
  bad["title"] = "Notes";
  const auto imitation = error_of([&] { submit(bad); });
  EXPECT_EQ(imitation.kind(), ErrorKind::InvalidArgument);
  EXPECT_NE(imitation.message().find("\n/manifest/title: looks like \"Notes\""), std::string::npos);
  bad["hosts"] = {"10.0.0.1"};
  bad["tools"][0]["risk"] = "write";
  const auto error = error_of([&] { submit(bad); });
  for (const char* place : {"\n/manifest/hosts/0: ", "\n/manifest/tools/0/risk: "}) {
    EXPECT_NE(error.message().find(place), std::string::npos) << error.message();
  }
  EXPECT_TRUE(error.field().starts_with("/manifest/")) << error.field();
}

TEST_F(OwnAppServiceTest, keeps_so_many_apps_and_versions) {
  for (int i = 0; i < OwnAppService::kAppsMax; ++i) {
    submit(own("own_app" + std::string(1, static_cast<char>('a' + i))));
  }
  EXPECT_EQ(error_of([&] { submit(own("own_one_more")); }).kind(), ErrorKind::Conflict);
  approve(submit(own("own_appa", "first")).id);
  for (int i = 0; i < 25; ++i) submit(own("own_appa", std::to_string(i)));
  const auto kept = run(service_.list(platform_, {.status = {}, .app = "own_appa"}, {1, 100})).items;
  EXPECT_LE(kept.size(), OwnAppService::kVersionsMax + 1);
  EXPECT_EQ(kept.back().version, "first") << "what serves stays";
}

TEST_F(OwnAppServiceTest, leaves_audit_entries_and_tells_every_node) {
  // Another process: a book of its own, told by the database alone.
  AppBook other(database_.db(), test::small_catalog(), {&source_});
  storage::Notifier notifier(database_.url());
  notifier.subscribe(
      [&other](std::string_view topic, std::string_view payload) { other.on_notify(topic, payload); });
  notifier.start();
  EXPECT_EQ(run(other.get(platform_))->find_app("own_acme"), nullptr);
  approve(submit(own()).id);
  EXPECT_TRUE(test::eventually([&] { return run(other.get(platform_))->find_app("own_acme") != nullptr; }));
  run(service_.refuse(submit(own("own_acme", "2")).id, "No.", by_platform()));
  run(service_.remove(platform_, "own_acme", by_platform()));
  EXPECT_TRUE(test::eventually([&] { return run(other.get(platform_))->find_app("own_acme") == nullptr; }));
  notifier.stop();
  EXPECT_EQ(audit("manifest.submitted").size(), 2u);
  EXPECT_EQ(audit("manifest.approved").size(), 1u);
  ASSERT_EQ(audit("manifest.refused").size(), 1u);
  EXPECT_EQ(audit("manifest.refused")[0]["details"]["reason"], "No.");
  EXPECT_EQ(audit("manifest.removed").size(), 1u);
}

TEST_F(OwnAppServiceTest, a_reload_does_not_read_what_it_has_read) {
  approve(submit(own()).id);
  const auto before = run(own_.get(platform_));
  own_.on_notify("resync", "");
  const auto after = run(own_.get(platform_));
  EXPECT_NE(before, after);
  EXPECT_EQ(before->find_app("own_acme"), after->find_app("own_acme"));
  database_.exec("update own_app_manifest set document = replace(document, '\"Acme\"', '\"Bcme\"')");
  own_.on_notify("resync", "");
  EXPECT_EQ(run(own_.get(platform_))->find_app("own_acme")->title, "Bcme");
}

TEST_F(OwnAppServiceTest, one_faulty_row_does_not_take_the_others_away) {
  approve(submit(own()).id);
  approve(submit(own("own_good")).id);
  database_.exec("update own_app_manifest set document = '{}' where app = 'own_acme'");
  own_.on_notify("resync", "");
  EXPECT_EQ(serving(), "");
  EXPECT_EQ(serving(platform_, "own_good"), "1");
}

}  // namespace
}  // namespace assistiv::mcp
