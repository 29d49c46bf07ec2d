#include "oauth/authorize/provider_flow_store.h"

#include "core/encoding.h"

namespace assistiv::oauth {

namespace {

std::string flow_ms(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

}  // namespace

bool ProviderFlowStore::insert(storage::Transaction& tx, const ProviderFlow& flow, const std::string& state,
                               const std::string& cookie, core::Time now) const {
  return tx.exec(
               "insert into provider_sign_in (platform_id, state_hash, issuer_id, browser_hash, query, "
               "created_at,"
               " expires_at) select $1::uuid, $2, $3::uuid, $4, $5, assistiv_time($6::bigint),"
               " assistiv_time($7::bigint) where (select count(*) from (select 1 from provider_sign_in where"
               " expires_at > assistiv_time($6::bigint) limit $8::bigint) as under_way) < $8::bigint",
               {flow.platform_id.str(), core::sha256_hex(state), flow.issuer_id.str(),
                core::sha256_hex(cookie), flow.query, flow_ms(now), flow_ms(flow.expires_at),
                std::to_string(kMax)})
             .affected() > 0;
}

std::optional<ProviderFlow> ProviderFlowStore::take(storage::Transaction& tx, const std::string& state,
                                                    const std::string& cookie) const {
  const auto rows = tx.exec(
      "delete from provider_sign_in where state_hash = $1 and browser_hash = $2 returning platform_id, "
      "issuer_id,"
      " query, assistiv_ms(expires_at) as expires_at",
      {core::sha256_hex(state), core::sha256_hex(cookie)});
  if (rows.empty()) return std::nullopt;
  const auto row = rows[0];
  return ProviderFlow{row.id<core::PlatformId>("platform_id"), row.id<IssuerId>("issuer_id"),
                      row.text("query"), row.time("expires_at")};
}

void ProviderFlowStore::discard_expired(storage::Transaction& tx, core::Time before,
                                        std::int64_t limit) const {
  tx.exec(
      "delete from provider_sign_in where (platform_id, state_hash) in (select platform_id, state_hash from"
      " provider_sign_in where expires_at < assistiv_time($1::bigint) limit $2::bigint)",
      {flow_ms(before), std::to_string(limit)});
}

}  // namespace assistiv::oauth
