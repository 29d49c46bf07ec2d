#pragma once
// One attempt at a run: from where its thread stands until it ends, waits for somebody, or is told to stop.
#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "agents/definition/graph.h"
#include "agents/runtime/effects.h"
#include "agents/runtime/journal.h"
#include "core/async.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/random.h"

namespace assistiv::agents {

// Sync: the next step waits for the last one's write. Async: writes follow in order. Exit: one write at the
// end.
enum class Durability { Sync, Async, Exit };

struct RunSpec {
  std::string run;
  std::string thread;
  int attempt = 1;
  std::shared_ptr<const Graph> graph;
  Limits limits;                    // the least of definition and request
  std::optional<core::Json> input;  // absent: go on
  // LangGraph's Command; null members are absent.
  bool resumes = false;
  core::Json resume;
  std::string by;  // who asks for it: "end_user" or "platform"; "": nobody who may steer it
  core::Json update;
  core::Json go_to;
  std::string checkpoint;  // go on from here instead of the head
  std::vector<std::string> interrupt_before;
  std::vector<std::string> interrupt_after;
  Durability durability = Durability::Async;
  std::set<std::string>
      modes;            // events to record: values, updates, tasks, checkpoints, messages, custom, debug
  core::Json context;   // object: CEL's `context`
  core::Json user;      // object: CEL's `user`; nothing secret
  core::Json metadata;  // object, into each checkpoint
  RunTotals totals;     // of earlier attempts
  std::int64_t next_seq = 1;  // of the thread's events
};

// In a graph that asks its platform, only the platform goes on from elsewhere than where the thread stands,
// and sends updates and gotos.
core::Error platform_only(std::string message);

struct RunWorld {
  Effects& effects;
  Journal& journal;
  const core::Clock& clock;
  core::Random& random;
  core::TaskGroup& tasks;  // owns what runs beside the run's own coroutine; outlives the run
};

struct RunOutcome {
  RunView view;
  core::Json output;  // the graph's output keys
  RunTotals totals;
  bool drained = false;  // stopped between two steps to be taken up again: nothing final was written
};

enum class StopKind { None, Drain, Cancel };
// How others stop a run. Thread-safe.
class RunControl {
 public:
  void drain() { request(StopKind::Drain); }
  void cancel() { request(StopKind::Cancel); }
  // Who asked for the run may not act any more: it ends with the error "revoked".
  void revoke() {
    revoked_.store(true);
    cancel();
  }
  bool is_revoked() const { return revoked_.load(); }
  StopKind kind() const { return kind_.load(); }
  // What a run had used up that ended in an exception; for who called execute(), once it has thrown.
  const std::optional<RunTotals>& used() const { return used_; }
  void note(RunTotals used) { used_ = std::move(used); }
  // Requested at a cancel only: a drain waits for the step's end.
  std::stop_token cancelled() const { return stop_.get_token(); }

 private:
  void request(StopKind kind) {
    kind_.store(kind);
    if (kind == StopKind::Cancel) stop_.request_stop();
  }
  std::atomic<StopKind> kind_ = StopKind::None;
  std::atomic<bool> revoked_ = false;
  std::stop_source stop_;
  std::optional<RunTotals> used_;
};

// Throws only what the journal throws (fenced, out of order); everything else is the run's own end.
core::Task<RunOutcome> execute(RunSpec spec, RunWorld world, std::shared_ptr<RunControl> control);

}  // namespace assistiv::agents
