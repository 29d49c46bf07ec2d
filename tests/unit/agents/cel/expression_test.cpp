#include "agents/cel/expression.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace assistiv::agents::cel {
namespace {

using core::Json;

Declarations declared() {
  return Declarations()
      .add("state", Type::from_schema(Json::parse(R"({"type": "object", "properties": {
        "category": {"type": "string", "enum": ["bug", "feature"]}, "count": {"type": "integer"},
        "score": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string"}},
        "issue": {"type": ["object", "null"], "properties": {"title": {"type": "string"}, "id": {"type": "integer"}}},
        "extra": {"type": "object"},
        "messages": {"type": "array", "items": {"type": "object"}}}})")))
      .add("item", Type::dyn())
      .add("run", Type::from_schema(
                      Json::parse(R"({"type": "object", "properties": {"now": {"type": "string"}}})")));
}

const Json& state() {
  static const Json out =
      Json::parse(R"({"category": "bug", "count": 3, "score": 0.5, "tags": ["a", "b", "c"],
    "issue": {"title": "Größe", "id": 9007199254740993}, "extra": {"x": {"y": 1}},
    "messages": [{"role": "user", "content": "hi"},
                 {"role": "assistant", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]}]})");
  return out;
}

const Json& item() {
  static const Json out = Json::parse(R"({"n": 2, "list": [1, 2.5, "x", null, true, 18446744073709551615]})");
  return out;
}

Json value_of(const std::string& text) {
  const Scope outer = Scope().bind("state", state());
  Scope scope(&outer);
  scope.bind("item", item());
  Budget budget;
  return Expression::compile(text, declared()).evaluate(scope, budget);
}

std::string code_of(const std::string& text) {
  try {
    return "value " + value_of(text).dump();
  } catch (const EvaluationError& error) {
    return error.code();
  }
}

Fault fault_of(const std::string& text) {
  try {
    Expression::compile(text, declared());
  } catch (const CompileError& error) {
    return error.fault();
  }
  return {"compiled", 0};
}

TEST(CelExpression, reads_json_with_its_types) {
  EXPECT_EQ(value_of("state.issue.id"), Json(9007199254740993LL));
  EXPECT_EQ(value_of("state.issue.id + 1 == 9007199254740994"), Json(true));
  EXPECT_EQ(value_of("item.list[5] == 18446744073709551615u"), Json(true));
  EXPECT_EQ(value_of("item.list.map(x, type(x))"),
            Json::parse(R"(["int", "double", "string", "null_type", "bool", "uint"])"));
}

TEST(CelExpression, gives_json) {
  EXPECT_EQ(value_of("[1, 2u, 1.5, 'x', null, true]"), Json::parse(R"([1, 2, 1.5, "x", null, true])"));
  EXPECT_EQ(value_of("{'a': {1: state.tags}}"), Json::parse(R"({"a": {"1": ["a", "b", "c"]}})"));
  EXPECT_EQ(value_of("[b'\\xff\\x00', timestamp('2026-11-22T01:02:03.5+01:00'), duration('90m'), type(1)]"),
            Json::parse(R"(["/wA=", "2026-11-22T00:02:03.5Z", "5400s", "int"])"));
  EXPECT_EQ(value_of("state.extra"), state()["extra"]);
  EXPECT_EQ(code_of("1.0 / 0.0"), "invalid_argument");
}

TEST(CelExpression, an_operand_that_decides_beats_one_that_failed) {
  EXPECT_EQ(value_of("item.missing == 1 || state.count == 3"), Json(true));
  EXPECT_EQ(value_of("item.missing == 1 && state.count == 4"), Json(false));
  EXPECT_EQ(code_of("item.missing == 1 || state.count == 4"), "no_such_key");
  EXPECT_EQ(value_of("item.list.exists(x, x > 2)"), Json(true));
  EXPECT_EQ(code_of("item.list.exists(x, x > 1000000 && x < 2000000)"), "no_such_overload");
}

TEST(CelExpression, errors_have_codes_and_quote_the_expression_only) {
  EXPECT_EQ(code_of("9223372036854775807 + state.count"), "overflow");
  EXPECT_EQ(code_of("state.count / (state.count - 3)"), "divide_by_zero");
  EXPECT_EQ(code_of("state.tags[3]"), "out_of_range");
  EXPECT_EQ(code_of("int(state.category)"), "invalid_argument");
  EXPECT_EQ(code_of("item.n + 'x'"), "no_such_overload");
  EXPECT_EQ(code_of("run.now"), "no_such_variable");
  try {
    value_of("1 == 1 && item.secret.deep == 'x'");
    FAIL();
  } catch (const EvaluationError& error) {
    EXPECT_STREQ(error.what(), "There is no such key: \"secret.deep == 'x'\"");
  }
}

TEST(CelExpression, a_condition_is_a_bool_or_an_error) {
  Budget budget;
  const Scope scope = Scope().bind("state", state()).bind("item", item());
  EXPECT_TRUE(Expression::compile("state.category == 'bug'", declared()).test(scope, budget));
  EXPECT_FALSE(Expression::compile("item.n > 2", declared()).test(scope, budget));
  for (const char* text : {"item.n", "item.missing", "null"}) {
    EXPECT_THROW(Expression::compile(text, declared()).test(scope, budget), EvaluationError) << text;
  }
}

TEST(CelExpression, faults_say_what_and_where) {
  const std::pair<const char*, std::pair<const char*, std::size_t>> cases[] = {
      {"", {"empty", 0}},
      {"state.categry == 'bug'", {"There is no \"categry\"", 6}},
      {"state['nope']", {"There is no \"nope\"", 5}},
      {"state.issue.titel", {"There are: id, title", 12}},
      {"sate.count", {"no variable \"sate\"", 0}},
      {"state.count == '3'", {"never equal", 12}},
      {"state.category < 3", {"no order", 15}},
      {"state.category + 3", {"does not take (string, int)", 15}},
      {"frobnicate(1)", {"no function \"frobnicate\"", 0}},
      {"'a'.matches('(')", {"no pattern of RE2", 12}},
      {"state.tags.exists(x, x)", {"test of a macro", 21}},
      {"1 +", {"Expected a value", 3}},
      {"'abc", {"no end", 0}},
      {"1 = 2", {"Use &&", 2}},
      {"99999999999999999999", {"too large", 0}},
      {"timestamp('x').getHours('Mars/Base')", {"no time zone", 24}},
      {"has(state)", {"has() takes a member", 0}},
      {"Foo{a: 1}", {"Messages", 3}},
  };
  for (const auto& [text, expected] : cases) {
    const Fault fault = fault_of(text);
    EXPECT_NE(fault.message.find(expected.first), std::string::npos) << text << ": " << fault.message;
    EXPECT_EQ(fault.offset, expected.second) << text << ": " << fault.message;
  }
}

TEST(CelExpression, is_bounded_when_it_is_compiled) {
  EXPECT_EQ(fault_of(std::string(32, '(') + "1" + std::string(32, ')')).message, "compiled");
  EXPECT_NE(fault_of(std::string(33, '(') + "1" + std::string(33, ')')).message.find("32 levels"),
            std::string::npos);
  EXPECT_NE(fault_of("'" + std::string(2000, 'x') + "'").message.find("2,000"), std::string::npos);
  std::string sum = "1", any = "false";
  for (int i = 0; i < 400; ++i) sum += "+1";
  for (int i = 0; i < 200; ++i) any += "||false";
  EXPECT_NE(fault_of(sum).message.find("too deeply"), std::string::npos);
  EXPECT_EQ(fault_of(any).message, "compiled");
  EXPECT_EQ(fault_of("[1].all(a, [1].all(b, a == b))").message, "compiled");
  EXPECT_NE(fault_of("[1].all(a, [1].all(b, [1].all(c, true)))").message.find("within each other"),
            std::string::npos);
}

TEST(CelExpression, knows_what_it_reads) {
  const auto reads = [](const char* text) { return Expression::compile(text, declared()).reads(); };
  using Paths = std::set<std::string>;
  EXPECT_EQ(reads("state.category == 'bug' && state['count'] > item.n"),
            (Paths{"state.category", "state.count", "item.n"}));
  EXPECT_EQ(reads("state.messages[0].role"), (Paths{"state.messages"}));
  EXPECT_EQ(reads("state.tags.filter(item, item == state.category)"),
            (Paths{"state.category", "state.tags"}));
  EXPECT_EQ(reads("has(state.issue.title)"), (Paths{"state.issue.title"}));
  EXPECT_EQ(reads("state"), (Paths{"state"}));
  EXPECT_EQ(reads("1 + 1"), Paths{});
}

TEST(CelExpression, knows_its_type) {
  const auto type = [](const char* text) { return Expression::compile(text, declared()).type().name(); };
  EXPECT_EQ(type("state.tags.map(t, size(t))"), "list(int)");
  EXPECT_EQ(type("state.count > 1 ? 'a' : 'b'"), "string");
  EXPECT_EQ(type("state.count > 1 ? 1 : 'b'"), "dyn");
  EXPECT_EQ(type("last(state.tags)"), "string");
  EXPECT_EQ(type("state.score"), "double");
}

TEST(CelExpression, numbers_have_the_type_of_the_schema_however_they_are_written) {
  const Json written = Json::parse(R"({"count": 3.0, "score": 2, "scores": [1, 2.5], "tags": []})");
  const Scope scope = Scope().bind("state", written);
  const auto declarations = Declarations().add(
      "state",
      Type::from_schema(Json::parse(R"({"type": "object", "properties": {"count": {"type": "integer"},
        "score": {"type": "number"}, "scores": {"type": "array", "items": {"type": "number"}}}})")));
  for (const char* text :
       {"state.count + 1 == 4", "state.score * 1.5 == 3.0", "state.scores.all(s, s / 2.0 < 2.0)",
        "state.scores[0] + last(state.scores) == 3.5", "type(state.count) == int"}) {
    Budget budget;
    EXPECT_TRUE(Expression::compile(text, declarations).test(scope, budget)) << text;
  }
  EXPECT_EQ(fault_of("state.score * 2").message,
            "\"*\" does not take (double, int). Convert one of them, with double() or int().");
}

TEST(CelExpression, our_functions) {
  EXPECT_EQ(value_of("messages.last_text(state.messages)"), Json("one two"));
  EXPECT_EQ(value_of("messages.last_text(state.messages.filter(m, m.role == 'user'))"), Json("hi"));
  EXPECT_EQ(value_of("messages.last_text([])"), Json(""));
  EXPECT_EQ(value_of("last(state.tags)"), Json("c"));
  EXPECT_EQ(code_of("last([])"), "out_of_range");
  EXPECT_EQ(value_of("json('{\"a\": [1, {\"b\": null}]}').a[1].b"), Json(nullptr));
  EXPECT_EQ(code_of("json('{')"), "invalid_argument");
  EXPECT_EQ(value_of("to_json({'b': [1, 2.5, \"x\\\"\\n\"], 'a': state.issue.title})"),
            Json(R"({"a":"Größe","b":[1,2.5,"x\"\n"]})"));
  EXPECT_EQ(value_of("hash({'b': 1, 'a': 2}) == hash(json('{\"a\": 2, \"b\": 1}'))"), Json(true));
  EXPECT_EQ(value_of("hash('') == hash('x')"), Json(false));
  EXPECT_EQ(value_of("size(hash(state))"), Json(64));
}

}  // namespace
}  // namespace assistiv::agents::cel
