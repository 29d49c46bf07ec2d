// Another agent as a node: whether it may be used is asked whenever a run comes into it, and before each of
// its steps.
#include <gtest/gtest.h>

#include "agents/cel/types.h"
#include "agents/runtime/run.h"
#include "support/agent_world.h"
#include "support/graph_builder.h"

namespace assistiv::agents {
namespace {

using core::Json;
using test::AgentWorld;
using test::GraphBuilder;

constexpr const char* kHelperAgent = "agent:helper@1";

cel::Template within_form(const Json& value) {
  cel::Declarations names;
  for (const char* name : {"state", "result", "error"}) names.add(name, cel::Type::dyn());
  return cel::Template::compile(value, names);
}

Node logging_node(std::string id, const std::string& text, NodeBody body = TransformNode{}) {
  Node out;
  out.id = std::move(id);
  out.body = std::move(body);
  out.write.emplace_back("log", within_form(Json::array({text})));
  return out;
}

Node helper_node(GraphBuilder graph, std::string on_error = "") {
  SubgraphNode body;
  body.graph = kHelperAgent;
  body.local = graph.build();
  Node out;
  out.id = "sub";
  out.body = std::move(body);
  out.policies.on_error = std::move(on_error);
  return out;
}

std::shared_ptr<const Graph> graph_around(Node part) {
  GraphBuilder graph;
  graph.key("log", Reducer::Append);
  graph.node(std::move(part)).node(logging_node("end", "end")).node(logging_node("late", "${error.code}"));
  graph.edge("__start__", {"sub"}).edge("sub", {"end"});
  return graph.build();
}

GraphBuilder asking_helper() {
  ApprovalNode approval;
  approval.prompt = within_form("go on?");
  GraphBuilder graph;
  graph.key("log", Reducer::Append);
  graph.node(logging_node("add", "add")).node(logging_node("ask", "${result.response}", approval));
  graph.edge("__start__", {"add"}).edge("add", {"ask"});
  return graph;
}

TEST(AgentWithin, IsNotEnteredWhenItIsSwitchedOff) {
  AgentWorld world;
  world.effects.gone = {kHelperAgent};
  const auto failed = world.run(world.input(graph_around(helper_node(asking_helper())), Json::object()));
  EXPECT_EQ(failed.view.status, RunStatus::Error);
  EXPECT_EQ(failed.view.error_code, "agent_gone");
  EXPECT_NE(failed.view.error_message.find(kHelperAgent), std::string::npos);
  EXPECT_EQ(failed.output.value("log", Json::array()), Json::array());
}

TEST(AgentWithin, FailsItsNodeAlone) {
  AgentWorld world;
  world.effects.gone = {kHelperAgent};
  const auto done =
      world.run(world.input(graph_around(helper_node(asking_helper(), "late")), Json::object()));
  EXPECT_EQ(done.view.status, RunStatus::Success) << done.view.error_message;
  EXPECT_EQ(done.output["log"], Json{"agent_gone"});
}

TEST(AgentWithin, IsNotResumedWhenItIsSwitchedOff) {
  AgentWorld world;
  const auto graph = graph_around(helper_node(asking_helper()));
  ASSERT_EQ(world.run(world.input(graph, Json::object())).view.status, RunStatus::Interrupted);
  world.effects.gone = {kHelperAgent};
  EXPECT_EQ(world.run(world.resume(graph, "yes")).view.error_code, "agent_gone");
  // Switched on again it goes on from where it stood, with the answer.
  world.effects.gone.clear();
  const auto done = world.run(world.spec(graph, "run-3"));
  EXPECT_EQ(done.view.status, RunStatus::Success) << done.view.error_message;
  EXPECT_EQ(done.output["log"], (Json{"add", "yes", "end"}));
}

TEST(AgentWithin, TakesNoFurtherStepWhenItIsSwitchedOffMeanwhile) {
  for (const bool deeper : {false, true}) {
    AgentWorld world;
    LlmNode say;
    say.model = "m";
    say.messages = std::string("messages");
    GraphBuilder inner;
    inner.key("messages", Reducer::Messages).node("one", say).node("two", say);
    inner.edge("__start__", {"one"}).edge("one", {"two"});
    inner.raw().models["m"] = {"gpt", {}, Json::object()};
    SubgraphNode own;
    own.graph = "own";
    own.local = inner.build();
    GraphBuilder middle;
    middle.key("messages", Reducer::Messages).node("in", own).edge("__start__", {"in"});
    world.effects.model = [&](const ModelCall&) -> ModelAnswer {
      world.effects.gone = {kHelperAgent};
      return {{{"type", "ai"}, {"content", "yes"}}, "gpt", 1, 1};
    };
    const auto out =
        world.run(world.input(graph_around(helper_node(deeper ? middle : inner)), Json::object()));
    EXPECT_EQ(out.view.error_code, "agent_gone");
    EXPECT_EQ(world.effects.model_calls.size(), 1u);
  }
}

}  // namespace
}  // namespace assistiv::agents
