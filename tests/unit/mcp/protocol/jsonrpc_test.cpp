#include "mcp/protocol/jsonrpc.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace assistiv::mcp {
namespace {

ParsedMessage parse_one(std::string_view body) {
  auto parsed = parse_body(body);
  EXPECT_FALSE(parsed.batch);
  EXPECT_EQ(parsed.messages.size(), 1u);
  return std::move(parsed.messages.front());
}

std::string id_of(std::string_view id) {
  return parse_one(R"({"jsonrpc":"2.0","id":)" + std::string(id) + R"(,"method":"ping"})").message.id;
}

TEST(JsonRpc, keeps_ids_as_they_were_sent) {
  for (const char* id : {"1", "0", "-1", "9223372036854775807", "18446744073709551615", "1.0", "1e3", "-0.5",
                         "\"a\"", "\"\"", "\"\\u00e9\\\"\""}) {
    const std::string sent = id;
    const std::string kept = id_of(sent);
    EXPECT_EQ(core::Json::parse(kept), core::Json::parse(sent)) << sent;
    if (sent.front() != '"') {
      EXPECT_EQ(kept, sent);
    }
  }
}

TEST(JsonRpc, finds_the_id_of_the_message_and_not_one_inside_it) {
  const auto parsed =
      parse_one(R"({"params":{"id":7.5,"x":"\"id\":8"},"jsonrpc":"2.0", "id" : 2.50 ,"method":"m"})");
  EXPECT_EQ(parsed.message.id, "2.50");
}

TEST(JsonRpc, refuses_ids_of_other_types) {
  for (const char* id : {"null", "true", "{}", "[1]"}) {
    const auto parsed = parse_one(R"({"jsonrpc":"2.0","id":)" + std::string(id) + R"(,"method":"ping"})");
    ASSERT_TRUE(parsed.fault) << id;
    EXPECT_EQ(parsed.fault->code, kInvalidRequest);
    EXPECT_EQ(parsed.message.id, "");
  }
}

TEST(JsonRpc, says_parse_error_for_what_is_no_json) {
  for (const char* body : {"", "{", "{\"a\":1}}", "\xff", "{\"id\":1,\"id\":2}"}) {
    const auto parsed = parse_one(body);
    ASSERT_TRUE(parsed.fault) << body;
    EXPECT_EQ(parsed.fault->code, kParseError) << body;
    EXPECT_EQ(parsed.fault->status, 400);
  }
}

TEST(JsonRpc, bounds_the_depth_of_a_body) {
  const std::string deep(10000, '[');
  EXPECT_EQ(parse_one(deep).fault->code, kParseError);
  const std::string params = std::string(60, '[') + std::string(60, ']');
  EXPECT_EQ(parse_one(R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"x":)" + params + "}}").fault->code,
            kParseError);
}

TEST(JsonRpc, says_invalid_request_for_json_that_is_no_message) {
  for (const char* body : {"1", "null", "\"x\"", "{}", "[]", R"({"jsonrpc":"1.0","id":1,"method":"m"})",
                           R"({"jsonrpc":"2.0","id":1,"method":3})",
                           R"({"jsonrpc":"2.0","id":1,"method":""})", R"({"jsonrpc":"2.0","id":1})"}) {
    const auto parsed = parse_body(body);
    ASSERT_EQ(parsed.messages.size(), 1u);
    ASSERT_TRUE(parsed.messages[0].fault) << body;
    EXPECT_EQ(parsed.messages[0].fault->code, kInvalidRequest) << body;
  }
}

TEST(JsonRpc, keeps_the_id_of_a_faulty_request) {
  const auto parsed = parse_one(R"({"jsonrpc":"2.0","id":"x","method":"m","params":[1]})");
  ASSERT_TRUE(parsed.fault);
  EXPECT_EQ(parsed.fault->code, kInvalidParams);
  EXPECT_EQ(parsed.message.id, "\"x\"");
}

TEST(JsonRpc, tells_requests_notifications_and_responses_apart) {
  EXPECT_EQ(parse_one(R"({"jsonrpc":"2.0","id":1,"method":"m"})").message.kind, MessageKind::Request);
  EXPECT_EQ(parse_one(R"({"jsonrpc":"2.0","method":"m"})").message.kind, MessageKind::Notification);
  EXPECT_EQ(parse_one(R"({"jsonrpc":"2.0","id":1,"result":{}})").message.kind, MessageKind::Response);
  EXPECT_EQ(parse_one(R"({"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}})").message.kind,
            MessageKind::Response);
}

TEST(JsonRpc, reads_batches_up_to_their_bound) {
  const auto parsed =
      parse_body(R"([{"jsonrpc":"2.0","id":1,"method":"a"},7,{"jsonrpc":"2.0","method":"b"}])");
  EXPECT_TRUE(parsed.batch);
  ASSERT_EQ(parsed.messages.size(), 3u);
  EXPECT_FALSE(parsed.messages[0].fault);
  EXPECT_EQ(parsed.messages[1].fault->code, kInvalidRequest);
  EXPECT_EQ(parsed.messages[2].message.kind, MessageKind::Notification);
  std::string many = "[1";
  for (std::size_t i = 0; i < kBatchMax; ++i) many += ",1";
  const auto refused = parse_body(many + "]");
  ASSERT_EQ(refused.messages.size(), 1u);
  EXPECT_EQ(refused.messages[0].fault->code, kInvalidRequest);
}

TEST(JsonRpc, writes_messages_that_parse_back) {
  const auto result = core::Json::parse(write_result("7", "\"a\":1"));
  EXPECT_EQ(result, core::Json::parse(R"({"jsonrpc":"2.0","id":7,"result":{"a":1}})"));
  const auto error =
      core::Json::parse(write_error("\"x\"", {kInvalidParams, "say \"what\"", 200, R"({"b":2})"}));
  EXPECT_EQ(error.at("error").at("message"), "say \"what\"");
  EXPECT_EQ(error.at("error").at("data").at("b"), 2);
  EXPECT_FALSE(core::Json::parse(write_error("", {kParseError, "", 400, {}})).contains("id"));
  EXPECT_EQ(core::Json::parse(write_notification("n", "")),
            core::Json::parse(R"({"jsonrpc":"2.0","method":"n"})"));
}

TEST(JsonRpc, takes_the_inside_of_an_object) {
  EXPECT_EQ(object_members(R"( {"a":1} )"), R"("a":1)");
  EXPECT_EQ(object_members("{ }"), "");
  EXPECT_EQ(object_members("[1]"), "");
}

}  // namespace
}  // namespace assistiv::mcp
