// The frames of the first streaming protocol, against what was captured from LangGraph's own servers.
#include "agents/wire/legacy_events.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::agents {
namespace {

using core::Json;

struct Frame {
  std::string event, id;
  Json data;
};

// As a client reads them: one document in each frame, on one line.
std::vector<Frame> frames_of(const std::string& text) {
  std::vector<Frame> out;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto end = text.find("\n\n", at);
    EXPECT_NE(end, std::string::npos) << text;
    Frame frame;
    auto rest = text.substr(at, end - at);
    while (!rest.empty()) {
      const auto line_end = rest.find('\n');
      const auto line = rest.substr(0, line_end);
      if (line.starts_with("event: ")) frame.event = line.substr(7);
      if (line.starts_with("data: ")) frame.data = core::parse_json(line.substr(6));
      if (line.starts_with("id: ")) frame.id = line.substr(4);
      rest = line_end == std::string::npos ? "" : rest.substr(line_end + 1);
    }
    out.push_back(std::move(frame));
    at = end + 2;
  }
  return out;
}

class LegacyEventsTest : public ::testing::Test {
 protected:
  LegacyEvents stream(std::set<std::string> modes, bool subgraphs = false, StreamCursor cursor = {}) {
    return LegacyEvents({"run-1", "thread-1", "assistant-1", "triage"}, {std::move(modes), subgraphs, true},
                        std::move(cursor));
  }
  RunEvent event(std::string method, Json data, std::string node = "", std::string ns = "") {
    return {++seq_, std::move(method), std::move(ns), std::move(node), {}, std::move(data)};
  }
  // Of a message: not kept.
  RunEvent piece(std::string id, std::string content, std::size_t before, Json more = Json::object()) {
    Json data = {
        {"type", "AIMessageChunk"},
        {"id", std::move(id)},
        {"content", std::move(content)},
        {"langgraph",
         {{"step", 1}, {"task", "t-1"}, {"triggers", {"branch:to:say"}}, {"content", before}, {"args", 0}}}};
    data.update(more);
    return {0, "messages", "", "say", {}, std::move(data)};
  }
  RunEvent whole(std::string id, std::string content, Json more = Json::object()) {
    Json data = {{"type", "ai"},
                 {"id", std::move(id)},
                 {"content", std::move(content)},
                 {"response_metadata", {{"model_name", "demo"}}},
                 {"langgraph", {{"step", 1}, {"task", "t-1"}, {"triggers", {"branch:to:say"}}}}};
    data.update(more);
    return event("messages", std::move(data), "say");
  }
  std::int64_t seq_ = 0;
};

std::string texts_of(const std::vector<Frame>& frames) {
  std::string out;
  for (const auto& frame : frames) {
    EXPECT_EQ(frame.event, "messages");
    out += frame.data[0]["content"].get<std::string>();
  }
  return out;
}

TEST_F(LegacyEventsTest, FramesHaveTheirNamesDataAndIds) {
  auto out = stream({"values", "updates"});
  EXPECT_EQ(out.begin(1),
            "event: metadata\ndata: {\"attempt\":1,\"run_id\":\"run-1\",\"thread_id\":\"thread-1\"}\n\n");
  EXPECT_EQ(out.encode(event("lifecycle", {{"event", "running"}, {"graph_name", "triage"}, {"attempt", 1}})),
            "");
  EXPECT_EQ(out.encode(event("values", {{"log", {"line\nbreak"}}})),
            "event: values\ndata: {\"log\":[\"line\\nbreak\"]}\nid: 2\n\n");
  EXPECT_EQ(out.encode(event("updates", {{"a", {{"n", 1}}}}, "a")),
            "event: updates\ndata: {\"a\":{\"n\":1}}\nid: 3\n\n");
  EXPECT_EQ(out.encode(event("custom", "asked for by nobody")), "");
  EXPECT_EQ(out.encode(event("lifecycle", {{"event", "completed"}, {"graph_name", "triage"}})), "");
  EXPECT_FALSE(out.ended());
  EXPECT_EQ(out.encode(event("end", {{"run_id", "run-1"}, {"status", "success"}})),
            "event: end\ndata: null\nid: 6\n\n");
  EXPECT_TRUE(out.ended());
  EXPECT_EQ(out.encode(event("values", Json::object())), "");
}

TEST_F(LegacyEventsTest, AnErrorIsTheLastFrame) {
  auto out = stream({"values"});
  const auto frames =
      frames_of(out.encode(event("error", {{"error", "no_branch"}, {"message", "none is true"}})));
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].event, "error");
  EXPECT_EQ(frames[0].data, (Json{{"error", "no_branch"}, {"message", "none is true"}}));
  EXPECT_TRUE(out.ended());
  EXPECT_EQ(out.encode(event("end", {{"status", "error"}})), "");

  auto lost = stream({"values"});  // the executor never told it
  const auto end = frames_of(lost.encode(event(
      "end", {{"status", "error"}, {"error", {{"error", "attempts_exhausted"}, {"message", "lost"}}}})));
  EXPECT_EQ(end.at(0).event, "error");
  EXPECT_EQ(end.at(0).data["error"], "attempts_exhausted");

  auto forgotten = stream({"values"});
  EXPECT_EQ(forgotten.close(nullptr), "event: end\ndata: null\n\n");
}

TEST_F(LegacyEventsTest, AnotherAttemptIsToldOnce) {
  auto out = stream({"values"});
  out.begin(1);
  const auto again = frames_of(out.encode(event("lifecycle", {{"event", "running"}, {"attempt", 2}})));
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].event, "metadata");
  EXPECT_EQ(again[0].data["attempt"], 2);
  EXPECT_EQ(out.encode(event("lifecycle", {{"event", "running"}, {"attempt", 2}})), "");
}

TEST_F(LegacyEventsTest, SubgraphsAreToldWhenAskedFor) {
  const auto inner = event("updates", {{"b", {{"n", 1}}}}, "b", "sub:t-1|deep:t-2");
  auto without = stream({"updates"});
  EXPECT_EQ(without.encode(inner), "");
  auto with = stream({"updates"}, true);
  EXPECT_EQ(frames_of(with.encode(inner)).at(0).event, "updates|sub:t-1|deep:t-2");
}

TEST_F(LegacyEventsTest, TasksAndDebug) {
  const auto start = event("tasks",
                           {{"id", "t"},
                            {"name", "a"},
                            {"input", {{"n", 1}}},
                            {"triggers", {"branch:to:a"}},
                            {"interrupts", Json::array()},
                            {"step", 1}},
                           "a");
  const auto end = event(
      "tasks",
      {{"id", "t"}, {"name", "a"}, {"result", {{"n", 2}}}, {"interrupts", Json::array()}, {"step", 1}}, "a");
  auto tasks = stream({"tasks"});
  EXPECT_EQ(frames_of(tasks.encode(start)).at(0).data, (Json{{"id", "t"},
                                                             {"name", "a"},
                                                             {"input", {{"n", 1}}},
                                                             {"triggers", {"branch:to:a"}},
                                                             {"interrupts", Json::array()}}));
  EXPECT_EQ(frames_of(tasks.encode(end)).at(0).data,
            (Json{{"id", "t"}, {"name", "a"}, {"result", {{"n", 2}}}, {"interrupts", Json::array()}}));
  auto debug = stream({"debug"});
  const auto first = frames_of(debug.encode(start)).at(0);
  EXPECT_EQ(first.event, "debug");
  EXPECT_EQ(first.data["type"], "task");
  EXPECT_EQ(first.data["step"], 1);
  EXPECT_EQ(first.data["payload"]["name"], "a");
  EXPECT_TRUE(first.data["timestamp"].is_string());
  EXPECT_EQ(frames_of(debug.encode(end)).at(0).data["type"], "task_result");
}

TEST_F(LegacyEventsTest, Checkpoints) {
  const auto made =
      event("checkpoints", {{"id", "c-2"},
                            {"parent_id", "c-1"},
                            {"step", 1},
                            {"source", "loop"},
                            {"values", {{"n", 1}}},
                            {"next", {"b"}},
                            {"metadata", {{"source", "loop"}, {"step", 1}, {"parents", Json::object()}}},
                            {"tasks", {{{"id", "t"}, {"name", "b"}, {"interrupts", Json::array()}}}}});
  auto both = stream({"checkpoints", "debug"});
  const auto frames = frames_of(both.encode(made));
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(frames[0].event, "checkpoints");
  EXPECT_EQ(frames[0].data["config"]["configurable"],
            (Json{{"thread_id", "thread-1"}, {"checkpoint_ns", ""}, {"checkpoint_id", "c-2"}}));
  EXPECT_EQ(frames[0].data["parent_config"]["configurable"]["checkpoint_id"], "c-1");
  EXPECT_EQ(frames[0].data["next"], Json({"b"}));
  EXPECT_EQ(frames[0].data["tasks"][0]["name"], "b");
  EXPECT_EQ(frames[0].data["metadata"]["source"], "loop");
  EXPECT_EQ(frames[1].data["type"], "checkpoint");
  EXPECT_EQ(frames[1].data["payload"], frames[0].data);
  EXPECT_EQ(frames[0].id, "");  // who missed the second is told both
  EXPECT_EQ(frames[1].id, "1");
}

TEST_F(LegacyEventsTest, TuplesGiveEachPieceOnce) {
  auto out = stream({"messages-tuple"});
  std::vector<Frame> told;
  for (const auto& one : {piece("m", "Hel", 0), piece("m", "lo", 3)}) {
    auto frames = frames_of(out.encode(one));
    told.insert(told.end(), frames.begin(), frames.end());
  }
  EXPECT_EQ(texts_of(told), "Hello");
  EXPECT_EQ(told[0].data[0]["type"], "AIMessageChunk");
  EXPECT_FALSE(told[0].data[0].contains("langgraph"));
  const auto& meta = told[0].data[1];
  EXPECT_EQ(meta["langgraph_node"], "say");
  EXPECT_EQ(meta["langgraph_step"], 1);
  EXPECT_EQ(meta["langgraph_triggers"], Json({"branch:to:say"}));
  EXPECT_EQ(meta["langgraph_checkpoint_ns"], "say:t-1");
  EXPECT_EQ(meta["run_id"], "run-1");
  EXPECT_EQ(meta["graph_id"], "triage");
  EXPECT_EQ(meta["tags"], Json::array());
  // The whole brings nothing new but what it cost.
  EXPECT_EQ(out.encode(whole("m", "Hello")), "");
  EXPECT_EQ(out.encode(event("updates",
                             {{"say", {{"messages", {{{"type", "ai"}, {"id", "m"}, {"content", "Hello"}}}}}}},
                             "say")),
            "");

  auto paid = stream({"messages-tuple"});
  paid.encode(piece("m", "Hi", 0));
  const auto rest =
      frames_of(paid.encode(whole("m", "Hi", {{"usage_metadata", {{"total_tokens", 7}}}}))).at(0);
  EXPECT_EQ(rest.data[0]["content"], "");
  EXPECT_EQ(rest.data[0]["usage_metadata"]["total_tokens"], 7);
}

TEST_F(LegacyEventsTest, AMissedPieceComesWithTheWhole) {
  auto out = stream({"messages-tuple"});
  std::vector<Frame> told = frames_of(out.encode(piece("m", "one ", 0)));
  EXPECT_EQ(out.encode(piece("m", "three ", 8)), "");  // "two " was lost on its way
  EXPECT_EQ(out.encode(piece("m", "four", 14)), "");
  const auto rest = frames_of(out.encode(whole("m", "one two three four")));
  told.insert(told.end(), rest.begin(), rest.end());
  EXPECT_EQ(texts_of(told), "one two three four");
}

TEST_F(LegacyEventsTest, AStreamThatIsTakenUpAgainGivesTheRest) {
  auto first = stream({"messages-tuple", "values"});
  first.encode(event("values", {{"n", 1}}));
  auto told = frames_of(first.encode(piece("m", "Grüß", 0)));
  const auto id = told.at(0).id;
  EXPECT_TRUE(id.starts_with("1~")) << id;

  const auto cursor = stream_cursor(id);
  EXPECT_EQ(cursor.after, 1);
  auto second = stream({"messages-tuple", "values"}, false, cursor);
  EXPECT_EQ(second.encode(piece("m", " dich", 9)), "");  // some came while nobody was there
  const auto rest = frames_of(second.encode(whole(
      "m", "Grüß Gott dich", {{"tool_calls", {{{"id", "c"}, {"name", "look"}, {"args", {{"q", 1}}}}}}})));
  told.insert(told.end(), rest.begin(), rest.end());
  EXPECT_EQ(texts_of(told), "Grüß Gott dich");
  EXPECT_EQ(rest.at(0).data[0]["tool_call_chunks"], (Json{{{"index", 0},
                                                           {"id", "c"},
                                                           {"name", "look"},
                                                           {"args", "{\"q\":1}"},
                                                           {"type", "tool_call_chunk"}}}));
  EXPECT_EQ(rest.at(0).id, "2");
}

TEST_F(LegacyEventsTest, MessagesThatWereNotStreamedComeWhole) {
  auto out = stream({"messages-tuple"});
  EXPECT_EQ(frames_of(out.encode(whole("m", "all of it"))).at(0).data[0]["type"], "ai");
  const auto tool =
      event("messages", {{"type", "tool"}, {"id", "t"}, {"tool_call_id", "c"}, {"content", "42"}}, "say");
  EXPECT_EQ(frames_of(out.encode(tool)).at(0).data[0]["content"], "42");
  const auto update = event("updates",
                            {{"say",
                              {{"messages",
                                {{{"type", "ai"}, {"id", "m"}, {"content", "all of it"}},
                                 {{"type", "tool"}, {"id", "t"}, {"content", "42"}},
                                 {{"type", "human"}, {"id", "h"}, {"content", "by hand"}}}}}}},
                            "say");
  const auto frames = frames_of(out.encode(update));
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].data[0]["content"], "by hand");
}

TEST_F(LegacyEventsTest, MessagesGrow) {
  auto out = stream({"messages"});
  const auto first = frames_of(out.encode(piece("m", "Hel", 0)));
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].event, "messages/metadata");
  EXPECT_EQ(first[0].data["m"]["metadata"]["langgraph_node"], "say");
  EXPECT_EQ(first[1].event, "messages/partial");
  EXPECT_EQ(first[1].data[0]["content"], "Hel");
  const auto second = frames_of(out.encode(piece("m", "lo", 3)));
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].data[0]["content"], "Hello");
  EXPECT_EQ(frames_of(out.encode(whole("m", "Hello!"))).at(0).data[0]["content"], "Hello!");
  const auto state = event("values", {{"messages",
                                       {{{"type", "human"}, {"id", "h"}, {"content", "hi"}},
                                        {{"type", "ai"}, {"id", "m"}, {"content", "Hello!"}}}}});
  const auto complete = frames_of(out.encode(state));
  ASSERT_EQ(complete.size(), 1U);
  EXPECT_EQ(complete[0].event, "messages/complete");
  EXPECT_EQ(complete[0].data.size(), 2U);
  EXPECT_EQ(out.encode(event("values", state.data)), "");
}

TEST_F(LegacyEventsTest, Events) {
  auto out = stream({"events"});
  EXPECT_EQ(frames_of(out.encode(event("lifecycle", {{"event", "running"}, {"graph_name", "triage"}})))
                .at(0)
                .data["event"],
            "on_chain_start");
  const auto said = frames_of(out.encode(piece("m", "Hi", 0))).at(0);
  EXPECT_EQ(said.event, "events");
  EXPECT_EQ(said.data["event"], "on_chat_model_stream");
  EXPECT_EQ(said.data["data"]["chunk"]["content"], "Hi");
  EXPECT_EQ(frames_of(out.encode(event("lifecycle", {{"event", "completed"}, {"graph_name", "triage"}})))
                .at(0)
                .data["event"],
            "on_chain_end");
}

TEST(StreamModes, AreReadAndSayWhatToRecord) {
  EXPECT_EQ(stream_modes_of(nullptr), std::set<std::string>{"values"});
  EXPECT_EQ(stream_modes_of("updates"), std::set<std::string>{"updates"});
  EXPECT_EQ(stream_modes_of({"values", "messages-tuple"}),
            (std::set<std::string>{"values", "messages-tuple"}));
  EXPECT_THROW(stream_modes_of("nothing"), core::Error);
  EXPECT_THROW(stream_modes_of({"values", 7}), core::Error);
  EXPECT_EQ(recorded_modes({"debug"}), (std::set<std::string>{"tasks", "checkpoints"}));
  EXPECT_EQ(recorded_modes({"messages-tuple", "custom"}),
            (std::set<std::string>{"messages", "updates", "custom"}));
}

// Who comes back is given the pieces of the open message from its first one on.
TEST_F(LegacyEventsTest, PiecesThatAClientHasAreNotToldAgain) {
  std::vector<RunEvent> pieces;
  const auto add = [&](const std::string& text, std::size_t before, Json more = Json::object()) {
    pieces.push_back(piece("m", text, before, std::move(more)));
    pieces.back().data["langgraph"]["piece"] = pieces.size() - 1;
  };
  add("", 0, {{"additional_kwargs", {{"reasoning_content", "Hm"}}}});
  add("Good ", 0);
  add("", 5, {{"tool_call_chunks", {{{"index", 0}, {"id", "c"}, {"name", "look"}, {"args", ""}}}}});
  add("", 5, {{"usage_metadata", {{"total_tokens", 7}}}});
  for (std::size_t cut = 0; cut <= pieces.size(); ++cut) {
    auto first = stream({"messages-tuple", "events"});
    std::string id = "1";
    std::vector<Frame> tuples, chain;
    const auto hear = [&](LegacyEvents& out, const RunEvent& event) {
      for (auto& frame : frames_of(out.encode(event))) {
        if (!frame.id.empty()) id = frame.id;
        (frame.event == "messages" ? tuples : chain).push_back(std::move(frame));
      }
    };
    for (std::size_t i = 0; i < cut; ++i) hear(first, pieces[i]);
    auto second = stream({"messages-tuple", "events"}, false, stream_cursor(id));
    for (const auto& one : pieces) hear(second, one);
    EXPECT_EQ(tuples.size(), pieces.size()) << cut;
    EXPECT_EQ(chain.size(), pieces.size()) << cut;
    EXPECT_EQ(texts_of(tuples), "Good ") << cut;
    hear(second, whole("m", "Good ", {{"usage_metadata", {{"total_tokens", 7}}}}));
    EXPECT_EQ(tuples.size(), pieces.size()) << cut;
    EXPECT_EQ(chain.back().data["event"], "on_chat_model_end") << cut;
  }
}

TEST(StreamCursor, OfWhatIsNoIdIsTheBeginning) {
  for (const char* text : {"", "-1", "x", "1x", "12~", "5~m", "5~m.1", "5~m.1.2.3.4.5", "5~m.1.-2.0"}) {
    const auto cursor = stream_cursor(text);
    EXPECT_TRUE(cursor.after == 0 || (cursor.after == 12 && cursor.told.empty())) << text;
  }
  EXPECT_EQ(stream_cursor(std::nullopt).after, 0);
  EXPECT_EQ(stream_cursor("12").after, 12);
  const auto two = stream_cursor("7~aa.1.2.1,bb.3.4.2");
  ASSERT_EQ(two.told.size(), 2U);
  EXPECT_EQ(two.told.at("aa").content, 1U);
  EXPECT_TRUE(two.told.at("aa").tools);
  EXPECT_EQ(two.told.at("bb").args, 4U);
  EXPECT_TRUE(two.told.at("bb").usage);
}

}  // namespace
}  // namespace assistiv::agents
