#include "api/config.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "api/commands/arguments.h"

namespace assistiv::api {
namespace {

std::vector<std::string> problem_settings(const std::string& file,
                                          const std::map<std::string, std::string>& env,
                                          const std::map<std::string, std::string>& flags = {}) {
  try {
    load_config(file, env, flags);
  } catch (const ConfigError& error) {
    std::vector<std::string> out;
    for (const auto& problem : error.problems()) out.push_back(problem.setting);
    return out;
  }
  return {};
}

TEST(Config, has_safe_defaults) {
  const Config config = load_config("", {}, {});
  EXPECT_EQ(config.listen_address, "127.0.0.1");
  EXPECT_EQ(config.port, 8080);
  EXPECT_FALSE(config.allow_loopback_upstreams);
  EXPECT_FALSE(config.conformance_fixtures);
  EXPECT_TRUE(config.has_role("api") && config.has_role("mcp") && config.has_role("worker"));
  EXPECT_EQ(config.master_keys_file, "./.assistiv/master-keys.json");
}

TEST(Config, lets_flags_win_over_environment_over_file) {
  const std::string file = testing::TempDir() + "assistiv_config_test.json";
  std::ofstream(file) << R"({"port": 1, "data_dir": "/file", "log_level": "warn"})";
  const Config config =
      load_config(file, {{"ASSISTIV_PORT", "2"}, {"ASSISTIV_DATA_DIR", "/environment"}}, {{"port", "3"}});
  EXPECT_EQ(config.port, 3);
  EXPECT_EQ(config.data_dir, "/environment");
  EXPECT_EQ(config.log_level, core::log::Level::Warn);
  std::remove(file.c_str());
}

TEST(Config, reports_every_problem_at_once_by_the_name_that_was_used) {
  const auto problems = problem_settings(
      "", {{"ASSISTIV_PORT", "70000"}, {"ASSISTIV_PUBLIC_URL", "example.com"}}, {{"log_level", "loud"}});
  EXPECT_EQ(problems, (std::vector<std::string>{"ASSISTIV_PORT", "ASSISTIV_PUBLIC_URL", "--log_level"}));
}

TEST(Config, refuses_unknown_names_in_the_file) {
  const std::string file = testing::TempDir() + "assistiv_config_unknown.json";
  std::ofstream(file) << R"({"prot": 1})";
  EXPECT_EQ(problem_settings(file, {}), std::vector<std::string>{"prot"});
  std::remove(file.c_str());
}

TEST(Config, refuses_plain_http_overrides_without_the_loopback_switch) {
  const std::map<std::string, std::string> env = {
      {"ASSISTIV_CONNECTOR_OVERRIDES",
       R"({"github":{"web":"http://127.0.0.1:1","api":"http://127.0.0.1:1"}})"}};
  EXPECT_EQ(problem_settings("", env), std::vector<std::string>{"connector_overrides"});
  EXPECT_TRUE(problem_settings("", env, {{"allow_loopback_upstreams", "1"}}).empty());
}

TEST(Config, takes_one_override_for_all_hosts_of_an_app) {
  const auto problems = [](const std::string& hosts, bool loopback) {
    const std::map<std::string, std::string> env = {
        {"ASSISTIV_CONNECTOR_OVERRIDES", R"({"zoho_crm":{"hosts":")" + hosts + R"("}})"}};
    std::map<std::string, std::string> flags;
    if (loopback) flags["allow_loopback_upstreams"] = "1";
    return problem_settings("", env, flags).size();
  };
  EXPECT_EQ(problems("http://127.0.0.1:1/{host}", true), 0u);
  EXPECT_EQ(problems("http://127.0.0.1:1/{host}", false), 1u);
  EXPECT_EQ(problems("http://127.0.0.1:1/", true), 1u) << "all hosts would be one";
  EXPECT_EQ(problems("http://{host}", true), 1u) << "the host stands in the path only";
}

TEST(Config, keeps_conformance_fixtures_on_loopback) {
  EXPECT_EQ(problem_settings("", {}, {{"conformance_fixtures", "1"}, {"listen_address", "0.0.0.0"}}),
            std::vector<std::string>{"conformance_fixtures"});
}

TEST(Config, documents_every_setting) {
  const std::string reference = config_reference_markdown();
  std::ifstream in(std::string(ASSISTIV_SOURCE_DIR) + "/docs/configuration.md");
  const std::string written((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  EXPECT_EQ(written, reference) << "run: assistiv config reference > docs/configuration.md";
}

TEST(Arguments, a_switch_may_be_said_to_be_off) {
  const auto flags = [](const std::vector<std::string>& args) { return Arguments::parse(args, {}).flags; };
  using Flags = std::map<std::string, std::string>;
  EXPECT_EQ(flags({"--on-premise-only"}), (Flags{{"on_premise_only", "1"}}));
  EXPECT_EQ(flags({"--on-premise-only", "0", "--port", "80"}),
            (Flags{{"on_premise_only", "0"}, {"port", "80"}}));
  EXPECT_EQ(flags({"--on-premise-only=off"}), (Flags{{"on_premise_only", "off"}}));
  EXPECT_EQ(problem_settings("", {{"ASSISTIV_ON_PREMISE_ONLY", ""}}),
            std::vector<std::string>{"ASSISTIV_ON_PREMISE_ONLY"});
}

}  // namespace
}  // namespace assistiv::api
