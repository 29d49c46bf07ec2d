// Every tool, from its arguments to the request and from the response to the result: one file per tool in
// tests/golden/connectors/<app>, with the variables of the connection in "vars". ASSISTIV_UPDATE_GOLDEN=1
// writes "request" and "result" anew; review the difference.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "oauth/connect/connector_spec.h"
#include "support/connector_fixture.h"

namespace assistiv::mcp {
namespace {

// Keeps the order of members, so that the files stay readable.
using Ordered = nlohmann::ordered_json;

const std::filesystem::path kGolden = ASSISTIV_SOURCE_DIR "/tests/golden/connectors";

Ordered request_json(const core::OutboundRequest& request) {
  Ordered out = {{"method", request.method}, {"url", request.url}, {"headers", Ordered::object()}};
  for (const auto& [name, value] : request.headers.fields()) out["headers"][name] = value;
  const auto body = Ordered::parse(request.body, nullptr, false);
  if (!request.body.empty()) out["body"] = body.is_discarded() ? Ordered(request.body) : body;
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

// Of the apps that have a folder; one that extends another and keeps its tools has none.
std::vector<std::string> golden_tools() {
  std::vector<std::string> out;
  const auto catalog = test::shipped_catalog();
  for (const auto& app : catalog.apps()) {
    if (!std::filesystem::is_directory(kGolden / app->id)) continue;
    for (const auto& tool : app->tools) out.push_back(tool.name);
  }
  return out;
}

oauth::Values connection_vars(const oauth::ConnectorSpec& spec, const Ordered& given) {
  oauth::Values out;
  for (const auto& [name, value] : given.items()) {
    const auto accepted = spec.var(name)->accept(value.get<std::string>());
    EXPECT_TRUE(accepted.has_value()) << name;
    if (accepted) out.insert(accepted->begin(), accepted->end());
  }
  return spec.with_fallbacks(out);
}

class GoldenTool : public testing::TestWithParam<std::string> {};

TEST_P(GoldenTool, renders_its_request_and_its_result) {
  const std::string app_id = test::shipped_catalog().find_tool(GetParam())->app;
  const auto path = kGolden / app_id / (GetParam() + ".json");
  std::ifstream in(path);
  ASSERT_TRUE(in) << "there is no golden file for this tool";
  Ordered golden = Ordered::parse(in);
  test::ConnectorFixture fixture(test::shipped_catalog());
  script(fixture, golden["exchanges"]);
  const auto spec = oauth::ConnectorSpec::parse(*fixture.catalog.find_app(app_id)->document);
  const auto vars = connection_vars(spec, golden.value("vars", Ordered::object()));
  fixture.tokens.current.vars = {vars.begin(), vars.end()};
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
    EXPECT_EQ(fixture.http.requests()[i].allowed_hosts, spec.allowed_hosts(vars));
  }
  if (std::getenv("ASSISTIV_UPDATE_GOLDEN") != nullptr) {
    golden["result"] = Ordered::parse(run.structured.dump());
    std::ofstream(path) << golden.dump(2) << "\n";
  }
  EXPECT_EQ(nlohmann::json(golden["result"]), run.structured) << run.execution.result_json;
  EXPECT_TRUE(tool->output->check(run.structured).empty()) << describe(tool->output->check(run.structured));
}

INSTANTIATE_TEST_SUITE_P(Golden, GoldenTool, testing::ValuesIn(golden_tools()),
                         [](const auto& info) { return info.param; });

TEST(GoldenFiles, are_for_tools_that_exist) {
  const auto catalog = test::shipped_catalog();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kGolden)) {
    if (entry.is_directory()) continue;
    const Tool* tool = catalog.find_tool(entry.path().stem().string());
    ASSERT_NE(tool, nullptr) << entry.path();
    EXPECT_EQ(tool->app, entry.path().parent_path().filename().string());
  }
}

}  // namespace
}  // namespace assistiv::mcp
