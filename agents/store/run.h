#pragma once
// A run as it is kept: one execution of one version of an agent on one thread, as one end user.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agents/store/reach.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/json.h"

namespace assistiv::agents {

struct Run {
  RunId id;
  ThreadId thread;
  bool thread_is_temporary = false;
  std::optional<core::EndUserId> end_user;
  core::Uuid agent;
  int agent_version = 0;
  core::Uuid assistant;
  std::string status;  // "pending", "running", "success", "error", "timeout", "interrupted"
  core::Json metadata;
  core::Json kwargs;               // what it is carried out with (service/run_spec.h)
  std::string multitask_strategy;  // "reject", "enqueue", "interrupt", "rollback"
  int attempt = 0;
  std::optional<std::string> cancel_action;  // "interrupt" or "rollback": it has been asked for
  std::optional<std::string> webhook;
  std::optional<core::KeyId> key;                     // what the caller came with
  std::string traceparent;                            // of the caller's request; may be empty
  std::optional<std::chrono::milliseconds> max_wait;  // that it may be parked
  core::Json woken_by = core::Json::object();         // the connections that it goes on for (wait_store.h)
  core::Json usage;
  core::Json error;                       // null, or {"error", "message"}
  std::int64_t base_seq = 0;              // the run's events come after it
  std::optional<CheckpointId> base_head;  // of the thread when the run was first claimed
  core::Time due_at;
  core::Time created_at, updated_at;
  std::optional<core::Time> started_at, ended_at;

  bool is_over() const { return status != "pending" && status != "running"; }
};

// What one claim of a run gives: every later write names it, and one that comes after the run was lost
// changes nothing. Copies share the count of appends.
struct RunLease {
  core::PlatformId platform;
  ThreadId thread;
  RunId run;
  std::string owner;
  std::int64_t epoch = 0;
  // Before the database was asked for it: counted from here the lease is over sooner than there, never later.
  std::chrono::steady_clock::time_point asked_at{};
  std::shared_ptr<std::atomic<std::int64_t>> appends = std::make_shared<std::atomic<std::int64_t>>(0);
};

struct ClaimedRun {
  RunLease lease;
  Run run;
};

struct QueueOptions {
  std::chrono::milliseconds lease{15'000};
  int attempts_max = 3;  // that a run is lost in a row without getting on
};

// The firing of a schedule that a run is: there is one run for each.
struct CronSlot {
  CronId cron;
  core::Time slot;
};

struct NewRun {
  std::optional<ThreadId> thread;  // absent: a thread of its own that goes when its time is over
  bool create_thread = false;      // if_not_exists "create", else NotFound
  core::Json thread_metadata = core::Json::object();  // its members become the thread's
  core::Uuid agent;
  int agent_version = 0;
  core::Uuid assistant;
  core::Json metadata = core::Json::object();
  core::Json kwargs = core::Json::object();
  std::string multitask_strategy = "enqueue";
  bool keep_thread = false;  // of a temporary thread: on_completion "keep"
  std::chrono::seconds after{0};
  std::optional<std::string> webhook;
  std::optional<core::KeyId> key;
  std::string traceparent;
  std::optional<std::chrono::milliseconds> max_wait;
  core::Json woken_by = core::Json::object();
  std::optional<std::string> idempotency_key;  // 1..255 characters
  std::string fingerprint;                     // of the request that the key belongs to
  std::optional<CronSlot> cron;
  // The executor that takes the run at once, when nothing is before it: saves a claim of its own.
  std::optional<std::string> claim_as;
};

struct CreatedRun {
  Run run;
  bool repeated = false;          // the key was used: this is the first one
  std::optional<RunLease> lease;  // with claim_as, when it could be taken
};

struct RunSearch {
  std::optional<ThreadId> thread;
  std::optional<std::string> status;
  bool open = false;  // those that are not over
  core::Json metadata = core::Json::object();
  int limit = 10;
  int offset = 0;
};

}  // namespace assistiv::agents
