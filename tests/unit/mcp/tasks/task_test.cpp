// What may happen to a task, and what the nodes are told of it.
#include "mcp/tasks/task.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "mcp/tasks/task_notice.h"

namespace assistiv::mcp {
namespace {

using namespace std::chrono_literals;
using core::Json;

const core::Time kNow = core::from_epoch_ms(1'800'000'000'000);
constexpr std::chrono::milliseconds kPoll{2000};

ToolTask fresh() {
  ToolTask task;
  task.id = "t1";
  task.created_at = task.updated_at = kNow;
  task.expires_at = kNow + 1h;
  task.call.tool = "wipe";
  task.call.arguments_json = R"({"a":1})";
  park(task, {.state = "s1"}, kNow);
  return task;
}

ToolTask running() {
  ToolTask task = fresh();
  task.runner = "node";
  task.turns = 1;
  return task;
}

Json view(const ToolTask& task, TaskDetail detail = TaskDetail::Full) {
  return core::parse_json("{" + task_members(task, detail, kPoll) + "}");
}

TEST(ToolTask, shows_what_the_schema_wants_of_it) {
  const Json brief = view(fresh(), TaskDetail::Brief);
  EXPECT_EQ(brief, (Json{{"taskId", "t1"},
                         {"status", "working"},
                         {"createdAt", core::format_time(kNow)},
                         {"lastUpdatedAt", core::format_time(kNow)},
                         {"ttlMs", 3'600'000},
                         {"pollIntervalMs", 2000}}));
  ToolTask done = running();
  complete(done, R"({"content":[]})", kNow + 1s);
  EXPECT_EQ(view(done)["result"], (Json{{"content", Json::array()}}));
  EXPECT_FALSE(view(done, TaskDetail::Brief).contains("result"));
  EXPECT_EQ(view(done)["lastUpdatedAt"], core::format_time(kNow + 1s));
  ToolTask failed = running();
  fail(failed, -32603, "It \"broke\"", kNow);
  EXPECT_EQ(view(failed)["status"], "failed");
  EXPECT_EQ(view(failed)["error"], (Json{{"code", -32603}, {"message", "It \"broke\""}}));
  EXPECT_EQ(view(failed)["statusMessage"], "It \"broke\"");
  EXPECT_FALSE(view(failed).contains("result"));
}

TEST(ToolTask, that_is_over_keeps_its_outcome_and_not_its_arguments) {
  ToolTask task = running();
  task.acting = true;
  complete(task, R"({"content":[]})", kNow);
  EXPECT_TRUE(task.over());
  EXPECT_EQ(task.call, (TaskCall{.tool = "wipe"}));
  EXPECT_FALSE(task.due_at);
  EXPECT_FALSE(task.acting);
  EXPECT_FALSE(cancel(task, kNow)) << "a cancellation that comes late changes nothing";
  EXPECT_EQ(task.status, TaskStatus::Completed);
}

TEST(ToolTask, bounds_what_it_keeps_of_a_result) {
  ToolTask task = running();
  complete(task, std::string(kTaskOutcomeBytesMax + 1, 'x'), kNow);
  EXPECT_LT(task.outcome_json.size(), 1000u);
  EXPECT_EQ(view(task)["result"]["isError"], true);
  EXPECT_NE(task.outcome_json.find("result_too_large"), std::string::npos);
}

TEST(ToolTask, takes_answers_one_by_one_and_under_keys_that_are_never_used_twice) {
  ToolTask task = running();
  ask(task, {{"a", {{"method", "m"}}}, {"b", {{"method", "m"}}}}, "s2", kNow);
  Json shown = view(task)["inputRequests"];
  ASSERT_EQ(shown.size(), 2u);
  EXPECT_FALSE(task.due_at);
  const std::string first = shown.items().begin().key();
  EXPECT_FALSE(answer(task, {{"unknown", 1}, {"a", 1}}, kNow)) << "the door's own key is not the client's";
  EXPECT_TRUE(answer(task, {{first, {{"action", "accept"}}}}, kNow));
  EXPECT_EQ(task.status, TaskStatus::InputRequired);
  EXPECT_FALSE(view(task)["inputRequests"].contains(first));
  EXPECT_EQ(view(task)["inputRequests"].size(), 1u);
  EXPECT_FALSE(answer(task, {{first, {{"action", "decline"}}}}, kNow)) << "answered already";
  const std::string second = view(task)["inputRequests"].items().begin().key();
  EXPECT_TRUE(answer(task, {{second, {{"action", "decline"}}}}, kNow + 1s));
  EXPECT_EQ(task.status, TaskStatus::Working);
  EXPECT_EQ(task.due_at, kNow + 1s);
  EXPECT_EQ(core::parse_json(task.call.responses_json),
            (Json{{"a", {{"action", "accept"}}}, {"b", {{"action", "decline"}}}}));
  EXPECT_EQ(task.call.state, "s2");

  task.runner = "node";
  task.turns = 2;
  ask(task, {{"a", {{"method", "m"}}}}, "s3", kNow);
  EXPECT_FALSE(view(task)["inputRequests"].contains(first));
  EXPECT_EQ(task.call.responses_json, "") << "the answers of a round are of that round";
}

TEST(ToolTask, is_cancelled_at_once_or_asked_to_stop) {
  ToolTask waiting = fresh();
  EXPECT_TRUE(cancel(waiting, kNow));
  EXPECT_EQ(waiting.status, TaskStatus::Cancelled);
  ToolTask busy = running();
  EXPECT_TRUE(cancel(busy, kNow));
  EXPECT_EQ(busy.status, TaskStatus::Working);
  EXPECT_TRUE(busy.cancel_asked);
  EXPECT_FALSE(cancel(busy, kNow));
}

std::vector<std::string> topics(const ToolTask* before, const ToolTask& after) {
  std::vector<std::string> out;
  for (const auto& notice : notices_of(before, after)) out.push_back(notice.topic);
  return out;
}

TEST(TaskNotice, tells_clients_of_what_they_see_and_runners_of_what_is_due) {
  using Topics = std::vector<std::string>;
  const ToolTask born = fresh();
  EXPECT_EQ(topics(nullptr, born), Topics{"mcp_task_due"});
  ToolTask leased = born;
  leased.runner = "node";
  leased.due_at = kNow + 15s;
  EXPECT_EQ(topics(&born, leased), Topics{}) << "a lease is nobody's business";
  ToolTask asked = leased;
  cancel(asked, kNow);
  EXPECT_EQ(topics(&leased, asked), Topics{"mcp_task_cancel"});
  ToolTask done = leased;
  complete(done, "{}", kNow);
  EXPECT_EQ(topics(&leased, done), Topics{"mcp_task"});
  EXPECT_EQ(notices_of(&leased, done)[0].payload, done.owner.end_user.str() + "/t1");
  ToolTask parked = leased;
  park(parked, {.state = "s", .after = 5s, .message = "waits"}, kNow);
  EXPECT_EQ(topics(&leased, parked), (Topics{"mcp_task", "mcp_task_due"}));
}

}  // namespace
}  // namespace assistiv::mcp
