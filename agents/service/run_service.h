#pragma once
// Runs as the doors ask for them (LangGraph API, Agent Protocol, MCP, A2A, models named "agent/<slug>"): the
// request is checked against the agent it names, made durable, and carried out by a worker of any node.
// Who acts comes from the credential.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "agents/store/event_log.h"
#include "agents/store/run.h"
#include "agents/store/run_store.h"
#include "core/ids.h"
#include "core/task.h"
#include "oauth/principal.h"

namespace assistiv::agents {

// Who asks. The run acts as `reach.end_user`; without one only agents that need no end user's apps can run.
struct RunCaller {
  oauth::PrincipalPtr principal;
  Reach reach;
  std::string request_id;
  std::string traceparent;
  std::string tag = {};  // of x-aig-tag, for the usage rows

  // An end user asks, or a platform that acts for one: not the platform itself.
  bool is_end_user() const { return reach.end_user.has_value(); }
};

struct RunRequest {
  std::optional<ThreadId> thread;  // absent: a thread of its own
  // LangGraph's RunCreate (reference: LangGraph Server API): assistant_id, input, command, config, context,
  // metadata, checkpoint, interrupt_before, stream_mode, durability, multitask_strategy, ... An object; what
  // is wrong in it throws InvalidArgument.
  core::Json body;
  std::optional<std::string> idempotency_key;
  std::optional<RunId> id;  // of run_here(): made by a door that must name the run before it is over
};

// How a run that is over, or parked, stands.
struct RunResult {
  Run run;
  core::Json values;      // of the thread's state; null: none
  core::Json output;      // the graph's output keys; null when the run did not succeed
  core::Json interrupts;  // {task id: [{"id", "value"}]}
};

// Thread-safe. What the reach does not hold throws NotFound.
class RunService {
 public:
  virtual ~RunService() = default;

  // When it returns the run is durable. Throws NotFound (assistant, thread), Conflict ("thread_busy"),
  // InvalidArgument with the fault's place, PaymentRequired.
  virtual core::Task<CreatedRun> create(RunCaller caller, RunRequest request) = 0;

  // Until the run is over or parked; nothing at the deadline or when `stop` is requested. Of a run whose
  // thread was temporary too, as long as its events are kept. A database that is away for a moment is waited
  // for, beyond the deadline.
  virtual core::Task<std::optional<RunResult>> wait(Reach reach, RunId run,
                                                    std::chrono::steady_clock::time_point deadline,
                                                    std::stop_token stop) = 0;

  // A run of which nothing is kept: it is carried out here and now, and dies with the process. For stateless
  // requests. `watch`, when it is there, hears each event in order on the run's own thread: quick, not
  // throwing. Ends early when `stop` is requested.
  virtual core::Task<RunResult> run_here(RunCaller caller, RunRequest request,
                                         std::function<void(const RunEvent&)> watch,
                                         std::stop_token stop) = 0;

  // With `wait` it returns when no step of it will begin any more. Nothing when it was rolled back.
  virtual core::Task<std::optional<Run>> cancel(Reach reach, RunId run, CancelAction action, bool wait,
                                                std::stop_token stop) = 0;
};

}  // namespace assistiv::agents
