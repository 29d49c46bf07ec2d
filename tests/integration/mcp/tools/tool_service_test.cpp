#include "mcp/tools/tool_service.h"

#include <gtest/gtest.h>

#include <mutex>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/json_read.h"
#include "core/metrics.h"
#include "mcp/grants/approval_service.h"
#include "mcp/grants/grant_service.h"
#include "mcp/tools/connect_links.h"
#include "mcp/tools/tool_access.h"
#include "mcp/tools/tool_executor.h"
#include "mcp/tools/tool_result.h"
#include "mcp/tools/tool_search.h"
#include "mcp/tools/tool_selection.h"
#include "support/grants_fixture.h"

namespace assistiv::mcp {
namespace {

using namespace std::chrono_literals;

// Remembers what it was asked and answers as it was told.
class FakeExecutor final : public ToolExecutor {
 public:
  core::Task<ToolExecution> execute(ToolInvocation invocation) override {
    {
      std::lock_guard lock(mutex_);
      calls_.push_back(invocation);
    }
    started.set();
    if (hold) co_await release.wait_for(1h);
    if (fails) throw core::internal("the executor broke");
    co_return answer;
  }

  std::vector<ToolInvocation> calls() const {
    std::lock_guard lock(mutex_);
    return calls_;
  }

  ToolExecution answer{ExecutionOutcome::Done, R"({"content":[]})", "", 200};
  bool hold = false, fails = false;
  core::AsyncEvent started, release;

 private:
  mutable std::mutex mutex_;
  std::vector<ToolInvocation> calls_;
};

class FakeLinks final : public ConnectLinks {
 public:
  core::Task<ConnectLink> create(oauth::PrincipalPtr, std::string app, std::string,
                                 std::optional<core::ConnectionId> repair) override {
    ++made;
    repaired = repair;
    if (fails) throw core::not_found("no such app");
    co_return ConnectLink{"https://mcp.example/connect/" + app, core::from_epoch_ms(1'800'000'600'000)};
  }
  bool fails = false;
  int made = 0;
  std::optional<core::ConnectionId> repaired;  // by the last one
};

class ToolServiceTest : public test::GrantsFixture {
 protected:
  CallContext context(std::optional<std::string> app = std::nullopt) {
    CallContext out;
    out.principal = user_.principal;
    out.app = std::move(app);
    out.request_id = "request-9";
    return out;
  }
  ToolCallResult call(const std::string& name, const core::Json& arguments = {{"text", "x"}},
                      std::optional<std::string> app = std::nullopt) {
    return run(service_.call(context(std::move(app)), name, arguments));
  }
  std::vector<std::string> listed(std::optional<std::string> app = std::nullopt) {
    std::vector<std::string> out;
    const auto list = run(service_.list(context(std::move(app))));
    for (const auto& tool : list->tools) out.push_back(tool.name);
    return out;
  }
  void policy(const std::string& body) {
    run(grants_.put_policy(platform_, "notes", core::parse_json(body), by_platform()));
  }
  // The error inside a CallToolResult.
  static core::Json error_in(const ToolCallResult& result) {
    const auto parsed = core::parse_json(result.result_json);
    EXPECT_EQ(parsed["isError"], true);
    return core::parse_json(parsed["content"][0]["text"].get<std::string>())["error"];
  }
  void connection_is(const std::string& status) {
    database_.exec("update connection set status = $1", {status});
    access_.on_notify("connection", platform_.str() + "/" + user_.id.str());
  }

  ToolAccess access_{database_.db(), book_};
  GrantService grants_{
      {database_.db(), audit_, book_, end_users_, keys_,
       [this](std::string_view topic, std::string_view payload) { access_.on_notify(topic, payload); }}};
  ApprovalService approvals_{database_.db(), audit_, *vault_, clock_, random_};
  FakeExecutor executor_;
  FakeLinks links_;
  ToolService service_{{access_, executor_, links_, approvals_, audit_}, {.calls_per_end_user_max = 2}};
};

TEST_F(ToolServiceTest, runs_an_allowed_call_for_the_callers_own_connection) {
  const auto result = call("notes_add", {{"text", "hello"}});
  EXPECT_EQ(result.outcome, ToolOutcome::Done);
  EXPECT_EQ(result.result_json, executor_.answer.result_json);
  const auto calls = executor_.calls();
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].platform_id, platform_);
  EXPECT_EQ(calls[0].end_user_id, user_.id);
  EXPECT_EQ(calls[0].connection_id, user_.connection);
  EXPECT_EQ(calls[0].tool, "notes_add");
  EXPECT_EQ(*calls[0].arguments, (core::Json{{"text", "hello"}}));
  EXPECT_EQ(calls[0].request_id, "request-9");
}

TEST_F(ToolServiceTest, leaves_one_audit_entry_per_call) {
  call("notes_add", {{"text", "private words"}});
  const auto entries = audit("tool.called");
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_TRUE(audit("tool.denied").empty());
  EXPECT_EQ(entries[0]["subject"], "notes_add");
  EXPECT_EQ(entries[0]["actor"], "end_user");
  EXPECT_EQ(entries[0]["end_user"], user_.id.str());
  EXPECT_EQ(entries[0]["request"], "request-9");
  const auto& details = entries[0]["details"];
  EXPECT_EQ(details["app"], "notes");
  EXPECT_EQ(details["outcome"], "done");
  EXPECT_EQ(details["decision"], "allow");
  EXPECT_EQ(details["rule"], "default");
  EXPECT_EQ(details["connection_id"], user_.connection.str());
  EXPECT_EQ(details["upstream_status"], 200);
  EXPECT_EQ(details["arguments_sha256"], core::sha256_hex(R"({"text":"private words"})"));
  EXPECT_TRUE(details["latency_ms"].is_number_integer());
  EXPECT_EQ(entries[0].dump().find("private words"), std::string::npos);
}

TEST_F(ToolServiceTest, a_denied_call_names_the_rule_and_reaches_nothing) {
  policy(R"({"mode":"read_only"})");
  const auto result = call("notes_add");
  EXPECT_EQ(result.outcome, ToolOutcome::ToolError);
  EXPECT_EQ(error_in(result)["code"], "denied");
  EXPECT_EQ(error_in(result)["rule"], "platform_policy");
  EXPECT_TRUE(executor_.calls().empty());
  const auto entries = audit("tool.denied");
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0]["details"]["decision"], "deny");
  EXPECT_EQ(entries[0]["details"]["rule"], "platform_policy");
  EXPECT_TRUE(audit("tool.called").empty());
}

TEST_F(ToolServiceTest, a_denial_comes_before_any_word_about_arguments_or_connection) {
  policy(R"({"mode":"none"})");
  connection_is("revoked");
  EXPECT_EQ(error_in(call("notes_add", {{"wrong", 1}}))["code"], "denied");
}

TEST_F(ToolServiceTest, unknown_tools_and_tools_of_other_apps_look_the_same) {
  const auto missing = call("no_such_tool");
  const auto not_activated = call("mail_list");
  const auto other_door = call("notes_get", {{"text", "x"}}, "mail");
  const auto connect_at_app_door = call("assistiv_connect_app", core::Json::object(), "notes");
  for (const auto* result : {&missing, &not_activated, &other_door, &connect_at_app_door}) {
    EXPECT_EQ(result->outcome, ToolOutcome::Unknown);
    EXPECT_EQ(result->code, "unknown_tool");
  }
  EXPECT_EQ(missing.message, other_door.message);
  EXPECT_NE(not_activated.message.find("POST /v1/platforms/" + platform_.str() + "/mcp/apps"),
            std::string::npos)
      << not_activated.message;
  EXPECT_EQ(audit("tool.denied").size(), 4u);
  EXPECT_TRUE(executor_.calls().empty());
}

TEST_F(ToolServiceTest, an_unknown_name_is_neither_a_label_nor_a_long_subject) {
  call("evil_" + std::string(5000, 'x'));
  EXPECT_EQ(core::metrics::render().find("evil_"), std::string::npos);
  EXPECT_EQ(audit("tool.denied")[0]["subject"].get<std::string>().size(), 128u);
}

TEST_F(ToolServiceTest, invalid_arguments_are_a_result_with_pointers) {
  const auto result = call("notes_add", {{"text", 7}, {"extra", true}});
  EXPECT_EQ(result.outcome, ToolOutcome::ToolError);
  const auto error = error_in(result);
  EXPECT_EQ(error["code"], "validation");
  std::string pointers;
  for (const auto& fault : error["faults"]) pointers += fault["pointer"].get<std::string>() + " ";
  EXPECT_NE(pointers.find("/text"), std::string::npos) << error;
  EXPECT_EQ(audit("tool.denied")[0]["details"]["outcome"], "invalid_arguments");
  EXPECT_EQ(error_in(call("notes_add", nullptr))["code"], "validation");
  EXPECT_EQ(error_in(call("notes_add", core::Json::array()))["code"], "validation");
}

TEST_F(ToolServiceTest, an_app_that_is_not_connected_gives_a_way_to_connect) {
  connection_is("revoked");
  const auto result = call("notes_get");
  EXPECT_EQ(result.outcome, ToolOutcome::NotConnected);
  EXPECT_EQ(result.connect_url, "https://mcp.example/connect/notes");
  const auto error = error_in(result);
  EXPECT_EQ(error["code"], "not_connected");
  EXPECT_EQ(error["connect_url"], result.connect_url);
  EXPECT_NE(error["message"].get<std::string>().find(result.connect_url), std::string::npos);
}

TEST_F(ToolServiceTest, a_connection_that_ended_must_be_renewed) {
  connection_is("needs_reauth");
  EXPECT_EQ(error_in(call("notes_get"))["code"], "reauth_required");
  connection_is("active");
  executor_.answer = {.outcome = ExecutionOutcome::NeedsReauth,
                      .result_json = "",
                      .code = "reauth_required",
                      .upstream_status = 401};
  const auto result = call("notes_get");
  EXPECT_EQ(result.outcome, ToolOutcome::NotConnected);
  EXPECT_EQ(error_in(result)["code"], "reauth_required");
  EXPECT_EQ(audit("tool.called")[0]["details"]["upstream_status"], 401);
  EXPECT_EQ(audit("tool.called")[0]["details"]["outcome"], "needs_reauth");
}

TEST_F(ToolServiceTest, says_so_when_no_link_can_be_made) {
  connection_is("revoked");
  links_.fails = true;
  const auto result = call("notes_get");
  EXPECT_EQ(result.outcome, ToolOutcome::ToolError);
  EXPECT_EQ(error_in(result)["code"], "not_connected");
}

TEST_F(ToolServiceTest, a_missing_scope_is_named) {
  database_.exec("update connection set scopes = '[\"basic\"]'");
  const auto result = call("notes_add");
  EXPECT_EQ(result.outcome, ToolOutcome::ToolError);
  const auto error = error_in(result);
  EXPECT_EQ(error["code"], "scope_missing");
  EXPECT_NE(error["message"].get<std::string>().find("\"notes\""), std::string::npos) << error;
  EXPECT_EQ(call("notes_get").outcome, ToolOutcome::Done) << "it needs no scope";
}

TEST_F(ToolServiceTest, an_approval_is_asked_for_and_used_once) {
  policy(R"({"mode":"all","require_approval":{"classes":["destructive"]}})");
  const auto waiting = call("notes_wipe");
  const auto error = error_in(waiting);
  EXPECT_EQ(error["code"], "approval_required");
  EXPECT_TRUE(error.contains("expires_at"));
  EXPECT_TRUE(executor_.calls().empty());
  const auto id = core::ApprovalId::of(error["approval_id"].get<std::string>());
  run(approvals_.decide(platform_, id, ApprovalChoice::Approve, "", by_platform()));
  EXPECT_EQ(error_in(call("notes_wipe", {{"text", "other"}}))["code"], "approval_required");
  EXPECT_EQ(call("notes_wipe").outcome, ToolOutcome::Done);
  EXPECT_EQ(error_in(call("notes_wipe"))["code"], "approval_required");
  EXPECT_EQ(executor_.calls().size(), 1u);
  const auto called = audit("tool.called");
  ASSERT_EQ(called.size(), 1u);
  EXPECT_EQ(called[0]["details"]["approval_id"], id.str());
  EXPECT_EQ(called[0]["details"]["decision"], "approval");
}

TEST_F(ToolServiceTest, a_denied_approval_tells_the_reason) {
  policy(R"({"mode":"all","require_approval":{"tools":["notes_post"]}})");
  const auto id = core::ApprovalId::of(error_in(call("notes_post"))["approval_id"].get<std::string>());
  run(approvals_.decide(platform_, id, ApprovalChoice::Deny, "Not before Monday", by_platform()));
  const auto error = error_in(call("notes_post"));
  EXPECT_EQ(error["code"], "approval_denied");
  EXPECT_NE(error["message"].get<std::string>().find("Not before Monday"), std::string::npos);
}

TEST_F(ToolServiceTest, asks_for_no_approval_before_the_call_could_run) {
  policy(R"({"mode":"all","require_approval":{"classes":["destructive"]}})");
  connection_is("revoked");
  EXPECT_EQ(error_in(call("notes_wipe"))["code"], "not_connected");
  EXPECT_EQ(error_in(call("notes_wipe", core::Json::object()))["code"], "validation");
  EXPECT_EQ(run(approvals_.list(platform_, {}, {})).total, 0);
}

TEST_F(ToolServiceTest, a_tool_error_is_passed_on_and_recorded) {
  executor_.answer = {ExecutionOutcome::ToolError,
                      error_result("not_found", "No such note.", core::Json::object()), "not_found", 404};
  const auto result = call("notes_get");
  EXPECT_EQ(result.outcome, ToolOutcome::ToolError);
  EXPECT_EQ(result.code, "not_found");
  const auto entries = audit("tool.called");
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0]["details"]["outcome"], "tool_error");
  EXPECT_EQ(entries[0]["details"]["code"], "not_found");
  EXPECT_EQ(entries[0]["details"]["upstream_status"], 404);
}

TEST_F(ToolServiceTest, our_own_fault_is_thrown_and_still_recorded_once) {
  executor_.fails = true;
  EXPECT_EQ(error_of([&] { call("notes_get"); }).kind(), core::ErrorKind::Internal);
  const auto entries = audit("tool.called");
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0]["details"]["outcome"], "failed");
}

TEST_F(ToolServiceTest, an_end_user_has_a_bounded_number_of_calls_in_flight) {
  executor_.hold = true;
  auto first = io_.start(service_.call(context(), "notes_get", {{"text", "1"}}));
  EXPECT_TRUE(run(executor_.started.wait_for(1h)));
  auto second = io_.start(service_.call(context(), "notes_get", {{"text", "2"}}));
  EXPECT_TRUE(run(executor_.started.wait_for(1h)));
  const auto third = call("notes_get");
  EXPECT_EQ(error_in(third)["code"], "rate_limited");
  EXPECT_EQ(error_in(third)["retry_after_s"], 1);
  executor_.hold = false;
  executor_.release.set();
  EXPECT_EQ(first.get().outcome, ToolOutcome::Done);
  EXPECT_EQ(second.get().outcome, ToolOutcome::Done);
  EXPECT_EQ(call("notes_get").outcome, ToolOutcome::Done);
  EXPECT_EQ(audit("tool.called").size(), 3u);
  EXPECT_EQ(audit("tool.denied").size(), 1u);
}

TEST_F(ToolServiceTest, an_app_that_hangs_leaves_seats_for_the_others) {
  activate(platform_, "mail");
  connect(platform_, user_.id, "mail", "mail-1");
  ToolService service{{access_, executor_, links_, approvals_, audit_},
                      {.calls_per_end_user_max = 4, .calls_per_app_max = 1}};
  executor_.hold = true;
  auto first = io_.start(service.call(context(), "notes_get", {{"text", "1"}}));
  EXPECT_TRUE(run(executor_.started.wait_for(1h)));
  const auto refused = error_in(run(service.call(context(), "notes_get", {{"text", "2"}})));
  EXPECT_EQ(refused["code"], "rate_limited");
  EXPECT_EQ(refused["app"], "notes");
  EXPECT_EQ(refused["retry_after_s"], 1);
  executor_.hold = false;
  EXPECT_EQ(run(service.call(context(), "mail_list", {{"text", "3"}})).outcome, ToolOutcome::Done);
  executor_.release.set();
  EXPECT_EQ(first.get().outcome, ToolOutcome::Done);
  EXPECT_EQ(run(service.call(context(), "notes_get", {{"text", "4"}})).outcome, ToolOutcome::Done);
}

TEST_F(ToolServiceTest, a_change_is_in_the_trail_before_the_vendor_is_asked) {
  executor_.hold = true;
  auto pending = io_.start(service_.call(context(), "notes_add", {{"text", "1"}}));
  EXPECT_TRUE(run(executor_.started.wait_for(1h)));
  const auto rows = database_.exec("select event, details ->> 'app' as app from audit_entry order by seq");
  ASSERT_EQ(rows.size(), 1u) << "durable: this reads the database, past the queue";
  EXPECT_EQ(rows[0].text("event"), "tool.started");
  EXPECT_EQ(rows[0].text("app"), "notes");
  executor_.hold = false;
  executor_.release.set();
  pending.get();
  EXPECT_EQ(audit("tool.called").size(), 1u);
  call("notes_get");
  EXPECT_EQ(audit("tool.started").size(), 1u) << "reading needs none";
}

TEST_F(ToolServiceTest, tells_a_cancelled_call_from_one_that_took_too_long) {
  executor_.answer = {.outcome = ExecutionOutcome::ToolError, .result_json = "{}", .code = "cancelled"};
  call("notes_get");
  EXPECT_EQ(audit("tool.called")[0]["details"]["outcome"], "cancelled");
  executor_.answer.code = "upstream";
  executor_.answer.timed_out = true;
  call("notes_get");
  EXPECT_EQ(audit("tool.called")[0]["details"]["outcome"], "timed_out");
}

TEST_F(ToolServiceTest, bounds_what_refused_calls_leave_behind) {
  ToolService strict({access_, executor_, links_, approvals_, audit_},
                     {.refusals = {.burst = 3, .refill = 1h}});
  connection_is("revoked");
  for (int i = 0; i < 10; ++i) {
    const auto result = run(strict.call(context(), "notes_get", {{"text", "x"}}));
    EXPECT_EQ(error_in(result)["code"], i < 3 ? "not_connected" : "rate_limited");
  }
  run(strict.call(context(), "no_such_tool", {}));
  EXPECT_EQ(audit("tool.denied").size(), 3u);
  EXPECT_EQ(links_.made, 3);
  connection_is("active");
  EXPECT_EQ(run(strict.call(context(), "notes_get", {{"text", "x"}})).outcome, ToolOutcome::Done)
      << "what may run, runs";
}

TEST_F(ToolServiceTest, lists_by_door) {
  EXPECT_EQ(listed(), (std::vector<std::string>{"notes_get", "notes_add", "notes_post", "notes_wipe"}));
  policy(R"({"mode":"list","tools":["notes_get"]})");
  EXPECT_EQ(listed(), std::vector<std::string>{"notes_get"});
  EXPECT_EQ(listed("notes"), std::vector<std::string>{"notes_get"});
  connection_is("revoked");
  EXPECT_EQ(listed(), std::vector<std::string>{"assistiv_connect_app"});
  EXPECT_EQ(listed("notes"), std::vector<std::string>{"notes_get"})
      << "so that a call can answer with the link";
  const auto not_activated = error_of([&] { listed("mail"); });
  EXPECT_EQ(not_activated.kind(), core::ErrorKind::NotFound);
  EXPECT_NE(not_activated.message().find("POST /v1/platforms/"), std::string::npos);
}

TEST_F(ToolServiceTest, the_connect_tool_gives_a_link) {
  connection_is("revoked");
  const auto result = call("assistiv_connect_app", core::Json::object());
  EXPECT_EQ(result.outcome, ToolOutcome::Done);
  const auto structured = core::parse_json(result.result_json)["structuredContent"];
  EXPECT_EQ(structured["connect_url"], "https://mcp.example/connect/notes");
  EXPECT_EQ(structured["app"], "notes");
  EXPECT_EQ(error_in(call("assistiv_connect_app", {{"app", "mail"}}))["code"], "validation");
  EXPECT_EQ(error_in(call("assistiv_connect_app", {{"ap", "notes"}}))["code"], "validation");
  connection_is("active");
  EXPECT_EQ(call("assistiv_connect_app", {{"app", "notes"}}).outcome, ToolOutcome::Done);
}

TEST_F(ToolServiceTest, a_deactivated_app_takes_its_tools_away) {
  EXPECT_EQ(call("notes_get").outcome, ToolOutcome::Done);
  database_.exec("delete from mcp_app");
  access_.on_notify("app", platform_.str() + "/notes");
  EXPECT_EQ(call("notes_get").outcome, ToolOutcome::Unknown);
  EXPECT_TRUE(listed().empty());
}

TEST_F(ToolServiceTest, is_for_end_users_only) {
  CallContext platform = context();
  platform.principal = by_platform().actor;
  EXPECT_EQ(error_of([&] { run(service_.call(platform, "notes_get", core::Json::object())); }).kind(),
            core::ErrorKind::PermissionDenied);
  EXPECT_EQ(error_of([&] { run(service_.list(platform)); }).kind(), core::ErrorKind::PermissionDenied);
}

TEST_F(ToolServiceTest, a_selection_takes_tools_away_from_list_and_call_alike) {
  auto narrow = context();
  narrow.selection = std::make_shared<const ToolSelection>(
      ToolSelection{.tools = {"notes_add", "notes_get"}, .read_only = true});
  const auto list = run(service_.list(narrow));
  ASSERT_EQ(list->tools.size(), 1u);
  EXPECT_EQ(list->tools[0].name, "notes_get");
  const core::Json text = {{"text", "x"}};
  EXPECT_EQ(run(service_.call(narrow, "notes_get", text)).outcome, ToolOutcome::Done);
  EXPECT_EQ(run(service_.call(narrow, "notes_add", text)).outcome, ToolOutcome::Unknown);
  EXPECT_EQ(executor_.calls().size(), 1u);
  EXPECT_EQ(audit("tool.denied")[0]["subject"], "notes_add");
}

TEST_F(ToolServiceTest, in_search_mode_call_tool_is_the_call_of_the_tool_itself) {
  policy(R"({"mode": "all", "deny": ["notes_wipe"]})");
  auto search = context();
  search.selection =
      std::make_shared<const ToolSelection>(ToolSelection{.search = true, .result_tokens_max = 700});
  const auto through = [&](const std::string& name) {
    return run(service_.call(search, kCallTool, {{"name", name}, {"arguments", {{"text", "x"}}}}));
  };
  EXPECT_EQ(through("notes_add").outcome, ToolOutcome::Done);
  ASSERT_EQ(executor_.calls().size(), 1u);
  EXPECT_EQ(executor_.calls()[0].tool, "notes_add");
  EXPECT_EQ(*executor_.calls()[0].arguments, (core::Json{{"text", "x"}}));
  EXPECT_EQ(executor_.calls()[0].result_tokens_max, 700u);
  const auto entries = audit("tool.called");
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0]["subject"], "notes_add");
  EXPECT_EQ(entries[0]["details"]["arguments_sha256"], core::sha256_hex(R"({"text":"x"})"));
  EXPECT_EQ(error_in(through("notes_wipe"))["code"], "denied");
  EXPECT_EQ(through(kCallTool).outcome, ToolOutcome::Unknown);
  EXPECT_EQ(call(kCallTool, {{"name", "notes_get"}}).outcome, ToolOutcome::Unknown)
      << "not without search mode";
  const auto found = run(service_.call(search, kSearchTool, {{"query", "notes"}}));
  EXPECT_EQ(core::parse_json(found.result_json)["structuredContent"]["total"], 3);
}

TEST_F(ToolServiceTest, knows_every_name_of_the_catalogue_in_a_selection_and_no_other) {
  auto asked = context();
  asked.selection = std::make_shared<const ToolSelection>(ToolSelection{
      .tools = {"mail_list", "nothing"}, .toolsets = {"mail", "mail:notes", "nowhere", "notes"}});
  EXPECT_EQ(run(service_.unknown_names(asked)), (std::vector<std::string>{"nothing", "nowhere"}));
}

TEST_F(ToolServiceTest, acts_for_the_account_that_is_named_and_for_the_default_without_a_name) {
  const auto second = connect(platform_, user_.id, "notes", "second");
  database_.exec("update connection set is_default = true, label = 'First' where connection_id = $1::uuid",
                 {user_.connection.str()});
  access_.on_notify("connection", platform_.str() + "/" + user_.id.str());
  call("notes_get");
  call("notes_get", {{"text", "x"}, {"account", "SECOND"}});
  call("notes_get", {{"text", "x"}, {"account", "first"}});
  const auto calls = executor_.calls();
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(calls[0].connection_id, user_.connection);
  EXPECT_EQ(calls[1].connection_id, second);
  EXPECT_EQ(*calls[1].arguments, (core::Json{{"text", "x"}})) << "the vendor is not asked about it";
  EXPECT_EQ(calls[2].connection_id, user_.connection);
  EXPECT_EQ(audit("tool.called")[1]["details"]["connection_id"], second.str());
}

TEST_F(ToolServiceTest, refuses_accounts_of_others_and_names_its_own) {
  connect(platform_, user_.id, "notes", "second");
  const auto other = add_user(platform_, "other");
  access_.on_notify("connection", platform_.str() + "/" + user_.id.str());
  for (const std::string& name : {other.connection.str(), std::string("nobody")}) {
    const auto error = error_in(call("notes_get", {{"text", "x"}, {"account", name}}));
    EXPECT_EQ(error["code"], "validation");
    EXPECT_EQ(error["accounts"].size(), 2u);
    EXPECT_NE(error["message"].get<std::string>().find("second"), std::string::npos);
  }
  EXPECT_TRUE(executor_.calls().empty());
}

TEST_F(ToolServiceTest, has_no_account_argument_without_a_choice) {
  EXPECT_EQ(error_in(call("notes_get", {{"text", "x"}, {"account", "a"}}))["code"], "validation");
}

TEST_F(ToolServiceTest, a_default_that_has_ended_is_renewed_and_never_replaced_by_another) {
  const auto second = connect(platform_, user_.id, "notes", "second");
  database_.exec(
      "update connection set is_default = true, status = 'needs_reauth' where connection_id = $1::uuid",
      {user_.connection.str()});
  access_.on_notify("connection", platform_.str() + "/" + user_.id.str());
  EXPECT_EQ(error_in(call("notes_get"))["code"], "reauth_required");
  EXPECT_EQ(links_.repaired, user_.connection);
  EXPECT_TRUE(executor_.calls().empty());
  EXPECT_EQ(call("notes_get", {{"text", "x"}, {"account", "second"}}).outcome, ToolOutcome::Done);
  EXPECT_EQ(executor_.calls().at(0).connection_id, second);
}

TEST_F(ToolServiceTest, counts_calls_by_app_tool_and_outcome) {
  auto& done = core::metrics::counter("assistiv_tool_calls_total", "Tool calls.",
                                      {{"app", "notes"}, {"tool", "notes_get"}, {"outcome", "done"}});
  const auto before = done.value();
  call("notes_get");
  call("notes_get");
  EXPECT_EQ(done.value(), before + 2);
}

}  // namespace
}  // namespace assistiv::mcp
