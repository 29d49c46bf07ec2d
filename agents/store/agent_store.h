#pragma once
// Rows of `agent`, `agent_version` and `agent_end_user`.
#include <optional>
#include <string>
#include <vector>

#include "agents/store/agent.h"
#include "core/ids.h"
#include "oauth/identity/page.h"
#include "storage/database.h"

namespace assistiv::agents {

// Inside the caller's transaction; holds no state.
class AgentStore {
 public:
  // Until the end of the transaction nobody else adds agents to this platform.
  void lock_platform(storage::Transaction& tx, core::PlatformId platform) const;
  std::int64_t count(storage::Transaction& tx, core::PlatformId platform) const;
  // Throws Conflict when the slug is taken.
  void insert(storage::Transaction& tx, const Agent& agent) const;
  // All but slug and creation, with its end users. Throws NotFound for an end user that is not there.
  void update(storage::Transaction& tx, const Agent& agent) const;
  bool remove(storage::Transaction& tx, core::PlatformId platform, AgentId id) const;
  void insert_version(storage::Transaction& tx, const Agent& agent, const AgentVersion& version) const;

  // By id, or by slug where it is no id. `lock`: until the end of the transaction nobody else changes it.
  std::optional<Agent> find(storage::Transaction& tx, core::PlatformId platform, const std::string& name,
                            bool lock = false) const;
  // Whether it is there, switched on, and for this end user; none: the platform itself. `name` as in find().
  bool serves(storage::Transaction& tx, core::PlatformId platform, const std::string& name,
              const std::optional<core::EndUserId>& end_user) const;
  // Of every agent of the platform.
  std::vector<std::string> slugs(storage::Transaction& tx, core::PlatformId platform) const;
  // Newest first.
  oauth::Page<Agent> list(storage::Transaction& tx, core::PlatformId platform, oauth::PageRequest page) const;
  std::optional<AgentVersion> version(storage::Transaction& tx, core::PlatformId platform, AgentId id,
                                      int version) const;
  // Newest first, without definitions.
  oauth::Page<AgentVersion> versions(storage::Transaction& tx, core::PlatformId platform, AgentId id,
                                     oauth::PageRequest page) const;
  // The slug of another agent whose graph runs a version of this one; empty: none.
  std::optional<std::string> user_of(storage::Transaction& tx, const Agent& agent) const;

 private:
  void put_end_users(storage::Transaction& tx, const Agent& agent) const;
  std::vector<core::EndUserId> end_users(storage::Transaction& tx, const Agent& agent) const;
};

}  // namespace assistiv::agents
