#include "agents/store/agent_store.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::agents {

namespace {

constexpr char kAgentColumns[] =
    " platform_id, agent_id, slug, name, description, is_active, for_everyone, metadata, active_version,"
    " latest_version, assistiv_ms(created_at) as created_ms, assistiv_ms(updated_at) as updated_ms ";

Agent read_agent_row(const storage::Row& row) {
  Agent out;
  out.platform_id = row.id<core::PlatformId>("platform_id");
  out.id = row.id<AgentId>("agent_id");
  out.slug = row.text("slug");
  out.name = row.text("name");
  out.description = row.text("description");
  out.is_active = row.boolean("is_active");
  out.for_everyone = row.boolean("for_everyone");
  out.metadata_json = row.text("metadata");
  out.active_version = static_cast<int>(row.integer("active_version"));
  out.latest_version = static_cast<int>(row.integer("latest_version"));
  out.created_at = row.time("created_ms");
  out.updated_at = row.time("updated_ms");
  return out;
}

AgentVersion read_version_row(const storage::Row& row) {
  AgentVersion out;
  out.version = static_cast<int>(row.integer("version"));
  auto spec = core::parse_json(row.text("spec"));
  out.own_graph = spec.value("own_graph", false);
  out.spec = read_spec(spec);
  out.created_at = row.time("created_ms");
  return out;
}

std::string time_param(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

std::string flag_param(bool value) {
  return value ? "true" : "false";
}

}  // namespace

void AgentStore::lock_platform(storage::Transaction& tx, core::PlatformId platform) const {
  tx.exec("select pg_advisory_xact_lock(hashtextextended($1, 0))", {"agents " + platform.str()});
}

std::int64_t AgentStore::count(storage::Transaction& tx, core::PlatformId platform) const {
  return tx.exec("select count(*) as total from agent where platform_id = $1::uuid", {platform.str()})[0]
      .integer("total");
}

void AgentStore::insert(storage::Transaction& tx, const Agent& agent) const {
  const auto rows = tx.exec(
      "insert into agent (platform_id, agent_id, slug, name, description, is_active, for_everyone, metadata,"
      " active_version, latest_version, created_at, updated_at) values ($1::uuid, $2::uuid, $3, $4, $5,"
      " $6::boolean, $7::boolean, $8, $9::integer, $10::integer, assistiv_time($11::bigint),"
      " assistiv_time($11::bigint)) on conflict (platform_id, slug) do nothing returning agent_id",
      {agent.platform_id.str(), agent.id.str(), agent.slug, agent.name, agent.description,
       flag_param(agent.is_active), flag_param(agent.for_everyone), agent.metadata_json,
       std::to_string(agent.active_version), std::to_string(agent.latest_version),
       time_param(agent.created_at)});
  if (rows.empty())
    throw core::conflict("There is an agent \"" + agent.slug + "\" already.").with_field("/slug");
  put_end_users(tx, agent);
}

void AgentStore::update(storage::Transaction& tx, const Agent& agent) const {
  tx.exec(
      "update agent set name = $3, description = $4, is_active = $5::boolean, for_everyone = $6::boolean,"
      " metadata = $7, active_version = $8::integer, latest_version = $9::integer,"
      " updated_at = assistiv_time($10::bigint) where platform_id = $1::uuid and agent_id = $2::uuid",
      {agent.platform_id.str(), agent.id.str(), agent.name, agent.description, flag_param(agent.is_active),
       flag_param(agent.for_everyone), agent.metadata_json, std::to_string(agent.active_version),
       std::to_string(agent.latest_version), time_param(agent.updated_at)});
  tx.exec("delete from agent_end_user where platform_id = $1::uuid and agent_id = $2::uuid",
          {agent.platform_id.str(), agent.id.str()});
  put_end_users(tx, agent);
}

void AgentStore::put_end_users(storage::Transaction& tx, const Agent& agent) const {
  if (agent.end_users.empty()) return;
  core::Json ids = core::Json::array();
  for (const auto& id : agent.end_users) ids.push_back(id.str());
  tx.exec(
      "insert into agent_end_user (platform_id, agent_id, end_user_id) select $1::uuid, $2::uuid, "
      "listed::uuid"
      " from jsonb_array_elements_text($3::jsonb) listed",
      {agent.platform_id.str(), agent.id.str(), ids.dump()});
}

bool AgentStore::remove(storage::Transaction& tx, core::PlatformId platform, AgentId id) const {
  return tx.exec("delete from agent where platform_id = $1::uuid and agent_id = $2::uuid",
                 {platform.str(), id.str()})
             .affected() > 0;
}

void AgentStore::insert_version(storage::Transaction& tx, const Agent& agent,
                                const AgentVersion& version) const {
  auto spec = to_json(version.spec);
  spec.erase("graph");
  spec["own_graph"] = version.own_graph;
  tx.exec(
      "insert into agent_version (platform_id, agent_id, version, spec, definition, created_at) values"
      " ($1::uuid, $2::uuid, $3::integer, $4, $5, assistiv_time($6::bigint))",
      {agent.platform_id.str(), agent.id.str(), std::to_string(version.version), core::dump_json(spec),
       version.definition, time_param(version.created_at)});
}

std::vector<core::EndUserId> AgentStore::end_users(storage::Transaction& tx, const Agent& agent) const {
  if (agent.for_everyone) return {};
  const auto rows = tx.exec(
      "select end_user_id from agent_end_user where platform_id = $1::uuid and agent_id = $2::uuid"
      " order by end_user_id",
      {agent.platform_id.str(), agent.id.str()});
  std::vector<core::EndUserId> out;
  for (const auto& row : rows) out.push_back(row.id<core::EndUserId>("end_user_id"));
  return out;
}

std::optional<Agent> AgentStore::find(storage::Transaction& tx, core::PlatformId platform,
                                      const std::string& name, bool lock) const {
  const auto id = AgentId::parse(name);
  const auto rows = tx.exec(std::string("select") + kAgentColumns +
                                "from agent where platform_id = $1::uuid and case when $2::uuid is null"
                                " then slug = $3 else agent_id = $2::uuid end" +
                                (lock ? " for update" : ""),
                            {platform.str(), id ? storage::Param(id->str()) : storage::Param(), name});
  if (rows.empty()) return {};
  auto out = read_agent_row(rows[0]);
  out.end_users = end_users(tx, out);
  return out;
}

bool AgentStore::serves(storage::Transaction& tx, core::PlatformId platform, const std::string& name,
                        const std::optional<core::EndUserId>& end_user) const {
  const auto id = AgentId::parse(name);
  return !tx.exec(
                "select 1 from agent a where a.platform_id = $1::uuid and case when $2::uuid is null then "
                "a.slug = $3 else a.agent_id = $2::uuid end and a.is_active and ($4::uuid is null or "
                "a.for_everyone or exists (select 1 from agent_end_user u where u.platform_id = "
                "a.platform_id and u.agent_id = a.agent_id and u.end_user_id = $4::uuid))",
                {platform.str(), id ? storage::Param(id->str()) : storage::Param(), name,
                 end_user ? storage::Param(end_user->str()) : storage::Param()})
              .empty();
}

std::vector<std::string> AgentStore::slugs(storage::Transaction& tx, core::PlatformId platform) const {
  std::vector<std::string> out;
  for (const auto& row : tx.exec("select slug from agent where platform_id = $1::uuid", {platform.str()}))
    out.push_back(row.text("slug"));
  return out;
}

oauth::Page<Agent> AgentStore::list(storage::Transaction& tx, core::PlatformId platform,
                                    oauth::PageRequest page) const {
  oauth::Page<Agent> out;
  out.page = page.page;
  out.limit = page.limit;
  out.total = count(tx, platform);
  const auto rows =
      tx.exec(std::string("select") + kAgentColumns +
                  "from agent where platform_id = $1::uuid order by created_at desc, agent_id desc"
                  " limit $2::int offset $3::int",
              {platform.str(), std::to_string(page.limit), page.offset()});
  for (const auto& row : rows) {
    out.items.push_back(read_agent_row(row));
    out.items.back().end_users = end_users(tx, out.items.back());
  }
  return out;
}

std::optional<AgentVersion> AgentStore::version(storage::Transaction& tx, core::PlatformId platform,
                                                AgentId id, int version) const {
  const auto rows = tx.exec(
      "select version, spec, definition, assistiv_ms(created_at) as created_ms from agent_version"
      " where platform_id = $1::uuid and agent_id = $2::uuid and version = $3::integer",
      {platform.str(), id.str(), std::to_string(version)});
  if (rows.empty()) return {};
  auto out = read_version_row(rows[0]);
  out.definition = rows[0].text("definition");
  if (out.own_graph) out.spec.graph = core::parse_json(out.definition);
  return out;
}

oauth::Page<AgentVersion> AgentStore::versions(storage::Transaction& tx, core::PlatformId platform,
                                               AgentId id, oauth::PageRequest page) const {
  oauth::Page<AgentVersion> out;
  out.page = page.page;
  out.limit = page.limit;
  const std::string where = " from agent_version where platform_id = $1::uuid and agent_id = $2::uuid";
  out.total = tx.exec("select count(*) as total" + where, {platform.str(), id.str()})[0].integer("total");
  const auto rows = tx.exec("select version, spec, assistiv_ms(created_at) as created_ms" + where +
                                " order by version desc limit $3::int offset $4::int",
                            {platform.str(), id.str(), std::to_string(page.limit), page.offset()});
  for (const auto& row : rows) out.items.push_back(read_version_row(row));
  return out;
}

std::optional<std::string> AgentStore::user_of(storage::Transaction& tx, const Agent& agent) const {
  const auto rows = tx.exec(
      "select agent.slug from agent_version join agent using (platform_id, agent_id)"
      " where agent_version.platform_id = $1::uuid and agent_version.agent_id <> $2::uuid"
      " and strpos(agent_version.definition, $3) > 0 limit 1",
      {agent.platform_id.str(), agent.id.str(), "\"agent:" + agent.slug + "@"});
  return rows.empty() ? std::nullopt : std::optional(rows[0].text("slug"));
}

}  // namespace assistiv::agents
