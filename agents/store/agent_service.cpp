#include "agents/store/agent_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agents/store/agent_store.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::agents {

namespace {

using core::Json;

core::Error refused_agent(const std::vector<DefinitionFault>& faults) {
  std::string text = "The agent has " + (faults.size() == 1 ? std::string("a fault.")
                                                            : std::to_string(faults.size()) + " faults.");
  for (const auto& fault : faults)
    text += "\n" + (fault.pointer.empty() ? "/" : fault.pointer) + ": " + fault.message;
  return core::bad_request(std::move(text), faults.front().pointer);
}

core::Error no_such_agent() {
  return core::not_found("There is no such agent.");
}

Agent agent_in(storage::Transaction& tx, core::PlatformId platform, const std::string& name,
               bool lock = false) {
  auto found = AgentStore().find(tx, platform, name, lock);
  if (!found) throw no_such_agent();
  return std::move(*found);
}

AgentVersion version_in(storage::Transaction& tx, const Agent& agent, int version) {
  auto found = AgentStore().version(tx, agent.platform_id, agent.id, version);
  if (!found) throw core::not_found("There is no such version of the agent.");
  return std::move(*found);
}

// The graphs of other agents' versions, read when they are first asked for.
class ReferencedGraphs {
 public:
  using Specs = std::map<AgentReference, AgentSpec>;
  ReferencedGraphs(Specs specs, DefinitionWorld world) : specs_(std::move(specs)), world_(std::move(world)) {}

  GraphPtr get(const std::string& slug, int version) {
    const AgentReference key{slug, version};
    const auto known = graphs_.find(key);
    if (known != graphs_.end()) return known->second;
    const auto spec = specs_.find(key);
    if (spec == specs_.end()) return nullptr;
    graphs_[key] = nullptr;  // a version can only name older ones, but this does not depend on it
    return graphs_[key] = read_agent(spec->second, slug, world()).graph;
  }

  // Without what may have changed since the versions were saved: apps, models.
  DefinitionWorld world() {
    DefinitionWorld out = world_;
    out.agent_graph = [this](const std::string& slug, int version) { return get(slug, version); };
    return out;
  }

 private:
  Specs specs_;
  DefinitionWorld world_;
  std::map<AgentReference, GraphPtr> graphs_;
};

AgentVersion new_version(AgentSpec spec, const AgentDefinition& read, core::Time now) {
  AgentVersion out;
  out.own_graph = !spec.graph.is_null();
  out.spec = std::move(spec);
  out.definition = core::dump_json(read.document);
  out.created_at = now;
  return out;
}

}  // namespace

bool may_use(const Agent& agent, core::EndUserId end_user) {
  return agent.for_everyone || std::binary_search(agent.end_users.begin(), agent.end_users.end(), end_user);
}

void AgentService::announce(const Agent& agent) const {
  if (parts_.changed) parts_.changed("agent", agent.platform_id.str() + "/" + agent.slug);
}

void AgentService::audit(storage::Transaction& tx, const oauth::AuditContext& context, const char* event,
                         const Agent& agent, int version) const {
  const Json details = {{"agent_id", agent.id.str()}, {"version", version}};
  tx.notify("agent", agent.platform_id.str() + "/" + agent.slug);
  parts_.audit.append(tx, agent.platform_id, oauth::audit_event(context, event, {}, agent.slug, details));
}

// ---- reading ----

core::Task<AgentService::References> AgentService::references_of(core::PlatformId platform, Json document) {
  References out;
  std::vector<AgentReference> todo = agent_references(document);
  while (!todo.empty() && out.size() < kReferencesMax) {
    const auto found = co_await parts_.database.run(
        storage::Scope::tenant(platform), [platform, todo](storage::Transaction& tx) {
          References rows;
          for (const auto& reference : todo) {
            const auto agent = AgentStore().find(tx, platform, reference.slug);
            if (!agent || agent->slug != reference.slug) continue;
            const auto version = AgentStore().version(tx, platform, agent->id, reference.version);
            if (version) rows.emplace(reference, Reference{*agent, *version});
          }
          return rows;
        });
    todo.clear();
    for (const auto& [key, reference] : found) {
      if (!out.emplace(key, reference).second) continue;
      const auto below = agent_references(reference.version.spec.graph);
      std::copy_if(below.begin(), below.end(), std::back_inserter(todo),
                   [&out](const AgentReference& one) { return !out.contains(one); });
    }
  }
  co_return out;
}

core::Task<AgentDefinition> AgentService::check(core::PlatformId platform, std::string slug, AgentSpec spec) {
  const auto catalog = co_await parts_.book.get(platform);
  std::set<std::string> models;
  for (const auto& model : models_named(spec)) {
    if (co_await parts_.may_use_model(platform, model)) models.insert(model);
  }
  ReferencedGraphs::Specs specs;
  for (const auto& [key, reference] : co_await references_of(platform, spec.graph)) {
    specs.emplace(key, reference.version.spec);
  }
  const bool loopback = parts_.loopback_http;
  co_return co_await reader_.run([catalog, models, specs, slug, spec, loopback] {
    DefinitionWorld base;
    base.loopback_http = loopback;
    ReferencedGraphs graphs(specs, base);
    DefinitionWorld world = graphs.world();
    world.knows_app = [&catalog](std::string_view app) { return catalog->find_app(app) != nullptr; };
    world.knows_tool = [&catalog](std::string_view app, std::string_view tool) {
      const mcp::Tool* found = catalog->find_tool(std::string(app) + "_" + std::string(tool));
      return found != nullptr && found->app == app;
    };
    world.may_use_model = [&models](std::string_view model) { return models.contains(std::string(model)); };
    return read_agent(spec, slug, world);
  });
}

core::Task<AgentDefinition> AgentService::validate(core::PlatformId platform, std::string slug,
                                                   AgentSpec spec) {
  return check(platform, std::move(slug), std::move(spec));
}

// ---- changes ----

Agent AgentService::create_in(storage::Transaction& tx, const NewAgent& fresh, const AgentVersion& version,
                              core::PlatformId platform, const oauth::AuditContext& context) const {
  const AgentStore store;
  store.lock_platform(tx, platform);
  if (store.count(tx, platform) >= kAgentsMax) {
    throw core::conflict("A platform can have " + std::to_string(kAgentsMax) + " agents. Delete one first.");
  }
  Agent agent;
  agent.id = AgentId::make(parts_.clock, parts_.random);
  agent.platform_id = platform;
  agent.slug = fresh.slug;
  agent.name = fresh.name;
  agent.description = fresh.description;
  agent.for_everyone = fresh.for_everyone;
  agent.end_users = fresh.end_users;
  agent.metadata_json = fresh.metadata_json;
  agent.created_at = agent.updated_at = version.created_at;
  store.insert(tx, agent);
  store.insert_version(tx, agent, version);
  audit(tx, context, "agent.created", agent, 1);
  return agent;
}

core::Task<AgentView> AgentService::create(core::PlatformId platform, NewAgent fresh,
                                           oauth::AuditContext context) {
  auto read = co_await check(platform, fresh.slug, fresh.spec);
  if (!read.faults.empty()) throw refused_agent(read.faults);
  const AgentVersion version = new_version(fresh.spec, read, parts_.clock.now());
  const Agent agent = co_await parts_.database.run(
      storage::Scope::tenant(platform), [this, fresh, version, platform, context](storage::Transaction& tx) {
        return create_in(tx, fresh, version, platform, context);
      });
  announce(agent);
  co_return AgentView{agent, version};
}

AgentView AgentService::update_in(storage::Transaction& tx, core::PlatformId platform,
                                  const std::string& name, const AgentPatch& patch,
                                  const std::optional<AgentVersion>& version,
                                  const oauth::AuditContext& context) const {
  const AgentStore store;
  Agent agent = agent_in(tx, platform, name, true);
  agent.updated_at = parts_.clock.now();
  if (patch.name) agent.name = *patch.name;
  if (patch.description) agent.description = *patch.description;
  if (patch.metadata_json) agent.metadata_json = *patch.metadata_json;
  if (patch.is_active) agent.is_active = *patch.is_active;
  if (patch.for_everyone) agent.for_everyone = *patch.for_everyone;
  if (patch.end_users) agent.end_users = *patch.end_users;
  if (version) {
    // Someone else's version would be lost in this one.
    if (version->version != agent.latest_version + 1)
      throw core::conflict("The agent was changed meanwhile. Read it again.");
    if (version->version > kVersionsMax)
      throw core::conflict("An agent can have " + std::to_string(kVersionsMax) + " versions.");
    agent.latest_version = version->version;
    if (patch.activate) agent.active_version = version->version;
    store.insert_version(tx, agent, *version);
  }
  store.update(tx, agent);
  audit(tx, context, version ? "agent.version_created" : "agent.updated", agent, agent.latest_version);
  return {agent, version ? *version : version_in(tx, agent, agent.active_version)};
}

core::Task<AgentView> AgentService::update(core::PlatformId platform, std::string agent, AgentPatch patch,
                                           oauth::AuditContext context) {
  std::optional<AgentVersion> fresh;
  if (!patch.spec.empty()) {
    const auto latest = co_await parts_.database.run(
        storage::Scope::tenant(platform), [platform, agent](storage::Transaction& tx) {
          const Agent row = agent_in(tx, platform, agent);
          return AgentView{row, version_in(tx, row, row.latest_version)};
        });
    const AgentSpec spec = read_spec(patch.spec, latest.version.spec);
    // The same again makes no version.
    if (to_json(spec) != to_json(latest.version.spec)) {
      auto read = co_await check(platform, latest.agent.slug, spec);
      if (!read.faults.empty()) throw refused_agent(read.faults);
      fresh = new_version(spec, read, parts_.clock.now());
      fresh->version = latest.version.version + 1;
    }
  }
  auto view =
      co_await parts_.database.run(storage::Scope::tenant(platform),
                                   [this, platform, agent, patch, fresh, context](storage::Transaction& tx) {
                                     return update_in(tx, platform, agent, patch, fresh, context);
                                   });
  announce(view.agent);
  co_return view;
}

core::Task<AgentView> AgentService::activate(core::PlatformId platform, std::string agent, int version,
                                             oauth::AuditContext context) {
  auto view = co_await parts_.database.run(
      storage::Scope::tenant(platform), [this, platform, agent, version, context](storage::Transaction& tx) {
        Agent row = agent_in(tx, platform, agent, true);
        AgentVersion chosen = version_in(tx, row, version);
        if (row.active_version == version) return AgentView{row, chosen};
        row.active_version = version;
        row.updated_at = parts_.clock.now();
        AgentStore().update(tx, row);
        audit(tx, context, "agent.version_activated", row, version);
        return AgentView{row, chosen};
      });
  announce(view.agent);
  co_return view;
}

core::Task<> AgentService::remove(core::PlatformId platform, std::string agent, oauth::AuditContext context) {
  const Agent gone = co_await parts_.database.run(
      storage::Scope::tenant(platform), [this, platform, agent, context](storage::Transaction& tx) {
        const AgentStore store;
        store.lock_platform(tx, platform);
        const Agent row = agent_in(tx, platform, agent, true);
        if (const auto user = store.user_of(tx, row))
          throw core::conflict("The agent \"" + *user + "\" runs it as a subgraph. Delete that one first.");
        store.remove(tx, platform, row.id);
        audit(tx, context, "agent.deleted", row, row.latest_version);
        return row;
      });
  announce(gone);
}

// ---- lists ----

core::Task<oauth::Page<Agent>> AgentService::list(core::PlatformId platform, oauth::PageRequest page) {
  page.check();
  co_return co_await parts_.database.run(
      storage::Scope::tenant(platform),
      [platform, page](storage::Transaction& tx) { return AgentStore().list(tx, platform, page); });
}

core::Task<AgentView> AgentService::get(core::PlatformId platform, std::string agent) {
  co_return co_await parts_.database.run(storage::Scope::tenant(platform),
                                         [platform, agent](storage::Transaction& tx) {
                                           Agent row = agent_in(tx, platform, agent);
                                           auto version = version_in(tx, row, row.active_version);
                                           return AgentView{std::move(row), std::move(version)};
                                         });
}

core::Task<AgentView> AgentService::get_version(core::PlatformId platform, std::string agent, int version) {
  co_return co_await parts_.database.run(storage::Scope::tenant(platform),
                                         [platform, agent, version](storage::Transaction& tx) {
                                           Agent row = agent_in(tx, platform, agent);
                                           auto found = version_in(tx, row, version);
                                           return AgentView{std::move(row), std::move(found)};
                                         });
}

core::Task<oauth::Page<AgentVersion>> AgentService::versions(core::PlatformId platform, std::string agent,
                                                             oauth::PageRequest page) {
  page.check();
  co_return co_await parts_.database.run(storage::Scope::tenant(platform),
                                         [platform, agent, page](storage::Transaction& tx) {
                                           const Agent row = agent_in(tx, platform, agent);
                                           return AgentStore().versions(tx, platform, row.id, page);
                                         });
}

// ---- graphs for runs ----

GraphPtr AgentService::kept(const GraphKey& key) {
  std::lock_guard lock(mutex_);
  const auto found = graphs_.find(key);
  return found == graphs_.end() ? nullptr : found->second;
}

void AgentService::keep(const GraphKey& key, GraphPtr graph) {
  std::lock_guard lock(mutex_);
  if (!graphs_.insert_or_assign(key, std::move(graph)).second) return;
  order_.push_back(key);
  if (order_.size() <= kGraphsKept) return;
  graphs_.erase(order_.front());
  order_.pop_front();
}

core::Task<bool> AgentService::serves(core::PlatformId platform, std::string agent,
                                      std::optional<core::EndUserId> end_user) {
  co_return co_await parts_.database.run(storage::Scope::tenant(platform),
                                         [platform, agent, end_user](storage::Transaction& tx) {
                                           return AgentStore().serves(tx, platform, agent, end_user);
                                         });
}

core::Task<GraphPtr> AgentService::graph(core::PlatformId platform, AgentId agent, int version) {
  if (auto known = kept({platform, agent, version})) co_return known;
  const auto view = co_await get_version(platform, agent.str(), version);
  ReferencedGraphs::Specs specs;
  for (const auto& [key, reference] : co_await references_of(platform, view.version.spec.graph)) {
    specs.emplace(key, reference.version.spec);
  }
  const bool loopback = parts_.loopback_http;
  auto read = co_await reader_.run([specs, view, loopback] {
    DefinitionWorld base;
    base.loopback_http = loopback;
    ReferencedGraphs graphs(specs, base);
    return read_agent(view.version.spec, view.agent.slug, graphs.world());
  });
  // It kept to the rules of the version of this server that saved it.
  if (!read.graph) throw refused_agent(read.faults);
  keep({platform, agent, version}, read.graph);
  co_return read.graph;
}

}  // namespace assistiv::agents
