// Tasks in PostgreSQL: two nodes on one database that behave as one server, approvals, dead nodes.
#include <gtest/gtest.h>

#include <mutex>
#include <nlohmann/json.hpp>

#include "core/async.h"
#include "core/json_read.h"
#include "mcp/grants/approval_service.h"
#include "mcp/grants/grant_service.h"
#include "mcp/tasks/pg_task_store.h"
#include "mcp/tasks/task_runner.h"
#include "mcp/tools/connect_links.h"
#include "mcp/tools/tool_access.h"
#include "mcp/tools/tool_executor.h"
#include "mcp/tools/tool_result.h"
#include "mcp/tools/tool_service.h"
#include "oauth/identity/authenticator.h"
#include "storage/notifier.h"
#include "support/eventually.h"
#include "support/grants_fixture.h"
#include "support/mcp_world.h"

namespace assistiv::test {
namespace {

using namespace std::chrono_literals;
using mcp::ToolTask;

// Remembers what it was asked, answers as it was told, and may never come back.
class Upstream final : public mcp::ToolExecutor {
 public:
  core::Task<mcp::ToolExecution> execute(mcp::ToolInvocation invocation) override {
    mcp::ToolExecution next = done();
    {
      std::lock_guard lock(mutex_);
      asked_.push_back(invocation.tool);
      if (!answers_.empty()) {
        next = answers_.front();
        answers_.erase(answers_.begin());
      }
    }
    co_return next;
  }
  void answer(mcp::ToolExecution next) {
    std::lock_guard lock(mutex_);
    answers_.push_back(std::move(next));
  }
  std::vector<std::string> asked() const {
    std::lock_guard lock(mutex_);
    return asked_;
  }
  static mcp::ToolExecution done() {
    return {mcp::ExecutionOutcome::Done, R"({"content":[{"type":"text","text":"done"}]})", "", 200};
  }
  static mcp::ToolExecution wants_to_wait(std::chrono::seconds time) {
    mcp::ToolExecution out{mcp::ExecutionOutcome::ToolError,
                           mcp::error_result("rate_limited", "Later.", core::Json::object()), "rate_limited",
                           429};
    out.retry_after = time;
    return out;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<mcp::ToolExecution> answers_;
  std::vector<std::string> asked_;
};

class NoLinks final : public mcp::ConnectLinks {
 public:
  core::Task<mcp::ConnectLink> create(oauth::PrincipalPtr, std::string, std::string,
                                      std::optional<core::ConnectionId>) override {
    throw core::not_found("none");
  }
};

const Json kDeclared = {{"extensions", {{"io.modelcontextprotocol/tasks", Json::object()}}}};

class TaskNodes : public GrantsFixture {
 protected:
  // A node as in production: its own services, its own connection for notices.
  struct Node {
    Node(TaskNodes& t)
        : access(t.database_.db(), t.book_),
          authenticator(t.database_.db(), t.keys_, t.clock_),
          sessions(t.clock_, 24h),
          store(t.database_.db(), t.audit_, *t.vault_, t.clock_),
          tools({access, t.upstream_, t.links_, t.approvals_, t.audit_}),
          mcp(t.io_, {}, {.tools = tools, .tasks = &store}, {sessions, *t.vault_, t.clock_, t.random_}),
          runner({store, tools, t.clock_, t.random_,
                  [this](mcp::TaskOwner owner) {
                    return authenticator.standing(owner.platform, owner.end_user, owner.key);
                  }}),
          notifier(t.database_.url()) {
      notifier.subscribe([this](std::string_view topic, std::string_view payload) {
        access.on_notify(topic, payload);
        authenticator.on_notify(topic, payload);
        mcp.endpoint().on_notify(topic, payload);
        runner.on_notify(topic, payload);
      });
      notifier.start();
    }
    ~Node() {
      runner.stop();
      notifier.stop();
    }
    mcp::ToolAccess access;
    oauth::Authenticator authenticator;
    mcp::MemorySessionStore sessions;
    mcp::PgTaskStore store;
    mcp::ToolService tools;
    McpNode mcp;
    mcp::TaskRunner runner;
    storage::Notifier notifier;
  };

  TaskNodes() {
    run(grants_.put_policy(platform_, "notes",
                           core::parse_json(R"({"mode":"all","require_approval":{"tools":["notes_wipe"]}})"),
                           by_platform()));
    one_ = std::make_unique<Node>(*this);
    two_ = std::make_unique<Node>(*this);
  }

  McpReply ask(Node& at, const std::string& method, Json params, oauth::PrincipalPtr who = nullptr) {
    const auto headers = McpWorld::modern_headers(method, params);
    const auto message = McpWorld::modern_message(method, std::move(params), kDeclared);
    return at.mcp.send(McpWorld::request("POST", message.dump(), headers), who ? who : user_.principal);
  }
  Json call(Node& at, const std::string& tool, const std::string& text = "x",
            oauth::PrincipalPtr who = nullptr) {
    return ask(at, "tools/call", {{"name", tool}, {"arguments", {{"text", text}}}}, std::move(who))
        .json()
        .at("result");
  }
  Json get(Node& at, const std::string& id) {
    return ask(at, "tasks/get", {{"taskId", id}}).json().at("result");
  }
  Json until(Node& at, const std::string& id, const std::string& status) {
    EXPECT_TRUE(eventually([&] { return get(at, id).at("status") == status; })) << get(at, id).dump();
    return get(at, id);
  }
  core::ApprovalId pending() {
    const auto page =
        run(approvals_.list(platform_, {.status = mcp::ApprovalStatus::Pending, .end_user_id = {}}, {}));
    return page.items.at(0).id;
  }
  void decide(mcp::ApprovalChoice choice, const std::string& reason = "") {
    run(approvals_.decide(platform_, pending(), choice, reason, by_platform()));
  }
  static std::string text_of(const Json& task) { return task.at("result").at("content")[0].at("text"); }
  // As if the node that runs the task had died: it holds the task, and its lease ran out.
  ToolTask left_by_a_dead_node(Node& at, std::function<bool(ToolTask&)> before) {
    auto claimed = run(at.store.claim("dead", clock_.now() + 15s, 1));
    EXPECT_EQ(claimed.tasks.size(), 1u);
    const auto& task = claimed.tasks.at(0);
    run(at.store.change(task.owner, task.id, std::move(before)));
    clock_.advance(16s);
    return task;
  }

  Upstream upstream_;
  NoLinks links_;
  mcp::ApprovalService approvals_{database_.db(), audit_, *vault_, clock_, random_};
  mcp::GrantService grants_{
      {database_.db(), audit_, book_, end_users_, keys_, [](std::string_view, std::string_view) {}}};
  std::unique_ptr<Node> one_, two_;
};

TEST_F(TaskNodes, an_approval_decided_anywhere_completes_the_task_on_any_node) {
  const Json made = call(*one_, "notes_wipe");
  ASSERT_EQ(made.at("resultType"), "task") << made;
  const std::string id = made.at("taskId");
  EXPECT_EQ(get(*two_, id).at("status"), "working");
  two_->runner.start(io_.executor());
  EXPECT_TRUE(upstream_.asked().empty());
  decide(mcp::ApprovalChoice::Approve);
  EXPECT_EQ(text_of(until(*one_, id, "completed")), "done");
  EXPECT_EQ(upstream_.asked(), std::vector<std::string>{"notes_wipe"});
  const auto called = audit("tool.called");
  ASSERT_EQ(called.size(), 1u);
  EXPECT_EQ(called[0]["end_user"], user_.id.str());
  EXPECT_TRUE(called[0]["details"].contains("approval_id"));
  ASSERT_EQ(audit("task.ended").size(), 1u);
  EXPECT_EQ(audit("task.ended")[0]["details"]["status"], "completed");
  EXPECT_TRUE(audit("approval.withdrawn").empty());
}

TEST_F(TaskNodes, a_cancelled_task_takes_back_what_it_asked_and_its_end_is_on_record) {
  const std::string first = call(*one_, "notes_wipe").at("taskId");
  const std::string second = call(*two_, "notes_wipe").at("taskId");
  const auto approval = pending();
  ask(*one_, "tasks/cancel", {{"taskId", first}});
  EXPECT_EQ(get(*two_, first).at("status"), "cancelled");
  EXPECT_EQ(pending(), approval) << "the other task waits for the same decision";
  ask(*two_, "tasks/cancel", {{"taskId", second}});
  const auto after = run(approvals_.get(platform_, approval));
  EXPECT_EQ(after.status, mcp::ApprovalStatus::Expired);
  EXPECT_EQ(error_of([&] {
              run(approvals_.decide(platform_, approval, mcp::ApprovalChoice::Approve, "", by_platform()));
            }).kind(),
            core::ErrorKind::Conflict);
  ASSERT_EQ(audit("approval.withdrawn").size(), 1u);
  const auto ended = audit("task.ended");
  ASSERT_EQ(ended.size(), 2u);
  EXPECT_EQ(ended[0]["subject"], "notes_wipe");
  EXPECT_EQ(ended[0]["end_user"], user_.id.str());
  EXPECT_EQ(ended[0]["details"]["task_id"], second);
  EXPECT_EQ(ended[0]["details"]["status"], "cancelled");
  // The same call later asks anew.
  EXPECT_EQ(call(*one_, "notes_wipe").at("resultType"), "task");
  EXPECT_NE(pending(), approval);
}

TEST_F(TaskNodes, a_denied_call_completes_with_the_reason_and_one_that_nobody_decides_says_so) {
  one_->runner.start(io_.executor());
  const std::string denied = call(*one_, "notes_wipe").at("taskId");
  decide(mcp::ApprovalChoice::Deny, "Not before Monday");
  const Json answer = until(*two_, denied, "completed");
  EXPECT_EQ(answer.at("result").at("isError"), true);
  EXPECT_NE(text_of(answer).find("Not before Monday"), std::string::npos);
  const std::string late = call(*one_, "notes_wipe", "other").at("taskId");
  clock_.advance(61min);
  one_->runner.on_notify("mcp_task_due", "");
  EXPECT_NE(text_of(until(*two_, late, "completed")).find("approval_expired"), std::string::npos);
  EXPECT_TRUE(upstream_.asked().empty());
}

TEST_F(TaskNodes, a_decision_that_comes_before_the_task_waits_for_it_is_not_missed) {
  one_->runner.start(io_.executor());
  mcp::CallContext context;
  context.principal = user_.principal;
  const auto first = run(one_->tools.call(context, "notes_wipe", {{"text", "x"}}));
  ASSERT_TRUE(first.wait && first.wait->approval);
  decide(mcp::ApprovalChoice::Approve);
  ToolTask task;
  task.owner = mcp::task_owner(user_.principal, {});
  task.id = "late";
  task.created_at = clock_.now();
  task.expires_at = clock_.now() + 2h;
  task.call = {.tool = "notes_wipe", .arguments_json = R"({"text":"x"})"};
  mcp::park(task, *first.wait, clock_.now());
  EXPECT_TRUE(run(one_->store.create(task, 10)));
  until(*two_, "late", "completed");
}

TEST_F(TaskNodes, an_upstream_that_wants_to_be_asked_later_is_asked_later) {
  one_->runner.start(io_.executor());
  upstream_.answer(Upstream::wants_to_wait(40s));
  const std::string id = call(*one_, "notes_add").at("taskId");
  EXPECT_EQ(get(*two_, id).at("status"), "working");
  EXPECT_NE(get(*two_, id).at("statusMessage").get<std::string>().find("40 seconds"), std::string::npos);
  clock_.advance(40s);
  one_->runner.on_notify("mcp_task_due", "");
  EXPECT_EQ(text_of(until(*two_, id, "completed")), "done");
  EXPECT_EQ(upstream_.asked().size(), 2u);
  upstream_.answer(Upstream::wants_to_wait(2h));
  EXPECT_EQ(call(*one_, "notes_add").at("resultType"), "complete") << "too long to wait for";
}

TEST_F(TaskNodes, an_approval_that_was_used_serves_the_call_after_the_wait) {
  one_->runner.start(io_.executor());
  upstream_.answer(Upstream::wants_to_wait(40s));
  const std::string id = call(*one_, "notes_wipe").at("taskId");
  decide(mcp::ApprovalChoice::Approve);
  EXPECT_TRUE(eventually([&] { return upstream_.asked().size() == 1; }));
  EXPECT_TRUE(eventually(
      [&] { return get(*two_, id).value("statusMessage", "").find("40 seconds") != std::string::npos; }));
  clock_.advance(40s);
  one_->runner.on_notify("mcp_task_due", "");
  EXPECT_EQ(text_of(until(*two_, id, "completed")), "done");
  EXPECT_EQ(run(approvals_.list(platform_, {}, {})).total, 1);
}

TEST_F(TaskNodes, of_a_dead_node_go_on_where_that_is_safe) {
  upstream_.answer(Upstream::wants_to_wait(1s));
  const std::string id = call(*one_, "notes_add").at("taskId");
  clock_.advance(2s);
  left_by_a_dead_node(*one_, [](ToolTask&) { return false; });
  EXPECT_EQ(get(*two_, id).at("status"), "working");
  two_->runner.start(io_.executor());
  EXPECT_EQ(text_of(until(*one_, id, "completed")), "done");
}

TEST_F(TaskNodes, of_a_dead_node_fail_when_the_tool_may_have_acted) {
  upstream_.answer(Upstream::wants_to_wait(1s));
  const std::string id = call(*one_, "notes_add").at("taskId");
  clock_.advance(2s);
  left_by_a_dead_node(*one_, [](ToolTask& task) {
    task.acting = true;
    return true;
  });
  two_->runner.start(io_.executor());
  const Json failed = until(*one_, id, "failed");
  EXPECT_EQ(failed.at("error").at("code"), -32603);
  EXPECT_NE(failed.at("statusMessage").get<std::string>().find("not known"), std::string::npos);
  EXPECT_EQ(upstream_.asked().size(), 1u) << "not asked a second time";
}

TEST_F(TaskNodes, that_lost_its_task_says_nothing_more_of_it) {
  upstream_.answer(Upstream::wants_to_wait(1s));
  const std::string id = call(*one_, "notes_add").at("taskId");
  clock_.advance(2s);
  EXPECT_EQ(run(one_->store.claim("a", clock_.now() + 15s, 5)).tasks.size(), 1u);
  EXPECT_TRUE(run(two_->store.claim("b", clock_.now() + 15s, 5)).tasks.empty()) << "it is taken";
  clock_.advance(16s);
  const auto again = run(two_->store.claim("b", clock_.now() + 15s, 5));
  ASSERT_EQ(again.tasks.size(), 1u);
  EXPECT_TRUE(again.tasks[0].orphaned);
  EXPECT_EQ(again.tasks[0].turns, 2);
}

TEST_F(TaskNodes, act_for_a_key_only_as_long_as_it_is_good) {
  const std::string id = call(*one_, "notes_wipe").at("taskId");
  database_.db().execute(storage::Scope::tenant(platform_), [&](storage::Transaction& tx) {
    keys_.revoke(tx, {platform_, user_.id}, user_.principal->key_id);
  });
  one_->runner.start(io_.executor());
  decide(mcp::ApprovalChoice::Approve);
  const Json task = until(*one_, id, "failed");
  EXPECT_NE(task.at("statusMessage").get<std::string>().find("key"), std::string::npos);
  EXPECT_TRUE(upstream_.asked().empty());
}

TEST_F(TaskNodes, are_nobody_elses_also_for_another_key_of_the_user) {
  const std::string id = call(*one_, "notes_wipe").at("taskId");
  auto other_key = std::make_shared<oauth::Principal>(*user_.principal);
  other_key->key_id = core::KeyId::make(clock_, random_);
  const auto bob = add_user(platform_, "bob"), stranger = add_user(add_platform("other"), "eve");
  for (const oauth::PrincipalPtr& who : {oauth::PrincipalPtr(other_key), bob.principal, stranger.principal}) {
    for (const char* method : {"tasks/get", "tasks/update", "tasks/cancel"}) {
      const auto reply = ask(*two_, method, {{"taskId", id}, {"inputResponses", Json::object()}}, who);
      EXPECT_EQ(reply.error_code(), -32602) << method;
    }
  }
  EXPECT_EQ(get(*two_, id).at("status"), "working");
}

TEST_F(TaskNodes, are_cancelled_and_told_across_nodes) {
  const std::string id = call(*one_, "notes_wipe").at("taskId");
  const auto stream = ask(*two_, "subscriptions/listen", {{"notifications", {{"taskIds", {id}}}}});
  ASSERT_TRUE(stream.streamed()) << stream.body;
  EXPECT_EQ(stream.events->next_message()["params"]["notifications"]["taskIds"], Json{id});
  EXPECT_EQ(stream.events->next_message()["params"]["status"], "working");
  EXPECT_EQ(ask(*one_, "tasks/cancel", {{"taskId", id}}).json()["result"]["resultType"], "complete");
  const Json told = stream.events->next_message();
  EXPECT_EQ(told["method"], "notifications/tasks");
  EXPECT_EQ(told["params"]["status"], "cancelled");
}

TEST_F(TaskNodes, are_sealed_at_rest_bounded_and_swept) {
  const std::string id = call(*one_, "notes_wipe", "private words").at("taskId");
  const auto row = database_.exec("select call, outcome from mcp_task")[0];
  EXPECT_EQ(oauth::Vault::kid_of(row.text("call")), vault_->active_kid());
  EXPECT_TRUE(row.is_null("outcome"));
  ToolTask more = *run(one_->store.find(mcp::task_owner(user_.principal, {}), id));
  more.id = "second";
  EXPECT_FALSE(run(one_->store.create(more, 1)));
  EXPECT_TRUE(run(one_->store.create(more, 2)));
  clock_.advance(2h);
  EXPECT_EQ(ask(*one_, "tasks/get", {{"taskId", id}}).error_code(), -32602);
  EXPECT_EQ(run(one_->store.sweep(1)), 1u);
  EXPECT_EQ(run(one_->store.sweep(10)), 1u);
  EXPECT_EQ(database_.exec("select count(*) as n from mcp_task")[0].integer("n"), 0);
}

}  // namespace
}  // namespace assistiv::test
