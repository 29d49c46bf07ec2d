#include "agents/definition/graph.h"

#include <gtest/gtest.h>

namespace assistiv::agents {
namespace {

TEST(Graph, FindsNodesAndKeysByName) {
  Graph graph;
  for (const char* id : {"approve", "close", "route"}) {
    Node node;
    node.id = id;
    node.body = EndNode{};
    graph.nodes.push_back(std::move(node));
  }
  StateKey key;
  key.name = "messages";
  graph.state.push_back(key);
  ASSERT_NE(graph.node("close"), nullptr);
  EXPECT_EQ(graph.node("close")->type(), "end");
  EXPECT_EQ(graph.node("clos"), nullptr);
  EXPECT_EQ(graph.node("z"), nullptr);
  EXPECT_NE(graph.key("messages"), nullptr);
  EXPECT_EQ(graph.key("message"), nullptr);
}

}  // namespace
}  // namespace assistiv::agents
