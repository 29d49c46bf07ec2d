#include "agents/store/agent_service.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/grants_fixture.h"

namespace assistiv::agents {
namespace {

using core::ErrorKind;
using core::Json;

Json own_graph(const std::string& text) {
  return {{"spec", "agentgraph/1"},
          {"name", "own"},
          {"state", {{"type", "object"}, {"properties", {{"reply", {{"type", "string"}}}}}}},
          {"nodes", {{"say", {{"type", "transform"}, {"write", {{"reply", text}}}}}}},
          {"edges", {{{"from", "__start__"}, {"to", "say"}}}}};
}

core::Task<bool> knows_small(core::PlatformId, std::string model) {
  co_return model == "small";
}

class AgentServiceTest : public test::GrantsFixture {
 protected:
  NewAgent fresh(const std::string& slug = "helper") {
    NewAgent out;
    out.slug = slug;
    out.name = "Helper";
    out.spec.instructions = "Help ${user.display_name}.";
    out.spec.model = "small";
    out.spec.apps = {"notes"};
    return out;
  }
  AgentView create(NewAgent agent) {
    return run(service_.create(platform_, std::move(agent), by_platform()));
  }
  AgentView patch(const std::string& agent, Json spec, bool activate = true) {
    AgentPatch change;
    change.spec = std::move(spec);
    change.activate = activate;
    return run(service_.update(platform_, agent, change, by_platform()));
  }
  int active(const std::string& agent) { return run(service_.get(platform_, agent)).agent.active_version; }

  std::vector<std::string> announced_;
  AgentService service_{{database_.db(), audit_, book_, clock_, random_, knows_small,
                         [this](std::string_view topic, std::string_view payload) {
                           announced_.push_back(std::string(topic) + " " + std::string(payload));
                         }}};
};

TEST_F(AgentServiceTest, an_agent_without_a_graph_gets_the_ready_one) {
  const auto made = create(fresh());
  EXPECT_FALSE(made.version.own_graph);
  const auto read = run(service_.get(platform_, "helper"));
  EXPECT_EQ(read.agent.id, made.agent.id);
  EXPECT_EQ(read.version.spec.apps, std::vector<std::string>{"notes"});
  const auto graph = run(service_.graph(platform_, made.agent.id, 1));
  ASSERT_EQ(graph->nodes.size(), 1U);
  EXPECT_EQ(graph->nodes[0].type(), "agent");
  EXPECT_EQ(graph->models.at("default").model, "small");
  EXPECT_EQ(graph->tools.at("notes").connector, "notes");
  EXPECT_EQ(run(service_.graph(platform_, made.agent.id, 1)), graph) << "it is kept";
  EXPECT_EQ(announced_, std::vector<std::string>{"agent " + platform_.str() + "/helper"});
  EXPECT_EQ(audit("agent.created").size(), 1U);
}

TEST_F(AgentServiceTest, versions_never_change_and_one_is_active) {
  create(fresh());
  EXPECT_EQ(patch("helper", {{"instructions", "Be brief."}}).version.version, 2);
  EXPECT_EQ(patch("helper", {{"graph", own_graph("hello")}}, false).agent.latest_version, 3);
  EXPECT_EQ(active("helper"), 2);
  EXPECT_EQ(run(service_.get_version(platform_, "helper", 1)).version.spec.instructions,
            "Help ${user.display_name}.");
  const auto third = run(service_.get_version(platform_, "helper", 3)).version;
  EXPECT_EQ(third.spec.instructions, "Be brief.") << "what was not changed stays";
  EXPECT_EQ(third.spec.graph, own_graph("hello"));
  run(service_.activate(platform_, "helper", 3, by_platform()));
  EXPECT_EQ(active("helper"), 3);
  run(service_.activate(platform_, "helper", 1, by_platform()));
  EXPECT_EQ(active("helper"), 1);
  EXPECT_EQ(error_of([&] { run(service_.activate(platform_, "helper", 4, by_platform())); }).kind(),
            ErrorKind::NotFound);
  EXPECT_EQ(run(service_.versions(platform_, "helper", {1, 2})).total, 3);
  EXPECT_EQ(audit("agent.version_activated").size(), 2U);
}

TEST_F(AgentServiceTest, the_same_again_makes_no_version) {
  create(fresh());
  patch("helper", {{"graph", own_graph("hello")}});
  EXPECT_EQ(patch("helper", {{"graph", own_graph("hello")}}).agent.latest_version, 2);
  EXPECT_EQ(patch("helper", {{"graph", nullptr}}).version.own_graph, false);
}

TEST_F(AgentServiceTest, a_faulty_agent_is_told_every_fault_and_not_saved) {
  auto faulty = fresh();
  faulty.spec.model = "huge";
  faulty.spec.apps = {"notes", "fax"};
  faulty.spec.limits = {{"max_tokens", 0}};
  faulty.spec.instructions = "Help ${user.shoe_size}.";
  const auto error = error_of([&] { create(faulty); });
  EXPECT_EQ(error.kind(), ErrorKind::InvalidArgument);
  for (const char* part : {"/model: ", "/apps/1: ", "/limits/max_tokens: ", "/instructions: "})
    EXPECT_NE(error.message().find(part), std::string::npos) << part << error.message();
  EXPECT_EQ(run(service_.list(platform_, {})).total, 0);
  const auto checked = run(service_.validate(platform_, "helper", faulty.spec));
  EXPECT_GE(checked.faults.size(), 4U);
}

TEST_F(AgentServiceTest, an_agent_runs_a_version_of_another_one) {
  auto inner = fresh("inner");
  inner.spec.graph = own_graph("inner");
  create(inner);
  auto outer = fresh("outer");
  outer.spec.graph = own_graph("outer");
  outer.spec.graph["nodes"]["say"] = {{"type", "subgraph"}, {"graph", "agent:inner@1"}};
  const auto made = create(outer);
  patch("inner", {{"graph", own_graph("changed")}});
  const auto graph = run(service_.graph(platform_, made.agent.id, 1));
  const auto& node = std::get<SubgraphNode>(graph->node("say")->body);
  ASSERT_NE(node.local, nullptr);
  EXPECT_EQ(node.local->node("say")->type(), "transform");
  EXPECT_EQ(error_of([&] { run(service_.remove(platform_, "inner", by_platform())); }).kind(),
            ErrorKind::Conflict);
  run(service_.remove(platform_, "outer", by_platform()));
  run(service_.remove(platform_, "inner", by_platform()));
  EXPECT_EQ(audit("agent.deleted").size(), 2U);
  auto lost = fresh("lost");
  lost.spec.graph = outer.spec.graph;
  EXPECT_EQ(error_of([&] { create(lost); }).field(), "/graph/nodes/say/graph");
}

TEST_F(AgentServiceTest, some_end_users_may_use_it) {
  auto listed = fresh();
  listed.for_everyone = false;
  listed.end_users = {user_.id};
  const auto agent = create(listed).agent;
  const auto other = add_user(platform_, "other");
  EXPECT_TRUE(may_use(agent, user_.id));
  EXPECT_FALSE(may_use(run(service_.get(platform_, "helper")).agent, other.id));
  AgentPatch open;
  open.for_everyone = true;
  open.end_users.emplace();
  EXPECT_TRUE(may_use(run(service_.update(platform_, "helper", open, by_platform())).agent, other.id));
  const auto globex = add_platform("globex");
  const auto stranger = add_user(globex, "stranger");
  listed.slug = "second";
  listed.end_users = {stranger.id};
  EXPECT_EQ(error_of([&] { create(listed); }).kind(), ErrorKind::NotFound);
}

TEST_F(AgentServiceTest, no_platform_sees_anothers) {
  const auto globex = add_platform("globex");
  const auto ours = create(fresh()).agent;
  const auto is_unknown = [&](auto call) { EXPECT_EQ(error_of(call).kind(), ErrorKind::NotFound); };
  is_unknown([&] { run(service_.get(globex, "helper")); });
  is_unknown([&] { run(service_.get(globex, ours.id.str())); });
  is_unknown([&] { run(service_.remove(globex, "helper", by_platform())); });
  run(service_.graph(platform_, ours.id, 1));
  is_unknown([&] { run(service_.graph(globex, ours.id, 1)); });
  EXPECT_EQ(run(service_.list(globex, {})).total, 0);
  EXPECT_EQ(error_of([&] { create(fresh()); }).kind(), ErrorKind::Conflict) << "the slug is taken";
  run(service_.create(globex, fresh(), by_platform()));
  EXPECT_EQ(run(service_.list(platform_, {})).total, 1);
}

}  // namespace
}  // namespace assistiv::agents
