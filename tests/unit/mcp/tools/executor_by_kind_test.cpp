#include "mcp/tools/executor_by_kind.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "support/run_task.h"
#include "support/tool_fixture.h"

namespace assistiv::mcp {
namespace {

class CountingExecutor final : public ToolExecutor {
 public:
  core::Task<ToolExecution> execute(ToolInvocation invocation) override {
    tools.push_back(invocation.tool);
    co_return ToolExecution{};
  }
  std::vector<std::string> tools;
};

ToolInvocation invocation_of(const std::string& app) {
  ToolInvocation out;
  out.catalog = std::make_shared<const Catalog>(test::small_catalog());
  out.app = app;
  out.tool = app + "_get";
  return out;
}

TEST(ExecutorByKind, runs_a_tool_by_the_kind_of_its_app) {
  CountingExecutor rest;
  ExecutorByKind executor({{AppKind::Manifest, &rest}});
  test::run(executor.execute(invocation_of("notes")));
  EXPECT_EQ(rest.tools, std::vector<std::string>{"notes_get"});
}

TEST(ExecutorByKind, throws_for_an_app_that_the_catalogue_or_no_executor_knows) {
  CountingExecutor rest;
  ExecutorByKind executor({{AppKind::Manifest, &rest}});
  EXPECT_THROW(test::run(executor.execute(invocation_of("unknown"))), core::Error);
  EXPECT_THROW(test::run(ExecutorByKind({}).execute(invocation_of("notes"))), core::Error);
  EXPECT_TRUE(rest.tools.empty());
}

}  // namespace
}  // namespace assistiv::mcp
