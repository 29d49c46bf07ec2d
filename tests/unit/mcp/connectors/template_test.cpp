#include "mcp/connectors/template.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace assistiv::mcp {
namespace {

using nlohmann::json;

std::string path(const char* pattern, const json& bindings) {
  return PathPattern::parse(pattern).render(bindings);
}

std::string refused_argument(const char* pattern, const json& bindings) {
  try {
    return "rendered " + path(pattern, bindings);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::InvalidArgument);
    return error.field();
  }
}

TEST(PathPattern, encodes_a_value_as_one_segment) {
  EXPECT_EQ(path("/a/{x}/b", {{"x", "1/2?3#4%5 6"}}), "/a/1%2F2%3F3%234%255%206/b");
  EXPECT_EQ(path("/a/{x}", {{"x", 42}}), "/a/42");
  EXPECT_EQ(path("/a/{x}...{y}", {{"x", "v1"}, {"y", "\u00e9"}}), "/a/v1...%C3%A9");
}

TEST(PathPattern, refuses_segments_that_climb_or_vanish) {
  for (const char* value : {"", ".", ".."})
    EXPECT_EQ(refused_argument("/a/{x}/b", {{"x", value}}), "x") << value;
  EXPECT_EQ(refused_argument("/a/{x}{y}", {{"x", "."}, {"y", "."}}), "y");
  EXPECT_EQ(refused_argument("/a/{x}", {{"x", std::string("a\0b", 3)}}), "x");
  EXPECT_EQ(refused_argument("/a/{x}", {{"x", nullptr}}), "x");
  EXPECT_EQ(refused_argument("/a/{x}", {{"x", {1, 2}}}), "x");
  EXPECT_EQ(refused_argument("/a/{x}", json::object()), "x");
}

TEST(PathPattern, keeps_slashes_of_a_rest_and_checks_each_part) {
  EXPECT_EQ(path("/f/{p...}", {{"p", "a/b c/d"}}), "/f/a/b%20c/d");
  EXPECT_EQ(path("/f/{p...}/raw", {{"p", "a/b"}}), "/f/a/b/raw");
  for (const char* value : {"", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", ".."}) {
    EXPECT_EQ(refused_argument("/f/{p...}", {{"p", value}}), "p") << value;
  }
  EXPECT_EQ(path("/f/{p...}", {{"p", "a/%2e%2e/b"}}), "/f/a/%252e%252e/b");
}

TEST(PathPattern, drops_an_absent_rest_at_the_end_only) {
  EXPECT_EQ(path("/f/{p...}", json::object()), "/f");
  EXPECT_EQ(refused_argument("/f/{p...}/raw", json::object()), "p");
}

TEST(PathPattern, refuses_patterns_that_are_no_plain_path) {
  for (const char* pattern : {"", "a", "//a", "/a/../b", "/a?b", "/a#b", "/a%2fb", "/{A}", "/{}", "/{a",
                              "/a}", "/x{p...}", "/a b", "/a\\b", "/a\rb", "/\u00e9"}) {
    EXPECT_THROW(PathPattern::parse(pattern), core::Error) << pattern;
  }
}

json rendered(const json& tree, const json& bindings) {
  json out;
  return JsonPattern::parse(tree, "").render(bindings, out) ? out : json("vanished");
}

TEST(JsonPattern, puts_values_at_leaves_with_their_types) {
  const json tree = {{"a", "{x}"}, {"b", {"{y}", 7, nullptr, true}}, {"c", "n={x}"}};
  EXPECT_EQ(rendered(tree, {{"x", 5}, {"y", {{"k", "v"}}}}),
            (json{{"a", 5}, {"b", {{{"k", "v"}}, 7, nullptr, true}}, {"c", "n=5"}}));
}

TEST(JsonPattern, cannot_be_injected_into) {
  const json out =
      rendered({{"note", "{x}"}, {"label", "l:{x}"}}, {{"x", "\",\"admin\":true,\"y\":\"{team}"}});
  EXPECT_EQ(out.size(), 2u);
  EXPECT_EQ(out["note"], "\",\"admin\":true,\"y\":\"{team}");
}

TEST(JsonPattern, leaves_out_what_is_absent_and_keeps_null_and_empty) {
  const json tree = {{"a", "{x}"}, {"b", {{"c", "{y}"}}}, {"d", {"{x}", "{y}"}}, {"e", json::object()}};
  EXPECT_EQ(rendered(tree, {{"x", nullptr}}),
            (json{{"a", nullptr}, {"d", {nullptr}}, {"e", json::object()}}));
  EXPECT_EQ(rendered({{"a", "{x}"}}, {{"x", json::array()}}), (json{{"a", json::array()}}));
  EXPECT_EQ(rendered({{"a", "{x}"}}, json::object()), "vanished");
}

NamedPatterns patterns(const json& object) {
  NamedPatterns out;
  for (const auto& [name, value] : object.items()) out.emplace_back(name, JsonPattern::parse(value, ""));
  return out;
}

TEST(QueryFields, join_lists_and_write_scalars) {
  const auto fields =
      render_fields(patterns({{"a", "{list}"}, {"b", "{flag}"}, {"c", 3}, {"d", "{gone}"}, {"e", "{none}"}}),
                    {{"list", {"x", 2}}, {"flag", false}, {"none", json::array()}});
  EXPECT_EQ(fields, (core::FormFields{{"a", "x,2"}, {"b", "false"}, {"c", "3"}}));
}

TEST(FormBody, writes_nested_values_as_json) {
  EXPECT_EQ(form_body({{"channel", "C1"}, {"blocks", {{{"type", "x"}}}}, {"users", {"U1", "U2"}}}),
            "blocks=%5B%7B%22type%22%3A%22x%22%7D%5D&channel=C1&users=U1%2CU2");
}

TEST(HeaderFields, refuse_line_breaks_and_what_is_not_ascii) {
  const auto header = patterns({{"X-Org", "{x}"}});
  EXPECT_EQ(render_headers(header, {{"x", "12"}}).at(0).second, "12");
  for (const char* value : {"a\r\nb", "a\nb", "\u00e9", "\x7f"}) {
    EXPECT_THROW(render_headers(header, {{"x", value}}), core::Error) << value;
  }
}

}  // namespace
}  // namespace assistiv::mcp
