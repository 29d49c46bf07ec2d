#include "api/openapi/schemas.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace assistiv::api {
namespace {

std::string fault_field(const std::string& schema, const std::string& body) {
  static const BodySchemas schemas;
  try {
    schemas.check(schema, core::Json::parse(body));
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::InvalidArgument);
    return error.field().empty() ? "(root)" : error.field();
  }
  return "";
}

TEST(BodySchemas, accept_what_the_documents_show) {
  EXPECT_EQ(fault_field("PlatformCreate", R"({"name":"Acme","settings":{"anything":1}})"), "");
  EXPECT_EQ(
      fault_field("Policy", R"({"mode":"list","tools":["a"],"require_approval":{"classes":["write"]}})"), "");
  EXPECT_EQ(fault_field("KeyCreate", R"({"expires_at":null})"), "");
  EXPECT_EQ(fault_field("GrantsPut", R"({"grants":[{"app":"github","mode":"none","key_id":null}]})"), "");
}

TEST(BodySchemas, name_the_faulty_member) {
  EXPECT_EQ(fault_field("PlatformCreate", R"({"name":5})"), "/name");
  EXPECT_EQ(fault_field("KeyCreate", R"({"scopes":["inference","root"]})"), "/scopes/1");
  EXPECT_EQ(fault_field("KeyCreate", R"({"expires_at":"tomorrow"})"), "/expires_at");
  EXPECT_EQ(fault_field("PlatformCreate", R"([])"), "(root)");
}

TEST(BodySchemas, refuse_unknown_members_where_a_typo_would_widen_access) {
  EXPECT_NE(fault_field("Policy", R"({"mode":"all","denny":["github_merge_pull_request"]})"), "");
  EXPECT_NE(fault_field("GrantsPut", R"({"grants":[{"app":"github","mode":"all","keyid":"x"}]})"), "");
  EXPECT_NE(fault_field("KeyCreate", R"({"expires":"2030-01-01T00:00:00Z"})"), "");
}

}  // namespace
}  // namespace assistiv::api
