#pragma once
// Rows of agent_assistant and agent_assistant_version, on the caller's transaction; who may see an assistant
// and who may change it is decided by the service. An agent's default assistant has no row until it is
// changed: make_default() is what it is until then.
#include <cstdint>
#include <optional>
#include <vector>

#include "agents/service/assistant_service.h"
#include "agents/store/agent.h"
#include "agents/store/reach.h"
#include "core/ids.h"
#include "storage/database.h"

namespace assistiv::agents {

struct StoredAssistant {
  Assistant assistant;
  AgentId agent;
  std::optional<core::EndUserId> owner;  // nothing: the platform
  int latest_version = 1;
};

StoredAssistant make_default(const Agent& agent);

class AssistantStore {
 public:
  // Until the end of the transaction nobody else adds assistants to this platform.
  static void lock_platform(storage::Transaction& tx, core::PlatformId platform);
  // Of one end user, or of the platform itself.
  static std::int64_t count_of(storage::Transaction& tx, const Reach& owner);

  static std::optional<StoredAssistant> find(storage::Transaction& tx, core::PlatformId platform,
                                             core::Uuid id, bool lock = false);
  // With its first version. Throws Conflict when the id is taken.
  static void insert(storage::Transaction& tx, core::PlatformId platform, const StoredAssistant& stored);
  // Makes `stored.assistant` the version `stored.latest_version`, and the current one.
  static void add_version(storage::Transaction& tx, core::PlatformId platform, const StoredAssistant& stored);
  // False: there is no such version.
  static bool set_current(storage::Transaction& tx, core::PlatformId platform, core::Uuid id, int version);
  static void remove(storage::Transaction& tx, core::PlatformId platform, core::Uuid id);

  // Newest first. Both lists are shorter than their limit when more do not fit into a reply
  // (reply_page_store.h).
  static std::vector<Assistant> versions(storage::Transaction& tx, core::PlatformId platform, core::Uuid id,
                                         const core::Json& metadata, int limit, int offset);
  // Of the agents that are switched on and that the reach may use, the default assistants included.
  static AssistantPage search(storage::Transaction& tx, const Reach& reach, const AssistantSearch& query);
};

}  // namespace assistiv::agents
