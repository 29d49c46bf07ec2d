#include "agents/service/assistant_service.h"

#include "agents/store/agent_store.h"
#include "storage/notifier.h"
#include "support/agent_fixture.h"
#include "support/eventually.h"

namespace assistiv::agents {
namespace {

using core::Json;

class AssistantServiceTest : public AgentStoreTest {
 protected:
  Agent make_agent(const std::string& slug, core::PlatformId platform,
                   std::optional<core::EndUserId> only = {}) {
    Agent agent;
    agent.id = AgentId::make(clock_, random_);
    agent.platform_id = platform;
    agent.slug = slug;
    agent.name = "The " + slug;
    agent.created_at = agent.updated_at = clock_.now();
    if (only) {
      agent.for_everyone = false;
      agent.end_users = {*only};
    }
    database_.db().execute(storage::Scope::tenant(platform),
                           [&](storage::Transaction& tx) { AgentStore().insert(tx, agent); });
    return agent;
  }
  NewAssistant fresh(const std::string& graph, const std::string& name = "") {
    NewAssistant out;
    out.graph_id = graph;
    out.name = name;
    return out;
  }
  std::vector<std::string> names(const Reach& reach, AssistantSearch query = {}) {
    query.sort_by = "name";
    query.ascending = true;
    std::vector<std::string> out;
    for (const auto& one : run(service_->search(reach, query)).assistants) out.push_back(one.name);
    return out;
  }
  const std::string not_found_{core::error_code(core::ErrorKind::NotFound)};
  const std::string conflict_{core::error_code(core::ErrorKind::Conflict)};
  storage::AuditLog audit_{database_.db(), clock_};
  const oauth::AuditContext audit_context_;
  std::unique_ptr<AssistantService> service_ =
      make_assistant_service({database_.db(), audit_, clock_, random_, {}});
};

TEST_F(AssistantServiceTest, EveryAgentHasOneWithoutBeingAsked) {
  // What LangGraph's own servers make of this graph id.
  EXPECT_EQ(default_assistant_id("agent").str(), "fe096781-5601-53d2-b2f6-0d3403f7e9ca");
  const auto agent = make_agent("helper", platform_);
  for (const auto& name : {std::string("helper"), default_assistant_id("helper").str()}) {
    const auto found = run(service_->resolve(as_alice_, name));
    EXPECT_EQ(found.assistant.id, default_assistant_id("helper"));
    EXPECT_EQ(found.assistant.graph_id, "helper");
    EXPECT_EQ(found.assistant.metadata, (Json{{"created_by", "system"}}));
    EXPECT_TRUE(found.assistant.is_default);
    EXPECT_EQ(found.agent.id, agent.id);
  }
  EXPECT_EQ(run(service_->versions(all_, "helper", Json::object(), 10, 0)).size(), 1U);
  EXPECT_EQ(count("agent_assistant"), 0);
  EXPECT_EQ(fault_of(service_->remove(all_, "helper", audit_context_)), conflict_);

  const auto changed =
      run(service_->update(all_, "helper", {.name = "Mine", .metadata = {{"team", "a"}}}, audit_context_));
  EXPECT_EQ(changed.id, default_assistant_id("helper"));
  EXPECT_EQ(changed.version, 2);
  EXPECT_EQ(changed.metadata, (Json{{"created_by", "system"}, {"team", "a"}}));
  EXPECT_EQ(run(service_->resolve(as_alice_, "helper")).assistant.name, "Mine");
  EXPECT_EQ(run(service_->set_latest(all_, "helper", 1, audit_context_)).name, "The helper");
  EXPECT_EQ(fault_of(service_->remove(all_, "helper", audit_context_)), conflict_);
}

TEST_F(AssistantServiceTest, HasVersions) {
  make_agent("helper", platform_);
  make_agent("other", platform_);
  auto input = fresh("helper", "Brief");
  input.config = {{"configurable", {{"tone", "brief"}}}};
  input.context = {{"tone", "brief"}};
  const auto made = run(service_->create(all_, input, audit_context_));
  EXPECT_EQ(made.version, 1);
  const auto id = made.id.str();
  const auto second = run(
      service_->update(all_, id, {.graph_id = "other", .context = Json{{"tone", "long"}}}, audit_context_));
  EXPECT_EQ(second.version, 2);
  EXPECT_EQ(second.graph_id, "other");
  EXPECT_EQ(second.config, input.config);
  const auto versions = run(service_->versions(all_, id, Json::object(), 10, 0));
  ASSERT_EQ(versions.size(), 2U);
  EXPECT_EQ(versions[0].context, (Json{{"tone", "long"}}));
  EXPECT_EQ(versions[1].context, input.context);
  EXPECT_EQ(run(service_->set_latest(all_, id, 1, audit_context_)).graph_id, "helper");
  EXPECT_EQ(run(service_->resolve(all_, id)).agent.slug, "helper");
  EXPECT_EQ(run(service_->update(all_, id, {.name = "Third"}, audit_context_)).version, 3);
  EXPECT_EQ(fault_of(service_->set_latest(all_, id, 9, audit_context_)), not_found_);
  run(service_->remove(all_, id, audit_context_));
  EXPECT_EQ(fault_of(service_->resolve(all_, id)), not_found_);
  EXPECT_EQ(count("agent_assistant_version"), 0);
}

TEST_F(AssistantServiceTest, TellsNobodyOfOthers) {
  make_agent("open", platform_);
  make_agent("private", platform_, bob_);
  make_agent("open", other_platform_);
  const auto alices = run(service_->create(as_alice_, fresh("open", "Alice's"), audit_context_));
  const auto shared = run(service_->create(all_, fresh("open", "Shared"), audit_context_));
  EXPECT_EQ(names(as_alice_), (std::vector<std::string>{"Alice's", "Shared", "The open"}));
  EXPECT_EQ(names(as_bob_), (std::vector<std::string>{"Shared", "The open", "The private"}));
  EXPECT_EQ(names(all_), (std::vector<std::string>{"Alice's", "Shared", "The open", "The private"}));
  EXPECT_EQ(names(elsewhere_), (std::vector<std::string>{"The open"}));
  for (const auto& stranger : {as_bob_, elsewhere_}) {
    EXPECT_EQ(fault_of(service_->resolve(stranger, alices.id.str())), not_found_);
    EXPECT_EQ(fault_of(service_->update(stranger, alices.id.str(), {.name = "Bob's"}, audit_context_)),
              not_found_);
    EXPECT_EQ(fault_of(service_->remove(stranger, alices.id.str(), audit_context_)), not_found_);
    EXPECT_EQ(fault_of(service_->versions(stranger, alices.id.str(), Json::object(), 10, 0)), not_found_);
    auto same = fresh("open");
    same.id = alices.id;
    if (stranger.end_user) {
      EXPECT_EQ(fault_of(service_->create(stranger, same, audit_context_)), conflict_);
    }
  }
  EXPECT_EQ(fault_of(service_->resolve(as_alice_, "private")), not_found_);
  EXPECT_EQ(fault_of(service_->resolve(as_alice_, default_assistant_id("private").str())), not_found_);
  EXPECT_EQ(fault_of(service_->create(as_alice_, fresh("private"), audit_context_)), not_found_);
  const std::string forbidden(core::error_code(core::ErrorKind::PermissionDenied));
  for (const auto& platforms : {shared.id.str(), std::string("open")}) {
    EXPECT_EQ(fault_of(service_->update(as_alice_, platforms, {.name = "Mine"}, audit_context_)), forbidden);
    EXPECT_EQ(fault_of(service_->set_latest(as_alice_, platforms, 1, audit_context_)), forbidden);
    EXPECT_EQ(fault_of(service_->remove(as_alice_, platforms, audit_context_)), forbidden);
  }
}

TEST_F(AssistantServiceTest, DefaultsCannotBeTakenByOthers) {
  make_agent("open", platform_);
  make_agent("second", platform_);
  auto taker = fresh("open", "Taker");
  for (const auto* slug : {"second", "not-there-yet"}) {
    taker.id = default_assistant_id(slug);
    EXPECT_EQ(fault_of(service_->create(as_alice_, taker, audit_context_)),
              core::error_code(core::ErrorKind::InvalidArgument));
  }
  taker.id = default_assistant_id("open");
  EXPECT_EQ(fault_of(service_->create(as_alice_, taker, audit_context_)), conflict_);
  taker.existing_is_fine = true;
  EXPECT_EQ(run(service_->create(as_alice_, taker, audit_context_)).name, "The open");
  run(service_->update(all_, "open", {.name = "Changed"}, audit_context_));
  EXPECT_EQ(fault_of(service_->update(all_, "open", {.graph_id = "second"}, audit_context_)),
            core::error_code(core::ErrorKind::InvalidArgument));
}

TEST_F(AssistantServiceTest, IsFoundByContent) {
  make_agent("one", platform_);
  make_agent("two", platform_);
  auto tagged = fresh("two", "100% Tagged");
  tagged.metadata = {{"team", "red"}, {"n", {{"deep", true}}}};
  run(service_->create(all_, tagged, audit_context_));
  using Names = std::vector<std::string>;
  EXPECT_EQ(names(all_, {.graph_id = "two"}), (Names{"100% Tagged", "The two"}));
  EXPECT_EQ(names(all_, {.name = "0% TAG"}), (Names{"100% Tagged"}));
  EXPECT_EQ(names(all_, {.name = "%"}), (Names{"100% Tagged"}));
  EXPECT_EQ(names(all_, {.metadata = {{"n", {{"deep", true}}}}}), (Names{"100% Tagged"}));
  EXPECT_EQ(names(all_, {.metadata = {{"created_by", "system"}}}), (Names{"The one", "The two"}));
  EXPECT_EQ(names(all_, {.limit = 1, .offset = 1}), (Names{"The one"}));
  EXPECT_EQ(run(service_->search(all_, {.limit = 1, .offset = 9})).total, 3);
  EXPECT_EQ(fault_of(service_->search(all_, {.sort_by = "config; drop table agent"})),
            core::error_code(core::ErrorKind::InvalidArgument));
}

TEST_F(AssistantServiceTest, GoesWithItsAgentAndIsOffWithIt) {
  const auto agent = make_agent("helper", platform_);
  const auto made = run(service_->create(all_, fresh("helper", "A"), audit_context_));
  database_.exec("update agent set is_active = false");
  service_->on_notify("agent", platform_.str() + "/helper");
  EXPECT_EQ(fault_of(service_->resolve(all_, "helper")), not_found_);
  EXPECT_EQ(fault_of(service_->resolve(all_, made.id.str())), not_found_);
  EXPECT_EQ(names(all_), (std::vector<std::string>{}));
  database_.exec("delete from agent");
  EXPECT_EQ(count("agent_assistant"), 0);
}

TEST_F(AssistantServiceTest, ForRunsComesFromMemory) {
  make_agent("helper", platform_);
  make_agent("private", platform_, bob_);
  const auto mine = run(service_->create(as_alice_, fresh("helper", "Alice's"), audit_context_));
  const auto names_of = [&](const Reach& reach) {
    std::vector<std::string> out;
    for (const auto& name : {std::string("helper"), std::string("private"), mine.id.str()}) {
      try {
        out.push_back(run(service_->resolve(reach, name)).assistant.name);
      } catch (const core::Error& error) {
        out.emplace_back(core::error_code(error.kind()));
      }
    }
    return out;
  };
  const auto look = [&] { return std::vector{names_of(all_), names_of(as_alice_), names_of(as_bob_)}; };
  const std::vector<std::vector<std::string>> expected = {{"The helper", "The private", "Alice's"},
                                                          {"The helper", not_found_, "Alice's"},
                                                          {"The helper", "The private", not_found_}};
  EXPECT_EQ(look(), expected);
  // What the database says is not asked for again: nobody has announced this.
  database_.exec("update agent_assistant_version set name = 'unannounced'");
  database_.exec("update agent set name = 'unannounced'");
  EXPECT_EQ(look(), expected);
  EXPECT_EQ(run(service_->get(all_, "helper")).assistant.name, "unannounced");
  service_->on_notify("resync", "");
  EXPECT_EQ(names_of(as_alice_), (std::vector<std::string>{"unannounced", not_found_, "unannounced"}));
}

TEST_F(AssistantServiceTest, AChangeIsSeenByEveryProcess) {
  make_agent("helper", platform_);
  make_agent("other", platform_);
  storage::Database pool({.url = database_.url(), .connections = 2});
  const auto there = make_assistant_service({pool, audit_, clock_, random_, {}});
  storage::Notifier notifier(database_.url());
  notifier.subscribe(
      [&](std::string_view topic, std::string_view payload) { there->on_notify(topic, payload); });
  notifier.start();
  const auto made = run(service_->create(all_, fresh("helper", "First"), audit_context_));
  const auto id = made.id.str();
  const auto both_see = [&](const std::string& name) {
    // Here at once, there with the notice.
    EXPECT_EQ(run(service_->resolve(all_, id)).assistant.name, name);
    EXPECT_TRUE(test::eventually([&] { return run(there->resolve(all_, id)).assistant.name == name; }));
  };
  both_see("First");
  run(service_->update(all_, id, {.name = "Second"}, audit_context_));
  both_see("Second");
  run(service_->set_latest(all_, id, 1, audit_context_));
  both_see("First");
  // As AgentService does it.
  database_.db().execute(storage::Scope::tenant(platform_), [&](storage::Transaction& tx) {
    tx.exec("update agent set active_version = 1, is_active = false where slug = 'helper'");
    tx.notify("agent", platform_.str() + "/helper");
  });
  EXPECT_TRUE(test::eventually([&] { return fault_of(there->resolve(all_, id)) == not_found_; }));
  EXPECT_EQ(run(there->resolve(all_, "other")).agent.slug, "other");
  EXPECT_EQ(fault_of(service_->resolve(all_, "nothing")), not_found_);
}

TEST_F(AssistantServiceTest, ChangesAreAudited) {
  make_agent("helper", platform_);
  auto input = fresh("helper", "Brief");
  input.config = {{"configurable", {{"password", "do not tell"}}}};
  const auto id = run(service_->create(as_alice_, input, {nullptr, "request-1"})).id.str();
  run(service_->update(as_alice_, id, {.name = "New", .context = Json{{"a", 1}}}, audit_context_));
  run(service_->set_latest(as_alice_, id, 1, audit_context_));
  run(service_->remove(as_alice_, id, audit_context_));
  std::vector<std::string> events;
  const auto entries = run(audit_.list(platform_, {.limit = 100})).entries;
  for (const auto& entry : entries) {
    events.insert(events.begin(), entry.event.event);
    EXPECT_EQ(entry.event.subject, id);
    EXPECT_EQ(entry.event.end_user_id, alice_);
    EXPECT_EQ(entry.event.details_json.find("do not tell"), std::string::npos);
  }
  EXPECT_EQ(events, (std::vector<std::string>{"assistant.created", "assistant.updated",
                                              "assistant.version_activated", "assistant.deleted"}));
  EXPECT_EQ(core::Json::parse(entries.at(2).event.details_json).at("changed"), (Json{"name", "context"}));
}

}  // namespace
}  // namespace assistiv::agents
