#pragma once
// Assistants: an agent (graph_id = its slug) with config, context and metadata of its own, in versions. Every
// agent has one without being asked, whose id is made of the slug; wherever an assistant's id is taken, the
// slug is taken too.
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/store/agent.h"
#include "agents/store/reach.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/json.h"
#include "core/random.h"
#include "core/task.h"
#include "oauth/identity/audit_context.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::agents {

struct Assistant {
  core::Uuid id;
  std::string graph_id;  // the agent's slug
  std::string name;
  std::optional<std::string> description;
  core::Json config = core::Json::object();
  core::Json context = core::Json::object();
  core::Json metadata = core::Json::object();
  int version = 1;
  bool is_default = false;  // metadata.created_by = "system"
  core::Time created_at, updated_at;
};

// An assistant with the agent that it stands for.
struct ResolvedAssistant {
  Assistant assistant;
  Agent agent;  // its active version is what new runs get
};

// uuid5(6ba7b821-9dad-11d1-80b4-00c04fd430c8, graph_id), as LangGraph makes it. The same for each platform.
core::Uuid default_assistant_id(std::string_view graph_id);

struct NewAssistant {
  std::optional<core::Uuid> id;
  std::string graph_id;
  std::string name;
  std::optional<std::string> description;
  core::Json config = core::Json::object();
  core::Json context = core::Json::object();
  core::Json metadata = core::Json::object();
  bool existing_is_fine = false;  // if_exists "do_nothing"
};

struct AssistantPatch {
  std::optional<std::string> graph_id, name, description;
  std::optional<core::Json> config, context;
  core::Json metadata = core::Json::object();  // merged
};

struct AssistantSearch {
  std::optional<std::string> graph_id;
  std::optional<std::string> name;  // part of it, letters' case aside
  core::Json metadata = core::Json::object();
  std::string sort_by = "created_at";  // "assistant_id", "graph_id", "name", "created_at", "updated_at"
  bool ascending = false;
  int limit = 10;
  int offset = 0;
};

struct AssistantPage {
  std::vector<Assistant> assistants;
  std::int64_t total = 0;
};

// Bounds of Conflict: assistants of one end user, of the platform itself, and versions of one assistant.
inline constexpr std::int64_t kEndUserAssistantsMax = 100;
inline constexpr std::int64_t kPlatformAssistantsMax = 10'000;
inline constexpr int kAssistantVersionsMax = 10'000;
inline constexpr std::size_t kAssistantBytesMax = 256 << 10;  // config, context and metadata together

// Thread-safe. An end user's reach sees the assistants of the agents that they may use, and those without
// owner or that they made; what is out of reach throws NotFound. Only platforms change what is not theirs.
// Every change leaves an audit entry (assistant.created, assistant.updated, assistant.version_activated,
// assistant.deleted) and is announced with the topic "assistant" and the platform's id.
class AssistantService {
 public:
  virtual ~AssistantService() = default;
  // By id or slug. Throws NotFound also for agents that are switched off or not for this end user.
  virtual core::Task<ResolvedAssistant> get(Reach reach, std::string assistant) = 0;
  // The same for a run, from memory: a change elsewhere is seen with its notice, one of this process at once.
  virtual core::Task<ResolvedAssistant> resolve(Reach reach, std::string assistant) = 0;
  // For schedules, in the transaction that fires. Nothing: it is gone.
  virtual std::optional<ResolvedAssistant> resolve_in(storage::Transaction& tx, const Reach& reach,
                                                      const std::string& assistant) = 0;
  // Ids of version 5 are the default assistants' own: only the graph's own is taken, as one that is there.
  virtual core::Task<Assistant> create(Reach reach, NewAssistant input, oauth::AuditContext context) = 0;
  virtual core::Task<Assistant> update(Reach reach, std::string assistant, AssistantPatch patch,
                                       oauth::AuditContext context) = 0;
  // Conflict for a default assistant: it goes with its agent.
  virtual core::Task<> remove(Reach reach, std::string assistant, oauth::AuditContext context) = 0;
  virtual core::Task<AssistantPage> search(Reach reach, AssistantSearch query) = 0;
  virtual core::Task<std::vector<Assistant>> versions(Reach reach, std::string assistant, core::Json metadata,
                                                      int limit, int offset) = 0;
  virtual core::Task<Assistant> set_latest(Reach reach, std::string assistant, int version,
                                           oauth::AuditContext context) = 0;
  // As storage::Notifier's callback, and for the notices of this process itself.
  virtual void on_notify(std::string_view topic, std::string_view payload) = 0;
};

// What the service works with. All but the function must outlive it.
struct AssistantParts {
  storage::Database& database;
  storage::AuditLog& audit;
  const core::Clock& clock;
  core::Random& random;
  // Called after a commit with what Transaction::notify sent; may be absent.
  std::function<void(std::string_view topic, std::string_view payload)> changed;
};
std::unique_ptr<AssistantService> make_assistant_service(AssistantParts parts);

}  // namespace assistiv::agents
