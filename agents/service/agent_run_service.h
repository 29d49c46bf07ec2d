#pragma once
// RunService over the stores, the worker and the event log.
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agents/service/assistant_service.h"
#include "agents/service/run_service.h"
#include "agents/service/run_spec.h"
#include "agents/service/run_standing.h"
#include "agents/service/run_waiters.h"
#include "agents/service/run_worker.h"
#include "agents/store/agent_service.h"
#include "agents/store/run_store.h"
#include "agents/store/thread_store.h"

namespace assistiv::agents {

// What a schedule's payload (a request without assistant_id) makes. `of_end_user`: one of theirs, else the
// platform's. Throws InvalidArgument.
NewRun scheduled_run(const ResolvedAssistant& of, const core::Json& payload, bool of_end_user);

// All of it outlives the service.
struct RunServiceWorld {
  storage::Database& database;
  RunStore& runs;
  ThreadStore& threads;
  AgentService& agents;
  AssistantService& assistants;
  RunWorker& worker;
  RunShares& here;  // the places of runs of which nothing is kept
  RunWaiters& waiters;
  RunStanding& standing;
  const core::Clock& clock;
  core::Random& random;
  // As of RunWorkerWorld: for runs that are carried out here and now.
  std::function<core::Task<core::Json>(core::PlatformId, core::EndUserId)> user;
  std::function<std::unique_ptr<Effects>(RunIdentity)> effects;
  // Throws InvalidArgument when nothing would be sent to this URL at the end of a run.
  std::function<core::Task<>(core::PlatformId, std::string url)> check_webhook;
};

// Thread-safe.
class AgentRunService final : public RunService {
 public:
  explicit AgentRunService(RunServiceWorld world) : world_(std::move(world)) {}
  ~AgentRunService() override;

  core::Task<CreatedRun> create(RunCaller caller, RunRequest request) override;
  core::Task<std::optional<RunResult>> wait(Reach reach, RunId run,
                                            std::chrono::steady_clock::time_point deadline,
                                            std::stop_token stop) override;
  core::Task<RunResult> run_here(RunCaller caller, RunRequest request,
                                 std::function<void(const RunEvent&)> watch, std::stop_token stop) override;
  core::Task<std::optional<Run>> cancel(Reach reach, RunId run, CancelAction action, bool wait,
                                        std::stop_token stop) override;

  // RunWorkerWorld::ended: what waiters get.
  static void tell_waiters(RunWaiters& waiters, const RunLease& lease, const Run& run,
                           const RunOutcome& outcome);

 private:
  core::Task<int> version_for(const RunCaller& caller, const RunRequest& request, const ResolvedAssistant& of,
                              bool resumes);
  core::Task<> check_given(std::optional<ThreadId> id, Reach reach, const RunOrder* order, GraphPtr graph);
  core::Task<RunResult> result_of(Reach reach, Run run);
  core::Task<std::optional<RunResult>> result_if_over(Reach reach, RunId id);

  RunServiceWorld world_;
  core::TaskGroup beside_{"agent runs here"};
};

}  // namespace assistiv::agents
