// Runs over the real engine of inference and the real door of mcp: what is paid, who acts, what is asked
// first.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "agents/effects/gateway_effects.h"
#include "agents/store/agent_service.h"
#include "core/json_read.h"
#include "mcp/grants/approval_service.h"
#include "mcp/grants/grant_service.h"
#include "mcp/tools/connect_links.h"
#include "mcp/tools/tool_access.h"
#include "mcp/tools/tool_executor.h"
#include "mcp/tools/tool_service.h"
#include "support/agent_world.h"
#include "support/engine_fakes.h"
#include "support/eventually.h"
#include "support/grants_fixture.h"

namespace assistiv::agents {
namespace {

using core::Json;
using test::ScriptedReply;

class EffectsExecutor final : public mcp::ToolExecutor {
 public:
  core::Task<mcp::ToolExecution> execute(mcp::ToolInvocation invocation) override {
    std::lock_guard lock(mutex_);
    calls_.push_back(std::move(invocation));
    co_return answer;
  }
  std::vector<mcp::ToolInvocation> calls() const {
    std::lock_guard lock(mutex_);
    return calls_;
  }
  mcp::ToolExecution answer{mcp::ExecutionOutcome::Done,
                            R"({"content":[{"type":"text","text":"noted"}],"structuredContent":{"n":1}})", "",
                            200};

 private:
  mutable std::mutex mutex_;
  std::vector<mcp::ToolInvocation> calls_;
};

class EffectsLinks final : public mcp::ConnectLinks {
 public:
  core::Task<mcp::ConnectLink> create(oauth::PrincipalPtr, std::string app, std::string,
                                      std::optional<core::ConnectionId>) override {
    co_return mcp::ConnectLink{"https://gate.example/connect/" + app, core::from_epoch_ms(1'800'000'600'000)};
  }
};

// Tells other threads how many pieces there were.
class CountingJournal final : public Journal {
 public:
  explicit CountingJournal(Journal& inner) : inner_(inner) {}
  std::atomic<int> pieces = 0;
  core::Task<void> commit(JournalWrite write) override { return inner_.commit(std::move(write)); }
  core::Task<std::optional<StoredCheckpoint>> load(std::string ns, std::string id) override {
    return inner_.load(std::move(ns), std::move(id));
  }
  void show(RunEvent event) override {
    inner_.show(std::move(event));
    ++pieces;
  }

 private:
  Journal& inner_;
};

std::string sse(const Json& delta, const Json& finish = nullptr) {
  return "data: " +
         Json{{"id", "c1"},
              {"created", 1},
              {"model", "served-model"},
              {"choices", {{{"index", 0}, {"delta", delta}, {"finish_reason", finish}}}}}
             .dump() +
         "\n\n";
}
const char* const kEnd =
    "data: {\"id\":\"c1\",\"model\":\"served-model\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,"
    "\"completion_tokens\":5,\"total_tokens\":15}}\n\ndata: [DONE]\n\n";

ScriptedReply says(const std::string& text) {
  return ScriptedReply::sse(
      {sse({{"role", "assistant"}, {"content", text}}), sse(Json::object(), "stop"), kEnd});
}
ScriptedReply calls(const std::string& tool, const Json& arguments) {
  const Json call = {{"index", 0},
                     {"id", "call_1"},
                     {"type", "function"},
                     {"function", {{"name", tool}, {"arguments", arguments.dump()}}}};
  return ScriptedReply::sse(
      {sse({{"role", "assistant"}, {"tool_calls", {call}}}), sse(Json::object(), "tool_calls"), kEnd});
}

class EffectsTest : public test::GrantsFixture {
 protected:
  EffectsTest() { engine_.offer({test::test_target("one")}); }
  ~EffectsTest() override { tasks_.stop(); }

  GraphPtr graph_of(const std::string& slug, AgentSpec spec) {
    NewAgent fresh;
    fresh.slug = slug;
    fresh.name = slug;
    fresh.spec = std::move(spec);
    const auto made = GrantsFixture::run(agents_.create(platform_, std::move(fresh), by_platform()));
    return GrantsFixture::run(agents_.graph(platform_, made.agent.id, 1));
  }
  // A model with the tools of "notes".
  GraphPtr assistant(Json limits = Json::object()) {
    AgentSpec spec;
    spec.model = "asked-model";
    spec.apps = {"notes"};
    spec.limits = std::move(limits);
    return graph_of("helper", std::move(spec));
  }
  RunSpec spec_of(GraphPtr graph, const std::string& run) {
    RunSpec out;
    out.run = run;
    out.thread = "thread-1";
    out.limits = graph->limits;
    out.graph = std::move(graph);
    out.durability = Durability::Sync;
    out.next_seq = journal_.events.empty() ? 1 : journal_.events.back().seq + 1;
    out.totals = journal_.totals;
    return out;
  }
  RunSpec asked(GraphPtr graph, const std::string& run = kRun) {
    auto out = spec_of(std::move(graph), run);
    out.modes = {"messages"};
    out.input = Json{{"messages", {{{"type", "human"}, {"content", "Hello"}}}}};
    return out;
  }
  RunSpec resumed(GraphPtr graph, Json answer) {
    auto out = spec_of(std::move(graph), "0190b2f0-0000-7000-8000-0000000000b" + std::to_string(++resumes_));
    out.resumes = true;
    out.resume = std::move(answer);
    return out;
  }
  core::Task<RunOutcome> execution(RunSpec spec, std::shared_ptr<RunControl> control) {
    effects_ = make_gateway_effects(world_, {user_.principal, "helper", 1, "team-a", ""});
    return agents::execute(std::move(spec), {*effects_, counting_, clock_, random_, tasks_},
                           std::move(control));
  }
  RunOutcome carry_out(RunSpec spec) {
    return GrantsFixture::run(execution(std::move(spec), std::make_shared<RunControl>()));
  }
  static Json interrupt_in(const RunOutcome& out) {
    for (const auto& [task, list] : out.view.interrupts.items()) return list[0]["value"];
    return nullptr;
  }
  Json body_of(std::size_t call) { return core::parse_json(engine_.upstream.requests().at(call).body); }
  void policy(const std::string& body) {
    GrantsFixture::run(grants_.put_policy(platform_, "notes", core::parse_json(body), by_platform()));
  }
  void connection_is(const std::string& status) {
    database_.exec("update connection set status = $1", {status});
    access_.on_notify("connection", platform_.str() + "/" + user_.id.str());
  }

  static constexpr const char* kRun = "0190b2f0-0000-7000-8000-0000000000a1";
  test::EngineWorld engine_;
  mcp::ToolAccess access_{database_.db(), book_};
  mcp::GrantService grants_{
      {database_.db(), audit_, book_, end_users_, keys_,
       [this](std::string_view topic, std::string_view payload) { access_.on_notify(topic, payload); }}};
  mcp::ApprovalService approvals_{database_.db(), audit_, *vault_, clock_, random_};
  EffectsExecutor executor_;
  EffectsLinks links_;
  mcp::ToolService tools_{{access_, executor_, links_, approvals_, audit_}};
  AgentService agents_{{database_.db(),
                        audit_,
                        book_,
                        clock_,
                        random_,
                        [](core::PlatformId, std::string) -> core::Task<bool> { co_return true; },
                        {}}};
  EffectsWorld world_{engine_.service(), tools_, engine_.http, agents_, random_};
  test::MemoryJournal journal_;
  CountingJournal counting_{journal_};
  int resumes_ = 0;
  core::TaskGroup tasks_{"effects test"};
  std::unique_ptr<Effects> effects_;
};

TEST_F(EffectsTest, an_agent_acts_and_pays_as_its_end_user) {
  engine_.upstream.next(calls("notes_add", {{"text", "milk"}}));
  engine_.upstream.next(says("Done."));
  const auto out = carry_out(asked(assistant()));
  ASSERT_EQ(out.view.status, RunStatus::Success) << out.view.error_message;
  const auto& messages = out.output["messages"];
  ASSERT_EQ(messages.size(), 4U);
  EXPECT_EQ(messages[2]["content"], "noted");
  EXPECT_EQ(messages[3]["content"], "Done.");
  EXPECT_EQ(messages[3]["usage_metadata"]["total_tokens"], 15);
  const auto invocations = executor_.calls();
  ASSERT_EQ(invocations.size(), 1U);
  EXPECT_EQ(invocations[0].end_user_id, user_.id);
  EXPECT_EQ(*invocations[0].arguments, (Json{{"text", "milk"}}));
  EXPECT_EQ(invocations[0].traceparent.substr(3, 32), "0190b2f00000700080000000000000a1");
  const auto admissions = engine_.ledger.admissions();
  ASSERT_EQ(admissions.size(), 2U);
  for (const auto& one : admissions) {
    EXPECT_EQ(one.payer.end_user_id, user_.id);
    EXPECT_EQ(one.facts.run_id, kRun);
    EXPECT_EQ(one.facts.request_type, "agent");
    EXPECT_EQ(one.facts.tag, "team-a");
  }
  EXPECT_NE(admissions[0].facts.request_id, admissions[1].facts.request_id);
  EXPECT_EQ(out.totals.cost_nano_usd, 2 * (10 * 1000 + 5 * 2000));
  EXPECT_EQ(out.totals.tokens, 30);
  EXPECT_EQ(body_of(1)["messages"][2]["tool_call_id"], "call_1");
}

TEST_F(EffectsTest, a_call_whose_answer_was_lost_is_a_row_of_its_own_under_the_same_key) {
  engine_.upstream.next(calls("notes_get", {{"text", "milk"}}));
  engine_.upstream.next(says("Once."));
  engine_.upstream.next(says("Twice."));
  auto spec = asked(assistant());
  journal_.dies_at = 3;  // the model's last answer was not durable
  EXPECT_THROW(carry_out(spec), core::Error);
  journal_.dies_at = -1;
  ++spec.attempt;
  EXPECT_EQ(carry_out(spec).output["messages"].back()["content"], "Twice.");
  const auto sent = engine_.upstream.requests();
  ASSERT_EQ(sent.size(), 3U);
  ASSERT_TRUE(sent[1].headers.get("idempotency-key"));
  EXPECT_NE(sent[0].headers.get("idempotency-key"), sent[1].headers.get("idempotency-key"));
  EXPECT_EQ(sent[1].headers.get("idempotency-key"), sent[2].headers.get("idempotency-key"));
  std::set<std::string> ids;
  for (const auto& one : engine_.ledger.admissions()) ids.insert(one.facts.request_id);
  EXPECT_EQ(ids.size(), 3U);
  EXPECT_EQ(engine_.ledger.settlements().size(), 3U);
}

TEST_F(EffectsTest, grants_decide_which_tools_there_are) {
  policy(R"({"mode":"list","tools":["notes_get"]})");
  engine_.upstream.next(calls("notes_add", {{"text", "milk"}}));
  engine_.upstream.next(says("I may not."));
  const auto out = carry_out(asked(assistant()));
  EXPECT_EQ(out.view.status, RunStatus::Success);
  EXPECT_TRUE(executor_.calls().empty());
  EXPECT_EQ(body_of(0)["tools"].size(), 1U);
  EXPECT_EQ(body_of(0)["tools"][0]["function"]["name"], "notes_get");
  EXPECT_EQ(out.output["messages"][2]["status"], "error");
}

TEST_F(EffectsTest, an_approval_parks_the_run_until_it_is_decided) {
  policy(R"({"mode":"all","require_approval":{"tools":["notes_add"]}})");
  engine_.upstream.next(calls("notes_add", {{"text", "milk"}}));
  const auto graph = assistant();
  const auto parked = carry_out(asked(graph));
  EXPECT_EQ(parked.view.status, RunStatus::Interrupted);
  const auto ask = interrupt_in(parked);
  EXPECT_EQ(ask["type"], "approval_required");
  const auto id = core::ApprovalId::of(ask["ask"]["approval_id"].get<std::string>());
  EXPECT_EQ(carry_out(resumed(graph, true)).view.status, RunStatus::Interrupted) << "it is not decided yet";
  GrantsFixture::run(approvals_.decide(platform_, id, mcp::ApprovalChoice::Approve, "", by_platform()));
  engine_.upstream.next(says("Done."));
  const auto done = carry_out(resumed(graph, true));
  EXPECT_EQ(done.view.status, RunStatus::Success) << done.view.error_message;
  EXPECT_EQ(executor_.calls().size(), 1U);
  EXPECT_EQ(engine_.upstream.requests().size(), 2U) << "the model was not asked again for what it had said";
}

TEST_F(EffectsTest, who_says_no_to_what_is_asked_first_ends_the_call) {
  policy(R"({"mode":"all","require_approval":{"tools":["notes_add"]}})");
  engine_.upstream.next(calls("notes_add", {{"text", "milk"}}));
  engine_.upstream.next(says("Then not."));
  const auto graph = assistant();
  carry_out(asked(graph));
  const auto out = carry_out(resumed(graph, {{"type", "reject"}}));
  EXPECT_EQ(out.view.status, RunStatus::Success);
  EXPECT_TRUE(executor_.calls().empty());
  EXPECT_EQ(out.output["messages"][2]["content"], "The call was refused.");
}

TEST_F(EffectsTest, a_missing_connection_parks_the_run_with_the_link) {
  connection_is("revoked");
  engine_.upstream.next(calls("notes_add", {{"text", "milk"}}));
  const auto graph = assistant();
  const auto ask = interrupt_in(carry_out(asked(graph)));
  EXPECT_EQ(ask["type"], "connection_required");
  EXPECT_EQ(ask["ask"]["connect_url"], "https://gate.example/connect/notes");
  connection_is("active");
  engine_.upstream.next(says("Done."));
  EXPECT_EQ(carry_out(resumed(graph, nullptr)).view.status, RunStatus::Success);
  EXPECT_EQ(executor_.calls().size(), 1U);
}

TEST_F(EffectsTest, a_change_that_may_have_been_made_is_not_repeated_before_somebody_says_so) {
  executor_.answer = {mcp::ExecutionOutcome::ToolError, R"({"content":[],"isError":true})", "upstream", 502};
  executor_.answer.outcome_unknown = true;
  engine_.upstream.next(calls("notes_add", {{"text", "milk"}}));
  const auto graph = assistant();
  const auto parked = carry_out(asked(graph));
  EXPECT_EQ(interrupt_in(parked)["type"], "uncertain_effect");
  engine_.upstream.next(says("Done."));
  EXPECT_EQ(carry_out(resumed(graph, "happened")).view.status, RunStatus::Success);
  EXPECT_EQ(executor_.calls().size(), 1U);
}

Json branches(const std::vector<std::string>& names) {
  Json out = {
      {"spec", "agentgraph/1"},
      {"name", "own"},
      {"models", {{"m", {{"model", "asked-model"}}}}},
      {"state",
       {{"type", "object"},
        {"properties",
         {{"messages", {{"type", "array"}, {"items", {{"type", "object"}}}, {"x-reducer", "messages"}}}}}}},
      {"nodes", Json::object()},
      {"edges", {{{"from", "__start__"}, {"to", names}}}}};
  for (const auto& name : names)
    out["nodes"][name] = {{"type", "llm"}, {"model", "m"}, {"messages", "messages"}};
  return out;
}

TEST_F(EffectsTest, the_runs_cap_holds_over_branches_side_by_side) {
  AgentSpec spec;
  spec.graph = branches({"a", "b", "c"});
  const auto graph = graph_of("wide", spec);
  for (const std::int64_t cap : {50'000, 1'000'000, 4'000'000, 1'000'000'000}) {
    test::EngineWorld engine;
    engine.offer({test::test_target("one")});
    for (int i = 0; i < 3; ++i) engine.upstream.next(says("Yes."));
    EffectsWorld world{engine.service(), tools_, engine.http, agents_, random_};
    const auto effects = make_gateway_effects(world, {user_.principal, "wide", 1, "", ""});
    test::MemoryJournal journal;
    auto run = asked(graph);
    run.next_seq = 1;
    run.totals = {};
    run.limits.max_cost_nano_usd = cap;
    const auto out = GrantsFixture::run(
        agents::execute(run, {*effects, journal, clock_, random_, tasks_}, std::make_shared<RunControl>()));
    if (cap == 50'000) {
      EXPECT_EQ(out.view.error_code, "limit_cost");
      EXPECT_TRUE(engine.ledger.admissions().empty()) << "nothing was held and nothing sent";
      continue;
    }
    EXPECT_EQ(out.view.status, RunStatus::Success) << cap << out.view.error_message;
    EXPECT_LE(out.totals.cost_nano_usd, cap);
    for (const auto& one : engine.ledger.admissions()) EXPECT_LE(one.bound.nanos, cap);
    const bool limited =
        core::parse_json(engine.upstream.requests().at(0).body).contains("max_completion_tokens");
    EXPECT_EQ(limited, cap == 1'000'000) << cap;
  }
}

TEST_F(EffectsTest, another_model_answers_when_the_first_cannot_and_money_ends_it) {
  AgentSpec spec;
  spec.graph = branches({"a"});
  spec.graph["models"]["m"]["fallbacks"] = {"other-model"};
  const auto graph = graph_of("fallback", spec);
  engine_.targets.settings.attempts_max = 1;
  engine_.upstream.next(ScriptedReply::json(
      400,
      R"({"error":{"message":"This model's maximum context length is 10 tokens","code":"context_length_exceeded"}})"));
  engine_.upstream.next(says("Other."));
  EXPECT_EQ(carry_out(asked(graph)).output["messages"].back()["content"], "Other.");
  engine_.ledger.set_available(core::NanoUsd{10});
  journal_ = {};
  const auto refused = carry_out(asked(graph));
  EXPECT_EQ(refused.view.status, RunStatus::Error);
  EXPECT_EQ(refused.view.error_code, "wallet_insufficient");
  EXPECT_EQ(engine_.upstream.requests().size(), 2U);
}

TEST_F(EffectsTest, a_cancel_reaches_the_model_call_and_what_it_used_is_counted) {
  auto hanging = says("Once upon a time");
  hanging.pieces.resize(1);
  hanging.hangs = true;
  engine_.upstream.next(std::move(hanging));
  const auto control = std::make_shared<RunControl>();
  auto running = io_.start(execution(asked(assistant()), control));
  ASSERT_TRUE(test::eventually([&] { return counting_.pieces > 0; }));
  control->cancel();
  const auto out = running.get();
  EXPECT_EQ(out.view.status, RunStatus::Interrupted);
  ASSERT_EQ(engine_.ledger.settlements().size(), 1U);
  EXPECT_EQ(engine_.ledger.settlements()[0].outcome, billing::CallOutcome::ClientGone);
  EXPECT_EQ(out.totals.cost_nano_usd, engine_.ledger.settlements()[0].cost.nanos);
}

}  // namespace
}  // namespace assistiv::agents
