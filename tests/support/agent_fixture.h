#pragma once
// The stores of agents on a database of their own, with two platforms and their end users.
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "agents/pregel/codec.h"
#include "agents/pregel/ids.h"
#include "agents/store/run_store.h"
#include "agents/store/thread_store.h"
#include "core/error.h"
#include "core/random.h"
#include "support/manual_clock.h"
#include "support/run_task.h"
#include "support/test_database.h"

namespace assistiv::agents {

class AgentStoreTest : public ::testing::Test {
 protected:
  using Json = core::Json;

  template <class T>
  T run(core::Task<T> task) {
    return io_.run(std::move(task));
  }

  // "" when `task` throws nothing, else the kind's code.
  template <class T>
  std::string fault_of(core::Task<T> task) {
    try {
      io_.run(std::move(task));
    } catch (const core::Error& e) {
      return std::string(core::error_code(e.kind()));
    }
    return "";
  }

  core::PlatformId make_platform() {
    const auto id = core::PlatformId::make(clock_, random_);
    database_.exec(
        "insert into platform (platform_id, name, slug, created_at, updated_at) values ($1::uuid, 'p', $1, "
        "now(), "
        "now())",
        {id.str()});
    return id;
  }

  core::EndUserId make_user(core::PlatformId platform) {
    const auto id = core::EndUserId::make(clock_, random_);
    database_.exec(
        "insert into end_user (platform_id, end_user_id, external_id, created_at, updated_at) values "
        "($1::uuid, "
        "$2::uuid, $2, now(), now())",
        {platform.str(), id.str()});
    return id;
  }

  std::int64_t count(const std::string& what) {
    return database_.exec("select count(*) as n from " + what)[0].integer("n");
  }

  Thread make_thread(Reach reach, Json metadata = Json::object()) {
    clock_.advance(std::chrono::milliseconds(1));  // the order of ids is the order in time
    NewThread input;
    input.metadata = std::move(metadata);
    return run(threads_.create(reach, std::move(input)));
  }

  NewRun new_run(std::optional<ThreadId> thread = {}, std::string strategy = "enqueue") {
    NewRun out;
    out.thread = thread;
    out.agent = out.assistant = core::Uuid::v7(clock_, random_);
    out.agent_version = 1;
    out.multitask_strategy = std::move(strategy);
    return out;
  }

  agents::Run make_run(Reach reach, std::optional<ThreadId> thread = {}, std::string strategy = "enqueue") {
    clock_.advance(std::chrono::milliseconds(1));
    return run(runs_.create(reach, new_run(thread, std::move(strategy)))).run;
  }

  ClaimedRun claim_one(const std::string& owner = "node-1") {
    auto claimed = run(runs_.claim(owner, 1));
    if (claimed.size() != 1) throw core::internal("there was no run to claim");
    return std::move(claimed[0]);
  }

  // As if the owner had been silent for longer than its lease.
  void outlive_lease(const agents::Run& run) {
    database_.exec("update agent_run set lease_until = now() - interval '1 second' where run_id = $1::uuid",
                   {run.id.str()});
  }

  pregel::Checkpoint next(const pregel::Checkpoint& parent, const Json& values) {
    pregel::Checkpoint out = parent;
    out.parent = parent.id;
    out.step = parent.step + 1;
    out.id = ids_.next(parent.id, out.step);
    out.source = parent.id.empty() ? pregel::Source::Input : pregel::Source::Loop;
    out.at = clock_.now();
    out.chain = parent.id.empty() ? 0 : parent.chain + 1;
    for (const auto& [key, value] : values.items()) out.values[key] = pregel::Value(value);
    return out;
  }

  // As the executor writes it: whole without a parent, else what has changed.
  CheckpointRow row_of(const pregel::Checkpoint& parent, const pregel::Checkpoint& checkpoint) {
    const bool whole = parent.id.empty();
    return {checkpoint.id,
            checkpoint.parent,
            checkpoint.ns,
            checkpoint.step,
            std::string(pregel::to_string(checkpoint.source)),
            checkpoint.at,
            whole,
            whole ? pregel::encode(checkpoint, {}) : pregel::encode_delta(parent, checkpoint, {}),
            {{"step", checkpoint.step}}};
  }

  // `steps` one after the other on an idle thread; gives the head.
  pregel::Checkpoint put_states(Reach reach, ThreadId thread, const std::vector<Json>& steps,
                                pregel::Checkpoint at = {}) {
    StateUpdate update;
    for (const auto& values : steps) {
      auto checkpoint = next(at, values);
      update.checkpoints.push_back(row_of(at, checkpoint));
      at = std::move(checkpoint);
    }
    update.view.emplace();
    update.view->values = pregel::to_json(at.values);
    update.view->interrupts = Json::object();
    update.view->checkpoint = at.id;
    run(threads_.update_state(reach, thread, std::move(update)));
    return at;
  }

  Json values_of(Reach reach, ThreadId thread, std::optional<CheckpointId> id = {}) {
    const auto stored = run(threads_.state(reach, thread, "", id));
    return stored ? pregel::to_json(stored->checkpoint.values) : Json(nullptr);
  }

  test::TestDatabase database_;
  test::ManualClock clock_;
  core::SystemRandom random_;
  test::IoThread io_;
  pregel::CheckpointIds ids_{clock_, random_};
  int due_signals_ = 0;
  ThreadStore threads_{database_.db(), clock_, random_};
  RunStore runs_{database_.db(), clock_, random_, {}, {[this] { ++due_signals_; }, {}}};
  core::PlatformId platform_ = make_platform(), other_platform_ = make_platform();
  core::EndUserId alice_ = make_user(platform_), bob_ = make_user(platform_);
  Reach all_{platform_, {}}, as_alice_{platform_, alice_}, as_bob_{platform_, bob_},
      elsewhere_{other_platform_, {}};
};

}  // namespace assistiv::agents
