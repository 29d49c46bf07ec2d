#pragma once
// Whether who asked for a run may still act, and with this agent. A run goes on without its caller: when a
// key, an end user, a platform or an agent changes, all runs that it concerns are asked about again, and
// those that may not go on end with the error "revoked".
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "agents/runtime/run.h"
#include "agents/store/agent.h"
#include "core/async.h"
#include "core/ids.h"
#include "core/task.h"
#include "oauth/principal.h"

namespace assistiv::agents {

struct RunActor {
  core::PlatformId platform;
  std::optional<core::EndUserId> end_user;
  std::optional<core::KeyId> key;
  AgentId agent;
  std::string slug;  // of the agent
  auto operator<=>(const RunActor&) const = default;
};

// The functions are thread-safe.
struct RunStandingWorld {
  // Who acts by a key, as it is allowed to now; null when the key is no good any more.
  std::function<core::Task<oauth::PrincipalPtr>(core::PlatformId, std::optional<core::EndUserId>,
                                                core::KeyId)>
      standing;
  std::function<core::Task<bool>(core::PlatformId, AgentId, std::optional<core::EndUserId>)> serves;
  std::function<core::AnyExecutor()> executor;
};

// Thread-safe.
class RunStanding {
 public:
  explicit RunStanding(RunStandingWorld world) : world_(std::move(world)) {}
  ~RunStanding() { stop(); }

  // Who acts in a run. Throws PermissionDenied: "caller_gone", "agent_gone".
  core::Task<oauth::PrincipalPtr> caller(RunActor actor) const;
  // The run is revoked when it may not go on, until what this gives is dropped.
  std::shared_ptr<void> watch(RunActor actor, std::shared_ptr<RunControl> control);

  // Topics: key, end_user, platform, agent, resync.
  void on_notify(std::string_view topic, std::string_view payload);
  void start();
  void stop();

 private:
  struct Entry {
    RunActor actor;
    std::shared_ptr<RunControl> control;
    bool doubted = false;  // under the mutex
  };
  using EntryPtr = std::shared_ptr<Entry>;
  struct Book {
    std::mutex mutex;
    std::map<std::uint64_t, EntryPtr> entries;
    std::uint64_t next = 1;
    bool running = false;
    bool looking = false;
  };

  std::vector<EntryPtr> take_doubted();
  core::Task<bool> may_go_on(RunActor actor) const;
  core::Task<bool> ask(std::vector<EntryPtr> doubted);
  core::Task<> look(std::stop_token stop);

  const RunStandingWorld world_;
  const std::shared_ptr<Book> book_ = std::make_shared<Book>();
  core::TaskGroup group_{"agent standing"};
};

}  // namespace assistiv::agents
