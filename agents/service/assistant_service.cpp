#include "agents/service/assistant_service.h"

#include <utility>

#include "agents/store/agent_service.h"
#include "agents/store/agent_store.h"
#include "agents/store/assistant_store.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/snapshot_cache.h"
#include "core/uuid5.h"

namespace assistiv::agents {

namespace {

using core::Json;
using storage::Scope;
using storage::Transaction;

core::Error no_such_assistant() {
  return core::not_found(
      "There is no such assistant that this key may use. Name one by its assistant_id (a UUID) or by its "
      "graph_id (the agent's slug); POST /v1/agents/api/assistants/search lists them.");
}

bool is_version_5(const core::Uuid& id) {
  return (id.bytes[6] & 0xF0) == 0x50;
}

bool agent_is_reached(const Reach& reach, const Agent& agent) {
  return agent.is_active && (!reach.end_user || may_use(agent, *reach.end_user));
}

std::optional<Agent> reached_agent(Transaction& tx, const Reach& reach, const std::string& name) {
  auto agent = AgentStore().find(tx, reach.platform, name);
  if (!agent || !agent_is_reached(reach, *agent)) return {};
  return agent;
}

// The agent whose default assistant has this id.
std::optional<Agent> agent_of_default(Transaction& tx, const Reach& reach, const core::Uuid& id) {
  for (const auto& slug : AgentStore().slugs(tx, reach.platform)) {
    if (default_assistant_id(slug) == id) return reached_agent(tx, reach, slug);
  }
  return {};
}

struct Found {
  StoredAssistant stored;
  Agent agent;
  bool has_row = true;
};

std::optional<Found> found_by_id(Transaction& tx, const Reach& reach, const core::Uuid& id, bool lock) {
  if (auto stored = AssistantStore::find(tx, reach.platform, id, lock)) {
    if (reach.end_user && stored->owner && *stored->owner != *reach.end_user) return {};
    auto agent = reached_agent(tx, reach, stored->agent.str());
    if (!agent) return {};
    return Found{std::move(*stored), std::move(*agent)};
  }
  if (!is_version_5(id)) return {};
  auto agent = agent_of_default(tx, reach, id);
  if (!agent) return {};
  return Found{make_default(*agent), *agent, false};
}

// By id or slug.
std::optional<Found> find_assistant(Transaction& tx, const Reach& reach, const std::string& name,
                                    bool lock = false) {
  if (const auto id = core::Uuid::parse(name)) return found_by_id(tx, reach, *id, lock);
  auto agent = reached_agent(tx, reach, name);
  if (!agent) return {};
  if (auto stored = AssistantStore::find(tx, reach.platform, default_assistant_id(agent->slug), lock)) {
    return Found{std::move(*stored), std::move(*agent)};
  }
  return Found{make_default(*agent), *agent, false};
}

Found required_assistant(Transaction& tx, const Reach& reach, const std::string& name, bool lock = false) {
  auto found = find_assistant(tx, reach, name, lock);
  if (!found) throw no_such_assistant();
  return std::move(*found);
}

// For a change: of the caller's own, or of anything by the platform.
Found own_assistant(Transaction& tx, const Reach& reach, const std::string& name) {
  auto found = required_assistant(tx, reach, name, true);
  if (reach.end_user && found.stored.owner != reach.end_user)
    throw core::forbidden("This assistant is the platform's: only the platform changes it.");
  return found;
}

std::size_t bytes_of(const Assistant& one) {
  return core::dump_json(one.config).size() + core::dump_json(one.context).size() +
         core::dump_json(one.metadata).size();
}

void check_assistant(const Assistant& one) {
  if (one.name.empty() || one.name.size() > 255)
    throw core::bad_request("An assistant's name has 1 to 255 bytes.", "/name");
  if (one.description && one.description->size() > 4000)
    throw core::bad_request("An assistant's description has at most 4000 bytes.", "/description");
  for (const auto& [member, value] : {std::pair<const char*, const Json*>{"/config", &one.config},
                                      {"/context", &one.context},
                                      {"/metadata", &one.metadata}}) {
    if (!value->is_object()) throw core::bad_request("This must be an object.", member);
  }
  // As a run's own config is read: what stands here comes into every run.
  const core::JsonReader config(one.config, "/config");
  config.optional_integer("recursion_limit", 1, 1'000'000);
  config.object("configurable");
  if (bytes_of(one) > kAssistantBytesMax)
    throw core::bad_request("An assistant's config, context and metadata have at most " +
                            std::to_string(kAssistantBytesMax) + " bytes together.");
}

Agent agent_for(Transaction& tx, const Reach& reach, const std::string& graph_id) {
  auto agent = core::Uuid::parse(graph_id) ? std::nullopt : reached_agent(tx, reach, graph_id);
  if (!agent) throw core::not_found("There is no graph \"" + graph_id.substr(0, 64) + "\".");
  return std::move(*agent);
}

Json changed_names(const AssistantPatch& patch) {
  Json out = Json::array();
  if (patch.graph_id) out.push_back("graph_id");
  if (patch.name) out.push_back("name");
  if (patch.description) out.push_back("description");
  if (patch.config) out.push_back("config");
  if (patch.context) out.push_back("context");
  if (!patch.metadata.empty()) out.push_back("metadata");
  return out;
}

void check_room(Transaction& tx, const Reach& reach) {
  AssistantStore::lock_platform(tx, reach.platform);
  const auto max = reach.end_user ? kEndUserAssistantsMax : kPlatformAssistantsMax;
  if (AssistantStore::count_of(tx, reach) >= max)
    throw core::conflict("There are " + std::to_string(max) + " assistants already: delete one first.");
}

constexpr std::string_view kTopic = "assistant";
constexpr std::size_t kKeptMax = 10'000;         // assistants in memory
constexpr std::size_t kKeptBytesMax = 64 << 20;  // of their config, context and metadata

// What resolve() gives, before anybody's reach.
struct Kept {
  ResolvedAssistant resolved;
  std::optional<core::EndUserId> owner;
};

bool is_reached(const Reach& reach, const Kept& kept) {
  if (!reach.end_user) return true;
  return may_use(kept.resolved.agent, *reach.end_user) && (!kept.owner || kept.owner == reach.end_user);
}

class Assistants : public AssistantService {
 public:
  explicit Assistants(AssistantParts parts)
      : parts_(std::move(parts)), kept_({.entries_max = kKeptMax, .weight_max = kKeptBytesMax}) {}

  core::Task<ResolvedAssistant> get(Reach reach, std::string assistant) override {
    co_return co_await parts_.database.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
      auto found = required_assistant(tx, reach, assistant);
      return ResolvedAssistant{std::move(found.stored.assistant), std::move(found.agent)};
    });
  }

  core::Task<ResolvedAssistant> resolve(Reach reach, std::string assistant) override {
    const Key key{reach.platform, assistant};
    const auto found = co_await kept_.get(key, [this, key] { return load(key); });
    if (!is_reached(reach, *found)) throw no_such_assistant();
    co_return found->resolved;
  }

  std::optional<ResolvedAssistant> resolve_in(Transaction& tx, const Reach& reach,
                                              const std::string& assistant) override {
    auto found = find_assistant(tx, reach, assistant);
    if (!found) return {};
    return ResolvedAssistant{std::move(found->stored.assistant), std::move(found->agent)};
  }

  core::Task<Assistant> create(Reach reach, NewAssistant input, oauth::AuditContext context) override {
    const auto id = input.id ? *input.id : core::Uuid::v7(parts_.clock, parts_.random);
    const auto now = parts_.clock.now();
    auto out = co_await parts_.database.run(Scope::tenant(reach.platform), [=, this](Transaction& tx) {
      return create_in(tx, reach, input, id, now, context);
    });
    announce(reach.platform);
    co_return out;
  }

  core::Task<Assistant> update(Reach reach, std::string assistant, AssistantPatch patch,
                               oauth::AuditContext context) override {
    auto out = co_await parts_.database.run(Scope::tenant(reach.platform), [=, this](Transaction& tx) {
      return update_in(tx, reach, assistant, patch, context);
    });
    announce(reach.platform);
    co_return out;
  }

  core::Task<> remove(Reach reach, std::string assistant, oauth::AuditContext context) override {
    co_await parts_.database.run(Scope::tenant(reach.platform), [=, this](Transaction& tx) {
      const auto found = own_assistant(tx, reach, assistant);
      if (found.stored.assistant.is_default)
        throw core::conflict("A default assistant goes with its agent: it is not deleted alone.");
      AssistantStore::remove(tx, reach.platform, found.stored.assistant.id);
      audit(tx, reach, context, "assistant.deleted", found.stored);
    });
    announce(reach.platform);
  }

  core::Task<AssistantPage> search(Reach reach, AssistantSearch query) override {
    co_return co_await parts_.database.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
      return AssistantStore::search(tx, reach, query);
    });
  }

  core::Task<std::vector<Assistant>> versions(Reach reach, std::string assistant, Json metadata, int limit,
                                              int offset) override {
    co_return co_await parts_.database.run(Scope::tenant(reach.platform), [=](Transaction& tx) {
      const auto found = required_assistant(tx, reach, assistant);
      const auto& one = found.stored.assistant;
      if (found.has_row) return AssistantStore::versions(tx, reach.platform, one.id, metadata, limit, offset);
      for (const auto& [key, value] : metadata.items()) {
        if (one.metadata.value(key, Json()) != value) return std::vector<Assistant>();
      }
      return offset > 0 || limit < 1 ? std::vector<Assistant>() : std::vector<Assistant>{one};
    });
  }

  core::Task<Assistant> set_latest(Reach reach, std::string assistant, int version,
                                   oauth::AuditContext context) override {
    auto out = co_await parts_.database.run(Scope::tenant(reach.platform), [=, this](Transaction& tx) {
      return set_latest_in(tx, reach, assistant, version, context);
    });
    announce(reach.platform);
    co_return out;
  }

  void on_notify(std::string_view topic, std::string_view payload) override {
    if (topic == "resync") return kept_.drop_all();
    if (topic != kTopic && topic != "agent" && topic != "platform") return;
    const auto platform = core::PlatformId::parse(payload.substr(0, payload.find('/')));
    if (!platform) return kept_.drop_all();
    kept_.drop_while({*platform, ""}, [&](const Key& key) { return key.first == *platform; });
  }

 private:
  using Key = std::pair<core::PlatformId, std::string>;  // by id or slug, as it was asked for
  using Cache = core::SnapshotCache<Key, Kept>;

  core::Task<Cache::Loaded> load(Key key) {
    auto found = co_await parts_.database.run(Scope::tenant(key.first), [key](Transaction& tx) {
      return required_assistant(tx, {key.first, {}}, key.second);
    });
    Cache::Loaded out;
    out.weight = bytes_of(found.stored.assistant);
    out.value = std::make_shared<const Kept>(
        Kept{{std::move(found.stored.assistant), std::move(found.agent)}, found.stored.owner});
    co_return out;
  }

  void announce(core::PlatformId platform) {
    on_notify(kTopic, platform.str());
    if (parts_.changed) parts_.changed(kTopic, platform.str());
  }

  void audit(Transaction& tx, const Reach& reach, const oauth::AuditContext& context, const char* event,
             const StoredAssistant& stored, Json details = Json::object()) const {
    const auto& one = stored.assistant;
    details["graph_id"] = one.graph_id;
    details["version"] = one.version;
    tx.notify(kTopic, reach.platform.str());
    parts_.audit.append(tx, reach.platform,
                        oauth::audit_event(context, event, stored.owner, one.id.str(), details));
  }

  Assistant create_in(Transaction& tx, const Reach& reach, const NewAssistant& input, const core::Uuid& id,
                      core::Time now, const oauth::AuditContext& context) const {
    const auto agent = agent_for(tx, reach, input.graph_id);
    if (is_version_5(id) && id != default_assistant_id(agent.slug))
      throw core::bad_request("Ids of version 5 are those of default assistants: take another.",
                              "/assistant_id");
    const auto there = find_assistant(tx, reach, id.str());
    if (there && input.existing_is_fine) return there->stored.assistant;
    if (there) throw core::conflict("There is an assistant of this id already.");
    check_room(tx, reach);
    StoredAssistant stored;
    stored.agent = agent.id;
    stored.owner = reach.end_user;
    auto& one = stored.assistant;
    one.id = id;
    one.graph_id = agent.slug;
    one.name = input.name.empty() ? "Untitled" : input.name;
    one.description = input.description;
    one.config = input.config;
    one.context = input.context;
    one.metadata = input.metadata;
    one.created_at = now;
    check_assistant(one);
    AssistantStore::insert(tx, reach.platform, stored);
    audit(tx, reach, context, "assistant.created", stored);
    return required_assistant(tx, reach, id.str()).stored.assistant;
  }

  Assistant update_in(Transaction& tx, const Reach& reach, const std::string& name,
                      const AssistantPatch& patch, const oauth::AuditContext& context) const {
    auto found = own_assistant(tx, reach, name);
    auto& stored = found.stored;
    auto& one = stored.assistant;
    if (!found.has_row) {
      check_room(tx, reach);
      AssistantStore::insert(tx, reach.platform, stored);
    }
    if (patch.graph_id && *patch.graph_id != one.graph_id) {
      if (one.is_default) throw core::bad_request("A default assistant stays with its graph.", "/graph_id");
      const auto agent = agent_for(tx, reach, *patch.graph_id);
      stored.agent = agent.id;
    }
    one.name = patch.name.value_or(one.name);
    if (patch.description) one.description = patch.description;
    one.config = patch.config.value_or(one.config);
    one.context = patch.context.value_or(one.context);
    one.metadata.update(patch.metadata);
    check_assistant(one);
    if (++stored.latest_version > kAssistantVersionsMax)
      throw core::conflict("This assistant has all the versions that it may have.");
    AssistantStore::add_version(tx, reach.platform, stored);
    stored.assistant = required_assistant(tx, reach, one.id.str()).stored.assistant;
    audit(tx, reach, context, "assistant.updated", stored, {{"changed", changed_names(patch)}});
    return stored.assistant;
  }

  Assistant set_latest_in(Transaction& tx, const Reach& reach, const std::string& name, int version,
                          const oauth::AuditContext& context) const {
    auto found = own_assistant(tx, reach, name);
    const auto id = found.stored.assistant.id;
    if (!found.has_row && version == 1) return found.stored.assistant;
    if (!found.has_row || !AssistantStore::set_current(tx, reach.platform, id, version))
      throw core::not_found("There is no such version of the assistant.");
    found = required_assistant(tx, reach, id.str());
    audit(tx, reach, context, "assistant.version_activated", found.stored);
    return found.stored.assistant;
  }

  AssistantParts parts_;
  Cache kept_;
};

}  // namespace

core::Uuid default_assistant_id(std::string_view graph_id) {
  static const auto space = core::Uuid::parse("6ba7b821-9dad-11d1-80b4-00c04fd430c8").value();
  return core::uuid5(space, graph_id);
}

std::unique_ptr<AssistantService> make_assistant_service(AssistantParts parts) {
  return std::make_unique<Assistants>(std::move(parts));
}

}  // namespace assistiv::agents
