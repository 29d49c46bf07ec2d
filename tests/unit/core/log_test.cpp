#include "core/log.h"

#include <gtest/gtest.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

namespace assistiv::core {
namespace {

// Collects what is logged while it lives.
class LogCapture {
 public:
  LogCapture() {
    log::set_listener(
        [this](log::Level, std::string_view line) { lines.push_back(nlohmann::json::parse(line)); });
  }
  ~LogCapture() {
    log::set_listener({});
    log::set_level(log::Level::Info);
  }
  std::vector<nlohmann::json> lines;
};

TEST(Log, writes_one_json_object_per_event) {
  LogCapture capture;
  log::warn("thing.happened",
            {{"text", "a \"b\" {}"}, {"count", 3}, {"ratio", 0.5}, {"good", true}, {"empty", ""}});
  ASSERT_EQ(capture.lines.size(), 1u);
  const auto& line = capture.lines[0];
  EXPECT_EQ(line["level"], "warn");
  EXPECT_EQ(line["event"], "thing.happened");
  EXPECT_EQ(line["text"], "a \"b\" {}");
  EXPECT_EQ(line["count"], 3);
  EXPECT_EQ(line["ratio"], 0.5);
  EXPECT_EQ(line["good"], true);
  EXPECT_FALSE(line.contains("empty"));
}

TEST(Log, writes_the_same_line_to_standard_error) {
  testing::internal::CaptureStderr();
  log::error("to.stderr", {{"braces", "{} {0} %s"}});
  const auto line = nlohmann::json::parse(testing::internal::GetCapturedStderr());
  EXPECT_EQ(line["braces"], "{} {0} %s");
}

TEST(Log, keeps_the_order_of_lines_that_wait_and_lines_that_do_not) {
  testing::internal::CaptureStderr();
  log::info("first", {{"text", "\"quoted\"\nä\x01"}, {"big", std::int64_t{1} << 62}});
  log::warn("second");
  const auto text = testing::internal::GetCapturedStderr();
  const auto end = text.find('\n');
  ASSERT_NE(end, std::string::npos);
  const auto first = nlohmann::json::parse(text.substr(0, end));
  EXPECT_EQ(first["event"], "first");
  EXPECT_EQ(first["text"], "\"quoted\"\nä\x01");
  EXPECT_EQ(first["big"], std::int64_t{1} << 62);
  EXPECT_EQ(nlohmann::json::parse(text.substr(end + 1))["event"], "second");
}

TEST(Log, leaves_out_what_is_below_the_level) {
  LogCapture capture;
  log::set_level(log::Level::Warn);
  log::info("quiet");
  log::error("loud");
  log::set_level(log::Level::Off);
  log::error("off");
  ASSERT_EQ(capture.lines.size(), 1u);
  EXPECT_EQ(capture.lines[0]["event"], "loud");
}

TEST(Log, hides_fields_whose_name_says_secret) {
  LogCapture capture;
  log::info("x", {{"client_secret", "short"}, {"access_token", "t"}, {"cookie", "c"}, {"user", "ann"}});
  ASSERT_EQ(capture.lines.size(), 1u);
  EXPECT_EQ(capture.lines[0]["client_secret"], "[redacted]");
  EXPECT_EQ(capture.lines[0]["access_token"], "[redacted]");
  EXPECT_EQ(capture.lines[0]["cookie"], "[redacted]");
  EXPECT_EQ(capture.lines[0]["user"], "ann");
}

TEST(Log, survives_text_that_is_not_utf8) {
  LogCapture capture;
  log::info("x", {{"bytes", std::string("\xff\xfe")}});
  EXPECT_EQ(capture.lines.size(), 1u);
}

TEST(Redact, hides_credentials_wherever_they_stand) {
  const std::string secret = "0123456789abcdef0123456789abcdef";
  for (const char* prefix : {"sk-plat_", "sk-eu_", "sk-admin_", "gho_", "ghu_", "ghr_", "github_pat_",
                             "xoxb-", "eyJ", "Bearer ", "1000.", "whsec_"}) {
    const std::string credential = std::string(prefix) + secret;
    for (const std::string& text : {credential, "key=" + credential + "&x=1", "\"" + credential + "\"",
                                    "https://host/path/" + credential, "a: " + credential + ", b"}) {
      EXPECT_EQ(log::redact(text).find(secret), std::string::npos) << text << " -> " << log::redact(text);
    }
  }
}

TEST(Redact, keeps_ordinary_text) {
  for (const char* text :
       {"", "risk-free", "the task-list is long", "Bearer x", "basic things", "GET /v1/me 200"}) {
    EXPECT_EQ(log::redact(text), text);
  }
}

TEST(Redact, hides_every_one_of_several) {
  const std::string text = log::redact("sk-eu_aaaaaaaaaaaaaaaa and sk-eu_bbbbbbbbbbbbbbbb");
  EXPECT_EQ(text, "sk-[redacted] and sk-[redacted]");
}

}  // namespace
}  // namespace assistiv::core
