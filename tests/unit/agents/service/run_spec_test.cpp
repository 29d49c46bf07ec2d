#include "agents/service/run_spec.h"

#include <gtest/gtest.h>

#include "agents/service/agent_run_service.h"
#include "support/graph_builder.h"

namespace assistiv::agents {
namespace {

using core::Json;

RunSpec spec_by(const Json& kwargs) {
  test::GraphBuilder graph;
  graph.key("n").node("a").edge("__start__", {"a"});
  return run_spec_of(kwargs, graph.build());
}

TEST(RunSpec, SaysWhoAsksForItWhateverItAsks) {
  Assistant assistant;
  assistant.graph_id = "made";
  for (const auto& body :
       {Json{{"input", {{"n", 1}}}}, Json{{"checkpoint_id", "1f0e5f3a-0000-6000-8000-000000000001"}},
        Json{{"command", {{"goto", "a"}}}}}) {
    auto order = read_run_order(body, assistant);
    order.kwargs["by"] = "platform";
    EXPECT_EQ(spec_by(order.kwargs).by, "platform") << body.dump();
  }
}

TEST(RunSpec, OfAScheduleIsItsMakers) {
  ResolvedAssistant of;
  of.assistant.graph_id = "made";
  const Json payload = {{"input", {{"n", 1}}}};
  EXPECT_EQ(spec_by(scheduled_run(of, payload, false).kwargs).by, "platform");
  EXPECT_EQ(spec_by(scheduled_run(of, payload, true).kwargs).by, "end_user");
}

}  // namespace
}  // namespace assistiv::agents
