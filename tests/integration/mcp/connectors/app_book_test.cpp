#include "mcp/connectors/app_book.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "mcp/tools/tool_access.h"
#include "support/grants_fixture.h"
#include "support/manifests.h"
#include "support/tool_fixture.h"

namespace assistiv::mcp {
namespace {

using namespace std::chrono_literals;

// Gives one app, made from the small manifest of the tests, to the platforms that are told.
class FakeSource final : public AppSource {
 public:
  std::vector<AppPtr> load(storage::Transaction&, core::PlatformId platform, LeftOut&) const override {
    ++loads;
    if (during) during();
    const auto found = titles.find(platform);
    if (found == titles.end()) return {};
    auto manifest = test::acme_manifest();
    manifest["id"] = "own_acme";
    manifest["title"] = found->second;
    for (auto& tool : manifest["tools"]) tool["name"] = "own_" + tool["name"].get<std::string>();
    return {Catalog::load({{"own", manifest.dump()}}, {}, ManifestOwner::Platform).apps().front()};
  }

  void note(storage::Transaction&, core::PlatformId, const LeftOut& left_out) const override {
    noted = left_out;
  }

  std::map<core::PlatformId, std::string> titles;
  mutable LeftOut noted;
  mutable std::function<void()> during;  // while it loads
  mutable std::atomic<int> loads = 0;
};

class AppBookTest : public test::GrantsFixture {
 protected:
  AppBookTest() { source_.titles[globex_] = "Acme of Globex"; }
  CatalogPtr get(AppBook& book, core::PlatformId platform) { return run(book.get(platform)); }
  CatalogPtr get(core::PlatformId platform) { return get(own_, platform); }
  // The title of the app that the platform sees, "" for none.
  std::string title(core::PlatformId platform) {
    const App* app = get(platform)->find_app("own_acme");
    return app == nullptr ? "" : app->title;
  }

  FakeSource source_;
  core::PlatformId globex_ = add_platform("globex");
  AppBook own_{database_.db(), test::small_catalog(), {&source_}};
};

TEST_F(AppBookTest, tells_a_source_which_of_its_apps_another_one_has_pushed_out) {
  FakeSource late;
  late.titles[globex_] = "Another of this name";
  AppBook book(database_.db(), test::small_catalog(), {&source_, &late});
  EXPECT_EQ(get(book, globex_)->find_app("own_acme")->title, "Acme of Globex");
  EXPECT_TRUE(source_.noted.empty());
  EXPECT_TRUE(late.noted.contains("own_acme"));
}

TEST_F(AppBookTest, gives_one_catalogue_to_all_platforms_without_apps_of_their_own) {
  EXPECT_EQ(get(platform_), own_.built_in());
  EXPECT_EQ(get(add_platform("initech")), own_.built_in());
}

TEST_F(AppBookTest, gives_an_own_app_to_its_platform_only) {
  EXPECT_EQ(title(globex_), "Acme of Globex");
  EXPECT_NE(get(globex_)->find_tool("own_acme_add_note"), nullptr);
  EXPECT_NE(get(globex_)->find_app("notes"), nullptr) << "beside the server's";
  EXPECT_EQ(title(platform_), "");
  EXPECT_EQ(get(platform_)->find_tool("own_acme_add_note"), nullptr);
}

TEST_F(AppBookTest, keeps_two_platforms_apps_of_one_id_apart) {
  source_.titles[platform_] = "Another";
  EXPECT_EQ(title(globex_), "Acme of Globex");
  EXPECT_EQ(title(platform_), "Another");
}

TEST_F(AppBookTest, answers_from_memory_until_a_notice_is_about_the_platform) {
  const auto before = get(globex_);
  const int loads = source_.loads;
  source_.titles[globex_] = "Renamed";
  own_.on_notify("app", platform_.str() + "/notes");
  own_.on_notify("grant", globex_.str());
  EXPECT_EQ(get(globex_), before);
  EXPECT_EQ(source_.loads, loads);
  own_.on_notify("app", globex_.str() + "/own_acme");
  EXPECT_EQ(title(globex_), "Renamed");
  EXPECT_EQ(before->find_app("own_acme")->title, "Acme of Globex") << "whoever holds it, keeps it";
  source_.titles[globex_] = "Again";
  own_.on_notify("resync", "");
  EXPECT_EQ(title(globex_), "Again");
}

TEST_F(AppBookTest, does_not_keep_what_a_notice_overtook_while_it_loaded) {
  source_.during = [this] {
    source_.during = nullptr;
    own_.on_notify("app", globex_.str() + "/own_acme");
  };
  get(globex_);
  EXPECT_EQ(own_.size(), 0u);
  get(globex_);
  EXPECT_EQ(own_.size(), 1u);
  EXPECT_EQ(source_.loads, 2);
}

core::Task<> say(std::promise<void>* promise) {
  promise->set_value();
  co_return;
}

TEST_F(AppBookTest, callers_that_miss_together_share_one_load) {
  std::promise<void> all_asked;
  source_.during = [asked = all_asked.get_future().share()] { asked.wait(); };
  std::vector<std::future<CatalogPtr>> answers;
  for (int i = 0; i < 6; ++i) answers.push_back(io_.start(own_.get(globex_)));
  io_.start(say(&all_asked)).wait();  // behind the six on their one thread
  std::set<CatalogPtr> catalogues;
  for (auto& answer : answers) catalogues.insert(answer.get());
  EXPECT_EQ(catalogues.size(), 1u);
  EXPECT_EQ(source_.loads, 1);
}

TEST_F(AppBookTest, forgets_the_least_recently_used_past_its_bounds) {
  AppBook small(database_.db(), test::small_catalog(), {&source_}, {.platforms_max = 1});
  get(small, platform_);
  get(small, globex_);
  EXPECT_EQ(small.size(), 1u);
  AppBook tiny(database_.db(), test::small_catalog(), {&source_}, {.bytes_max = 100});
  EXPECT_NE(get(tiny, globex_)->find_app("own_acme"), nullptr) << "usable all the same";
  EXPECT_EQ(tiny.size(), 0u);
  AppBook forgetful(database_.db(), test::small_catalog(), {&source_}, {.ttl = 0ms});
  const int loads = source_.loads;
  get(forgetful, globex_);
  get(forgetful, globex_);
  EXPECT_EQ(source_.loads, loads + 2);
}

TEST_F(AppBookTest, a_snapshot_keeps_the_catalogue_that_it_was_made_of) {
  activate(globex_, "own_acme");
  const auto eve = add_user(globex_, "eve");
  ToolAccess access(database_.db(), own_);
  const auto snapshot = run(access.get(eve.principal));
  source_.titles.clear();
  own_.on_notify("app", globex_.str() + "/own_acme");
  access.on_notify("app", globex_.str() + "/own_acme");
  ASSERT_NE(snapshot->find("own_acme"), nullptr);
  EXPECT_EQ(snapshot->find("own_acme")->app->title, "Acme of Globex");
  EXPECT_EQ(run(access.get(eve.principal))->find("own_acme"), nullptr);
}

}  // namespace
}  // namespace assistiv::mcp
