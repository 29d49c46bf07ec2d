#pragma once
// What a run needs, scripted: effects that the test answers, and a journal in memory that can be made to fail
// at any write, as a process that dies does.
#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agents/pregel/codec.h"
#include "agents/runtime/run.h"
#include "core/error.h"
#include "support/manual_clock.h"
#include "support/run_task.h"
#include "support/scripted_random.h"

namespace assistiv::test {

// What "the far side" has seen survives crashes of the run.
class ScriptedEffects final : public agents::Effects {
 public:
  std::function<agents::ModelAnswer(const agents::ModelCall&)> model;
  std::function<agents::ToolAnswer(const agents::ToolCall&)> tool;
  std::function<agents::HttpAnswer(const agents::HttpCall&)> http;
  std::vector<agents::ToolOffer> offers;
  agents::Quote price{10, 100};
  std::vector<agents::ModelCall> model_calls;
  std::vector<agents::ToolCall> tool_calls;
  std::map<std::string, int> by_key;                        // idempotency key -> calls
  std::chrono::milliseconds takes{0};                       // a model call, at least
  int now = 0, most = 0;                                    // model calls beside each other
  std::map<std::string, core::Json> kept;                   // of nodes with a cache, by node and hash
  bool wait_for_stop = false;                               // model calls end only when they are stopped
  core::ErrorKind stopped_as = core::ErrorKind::Cancelled;  // and say this of it
  core::AsyncEvent* begun = nullptr;

  core::Task<agents::Quote> quote(agents::ModelCall) override { co_return price; }
  core::Task<agents::ModelAnswer> call_model(agents::ModelCall call) override {
    model_calls.push_back(call);
    ++by_key[call.act.idempotency_key];
    if (wait_for_stop) {
      if (begun != nullptr) begun->set();
      co_await core::sleep_for(std::chrono::hours(1), call.act.stop);
      throw core::Error(stopped_as, "stopped");
    }
    most = std::max(most, ++now);
    if (takes.count() > 0) co_await core::sleep_for(takes, call.act.stop);
    --now;
    co_return model(call);
  }
  std::optional<core::Json> recall(const agents::CacheKey& key) override {
    const auto found = kept.find(key.node + " " + key.of);
    return found == kept.end() ? std::nullopt : std::optional(found->second);
  }
  void remember(const agents::CacheKey& key, core::Json result, std::chrono::seconds) override {
    kept[key.node + " " + key.of] = std::move(result);
  }
  core::Task<std::vector<agents::ToolOffer>> tools(agents::Act, std::string alias, agents::Toolset) override {
    auto out = offers;
    for (auto& offer : out) offer.toolset = alias;
    co_return out;
  }
  core::Task<agents::ToolAnswer> call_tool(agents::ToolCall call) override {
    tool_calls.push_back(call);
    ++by_key[call.act.idempotency_key];
    co_return tool(call);
  }
  core::Task<agents::HttpAnswer> call_http(agents::HttpCall call) override { co_return http(call); }
  core::Task<bool> may_enter(std::string reference, std::stop_token) override {
    co_return !gone.contains(reference);
  }
  std::set<std::string> gone;  // other agents
};

// The rows of one thread.
class MemoryJournal final : public agents::Journal {
 public:
  int dies_at = -1;    // the write (from 0) before which the process dies
  bool after = false;  // ... or after it was durable
  int writes = 0;
  bool is_away = false;  // cannot be read
  std::vector<agents::CheckpointRow> checkpoints;
  std::vector<agents::TaskRow> tasks;
  std::vector<agents::RunEvent> events;
  std::vector<agents::RunEvent> shown;
  agents::RunTotals totals;
  std::optional<agents::RunView> view;

  core::Task<void> commit(agents::JournalWrite write) override {
    const int now = writes++;
    if (now == dies_at && !after) throw core::Error(core::ErrorKind::Conflict, "dead").with_code("fenced");
    keep(std::move(write));
    if (now == dies_at) throw core::Error(core::ErrorKind::Conflict, "dead").with_code("fenced");
    co_return;
  }
  core::Task<std::optional<agents::StoredCheckpoint>> load(std::string ns, std::string id) override {
    if (is_away) throw core::Error(core::ErrorKind::Unavailable, "The database is not available.");
    const agents::CheckpointRow* row = nullptr;
    for (const auto& one : checkpoints) {
      if (one.ns != ns || (!id.empty() && one.id != id)) continue;
      if (row == nullptr || one.id > row->id) row = &one;
    }
    if (row == nullptr) co_return std::nullopt;
    std::vector<agents::CheckpointRow> chain = {*row};
    while (!chain.front().whole) chain.insert(chain.begin(), *find(chain.front().parent));
    std::vector<agents::TaskRow> own;
    for (const auto& task : tasks) {
      if (task.checkpoint == row->id) own.push_back(task);
    }
    co_return agents::stored_checkpoint(chain, own);
  }
  void show(agents::RunEvent event) override { shown.push_back(std::move(event)); }

 private:
  const agents::CheckpointRow* find(const std::string& id) const {
    for (const auto& row : checkpoints) {
      if (row.id == id) return &row;
    }
    return nullptr;
  }
  void keep(agents::JournalWrite write) {
    for (auto& row : write.checkpoints) {
      row.body = core::Json::parse(row.body.dump());
      checkpoints.push_back(std::move(row));
    }
    for (auto& row : write.tasks) {
      std::erase_if(tasks, [&](const auto& other) {
        return other.checkpoint == row.checkpoint && other.task == row.task && other.fact == row.fact &&
               other.key == row.key;
      });
      tasks.push_back(std::move(row));
    }
    for (auto& event : write.events) events.push_back(std::move(event));
    totals = write.totals;
    if (write.view) view = std::move(write.view);
  }
};

class AgentWorld {
 public:
  ManualClock clock;
  ScriptedRandom random{3};
  ScriptedEffects effects;
  MemoryJournal journal;
  core::TaskGroup tasks{"test"};
  IoThread thread;

  ~AgentWorld() { tasks.stop(); }

  agents::RunSpec spec(std::shared_ptr<const agents::Graph> graph, std::string run = "run-1") {
    agents::RunSpec out;
    out.run = std::move(run);
    out.thread = "thread-1";
    out.limits = graph->limits;
    out.graph = std::move(graph);
    out.durability = agents::Durability::Sync;
    out.modes = {"values", "updates", "messages"};
    out.next_seq = journal.events.empty() ? 1 : journal.events.back().seq + 1;
    out.totals = journal.totals;
    return out;
  }
  agents::RunSpec input(std::shared_ptr<const agents::Graph> graph, core::Json value,
                        std::string run = "run-1") {
    auto out = spec(std::move(graph), std::move(run));
    out.input = std::move(value);
    return out;
  }
  agents::RunSpec resume(std::shared_ptr<const agents::Graph> graph, core::Json value,
                         std::string run = "run-2") {
    auto out = spec(std::move(graph), std::move(run));
    out.resumes = true;
    out.resume = std::move(value);
    return out;
  }
  agents::RunOutcome run(agents::RunSpec spec, std::shared_ptr<agents::RunControl> control = {}) {
    if (!control) control = std::make_shared<agents::RunControl>();
    return thread.run(agents::execute(std::move(spec), {effects, journal, clock, random, tasks}, control));
  }
  // Runs again, as another process would, until the journal lets it end. The number of deaths.
  agents::RunOutcome run_to_the_end(agents::RunSpec spec) {
    for (;;) {
      try {
        return run(spec);
      } catch (const core::Error&) {
        ++spec.attempt;
        spec.totals = journal.totals;
        spec.next_seq = journal.events.empty() ? 1 : journal.events.back().seq + 1;
      }
    }
  }
};

}  // namespace assistiv::test
