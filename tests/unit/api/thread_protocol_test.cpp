#include "api/wire/thread_protocol.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"

namespace assistiv::api {
namespace {

using agents::LoggedEvent;
using core::Json;

agents::RunId run_number(std::uint8_t n) {
  agents::RunId out;
  out.uuid.bytes[15] = n;
  return out;
}

LoggedEvent event(std::int64_t seq, const std::string& method, Json data, const std::string& ns = "",
                  const std::string& node = "") {
  LoggedEvent out;
  out.run = run_number(1);
  out.event.seq = seq;
  out.event.method = method;
  out.event.ns = ns;
  out.event.node = node;
  out.event.data = std::move(data);
  out.event.at = core::Time(std::chrono::milliseconds(1'700'000'000'123));
  return out;
}

LoggedEvent piece(const std::string& id, Json chunk, std::size_t content, std::size_t args = 0) {
  chunk["type"] = "AIMessageChunk";
  chunk["id"] = id;
  chunk["langgraph"] = {{"content", content}, {"args", args}};
  return event(0, "messages", std::move(chunk), "", "model");
}

Json text_chunk(const std::string& text) {
  return {{"content", text}};
}

// A stream that reads what is kept as it comes.
struct Stream {
  ThreadEncoder encoder{0};
  std::vector<ProtocolEvent> all;

  std::vector<ProtocolEvent> give(const LoggedEvent& one) {
    auto out = encoder.encode(one, one.event.seq);
    all.insert(all.end(), out.begin(), out.end());
    return out;
  }
};

std::vector<std::string> kinds(const std::vector<ProtocolEvent>& events) {
  std::vector<std::string> out;
  for (const auto& one : events) {
    const auto& data = one.data;
    auto kind = data.value("event", one.method);
    if (data.contains("index")) kind += " " + data["index"].dump();
    out.push_back(kind);
  }
  return out;
}

std::vector<std::string> ids(const std::vector<ProtocolEvent>& events) {
  std::vector<std::string> out;
  for (const auto& one : events) out.push_back(one.id);
  return out;
}

// As a client puts a message together: by index, deltas appended, the finish last.
std::vector<Json> assembled(const std::vector<ProtocolEvent>& events, const std::string& id) {
  std::vector<Json> blocks;
  std::string now;
  for (const auto& one : events) {
    const auto& data = one.data;
    const auto what = data.value("event", "");
    if (what == "message-start") {
      now = data["id"];
      if (now == id) blocks.clear();
    }
    if (now != id || !data.contains("index")) continue;
    const auto index = data["index"].get<std::size_t>();
    if (what == "content-block-start") EXPECT_EQ(index, blocks.size());
    if (what == "content-block-start") blocks.push_back(data["content"]);
    if (what == "content-block-finish") blocks.at(index) = data["content"];
    if (what != "content-block-delta") continue;
    const auto& delta = data["delta"];
    if (delta["type"] == "text-delta") {
      blocks.at(index)["text"] =
          blocks.at(index)["text"].get<std::string>() + delta["text"].get<std::string>();
    }
    if (delta["type"] == "block-delta") blocks.at(index).update(delta["fields"]);
  }
  return blocks;
}

const Json kAnswer = {
    {"type", "ai"},
    {"id", "m1"},
    {"content", "Hello"},
    {"tool_calls", {{{"id", "c1"}, {"name", "find"}, {"args", {{"q", "x"}}}, {"type", "tool_call"}}}},
    {"usage_metadata", {{"input_tokens", 3}, {"output_tokens", 2}, {"total_tokens", 5}}}};
const std::vector<Json> kAnswerBlocks = {
    {{"type", "text"}, {"text", "Hello"}},
    {{"type", "tool_call"}, {"id", "c1"}, {"name", "find"}, {"args", {{"q", "x"}}}}};

TEST(ThreadProtocol, AnEventHasItsNumberItsNamespaceAndItsTime) {
  Stream stream;
  const auto out = stream.give(event(7, "tasks", {{"id", "t"}, {"name", "a"}}, "sub:1|in:2", "a"));
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(to_json(out[0]), (Json{{"type", "event"},
                                   {"event_id", "7-0"},
                                   {"seq", 7 * 1024},
                                   {"method", "tasks"},
                                   {"params",
                                    {{"namespace", {"sub:1", "in:2"}},
                                     {"timestamp", 1'700'000'000'123},
                                     {"node", "a"},
                                     {"data", {{"id", "t"}, {"name", "a"}}}}}}));
  EXPECT_TRUE(to_sse(out[0]).ends_with("\n\n"));
  EXPECT_NE(to_sse(out[0]).find("event: tasks\n"), std::string::npos);
  EXPECT_NE(to_sse(out[0]).find("id: 7-0\n"), std::string::npos);
}

TEST(ThreadProtocol, EachMethodHasTheShapeOfItsChannel) {
  Stream stream;
  EXPECT_EQ(
      stream.give(event(1, "lifecycle", {{"event", "running"}, {"graph_name", "g"}, {"attempt", 1}}))[0].data,
      (Json{{"event", "running"}, {"graph_name", "g"}}));
  EXPECT_EQ(
      stream
          .give(event(
              2, "checkpoints",
              {{"id", "c"}, {"parent_id", ""}, {"step", -1}, {"source", "input"}, {"values", {{"a", 1}}}}))[0]
          .data,
      (Json{{"id", "c"}, {"step", -1}, {"source", "input"}}));
  EXPECT_EQ(stream.give(event(3, "values", {{"n", 1}, {"__interrupt__", Json::array()}}))[0].data,
            (Json{{"n", 1}}));
  const auto update = stream.give(event(4, "updates", {{"add", {{"n", 1}}}}, "", "add"));
  EXPECT_EQ(update[0].data, (Json{{"n", 1}}));
  EXPECT_EQ(update[0].node, "add");
  EXPECT_TRUE(stream.give(event(5, "updates", {{"__interrupt__", Json::array()}})).empty());
  EXPECT_TRUE(stream.give(event(6, "values", {{"__interrupt__", Json::array()}})).empty());
  EXPECT_EQ(stream.give(event(7, "input.requested", {{"interrupt_id", "i"}, {"payload", 1}}))[0].method,
            "input.requested");
  EXPECT_EQ(stream.give(event(8, "custom", "progress"))[0].data, (Json{{"payload", "progress"}}));
  EXPECT_EQ(stream.give(event(9, "custom", {{"name", "n"}, {"payload", 2}}))[0].data,
            (Json{{"name", "n"}, {"payload", 2}}));
  EXPECT_TRUE(stream.give(event(10, "metadata", {{"run_id", "r"}})).empty());
  EXPECT_TRUE(stream.give(event(11, "error", {{"error", "e"}})).empty());
}

TEST(ThreadProtocol, AWholeMessageIsToldBlockAfterBlock) {
  Stream stream;
  const auto out = stream.give(event(1, "messages", kAnswer, "", "model"));
  EXPECT_EQ(kinds(out),
            (std::vector<std::string>{"message-start", "content-block-start 0", "content-block-finish 0",
                                      "content-block-start 1", "content-block-finish 1", "message-finish"}));
  EXPECT_EQ(out[0].data["role"], "ai");
  EXPECT_EQ(out[0].data["id"], "m1");
  EXPECT_EQ(out[3].data["content"],
            (Json{{"type", "tool_call_chunk"}, {"id", "c1"}, {"name", "find"}, {"args", R"({"q":"x"})"}}));
  EXPECT_EQ(assembled(out, "m1"), kAnswerBlocks);
  EXPECT_EQ(out.back().data["usage"]["total_tokens"], 5);
  for (std::size_t i = 1; i < out.size(); ++i) EXPECT_GT(out[i].seq, out[i - 1].seq);
  EXPECT_EQ(out[0].node, "model");
}

void give_answer_live(Stream& stream) {
  stream.give(piece("m1", text_chunk("Hel"), 0));
  stream.give(piece("m1", text_chunk("lo"), 3));
  stream.give(
      piece("m1",
            {{"content", ""},
             {"tool_call_chunks", {{{"index", 0}, {"id", "c1"}, {"name", "find"}, {"args", R"({"q")"}}}}},
            5));
  stream.give(
      piece("m1", {{"content", ""}, {"tool_call_chunks", {{{"index", 0}, {"args", R"(:"x"})"}}}}}, 5, 4));
}

TEST(ThreadProtocol, PiecesAreDeltasAndTheWholeMessageOnlyEndsThem) {
  Stream live;
  give_answer_live(live);
  live.give(event(1, "messages", kAnswer, "", "model"));
  EXPECT_EQ(kinds(live.all),
            (std::vector<std::string>{"message-start", "content-block-start 0", "content-block-delta 0",
                                      "content-block-delta 0", "content-block-finish 0",
                                      "content-block-start 1", "content-block-delta 1",
                                      "content-block-delta 1", "content-block-finish 1", "message-finish"}));
  EXPECT_EQ(assembled(live.all, "m1"), kAnswerBlocks);
  // Arguments are merged, not appended: each delta has all of them.
  EXPECT_EQ(live.all[7].data["delta"]["fields"]["args"], R"({"q":"x"})");
  for (std::size_t i = 1; i < live.all.size(); ++i) EXPECT_GE(live.all[i].seq, live.all[i - 1].seq);

  // Read again later, nothing has an id that the client does not know.
  Stream again;
  again.give(event(1, "messages", kAnswer, "", "model"));
  const auto known = ids(live.all);
  for (const auto& id : ids(again.all))
    EXPECT_NE(std::find(known.begin(), known.end(), id), known.end()) << id;
}

TEST(ThreadProtocol, AStreamOpenedInTheMiddleNamesThePiecesAlike) {
  Stream first, second;
  first.give(piece("m1", text_chunk("Hel"), 0));
  const auto here = first.give(piece("m1", text_chunk("lo"), 3));
  const auto there = second.give(piece("m1", text_chunk("lo"), 3));
  ASSERT_EQ(here.size(), 1U);
  EXPECT_EQ(there.back().id, here.back().id);
  EXPECT_EQ(there[0].id, first.all[0].id);
  second.give(event(1, "messages", kAnswer, "", "model"));
  EXPECT_EQ(assembled(second.all, "m1"), kAnswerBlocks);
  // From the middle of a call nothing is told before the message is whole.
  Stream third;
  EXPECT_TRUE(
      third.give(piece("m1", {{"content", ""}, {"tool_call_chunks", {{{"index", 0}, {"args", "}"}}}}}, 5, 4))
          .empty());
  third.give(event(1, "messages", kAnswer, "", "model"));
  EXPECT_EQ(assembled(third.all, "m1"), kAnswerBlocks);
}

TEST(ThreadProtocol, MissedPiecesAreMadeGood) {
  Stream stream;
  stream.give(piece("m1", text_chunk("H"), 0));
  stream.give(piece("m1",
                    {{"content", ""},
                     {"tool_call_chunks", {{{"index", 0}, {"id", "c1"}, {"name", "find"}, {"args", ":"}}}}},
                    5, 4));
  stream.give(event(1, "messages", kAnswer, "", "model"));
  EXPECT_EQ(assembled(stream.all, "m1"), kAnswerBlocks);
}

TEST(ThreadProtocol, MessagesOfOneNodeDoNotInterleave) {
  Stream stream;
  stream.give(piece("m1", text_chunk("Hel"), 0));
  EXPECT_TRUE(stream.give(piece("m2", text_chunk("other"), 0)).empty());
  const Json other = {{"type", "ai"}, {"id", "m2"}, {"content", "other"}};
  stream.give(event(1, "messages", other, "", "model"));
  EXPECT_TRUE(stream.give(piece("m1", text_chunk("lo"), 3)).empty());
  stream.give(event(2, "messages", kAnswer, "", "model"));
  EXPECT_EQ(assembled(stream.all, "m1"), kAnswerBlocks);
  EXPECT_EQ(assembled(stream.all, "m2"), (std::vector<Json>{{{"type", "text"}, {"text", "other"}}}));
  // After its second start nothing of another message comes before its finish.
  std::string open;
  for (const auto& one : stream.all) {
    if (one.data["event"] == "message-start") open = one.data["id"];
    if (one.data["event"] == "message-finish") open.clear();
    if (one.data.contains("index")) {
      EXPECT_FALSE(open.empty());
    }
  }
  // Of another node they may.
  auto elsewhere = piece("m3", text_chunk("x"), 0);
  elsewhere.event.node = "second";
  stream.give(piece("m4", text_chunk("y"), 0));
  EXPECT_FALSE(stream.give(elsewhere).empty());
}

TEST(ThreadProtocol, AMessageThatIsNeverFinishedEndsInAnError) {
  Stream stream;
  stream.give(event(1, "lifecycle", {{"event", "running"}}));
  stream.give(piece("m1", text_chunk("Hel"), 0));
  const auto out = stream.give(event(2, "lifecycle", {{"event", "failed"}, {"error", "no"}}));
  EXPECT_EQ(kinds(out), (std::vector<std::string>{"error", "failed"}));
  EXPECT_EQ(out[0].node, "model");
}

TEST(ThreadProtocol, OtherRolesAndBlocksAreTold) {
  Stream stream;
  const auto tool = stream.give(event(
      1, "messages", {{"type", "tool"}, {"id", "t1"}, {"tool_call_id", "c1"}, {"content", "ok"}}, "", "a"));
  EXPECT_EQ(tool[0].data["role"], "tool");
  EXPECT_EQ(tool[0].data["tool_call_id"], "c1");
  EXPECT_TRUE(stream.give(event(2, "messages", {{"type", "remove"}, {"id", "t1"}}, "", "a")).empty());
  const auto blocks =
      message_blocks({{"content",
                       {{{"type", "thinking"}, {"thinking", "hm"}},
                        {{"type", "text"}, {"text", "a"}},
                        {{"type", "tool_use"}, {"id", "c"}, {"name", "n"}, {"input", Json::object()}},
                        {{"type", "image"}, {"url", "u"}},
                        {{"type", "odd"}}}},
                      {"tool_calls", {{{"id", "c"}, {"name", "n"}, {"args", Json::object()}}}}});
  std::vector<std::string> types;
  for (const auto& block : blocks) types.push_back(block["type"]);
  EXPECT_EQ(types, (std::vector<std::string>{"reasoning", "text", "image", "non_standard", "tool_call"}));
}

TEST(ThreadProtocol, EveryRunHasOneEnd) {
  Stream stream;
  stream.give(event(1, "lifecycle", {{"event", "running"}}));
  EXPECT_EQ(kinds(stream.give(event(2, "lifecycle", {{"event", "completed"}}))),
            (std::vector<std::string>{"completed"}));
  EXPECT_TRUE(stream.give(event(3, "end", {{"status", "success"}})).empty());
  // One that was lost, or cancelled while it waited, has no lifecycle of its own.
  stream.give(event(4, "lifecycle", {{"event", "running"}}));
  auto behind = event(5, "end", {{"status", "interrupted"}});
  behind.run = run_number(2);
  EXPECT_TRUE(stream.give(behind).empty());
  const auto lost = stream.give(event(6, "end", {{"status", "error"}, {"error", {{"message", "lost"}}}}));
  ASSERT_EQ(lost.size(), 1U);
  EXPECT_EQ(lost[0].data, (Json{{"event", "failed"}, {"error", "lost"}}));
  auto alone = event(7, "end", {{"status", "interrupted"}});
  alone.run = run_number(3);
  EXPECT_EQ(kinds(stream.give(alone)), (std::vector<std::string>{"interrupted"}));
}

TEST(ThreadProtocol, WhatIsShownBeforeItIsWrittenIsToldOnce) {
  ThreadEncoder encoder(0);
  EXPECT_EQ(encoder.encode(event(1, "values", {{"n", 1}}), 0).size(), 1U);  // shown, with its number
  EXPECT_EQ(encoder.encode(event(1, "values", {{"n", 1}}), 1).size(), 0U);  // kept
  // Whoever came too late for the first waits for what is kept.
  ThreadEncoder late(0);
  EXPECT_EQ(late.encode(event(2, "values", {{"n", 2}}), 0).size(), 0U);
  EXPECT_EQ(late.encode(event(1, "values", {{"n", 1}}), 2).size(), 1U);
  EXPECT_EQ(late.encode(event(2, "values", {{"n", 2}}), 2).size(), 1U);
}

// ---- filters ----

bool takes(const Json& filter, const std::string& method, std::vector<std::string> ns,
           Json data = Json::object()) {
  ProtocolEvent one;
  one.method = method;
  one.ns = std::move(ns);
  one.data = std::move(data);
  return passes(read_thread_filter(filter), one);
}

TEST(ThreadProtocol, AFilterChoosesByChannelNamespaceAndDepth) {
  const Json hook = {{"channels", {"values", "input"}}, {"namespaces", {Json::array()}}, {"depth", 1}};
  EXPECT_TRUE(takes(hook, "values", {}));
  EXPECT_TRUE(takes(hook, "input.requested", {"sub:1"}));
  EXPECT_FALSE(takes(hook, "values", {"sub:1", "in:2"}));
  EXPECT_FALSE(takes(hook, "messages", {}));
  const Json sub = {{"channels", {"values"}}, {"namespaces", {{"sub"}, {"x:1"}}}};
  EXPECT_TRUE(takes(sub, "values", {"sub:9", "deep:1", "deeper:1"}));
  EXPECT_TRUE(takes(sub, "values", {"x:1"}));
  EXPECT_FALSE(takes(sub, "values", {"x:2"}));
  EXPECT_FALSE(takes(sub, "values", {"subway:9"}));
  EXPECT_FALSE(takes(sub, "values", {}));
  EXPECT_TRUE(takes({{"channels", {"custom:a"}}}, "custom", {}, {{"name", "a"}}));
  EXPECT_FALSE(takes({{"channels", {"custom:a"}}}, "custom", {}, {{"name", "b"}}));
  EXPECT_TRUE(takes({{"channels", {"custom"}}}, "custom", {}, {{"name", "b"}}));
}

TEST(ThreadProtocol, AFilterIsRefusedForAnythingElse) {
  const std::vector<Json> bad = {
      Json::array(),
      Json::object(),
      {{"channels", Json::array()}},
      {{"channels", "values"}},
      {{"channels", {"secrets"}}},
      {{"channels", {"custom:"}}},
      {{"channels", {1}}},
      {{"channels", {"values"}}, {"namespaces", {"a"}}},
      {{"channels", {"values"}}, {"namespaces", {{1}}}},
      {{"channels", {"values"}}, {"depth", -1}},
      {{"channels", {"values"}}, {"depth", 1.5}},
      {{"channels", {"values"}}, {"since", -1}},
      {{"channels", {"values"}}, {"since", 18446744073709551615ULL}},
      {{"channels", {"values"}}, {"since", "1"}},
      {{"channels", {"values"}}, {"thread_id", "x"}},
      {{"channels", Json(std::vector<Json>(65, "values"))}},
  };
  for (const auto& one : bad) EXPECT_THROW(read_thread_filter(one), core::Error) << one;
  EXPECT_EQ(read_thread_filter({{"channels", {"values"}}, {"since", 5}}).since, 5);
}

TEST(ThreadProtocol, AThreadWithoutEventsAnswersWithHowItStands) {
  StoredStanding thread{12, "interrupted", "", {{"n", 1}}, {{"t", {{{"id", "i"}, {"value", "ok?"}}}}}, {}};
  const auto out = standing_events(thread);
  ASSERT_EQ(out.size(), 3U);
  EXPECT_EQ(out[0].data, (Json{{"n", 1}}));
  EXPECT_EQ(out[1].data, (Json{{"interrupt_id", "i"}, {"payload", "ok?"}}));
  EXPECT_EQ(out[2].data, (Json{{"event", "interrupted"}}));
  EXPECT_EQ(ids(out), ids(standing_events(thread)));
  thread.status = "error";
  thread.error = "why";
  EXPECT_EQ(standing_events(thread).back().data, (Json{{"event", "failed"}, {"error", "why"}}));
}

}  // namespace
}  // namespace assistiv::api
