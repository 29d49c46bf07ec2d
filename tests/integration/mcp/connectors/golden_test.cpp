// Every GitHub tool, from its arguments to the request and from the response to the result: one file per tool
// in tests/golden/connectors/github. ASSISTIV_UPDATE_GOLDEN=1 writes "request" and "result" anew; review the
// difference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/connector_fixture.h"

namespace assistiv::mcp {
namespace {

// Keeps the order of members, so that the files stay readable.
using Ordered = nlohmann::ordered_json;

const std::filesystem::path kGolden = ASSISTIV_SOURCE_DIR "/tests/golden/connectors/github";

Ordered request_json(const core::OutboundRequest& request) {
  Ordered out = {{"method", request.method}, {"url", request.url}, {"headers", Ordered::object()}};
  for (const auto& [name, value] : request.headers.fields()) out["headers"][name] = value;
  if (!request.body.empty()) out["body"] = Ordered::parse(request.body);
  return out;
}

void script(test::ConnectorFixture& fixture, const Ordered& exchanges) {
  for (const auto& exchange : exchanges) {
    const auto& response = exchange["response"];
    std::vector<std::pair<std::string, std::string>> headers;
    const Ordered given = response.value("headers", Ordered::object());
    for (const auto& [name, value] : given.items()) headers.emplace_back(name, value);
    const std::string body = response.contains("body") ? response["body"].dump() : "";
    if (!body.empty()) headers.emplace_back("content-type", "application/json; charset=utf-8");
    fixture.http.reply_text(response["status"], body, headers);
  }
}

// Cursors depend on the connection's random id: only that there is one is golden.
void mask_cursor(nlohmann::json& result) {
  if (result.contains("next_cursor")) result["next_cursor"] = "<cursor>";
}

std::vector<std::string> github_tools() {
  std::vector<std::string> out;
  const auto catalog = test::shipped_catalog();
  for (const auto& tool : catalog.find_app("github")->tools) out.push_back(tool.name);
  return out;
}

class GithubTool : public testing::TestWithParam<std::string> {};

TEST_P(GithubTool, renders_its_request_and_its_result) {
  const auto path = kGolden / (GetParam() + ".json");
  std::ifstream in(path);
  ASSERT_TRUE(in) << "there is no golden file for this tool";
  Ordered golden = Ordered::parse(in);
  test::ConnectorFixture fixture(test::shipped_catalog());
  script(fixture, golden["exchanges"]);
  const Tool* tool = fixture.catalog.find_tool(GetParam());
  const nlohmann::json arguments = golden["arguments"];
  ASSERT_TRUE(tool->input->check(arguments).empty()) << describe(tool->input->check(arguments));
  auto run = fixture.call(GetParam(), arguments);
  mask_cursor(run.structured);
  ASSERT_EQ(fixture.http.requests().size(), golden["exchanges"].size());
  for (std::size_t i = 0; i < golden["exchanges"].size(); ++i) {
    auto sent = request_json(fixture.http.requests()[i]);
    if (std::getenv("ASSISTIV_UPDATE_GOLDEN") != nullptr) {
      const Ordered response = golden["exchanges"][i]["response"];
      golden["exchanges"][i] = {{"request", sent}, {"response", response}};
    }
    EXPECT_EQ(golden["exchanges"][i]["request"], sent);
    EXPECT_EQ(fixture.http.requests()[i].allowed_hosts,
              (std::vector<std::string>{"github.com", "api.github.com"}));
  }
  if (std::getenv("ASSISTIV_UPDATE_GOLDEN") != nullptr) {
    golden["result"] = Ordered::parse(run.structured.dump());
    std::ofstream(path) << golden.dump(2) << "\n";
  }
  EXPECT_EQ(nlohmann::json(golden["result"]), run.structured) << run.execution.result_json;
  EXPECT_TRUE(tool->output->check(run.structured).empty()) << describe(tool->output->check(run.structured));
}

INSTANTIATE_TEST_SUITE_P(Golden, GithubTool, testing::ValuesIn(github_tools()),
                         [](const auto& info) { return info.param; });

TEST(GithubGoldenFiles, are_for_tools_that_exist) {
  const auto tools = github_tools();
  for (const auto& entry : std::filesystem::directory_iterator(kGolden)) {
    EXPECT_NE(std::find(tools.begin(), tools.end(), entry.path().stem().string()), tools.end())
        << entry.path();
  }
}

}  // namespace
}  // namespace assistiv::mcp
