#include "billing/usage_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "billing/usage_store.h"
#include "core/random.h"
#include "support/manual_clock.h"
#include "support/run_task.h"
#include "support/test_database.h"

namespace assistiv::billing {
namespace {

// Takes everything in.
class Collector final : public core::EventSink {
 public:
  core::Task<bool> write(std::string bytes) override {
    ++writes;
    text += bytes;
    co_return true;
  }
  std::string text;
  int writes = 0;
};

struct Row {
  std::string request = "req";
  int attempt = 1;
  std::string at = "2026-11-20T10:00:00Z";
  std::string model = "gpt-4o", tag;
  std::int64_t input = 10, output = 5, cost = 1'500'000;
  std::optional<core::EndUserId> user;
  std::string run = "";
};

struct UsageReportTest : testing::Test {
  UsageReportTest() : platform(make_platform()), other(make_platform()) {}

  core::PlatformId make_platform() { return core::PlatformId::make(clock, random); }

  void add(core::PlatformId of, const Row& row) {
    database.exec(
        "insert into usage_row (platform_id, request_id, attempt, created_at, end_user_id, tag, "
        "request_type, provider,"
        " model, provider_model, stream, outcome, status, input_tokens, output_tokens, usage_estimated, cost,"
        " latency_ms, epoch, hold_seq, batch, run_id) values ($1::uuid, $2, $3::integer, $4::timestamptz, "
        "$5::uuid, "
        "$6,"
        " 'chat.completion', 'openai', $7, $7 || '-2024', true, 'success', 200, $8::bigint, $9::bigint, "
        "false,"
        " $10::bigint, 42, 1, 1, 1, $11)",
        {of.str(), row.request, std::to_string(row.attempt), row.at,
         row.user ? storage::Param(row.user->str()) : storage::Param(),
         row.tag.empty() ? storage::Param() : storage::Param(row.tag), row.model, std::to_string(row.input),
         std::to_string(row.output), std::to_string(row.cost),
         row.run.empty() ? storage::Param() : storage::Param(row.run)});
  }
  std::vector<std::string> requests(UsageFilter filter, int page = 1, int limit = 20) {
    std::vector<std::string> out;
    for (const auto& row : io.run(report.list(platform, filter, page, limit)).rows)
      out.push_back(row.request_id);
    return out;
  }
  std::string csv(UsageFilter filter, int* writes = nullptr) {
    auto sink = std::make_shared<Collector>();
    const auto reply = report.csv(platform, filter);
    io.run(reply.stream(sink));
    if (writes != nullptr) *writes = sink->writes;
    return sink->text;
  }

  test::IoThread io;
  test::TestDatabase database;
  test::ManualClock clock;
  core::SystemRandom random;
  UsageReport report{database.db()};
  core::PlatformId platform, other;
};

using Names = std::vector<std::string>;

TEST_F(UsageReportTest, filters_by_everything_and_shows_the_newest_first) {
  const auto user = core::EndUserId::make(clock, random);
  add(platform, {.request = "a", .at = "2026-11-19T23:59:59.999Z", .tag = "web"});
  add(platform, {.request = "b", .at = "2026-11-20T00:00:00Z", .model = "gpt-5", .run = "a run"});
  add(platform, {.request = "c", .at = "2026-11-20T12:00:00Z", .user = user});
  add(platform, {.request = "c", .attempt = 2, .at = "2026-11-20T12:00:00Z", .user = user});
  add(other, {.request = "foreign"});
  EXPECT_EQ(requests({}), (Names{"c", "c", "b", "a"}));
  EXPECT_EQ(requests({.from = core::parse_time("2026-11-20T00:00:00Z")}), (Names{"c", "c", "b"}));
  EXPECT_EQ(requests({.to = core::parse_time("2026-11-20T00:00:00Z")}), Names{"a"})
      << "the end is not part of it";
  EXPECT_EQ(requests({.model = "gpt-5"}), Names{"b"});
  EXPECT_EQ(requests({.model = "gpt-5-2024"}), Names{"b"}) << "the provider's name of it";
  EXPECT_EQ(requests({.tag = "web"}), Names{"a"});
  EXPECT_EQ(requests({.request_id = "c"}), (Names{"c", "c"}));
  add(platform, {.request = "c-2", .at = "2026-11-20T12:00:01Z"});  // the second turn of a response
  add(platform, {.request = "c-x", .at = "2026-11-20T12:00:01Z"});
  EXPECT_EQ(requests({.request_id = "c"}), (Names{"c-2", "c", "c"}));
  EXPECT_EQ(requests({.end_user_id = user}), (Names{"c", "c"}));
  EXPECT_EQ(requests({.run_id = "a run"}), Names{"b"});
  EXPECT_EQ(requests({.provider = "anthropic"}), Names{});
  EXPECT_EQ(requests({}, 2, 5), Names{"a"});
  EXPECT_EQ(io.run(report.list(platform, {}, 2, 5)).total, 6);
}

TEST_F(UsageReportTest, sums_by_tag_model_end_user_and_day) {
  const auto user = core::EndUserId::make(clock, random);
  add(platform, {.request = "a", .tag = "web", .cost = 1});
  add(platform, {.request = "a", .attempt = 2, .tag = "web", .cost = 2});
  add(platform, {.request = "b", .at = "2026-11-21T23:59:59Z", .model = "gpt-5", .cost = 10, .user = user});
  add(other, {.request = "foreign", .cost = 1000});
  const auto sums = [&](UsageGrouping grouping) {
    return io.run(report.sums(platform, {}, grouping, 1, 10));
  };
  const auto tags = sums(UsageGrouping::Tag);
  EXPECT_EQ(tags.total, 2);
  EXPECT_EQ(tags.rows.at(0).key, "");
  EXPECT_EQ(tags.rows.at(1).key, "web");
  EXPECT_EQ(tags.rows.at(1).calls, 2);
  EXPECT_EQ(tags.rows.at(1).requests, 1);
  EXPECT_EQ(tags.rows.at(1).cost.nanos, 3);
  EXPECT_EQ(tags.rows.at(1).input, 20);
  EXPECT_EQ(sums(UsageGrouping::Model).rows.at(0).key, "gpt-5");
  EXPECT_EQ(sums(UsageGrouping::EndUser).rows.at(0).key, user.str());
  const auto days = sums(UsageGrouping::Day);
  EXPECT_EQ(days.rows.at(0).key, "2026-11-21");
  EXPECT_EQ(days.rows.at(1).key, "2026-11-20");
  EXPECT_EQ(io.run(report.sums(platform, {.tag = "web"}, UsageGrouping::Day, 1, 10)).total, 1);
}

TEST_F(UsageReportTest, exports_every_row_once_in_batches) {
  for (int i = 0; i < 1101; ++i) {
    // Many rows of one moment: the place to go on must tell them apart.
    add(platform, {.request = "r" + std::to_string(i),
                   .at = i % 2 == 0 ? "2026-11-20T10:00:00Z" : "2026-11-20T10:00:01Z"});
  }
  int writes = 0;
  std::istringstream lines(csv({}, &writes));
  std::set<std::string> seen;
  std::string line;
  int count = 0;
  std::getline(lines, line);
  EXPECT_TRUE(line.starts_with("created_at,request_id,attempt,"));
  while (std::getline(lines, line)) {
    ++count;
    seen.insert(line.substr(0, line.find(",1,")));
  }
  EXPECT_EQ(count, 1101);
  EXPECT_EQ(seen.size(), 1101u);
  EXPECT_EQ(writes, 4) << "the head and three batches";
}

TEST_F(UsageReportTest, writes_csv_that_is_safe_to_open) {
  add(platform, {.request = "r", .tag = "=HYPERLINK(\"x\"),\n1", .cost = 1});
  const std::string text = csv({});
  // As many fields as the head has; the tag's own comma and line end are quoted.
  const auto head_end = text.find("\r\n");
  EXPECT_EQ(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(head_end), ','),
            std::count(text.begin() + static_cast<std::ptrdiff_t>(head_end), text.end(), ',') - 1);
  EXPECT_NE(text.find("\"'=HYPERLINK(\"\"x\"\"),\n1\""), std::string::npos) << text;
  EXPECT_NE(text.find(",0.000000001,0.00,billed,42,"), std::string::npos) << text;
}

TEST_F(UsageReportTest, says_what_the_provider_did_not_count) {
  add(platform, {.cost = 0});
  const auto json = usage_json(io.run(report.list(platform, {}, 1, 1)).rows.at(0));
  EXPECT_TRUE(json["cache_read_tokens"].is_null());
  EXPECT_EQ(json["prompt_tokens"], 10);
  EXPECT_EQ(json["total_tokens"], 15);
  EXPECT_EQ(json["cost_usd"], "0.00");
  EXPECT_EQ(json["billing_status"], "free");
  EXPECT_EQ(json["token_count_method"], "reported");
}

}  // namespace
}  // namespace assistiv::billing
