#include "api/http/router.h"

#include <gtest/gtest.h>

namespace assistiv::api {
namespace {

RouteTable sample_table() {
  RouteTable table;
  for (const auto& [method, path] :
       std::vector<std::pair<std::string, std::string>>{{"GET", "/"},
                                                        {"GET", "/v1/platforms"},
                                                        {"POST", "/v1/platforms"},
                                                        {"GET", "/v1/platforms/{platform_id}"},
                                                        {"GET", "/v1/platforms/{platform_id}/audit/verify"},
                                                        {"*", "/mcp"},
                                                        {"*", "/mcp/{app}"},
                                                        {"*", "/mcp/conformance"},
                                                        {"POST", "/v1beta/models/{model}:generateContent"},
                                                        {"POST", "/v1beta/models/{model}:countTokens"},
                                                        {"GET", "/v1beta/models/{model}"}}) {
    Route route;
    route.method = method;
    route.path = path;
    table.push_back(route);
  }
  return table;
}

class RouterTest : public testing::Test {
 protected:
  std::string found(std::string_view method, std::string_view path) {
    const auto match = router_.find(method, path);
    return match.route == nullptr ? "" : match.route->method + " " + match.route->path;
  }
  RouteTable table_ = sample_table();
  Router router_{table_};
};

TEST_F(RouterTest, finds_routes_by_method_and_path) {
  EXPECT_EQ(found("GET", "/"), "GET /");
  EXPECT_EQ(found("POST", "/v1/platforms"), "POST /v1/platforms");
  EXPECT_EQ(found("HEAD", "/v1/platforms"), "GET /v1/platforms");
  EXPECT_EQ(found("PURGE", "/mcp"), "* /mcp");
}

TEST_F(RouterTest, prefers_fixed_segments_over_parameters) {
  EXPECT_EQ(found("POST", "/mcp/conformance"), "* /mcp/conformance");
  EXPECT_EQ(found("POST", "/mcp/github"), "* /mcp/{app}");
}

TEST_F(RouterTest, decodes_parameters) {
  EXPECT_EQ(router_.find("GET", "/v1/platforms/a%2Fb").params.at("platform_id"), "a/b");
}

TEST_F(RouterTest, tells_parameters_with_an_end_apart) {
  const auto generate = router_.find("POST", "/v1beta/models/gemini-2.5-pro:generateContent");
  ASSERT_NE(generate.route, nullptr);
  EXPECT_EQ(generate.params.at("model"), "gemini-2.5-pro");
  EXPECT_EQ(router_.find("POST", "/v1beta/models/llama3:8b:countTokens").params.at("model"), "llama3:8b");
  EXPECT_EQ(router_.find("GET", "/v1beta/models/llama3:8b").params.at("model"), "llama3:8b");
  EXPECT_EQ(found("POST", "/v1beta/models/:generateContent"), "");
  EXPECT_EQ(found("POST", "/v1beta/models/x:deleteEverything"), "");
}

TEST_F(RouterTest, refuses_segments_that_do_not_decode) {
  EXPECT_EQ(found("GET", "/v1/platforms/%zz"), "");
  EXPECT_EQ(found("GET", "/v1/platforms/%00"), "");
  EXPECT_EQ(found("GET", "/v1/platforms/%ff"), "");
}

TEST_F(RouterTest, does_not_find_trailing_slashes_or_deeper_paths) {
  EXPECT_EQ(found("GET", "/v1/platforms/"), "");
  EXPECT_EQ(found("GET", "/v1/platforms/x/audit"), "");
  EXPECT_EQ(found("GET", "v1/platforms"), "");
  EXPECT_EQ(found("GET", ""), "");
}

TEST_F(RouterTest, tells_which_methods_a_path_has) {
  const auto match = router_.find("DELETE", "/v1/platforms");
  EXPECT_EQ(match.route, nullptr);
  EXPECT_EQ(match.allow, (std::vector<std::string>{"GET", "POST"}));
}

TEST(Router, refuses_a_table_with_the_same_route_twice) {
  RouteTable table = sample_table();
  table.push_back(table.front());
  EXPECT_THROW(Router{table}, std::logic_error);
}

}  // namespace
}  // namespace assistiv::api
