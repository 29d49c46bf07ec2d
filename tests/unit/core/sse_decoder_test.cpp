#include "core/sse_decoder.h"

#include <gtest/gtest.h>

#include "core/http.h"

namespace assistiv::core {
namespace {

std::vector<SseEvent> decode(std::string_view bytes) {
  return SseDecoder().feed(bytes);
}

TEST(SseDecoder, reads_the_events_of_the_standard) {
  EXPECT_EQ(decode("data: YHOO\ndata: +2\ndata: 10\n\n"),
            (std::vector<SseEvent>{{"message", "YHOO\n+2\n10", "", ""}}));
  EXPECT_EQ(
      decode(": comment\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"),
      (std::vector<SseEvent>{{"message", "first event", "1", ""},
                             {"message", "second event", "", ""},
                             {"message", " third event", "", ""}}));
  EXPECT_EQ(decode("data\n\ndata\ndata\n\ndata:"),
            (std::vector<SseEvent>{{"message", "", "", ""}, {"message", "\n", "", ""}}));
}

TEST(SseDecoder, takes_each_kind_of_line_end) {
  const std::vector<SseEvent> expected{{"a", "1", "", ""}, {"message", "2", "", ""}};
  EXPECT_EQ(decode("event: a\ndata: 1\n\ndata: 2\n\n"), expected);
  EXPECT_EQ(decode("event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n"), expected);
  EXPECT_EQ(decode("event: a\rdata: 1\r\rdata: 2\r\r"), expected);
}

TEST(SseDecoder, gives_the_same_events_for_each_split) {
  const std::string bytes =
      "\xef\xbb\xbfid: 7\r\nevent: x\r\ndata: a\r\ndata: b\r\n\r\n:keep-alive\r\n\r\ndata: c\r\n\r\n";
  const auto whole = decode(bytes);
  ASSERT_EQ(whole.size(), 2U);
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); ++second) {
      SseDecoder decoder;
      auto events = decoder.feed(std::string_view(bytes).substr(0, first));
      for (const auto& piece : {bytes.substr(first, second - first), bytes.substr(second)})
        for (auto& event : decoder.feed(piece)) events.push_back(std::move(event));
      ASSERT_EQ(events, whole) << first << " " << second;
    }
  }
}

TEST(SseDecoder, keeps_the_last_id_and_the_retry) {
  SseDecoder decoder;
  const std::string nul(1, '\0');
  const auto events = decoder.feed("id: a\nretry: 1500\ndata: 1\n\nid: b" + nul + "c\nretry: x\ndata: 2\n\n");
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[1].id, "a");
  EXPECT_EQ(decoder.retry_ms(), 1500);
}

TEST(SseDecoder, gives_nothing_for_an_event_that_is_cut) {
  EXPECT_TRUE(decode("data: half\n").empty());
}

TEST(SseDecoder, stops_at_a_line_or_an_event_that_is_too_large) {
  SseDecoder line(100);
  EXPECT_TRUE(line.feed("data: " + std::string(100, 'x')).empty());
  EXPECT_TRUE(line.failed());
  EXPECT_TRUE(line.feed("\n\ndata: 1\n\n").empty());
  SseDecoder event(100);
  for (int i = 0; i < 20; ++i) event.feed("data: 123456789\n");
  EXPECT_TRUE(event.failed());
}

TEST(SseDecoder, reads_what_the_edge_writes) {
  EXPECT_EQ(decode(core::sse_event("a\nb", "9", "note", 10)),
            (std::vector<SseEvent>{{"note", "a\nb", "9", ""}}));
}

TEST(SseDecoder, keeps_the_bytes_of_each_event_for_those_who_pass_them_on) {
  const std::string first = "event: a\ndata: 1\n\n";
  const std::string second = "data: {\"x\":\ndata: 2}\n\n";
  SseDecoder decoder(1024, SseRaw::Keep);
  std::string joined;
  for (const char byte : ": hello\n\n" + first + second)
    for (const auto& event : decoder.feed({&byte, 1})) joined += event.raw;
  EXPECT_EQ(joined, first + second);
}

TEST(SseDecoder, gives_a_last_event_without_its_blank_line_at_the_end) {
  SseDecoder decoder;
  EXPECT_TRUE(decoder.feed("data: [DONE]").empty());
  const auto last = decoder.finish();
  ASSERT_EQ(last.size(), 1U);
  EXPECT_EQ(last[0].data, "[DONE]");
  EXPECT_TRUE(decoder.finish().empty());
}

}  // namespace
}  // namespace assistiv::core
