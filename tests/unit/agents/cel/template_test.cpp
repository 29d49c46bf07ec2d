#include "agents/cel/template.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace assistiv::agents::cel {
namespace {

using core::Json;

Declarations template_variables() {
  return Declarations().add("state", Type::dyn()).add("item", Type::of(Kind::String));
}

Json rendered(const Json& value) {
  static const Json state = Json::parse(R"({"title": "Fix }", "labels": ["a", "b"], "n": 3, "none": null})");
  static const Json item = "it";
  const Scope scope = Scope().bind("state", state).bind("item", item);
  Budget budget;
  return Template::compile(value, template_variables()).render(scope, budget);
}

TEST(CelTemplate, one_hole_keeps_its_type) {
  EXPECT_EQ(rendered("${state.labels}"), Json::parse(R"(["a", "b"])"));
  EXPECT_EQ(rendered("${ state.n + 1 }"), Json(4));
  EXPECT_EQ(rendered("${state.none}"), Json(nullptr));
}

TEST(CelTemplate, holes_in_text_give_text) {
  EXPECT_EQ(rendered("Issue ${state.title}: ${state.n}, ${state.labels}${state.none}!"),
            Json("Issue Fix }: 3, [\"a\",\"b\"]null!"));
  EXPECT_EQ(rendered(" ${item}"), Json(" it"));
  EXPECT_EQ(rendered("${item}${timestamp('2026-01-01T00:00:00Z')}"), Json("it2026-01-01T00:00:00Z"));
}

TEST(CelTemplate, two_dollars_are_text) {
  EXPECT_EQ(rendered("$${item} is ${item}, $5 {x} $"), Json("${item} is it, $5 {x} $"));
}

TEST(CelTemplate, braces_and_quotes_in_a_hole_do_not_end_it) {
  EXPECT_EQ(rendered("${ {'a}': '}\\'}'}['a}'] }"), Json("}'}"));
  EXPECT_EQ(rendered("x${ \"\"\"}\"}\"\"\" }y"), Json("x}\"}y"));
}

TEST(CelTemplate, renders_within_objects_and_arrays_and_leaves_keys) {
  EXPECT_EQ(rendered(Json::parse(R"({"${item}": ["${item}", 1, {"deep": "n=${state.n}"}], "plain": null})")),
            Json::parse(R"({"${item}": ["it", 1, {"deep": "n=3"}], "plain": null})"));
}

TEST(CelTemplate, knows_what_it_reads_and_whether_it_changes) {
  const auto compiled = Template::compile(
      Json::parse(R"({"a": "${state.n}", "b": ["${item} ${state.title}"]})"), template_variables());
  EXPECT_EQ(compiled.reads(), (std::set<std::string>{"item", "state.n", "state.title"}));
  EXPECT_EQ(compiled.expressions().size(), 3U);
  EXPECT_FALSE(compiled.is_constant());
  EXPECT_TRUE(Template::compile(Json::parse(R"({"a": ["$${x}", 1]})"), template_variables()).is_constant());
  EXPECT_EQ(Template::compile("${size(item)}", template_variables()).type().name(), "int");
  EXPECT_EQ(Template::compile("${size(item)} ", template_variables()).type().name(), "string");
}

TEST(CelTemplate, faults_say_which_string_and_where) {
  const auto fault = [](const Json& value) {
    try {
      Template::compile(value, template_variables());
    } catch (const TemplateError& error) {
      return error.pointer() + "@" + std::to_string(error.fault().offset);
    }
    return std::string("compiled");
  };
  EXPECT_EQ(fault(Json::parse(R"({"a/b": ["x", "ab ${ nope }"]})")), "/a~1b/1@6");
  EXPECT_EQ(fault("ab ${ 1 + 1"), "@3");
  EXPECT_EQ(fault("${}"), "@2");
  Json deep = "x";
  for (int i = 0; i < 70; ++i) deep = Json::array({deep});
  EXPECT_NE(fault(deep), "compiled");
  EXPECT_NE(fault(Json(std::vector<std::string>(1001, "${1}"))), "compiled");
}

TEST(CelTemplate, output_is_charged) {
  const Json state = {{"text", std::string(600'000, 'x')}};
  const Scope scope = Scope().bind("state", state);
  Budget budget;
  const auto compiled = Template::compile("${state.text}-${state.text}", template_variables());
  EXPECT_THROW(compiled.render(scope, budget), EvaluationError);
}

}  // namespace
}  // namespace assistiv::agents::cel
