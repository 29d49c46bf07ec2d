#include "agents/store/assistant_store.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "agents/store/reply_page_store.h"
#include "core/error.h"
#include "core/json_read.h"
#include "storage/text_array.h"

namespace assistiv::agents {

namespace {

using core::Json;
using storage::Param;
using storage::Row;
using storage::TextArray;
using storage::Transaction;

constexpr char kAssistantColumns[] =
    " s.assistant_id, s.end_user_id, s.latest_version, assistiv_ms(s.created_at) as created_ms, "
    "assistiv_ms(s.updated_at) as updated_ms, v.version, v.agent_id, v.name, v.description, v.config, "
    "v.context, v.metadata, a.slug ";
constexpr char kAssistantTables[] =
    " from agent_assistant s join agent_assistant_version v on v.platform_id = s.platform_id and "
    "v.assistant_id = s.assistant_id join agent a on a.platform_id = v.platform_id and a.agent_id = "
    "v.agent_id ";

constexpr const char* kAssistantBytes =
    "octet_length(s.config) + octet_length(s.context) + octet_length(s.metadata::text) + "
    "coalesce(octet_length(s.description), 0)";

Assistant read_assistant(const Row& row) {
  Assistant out;
  out.id = core::Uuid::parse(row.text("assistant_id")).value();
  out.graph_id = row.text("slug");
  out.name = row.text("name");
  out.description = row.optional_text("description");
  out.config = core::parse_json(row.text("config"), 512);
  out.context = core::parse_json(row.text("context"), 512);
  out.metadata = core::parse_json(row.text("metadata"), 512);
  out.version = static_cast<int>(row.integer("version"));
  out.is_default = out.id == default_assistant_id(out.graph_id);
  out.created_at = row.time("created_ms");
  out.updated_at = row.time("updated_ms");
  return out;
}

std::string ms(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

void insert_version_row(Transaction& tx, core::PlatformId platform, const StoredAssistant& stored,
                        int version) {
  const auto& one = stored.assistant;
  tx.exec(
      "insert into agent_assistant_version (platform_id, assistant_id, version, agent_id, name, description, "
      "config, context, metadata) values ($1::uuid, $2::uuid, $3::integer, $4::uuid, $5, $6, $7, $8, "
      "assistiv_jsonb($9))",
      {platform.str(), one.id.str(), std::to_string(version), stored.agent.str(), one.name, one.description,
       core::dump_json(one.config), core::dump_json(one.context), core::dump_json(one.metadata)});
}

// The agents that the reach may use, with their default assistants' ids, as a table.
std::string reached_agents(Transaction& tx, const AssistantSearch& query, std::vector<Param>& params) {
  TextArray agents, ids;
  for (const auto row : tx.exec("select a.agent_id, a.slug from agent a where a.platform_id = $1::uuid and "
                                "a.is_active and ($2::uuid is null or a.for_everyone or exists (select 1 "
                                "from agent_end_user u where u.platform_id = a.platform_id and u.agent_id = "
                                "a.agent_id and u.end_user_id = $2::uuid)) and ($3::text is null or a.slug = "
                                "$3)",
                                {params[0], params[1], query.graph_id})) {
    agents.add(row.text("agent_id"));
    ids.add(default_assistant_id(row.text("slug")).str());
  }
  params.emplace_back(agents.take());
  params.emplace_back(ids.take());
  return "unnest($3::uuid[], $4::uuid[]) as reached(agent_id, default_id)";
}

// $1 platform, $2 end user, $3 and $4 the agents.
std::string listed(const std::string& reached) {
  return "(select" + std::string(kAssistantColumns) + std::string(kAssistantTables) + "join " + reached +
         " on reached.agent_id = v.agent_id where s.platform_id = $1::uuid and v.version = s.version and "
         "($2::uuid is null or s.end_user_id is null or s.end_user_id = $2::uuid) union all select "
         "reached.default_id, null, 1, assistiv_ms(a.created_at), assistiv_ms(a.updated_at), 1, a.agent_id, "
         "a.name, nullif(a.description, ''), '{}', '{}', '{\"created_by\": \"system\"}'::jsonb, a.slug from "
         "agent a join " +
         reached +
         " on reached.agent_id = a.agent_id where a.platform_id = $1::uuid and not exists (select 1 from "
         "agent_assistant s where s.platform_id = $1::uuid and s.assistant_id = reached.default_id)) as l ";
}

std::string assistant_order(const AssistantSearch& query) {
  static constexpr std::pair<const char*, const char*> kColumns[] = {{"assistant_id", "assistant_id"},
                                                                     {"graph_id", "slug"},
                                                                     {"name", "name"},
                                                                     {"created_at", "created_ms"},
                                                                     {"updated_at", "updated_ms"}};
  for (const auto& [name, column] : kColumns) {
    if (query.sort_by != name) continue;
    const std::string direction = query.ascending ? " asc" : " desc";
    return " order by l." + std::string(column) + direction + ", l.assistant_id" + direction;
  }
  throw core::bad_request("Assistants are not sorted by this.", "/sort_by");
}

}  // namespace

StoredAssistant make_default(const Agent& agent) {
  StoredAssistant out;
  out.agent = agent.id;
  auto& one = out.assistant;
  one.id = default_assistant_id(agent.slug);
  one.graph_id = agent.slug;
  one.name = agent.name;
  if (!agent.description.empty()) one.description = agent.description;
  one.metadata = {{"created_by", "system"}};
  one.is_default = true;
  one.created_at = agent.created_at;
  one.updated_at = agent.updated_at;
  return out;
}

void AssistantStore::lock_platform(Transaction& tx, core::PlatformId platform) {
  tx.exec("select pg_advisory_xact_lock(hashtextextended($1, 0))", {"assistants " + platform.str()});
}

std::int64_t AssistantStore::count_of(Transaction& tx, const Reach& owner) {
  return tx
      .exec(
          "select count(*) as n from agent_assistant where platform_id = $1::uuid and end_user_id is not "
          "distinct from $2::uuid",
          {owner.platform.str(), owner.end_user ? Param(owner.end_user->str()) : Param()})[0]
      .integer("n");
}

std::optional<StoredAssistant> AssistantStore::find(Transaction& tx, core::PlatformId platform, core::Uuid id,
                                                    bool lock) {
  const auto rows =
      tx.exec("select" + std::string(kAssistantColumns) + std::string(kAssistantTables) +
                  "where s.platform_id = $1::uuid and s.assistant_id = $2::uuid and v.version = s.version" +
                  (lock ? " for update of s" : ""),
              {platform.str(), id.str()});
  if (rows.empty()) return {};
  StoredAssistant out;
  out.assistant = read_assistant(rows[0]);
  out.agent = rows[0].id<AgentId>("agent_id");
  out.owner = rows[0].optional_id<core::EndUserId>("end_user_id");
  out.latest_version = static_cast<int>(rows[0].integer("latest_version"));
  return out;
}

void AssistantStore::insert(Transaction& tx, core::PlatformId platform, const StoredAssistant& stored) {
  const auto& one = stored.assistant;
  const auto done = tx.exec(
      "insert into agent_assistant (platform_id, assistant_id, agent_id, end_user_id, version, "
      "latest_version, created_at) values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, 1, 1, "
      "assistiv_time($5::bigint)) on conflict do nothing",
      {platform.str(), one.id.str(), stored.agent.str(), stored.owner ? Param(stored.owner->str()) : Param(),
       ms(one.created_at)});
  if (done.affected() != 1) throw core::conflict("There is an assistant of this id already.");
  insert_version_row(tx, platform, stored, 1);
}

void AssistantStore::add_version(Transaction& tx, core::PlatformId platform, const StoredAssistant& stored) {
  insert_version_row(tx, platform, stored, stored.latest_version);
  tx.exec(
      "update agent_assistant set agent_id = $3::uuid, version = $4::integer, latest_version = $4::integer, "
      "updated_at = now() where platform_id = $1::uuid and assistant_id = $2::uuid",
      {platform.str(), stored.assistant.id.str(), stored.agent.str(), std::to_string(stored.latest_version)});
}

bool AssistantStore::set_current(Transaction& tx, core::PlatformId platform, core::Uuid id, int version) {
  return tx.exec(
               "update agent_assistant s set version = v.version, agent_id = v.agent_id, updated_at = now() "
               "from agent_assistant_version v where s.platform_id = $1::uuid and s.assistant_id = $2::uuid "
               "and v.platform_id = s.platform_id and v.assistant_id = s.assistant_id and v.version = "
               "$3::integer",
               {platform.str(), id.str(), std::to_string(version)})
             .affected() == 1;
}

void AssistantStore::remove(Transaction& tx, core::PlatformId platform, core::Uuid id) {
  tx.exec("delete from agent_assistant where platform_id = $1::uuid and assistant_id = $2::uuid",
          {platform.str(), id.str()});
}

std::vector<Assistant> AssistantStore::versions(Transaction& tx, core::PlatformId platform, core::Uuid id,
                                                const Json& metadata, int limit, int offset) {
  const auto rows =
      "select s.assistant_id, s.end_user_id, s.latest_version, assistiv_ms(v.created_at) as created_ms, "
      "assistiv_ms(v.created_at) as updated_ms, v.version, v.agent_id, v.name, v.description, v.config, "
      "v.context, v.metadata, a.slug" +
      std::string(kAssistantTables) +
      "where s.platform_id = $1::uuid and s.assistant_id = $2::uuid and v.metadata @> assistiv_jsonb($3) "
      "order by v.version desc limit $4::bigint offset $5::bigint";
  std::vector<Assistant> out;
  for (const auto row :
       tx.exec(fitting_rows(rows, kAssistantBytes), {platform.str(), id.str(), core::dump_json(metadata),
                                                     std::to_string(limit), std::to_string(offset)}))
    out.push_back(read_assistant(row));
  return out;
}

AssistantPage AssistantStore::search(Transaction& tx, const Reach& reach, const AssistantSearch& query) {
  const auto order = assistant_order(query);
  std::vector<Param> params = {reach.platform.str(), reach.end_user ? Param(reach.end_user->str()) : Param()};
  const auto from = " from " + listed(reached_agents(tx, query, params)) +
                    "where l.metadata @> assistiv_jsonb($5) and ($6::text is null or strpos(lower(l.name), "
                    "lower($6)) > 0)";
  params.emplace_back(core::dump_json(query.metadata));
  params.emplace_back(query.name);
  AssistantPage out;
  out.total = tx.exec("select count(*) as n" + from, params)[0].integer("n");
  params.emplace_back(std::to_string(query.limit));
  params.emplace_back(std::to_string(query.offset));
  const auto rows = "select l.*" + from + order + " limit $7::bigint offset $8::bigint";
  for (const auto row : tx.exec(fitting_rows(rows, kAssistantBytes), params))
    out.assistants.push_back(read_assistant(row));
  return out;
}

}  // namespace assistiv::agents
