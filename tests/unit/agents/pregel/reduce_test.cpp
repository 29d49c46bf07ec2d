#include "agents/pregel/reduce.h"

#include <gtest/gtest.h>

#include "agents/pregel/messages.h"
#include "core/error.h"
#include "support/scripted_random.h"

namespace assistiv::agents::pregel {
namespace {

using core::Json;

StateKey key_of(Reducer reducer, int max_items = 0) {
  StateKey key;
  key.name = "k";
  key.reducer = reducer;
  key.max_items = max_items;
  return key;
}

Json reduced(const StateKey& key, const Json& current, const std::vector<Json>& writes) {
  test::ScriptedRandom random;
  std::vector<Value> values;
  for (const auto& write : writes) values.push_back(prepare_write(key, write, random).value);
  return reduce(key, current.is_discarded() ? Value() : Value(current), values).json();
}

std::string code_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const core::Error& e) {
    return std::string(e.code());
  }
  return "";
}

const Json kNone = Json(Json::value_t::discarded);

TEST(Reduce, OneCaseForEachReducer) {
  struct Case {
    Reducer reducer;
    Json current;
    std::vector<Json> writes;
    Json result;
  };
  const std::vector<Case> cases = {
      {Reducer::Last, 1, {2}, 2},
      {Reducer::Any, 1, {2, 3}, 3},
      {Reducer::Append, Json::array({1}), {Json::array({2, 3}), 4}, Json::array({1, 2, 3, 4})},
      {Reducer::Append, kNone, {Json::array({2}), nullptr}, Json::array({2})},
      {Reducer::Union,
       Json::array({1, "a"}),
       {Json::array({"a", 2, 1}), Json::array({2, 3})},
       {1, "a", 2, 3}},
      {Reducer::Merge, {{"a", {{"x", 1}}}}, {{{"a", {{"y", 2}}}}, {{"b", 3}}}, {{"a", {{"y", 2}}}, {"b", 3}}},
      {Reducer::DeepMerge,
       {{"a", {{"x", 1}}}},
       {{{"a", {{"y", 2}}}}, {{"b", 3}}},
       {{"a", {{"x", 1}, {"y", 2}}}, {"b", 3}}},
      {Reducer::Sum, 1, {2, 3}, 6},
      {Reducer::Sum, kNone, {1.5, 2}, 3.5},
      {Reducer::Min, 5, {7, 3}, 3},
      {Reducer::Max, kNone, {7, 3}, 7},
      {Reducer::Max, "b", {"a", "c"}, "c"},
      {Reducer::And, kNone, {true, false}, false},
      {Reducer::And, kNone, {true, true}, true},
      {Reducer::Or, false, {false, true}, true},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(reduced(key_of(one.reducer), one.current, one.writes), one.result) << to_string(one.reducer);
  }
}

TEST(Reduce, TwoWritersOfALastKeyAreRefused) {
  EXPECT_EQ(code_of([] { reduced(key_of(Reducer::Last), 1, {2, 3}); }), "INVALID_CONCURRENT_GRAPH_UPDATE");
}

TEST(Reduce, ValuesThatDoNotFitAreRefused) {
  const auto max = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(code_of([&] { reduced(key_of(Reducer::Sum), max, {1}); }), "INVALID_GRAPH_UPDATE");
  EXPECT_EQ(code_of([] { reduced(key_of(Reducer::Sum), 1, {"2"}); }), "INVALID_GRAPH_UPDATE");
  EXPECT_EQ(code_of([] { reduced(key_of(Reducer::Merge), 1, {Json::array()}); }), "INVALID_GRAPH_UPDATE");
  EXPECT_EQ(code_of([] { reduced(key_of(Reducer::Max), 1, {"a"}); }), "INVALID_GRAPH_UPDATE");
  EXPECT_EQ(code_of([] { reduced(key_of(Reducer::And), true, {1}); }), "INVALID_GRAPH_UPDATE");
}

TEST(Reduce, AnOverwriteReplacesOnceAndLaterWritesAreIgnored) {
  const Json over = {{"__overwrite__", Json::array({9})}};
  const Json typed = {{"type", "__overwrite__"}, {"value", Json::array({8})}};
  EXPECT_EQ(reduced(key_of(Reducer::Append), Json::array({1}), {Json::array({2}), over, Json::array({3})}),
            Json::array({9}));
  EXPECT_EQ(reduced(key_of(Reducer::Append), Json::array({1}), {typed}), Json::array({8}));
  EXPECT_EQ(reduced(key_of(Reducer::Last), 1, {{{"__overwrite__", 5}}}), 5);
  EXPECT_EQ(code_of([&] {
              reduced(key_of(Reducer::Append), Json::array(), {over, typed});
            }),
            "INVALID_CONCURRENT_GRAPH_UPDATE");
}

TEST(Reduce, NestingIsBounded) {
  Json deep = 1;
  for (int i = 0; i < kMaxNesting + 1; ++i) deep = Json::array({std::move(deep)});
  EXPECT_EQ(code_of([&] { Value value(deep); }), "INVALID_GRAPH_UPDATE");
}

TEST(Reduce, KeepsTheNewestItems) {
  EXPECT_EQ(reduced(key_of(Reducer::Append, 2), Json::array({1, 2}), {Json::array({3})}),
            Json::array({2, 3}));
}

Json call_of(const std::string& id, const std::string& call) {
  return {{"id", id}, {"type", "ai"}, {"content", ""}, {"tool_calls", {{{"id", call}, {"name", "t"}}}}};
}
Json answer_of(const std::string& id, const std::string& call) {
  return {{"id", id}, {"type", "tool"}, {"content", "x"}, {"tool_call_id", call}};
}
std::vector<std::string> ids_of(const Json& messages) {
  std::vector<std::string> out;
  for (const auto& message : messages) out.push_back(message["id"]);
  return out;
}

TEST(Messages, ACallOfAToolIsNotPartedFromItsAnswers) {
  const Json list = {{{"id", "1"}, {"type", "human"}, {"content", "q"}},
                     call_of("2", "c"),
                     answer_of("3", "c"),
                     answer_of("4", "c"),
                     {{"id", "5"}, {"type", "ai"}, {"content", "a"}}};
  EXPECT_EQ(surplus_messages(list, 5), 0U);
  EXPECT_EQ(surplus_messages(list, 4), 1U);
  EXPECT_EQ(surplus_messages(list, 3), 4U);
  EXPECT_EQ(surplus_messages(list, 2), 4U);
  EXPECT_EQ(ids_of(reduced(key_of(Reducer::Messages, 3), list, {Json::array()})),
            std::vector<std::string>{"5"});
}

TEST(Messages, AreAddedReplacedAndRemoved) {
  const auto key = key_of(Reducer::Messages);
  const Json two = {{{"id", "a"}, {"type", "human"}, {"content", "1"}},
                    {{"id", "b"}, {"type", "ai"}, {"content", "2"}}};
  const auto replaced = reduced(key, two, {{{"id", "a"}, {"role", "user"}, {"content", "new"}}});
  EXPECT_EQ(ids_of(replaced), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(replaced[0]["content"], "new");
  EXPECT_EQ(ids_of(reduced(key, two, {{{"id", "a"}, {"type", "remove"}}})), std::vector<std::string>{"b"});
  EXPECT_EQ(code_of([&] {
              reduced(key, two, {{{"id", "zz"}, {"type", "remove"}}});
            }),
            "INVALID_GRAPH_UPDATE");
  const Json fresh = {{{"id", "__remove_all__"}, {"type", "remove"}},
                      {{"id", "c"}, {"type", "human"}, {"content", "3"}}};
  EXPECT_EQ(ids_of(reduced(key, two, {fresh})), std::vector<std::string>{"c"});
}

TEST(Messages, AreReadInEveryFormThatClientsSend) {
  test::ScriptedRandom random;
  const Json given = {"plain",
                      {{"role", "assistant"}, {"content", "a"}},
                      {{"type", "AIMessageChunk"}, {"content", "b"}, {"id", "kept"}},
                      Json::array({"system", "s"}),
                      {{"lc", 1},
                       {"type", "constructor"},
                       {"id", {"langchain_core", "messages", "HumanMessage"}},
                       {"kwargs", {{"content", "h"}}}}};
  const auto list = coerce_messages(given, random);
  std::vector<std::string> types;
  for (const auto& message : list) types.push_back(message["type"]);
  EXPECT_EQ(types, (std::vector<std::string>{"human", "ai", "ai", "system", "human"}));
  EXPECT_EQ(list[2]["id"], "kept");
  EXPECT_EQ(list[0]["id"].get<std::string>().size(), 36U);
  EXPECT_NE(list[0]["id"], list[1]["id"]);
  EXPECT_FALSE(list[1].contains("role"));
  EXPECT_EQ(list[4]["content"], "h");
  EXPECT_EQ(code_of([&] {
              coerce_messages({{"role", "wizard"}, {"content", ""}}, random);
            }),
            "INVALID_GRAPH_UPDATE");
  EXPECT_EQ(code_of([&] { coerce_messages(7, random); }), "INVALID_GRAPH_UPDATE");
}

TEST(Messages, CallsWithoutAnAnswerGetOne) {
  test::ScriptedRandom random;
  Json list = {call_of("1", "c1"), answer_of("2", "c1"), call_of("3", "c2")};
  const auto answers = answers_for_open_calls(list, "cancelled", random);
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0]["tool_call_id"], "c2");
  EXPECT_EQ(answers[0]["status"], "error");
  list.push_back(answers[0]);
  EXPECT_TRUE(answers_for_open_calls(list, "x", random).empty());
}

}  // namespace
}  // namespace assistiv::agents::pregel
