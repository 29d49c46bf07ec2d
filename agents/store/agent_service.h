#pragma once
// The agents of a platform: created, changed by new versions, activated, checked without being saved. Every
// change leaves an audit entry (agent.created, agent.updated, agent.version_created, agent.version_activated,
// agent.deleted) and is announced with the topic "agent" and the payload "<platform>/<slug>".
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "agents/store/agent.h"
#include "core/async.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/random.h"
#include "core/task.h"
#include "mcp/connectors/app_book.h"
#include "oauth/identity/audit_context.h"
#include "oauth/identity/page.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::agents {

// What AgentService works with. All but the functions must outlive it.
struct AgentParts {
  storage::Database& database;
  storage::AuditLog& audit;
  mcp::AppBook& book;
  const core::Clock& clock;
  core::Random& random;
  // Whether the platform can call a model of this name.
  std::function<core::Task<bool>(core::PlatformId, std::string model)> may_use_model;
  // Called after a commit with what Transaction::notify sent.
  std::function<void(std::string_view topic, std::string_view payload)> changed;
  bool loopback_http = false;  // for tests and development
};

struct NewAgent {
  std::string slug;
  std::string name;
  std::string description;
  bool for_everyone = true;
  std::vector<core::EndUserId> end_users;
  std::string metadata_json = "{}";
  AgentSpec spec;
};

// What is absent stays. Members of `spec` make a new version.
struct AgentPatch {
  std::optional<std::string> name, description, metadata_json;
  std::optional<bool> is_active, for_everyone;
  std::optional<std::vector<core::EndUserId>> end_users;
  core::Json spec = core::Json::object();  // as read_spec takes it, over the latest version
  bool activate = true;                    // the new version
};

struct AgentView {
  Agent agent;
  AgentVersion version;  // the active one, or the one that was asked for
};

// Thread-safe. Faulty agents throw core::Error{InvalidArgument} that lists every fault with its place; what
// is not there, or is another platform's, NotFound. `agent` is an id or a slug.
class AgentService {
 public:
  static constexpr std::int64_t kAgentsMax = 500;    // of one platform
  static constexpr int kVersionsMax = 10'000;        // of one agent
  static constexpr std::size_t kReferencesMax = 32;  // versions of other agents below one agent
  static constexpr std::size_t kGraphsKept = 256;

  explicit AgentService(AgentParts parts) : parts_(std::move(parts)) {}

  core::Task<AgentView> create(core::PlatformId platform, NewAgent fresh, oauth::AuditContext context);
  core::Task<AgentView> update(core::PlatformId platform, std::string agent, AgentPatch patch,
                               oauth::AuditContext context);
  core::Task<AgentView> activate(core::PlatformId platform, std::string agent, int version,
                                 oauth::AuditContext context);
  // Conflict while the graph of another agent runs a version of it.
  core::Task<> remove(core::PlatformId platform, std::string agent, oauth::AuditContext context);
  // What create() would say of it. Nothing is saved.
  core::Task<AgentDefinition> validate(core::PlatformId platform, std::string slug, AgentSpec spec);

  core::Task<oauth::Page<Agent>> list(core::PlatformId platform, oauth::PageRequest page);
  core::Task<AgentView> get(core::PlatformId platform, std::string agent);
  core::Task<AgentView> get_version(core::PlatformId platform, std::string agent, int version);
  core::Task<oauth::Page<AgentVersion>> versions(core::PlatformId platform, std::string agent,
                                                 oauth::PageRequest page);

  // Whether it is there, switched on, and for this end user.
  core::Task<bool> serves(core::PlatformId platform, std::string agent,
                          std::optional<core::EndUserId> end_user);
  // The graph of a version as runs need it, from memory where it is there.
  core::Task<GraphPtr> graph(core::PlatformId platform, AgentId agent, int version);

 private:
  struct Reference {
    Agent agent;
    AgentVersion version;
  };
  using References = std::map<AgentReference, Reference>;

  core::Task<References> references_of(core::PlatformId platform, core::Json document);
  core::Task<AgentDefinition> check(core::PlatformId platform, std::string slug, AgentSpec spec);
  Agent create_in(storage::Transaction& tx, const NewAgent& fresh, const AgentVersion& version,
                  core::PlatformId platform, const oauth::AuditContext& context) const;
  AgentView update_in(storage::Transaction& tx, core::PlatformId platform, const std::string& name,
                      const AgentPatch& patch, const std::optional<AgentVersion>& version,
                      const oauth::AuditContext& context) const;
  void audit(storage::Transaction& tx, const oauth::AuditContext& context, const char* event,
             const Agent& agent, int version) const;
  void announce(const Agent& agent) const;
  using GraphKey = std::tuple<core::PlatformId, AgentId, int>;
  GraphPtr kept(const GraphKey& key);
  void keep(const GraphKey& key, GraphPtr graph);

  AgentParts parts_;
  // Reading takes milliseconds of work, and strangers ask for it: never more than one at a time.
  core::BlockingPool reader_{"definitions", 1, 64};
  // Versions never change, so nothing makes these stale.
  std::mutex mutex_;
  std::map<GraphKey, GraphPtr> graphs_;
  std::deque<GraphKey> order_;  // oldest first
};

bool may_use(const Agent& agent, core::EndUserId end_user);

}  // namespace assistiv::agents
