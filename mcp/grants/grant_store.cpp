#include "mcp/grants/grant_store.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::mcp {

PoliciesByApp GrantStore::policies(storage::Transaction& tx, core::PlatformId platform) const {
  PoliciesByApp out;
  const auto rows = tx.exec(
      "select app, policy::text as policy from tool_policy where platform_id = $1::uuid", {platform.str()});
  for (const auto& row : rows) out.emplace(row.text("app"), stored_policy(row.text("policy")));
  return out;
}

std::optional<Policy> GrantStore::policy(storage::Transaction& tx, core::PlatformId platform,
                                         const std::string& app) const {
  const auto rows =
      tx.exec("select policy::text as policy from tool_policy where platform_id = $1::uuid and app = $2",
              {platform.str(), app});
  if (rows.empty()) return {};
  return stored_policy(rows[0].text("policy"));
}

void GrantStore::put_policy(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
                            const Policy& policy) const {
  tx.exec(
      "insert into tool_policy (platform_id, app, policy) values ($1::uuid, $2, $3::jsonb)"
      " on conflict (platform_id, app) do update set policy = excluded.policy",
      {platform.str(), app, core::dump_json(to_json(policy))});
}

std::vector<Rule> GrantStore::rules(storage::Transaction& tx, core::PlatformId platform,
                                    core::EndUserId end_user) const {
  std::vector<Rule> out;
  const auto rows = tx.exec(
      "select app, key_id, policy::text as policy from tool_grant"
      " where platform_id = $1::uuid and end_user_id = $2::uuid order by app, key_slot",
      {platform.str(), end_user.str()});
  for (const auto& row : rows) {
    out.push_back(
        {row.text("app"), row.optional_id<core::KeyId>("key_id"), stored_policy(row.text("policy"))});
  }
  return out;
}

void GrantStore::replace_rules(storage::Transaction& tx, core::PlatformId platform, core::EndUserId end_user,
                               const std::vector<Rule>& rules) const {
  // Two replacements at the same time would mix their rules: the later one waits and then sees the earlier
  // one's.
  tx.exec("select pg_advisory_xact_lock(hashtextextended($1, 0))",
          {"tool_grant " + platform.str() + end_user.str()});
  tx.exec("delete from tool_grant where platform_id = $1::uuid and end_user_id = $2::uuid",
          {platform.str(), end_user.str()});
  for (const auto& rule : rules) {
    tx.exec(
        "insert into tool_grant (platform_id, end_user_id, app, key_id, policy)"
        " values ($1::uuid, $2::uuid, $3, $4::uuid, $5::jsonb)",
        {platform.str(), end_user.str(), rule.app,
         rule.key_id ? storage::Param(rule.key_id->str()) : storage::Param(),
         core::dump_json(to_json(rule.policy))});
  }
}

BindingRules GrantSet::binding(std::string_view app, bool app_active,
                               const std::optional<core::KeyId>& key) const {
  BindingRules out;
  out.app_active = app_active;
  const auto policy = policies_.find(app);
  if (policy != policies_.end()) out.platform = &policy->second;
  if (consent_) out.consent = &consent_->of(app);
  for (const auto& rule : rules_) {
    if (rule.app != app) continue;
    if (!rule.key_id) {
      out.end_user = &rule.policy;
    } else if (rule.key_id == key) {
      out.key = &rule.policy;
    }
  }
  return out;
}

}  // namespace assistiv::mcp
