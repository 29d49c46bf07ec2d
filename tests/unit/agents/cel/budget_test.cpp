// Hostile expressions over large values: each ends with budget_exceeded, or is cheap.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "agents/cel/expression.h"

namespace assistiv::agents::cel {
namespace {

using core::Json;

const Json& large() {
  static const Json out = [] {
    Json value = {
        {"text", std::string(1 << 20, 'a')}, {"list", Json::array()}, {"words", Json::array()}, {"n", 7}};
    for (int i = 0; i < 20000; ++i) value["list"].push_back(i);
    for (int i = 0; i < 1000; ++i) value["words"].push_back(std::string(1000, 'w'));
    return value;
  }();
  return out;
}

struct Outcome {
  std::string code;  // empty: there is a value
  Budget left;
};

Outcome run(const std::string& text) {
  Outcome out;
  const auto expression = Expression::compile(text, Declarations().add("s", Type::dyn()));
  const Scope scope = Scope().bind("s", large());
  try {
    expression.evaluate(scope, out.left);
  } catch (const EvaluationError& error) {
    out.code = error.code();
  }
  return out;
}

TEST(CelBudget, one_field_of_a_large_state_costs_nothing_to_speak_of) {
  const Outcome out = run("s.n == 7 && size(s.list) == 20000 && s.list[19999] == 19999");
  EXPECT_EQ(out.code, "");
  EXPECT_GT(out.left.steps, 99'900);
  EXPECT_GT(out.left.bytes, (1 << 20) - 200);
}

TEST(CelBudget, refuses_before_it_works) {
  for (const char* text : {
           "s.list.all(a, s.list.all(b, a + b >= 0))",
           "s.list.map(a, s.text)",
           "s.words.map(a, a + a)",
           "s.text + s.text",
           "s.text.replace('a', 'bbbbbbbb')",
           "s.text.replace('', 'bb')",
           "s.text.split('')",
           "s.words.join(s.text)",
           "s.text.upperAscii() + s.text.lowerAscii()",
           "s.text.matches('(a?){100}(a{50}){10}$')",
           "s.list.exists(x, s.text.contains(string(x) + 'zz'))",
           "s.list.exists(x, 'aaaa'.matches(string(x)))",
           "s.list.all(x, s.list == s.list)",
           "s.list.all(x, s.text == s.text)",
           "to_json([s, s])",
           "hash([s, s])",
           "[s, s]",
           "json('[' + s.text.replace('a', '1', 300000) + ']')",
           "'%s%s'.format([s.text, s.text])",
           "s.list.transformMap(i, v, v).all(k, k in s.list.transformMap(i, v, v))",
           "cel.bind(a, s.list + s.list, cel.bind(b, a + a, b + b))",
       }) {
    EXPECT_EQ(run(text).code, "budget_exceeded") << text;
  }
}

TEST(CelBudget, is_absorbed_by_nothing) {
  EXPECT_EQ(run("s.list.all(a, s.list.all(b, true)) || true").code, "budget_exceeded");
}

TEST(CelBudget, is_shared_by_the_expressions_of_one_caller) {
  Budget budget;
  const Scope scope = Scope().bind("s", large());
  const auto expression = Expression::compile("s.list.all(a, a >= 0)", Declarations().add("s", Type::dyn()));
  EXPECT_NO_THROW(expression.test(scope, budget));
  EXPECT_THROW(expression.test(scope, budget), EvaluationError);
}

}  // namespace
}  // namespace assistiv::agents::cel
