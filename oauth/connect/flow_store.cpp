#include "oauth/connect/flow_store.h"

#include "core/encoding.h"
#include "oauth/connect/row_json.h"
#include "oauth/crypto/vault.h"

namespace assistiv::oauth {

namespace {

constexpr char kLinkColumns[] =
    "l.platform_id, l.end_user_id, l.app, l.return_url, l.vars::text as vars, l.connection_id, "
    "l.created_by, l.nonce,"
    " assistiv_ms(l.expires_at) as expires_at, l.consumed_at is not null as consumed";

constexpr char kFlowColumns[] =
    "f.platform_id, f.flow_id, f.cookie_hash, f.end_user_id, f.app, f.client_id, f.code_verifier, "
    "f.redirect_uri,"
    " f.return_url, f.vars::text as vars, f.scopes::text as scopes, f.connection_id, f.created_by, "
    "f.label, f.status, f.outcome,"
    " assistiv_ms(f.expires_at) as expires_at";

LinkRow read_link(const storage::Row& row) {
  LinkRow out;
  out.platform_id = row.id<core::PlatformId>("platform_id");
  out.end_user_id = row.id<core::EndUserId>("end_user_id");
  out.app = row.text("app");
  out.return_url = row.optional_text("return_url");
  out.vars = values_of_json(row.text("vars"));
  out.connection_id = row.optional_id<core::ConnectionId>("connection_id");
  out.created_by = row.optional_id<core::KeyId>("created_by");
  out.nonce = row.optional_text("nonce");
  out.expires_at = row.time("expires_at");
  out.consumed = row.boolean("consumed");
  return out;
}

FlowStatus flow_status_of(std::string_view text) {
  if (text == "started") return FlowStatus::Started;
  if (text == "consumed") return FlowStatus::Consumed;
  return text == "finished" ? FlowStatus::Finished : FlowStatus::AwaitingConfirmation;
}

SecretContext flow_context(core::PlatformId platform, core::FlowId id, const char* field) {
  return {platform, "connect_flow", id.str(), field};
}

template <class AnyId>
storage::Param optional_id_param(const std::optional<AnyId>& id) {
  return id ? storage::Param(id->str()) : std::nullopt;
}

std::string epoch_param(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

}  // namespace

void FlowStore::insert_link(storage::Transaction& tx, const LinkRow& link, std::string_view token) const {
  tx.exec(
      "insert into connect_link (platform_id, token_hash, end_user_id, app, return_url, vars, connection_id,"
      " created_at, expires_at, created_by, nonce) values ($1::uuid, $2, $3::uuid, $4, $5, $6::jsonb, "
      "$7::uuid, assistiv_time($8::bigint), assistiv_time($9::bigint), $10::uuid, $11)",
      {link.platform_id.str(), core::sha256_hex(token), link.end_user_id.str(), link.app, link.return_url,
       to_json_text(link.vars), optional_id_param(link.connection_id), epoch_param(clock_.now()),
       epoch_param(link.expires_at), optional_id_param(link.created_by), link.nonce});
}

std::optional<LinkRow> FlowStore::find_live_link(storage::Transaction& tx, const LinkRow& wanted,
                                                 core::Time until) const {
  const std::string platform = wanted.platform_id.str(), end_user = wanted.end_user_id.str();
  // Else a burst of first calls would make a link each.
  tx.exec("select pg_advisory_xact_lock(hashtextextended($1, 0)) is null as locked",
          {"connect_link/" + platform + "/" + end_user + "/" + wanted.app});
  const auto rows = tx.exec(
      std::string("select ") + kLinkColumns +
          " from connect_link l where l.platform_id = $1::uuid and l.end_user_id = $2::uuid and l.app "
          "= $3 and l.nonce is not null and l.consumed_at is null and l.connection_id is not distinct from "
          "$7::uuid"
          " and l.return_url is not distinct from $4 and l.vars = $5::jsonb"
          " and l.expires_at >= assistiv_time($6::bigint) order by l.expires_at desc limit 1",
      {platform, end_user, wanted.app, wanted.return_url, to_json_text(wanted.vars), epoch_param(until),
       optional_id_param(wanted.connection_id)});
  return rows.empty() ? std::nullopt : std::optional(read_link(rows[0]));
}

std::optional<LinkRow> FlowStore::find_link(storage::Transaction& tx, std::string_view token) const {
  const auto rows =
      tx.exec(std::string("select ") + kLinkColumns + " from connect_link l where l.token_hash = $1",
              {core::sha256_hex(token)});
  return rows.empty() ? std::nullopt : std::optional(read_link(rows[0]));
}

std::optional<LinkRow> FlowStore::consume_link(storage::Transaction& tx, std::string_view token) const {
  const auto rows = tx.exec(
      std::string("select ") + kLinkColumns + " from connect_link l where l.token_hash = $1 for update",
      {core::sha256_hex(token)});
  if (rows.empty()) return {};
  auto link = read_link(rows[0]);
  tx.exec(
      "update connect_link set consumed_at = coalesce(consumed_at, assistiv_time($3::bigint))"
      " where platform_id = $1::uuid and token_hash = $2",
      {link.platform_id.str(), core::sha256_hex(token), epoch_param(clock_.now())});
  return link;
}

FlowRow FlowStore::read_flow(const storage::Row& row) const {
  FlowRow out;
  out.platform_id = row.id<core::PlatformId>("platform_id");
  out.id = row.id<core::FlowId>("flow_id");
  out.cookie_hash = row.text("cookie_hash");
  out.end_user_id = row.id<core::EndUserId>("end_user_id");
  out.app = row.text("app");
  out.client_id = row.text("client_id");
  if (!row.is_null("code_verifier")) {
    out.code_verifier =
        vault_.open(flow_context(out.platform_id, out.id, "code_verifier"), row.text("code_verifier"));
  }
  out.redirect_uri = row.text("redirect_uri");
  out.return_url = row.optional_text("return_url");
  out.vars = values_of_json(row.text("vars"));
  out.scopes = strings_of_json(row.text("scopes"));
  out.connection_id = row.optional_id<core::ConnectionId>("connection_id");
  out.created_by = row.optional_id<core::KeyId>("created_by");
  out.label = row.optional_text("label");
  out.status = flow_status_of(row.text("status"));
  out.outcome_sealed = row.optional_text("outcome");
  out.expires_at = row.time("expires_at");
  return out;
}

void FlowStore::insert_flow(storage::Transaction& tx, const FlowRow& flow, std::string_view state) const {
  storage::Param verifier;
  if (!flow.code_verifier.empty()) {
    verifier = vault_.seal(flow_context(flow.platform_id, flow.id, "code_verifier"), flow.code_verifier);
  }
  tx.exec(
      "insert into connect_flow (platform_id, flow_id, state_hash, cookie_hash, end_user_id, app, client_id,"
      " code_verifier, redirect_uri, return_url, vars, scopes, connection_id, status, created_at, expires_at,"
      " created_by, label) values ($1::uuid, $2::uuid, $3, $4, $5::uuid, $6, $7, $8, $9, $10, $11::jsonb, "
      "$12::jsonb, $13::uuid,"
      " 'started', assistiv_time($14::bigint), assistiv_time($15::bigint), $16::uuid, $17)",
      {flow.platform_id.str(), flow.id.str(), core::sha256_hex(state), flow.cookie_hash,
       flow.end_user_id.str(), flow.app, flow.client_id, verifier, flow.redirect_uri, flow.return_url,
       to_json_text(flow.vars), to_json_text(flow.scopes), optional_id_param(flow.connection_id),
       epoch_param(clock_.now()), epoch_param(flow.expires_at), optional_id_param(flow.created_by),
       flow.label});
}

std::optional<FlowRow> FlowStore::consume_flow(storage::Transaction& tx, std::string_view state,
                                               std::string_view cookie_hash) const {
  const auto rows = tx.exec(
      std::string("select ") + kFlowColumns + " from connect_flow f where f.state_hash = $1 for update",
      {core::sha256_hex(state)});
  if (rows.empty()) return {};
  auto flow = read_flow(rows[0]);
  if (!core::constant_time_equal(cookie_hash, flow.cookie_hash)) return flow;
  // The verifier has done its work when the exchange has begun; it is in `flow` now.
  tx.exec(
      "update connect_flow set status = 'consumed', code_verifier = null"
      " where platform_id = $1::uuid and flow_id = $2::uuid and status = 'started'",
      {flow.platform_id.str(), flow.id.str()});
  return flow;
}

bool FlowStore::note_refusal(storage::Transaction& tx, const FlowRow& flow) const {
  return !tx.exec(
                "update connect_flow set refused_at = assistiv_time($3::bigint) where platform_id = $1::uuid"
                " and flow_id = $2::uuid and refused_at is null returning flow_id",
                {flow.platform_id.str(), flow.id.str(), epoch_param(clock_.now())})
              .empty();
}

void FlowStore::await_confirmation(storage::Transaction& tx, const FlowRow& flow, const GrantRecord& grant,
                                   core::Time until) const {
  tx.exec(
      "update connect_flow set status = 'awaiting_confirmation', outcome = $3, expires_at = "
      "assistiv_time($4::bigint)"
      " where platform_id = $1::uuid and flow_id = $2::uuid and status = 'consumed'",
      {flow.platform_id.str(), flow.id.str(),
       vault_.seal(flow_context(flow.platform_id, flow.id, "outcome"), to_secret_text(grant)),
       epoch_param(until)});
}

std::optional<FlowRow> FlowStore::lock_waiting(storage::Transaction& tx, core::PlatformId platform,
                                               core::FlowId id) const {
  const auto rows = tx.exec(std::string("select ") + kFlowColumns +
                                " from connect_flow f where f.platform_id = $1::uuid and f.flow_id = $2::uuid"
                                " and f.status = 'awaiting_confirmation' for update",
                            {platform.str(), id.str()});
  return rows.empty() ? std::nullopt : std::optional(read_flow(rows[0]));
}

GrantRecord FlowStore::open_outcome(const FlowRow& flow) const {
  return grant_of_secret_text(
      vault_.open(flow_context(flow.platform_id, flow.id, "outcome"), flow.outcome_sealed.value_or("")));
}

bool FlowStore::finish(storage::Transaction& tx, core::PlatformId platform, core::FlowId id) const {
  return !tx.exec(
                "update connect_flow set status = 'finished', outcome = null"
                " where platform_id = $1::uuid and flow_id = $2::uuid returning flow_id",
                {platform.str(), id.str()})
              .empty();
}

std::vector<FlowRow> FlowStore::lock_overdue(storage::Transaction& tx, std::size_t limit) const {
  std::vector<FlowRow> out;
  const auto rows = tx.exec(std::string("select ") + kFlowColumns +
                                " from connect_flow f where f.status = 'awaiting_confirmation'"
                                " and f.expires_at <= assistiv_time($1::bigint)"
                                " order by f.expires_at limit $2::int for update skip locked",
                            {epoch_param(clock_.now()), std::to_string(limit)});
  for (const auto& row : rows) out.push_back(read_flow(row));
  return out;
}

std::vector<FlowRow> FlowStore::lock_waiting_of(storage::Transaction& tx, core::PlatformId platform,
                                                const std::optional<core::EndUserId>& end_user,
                                                const std::optional<std::string>& app) const {
  std::vector<FlowRow> out;
  const auto rows =
      tx.exec(std::string("select ") + kFlowColumns +
                  " from connect_flow f where f.platform_id = $1::uuid and f.status = 'awaiting_confirmation'"
                  " and ($2::uuid is null or f.end_user_id = $2::uuid) and ($3::text is null or f.app = $3)"
                  " for update",
              {platform.str(), optional_id_param(end_user), app});
  for (const auto& row : rows) out.push_back(read_flow(row));
  return out;
}

void FlowStore::discard_old(storage::Transaction& tx, core::Time before, std::size_t limit) const {
  const std::vector<storage::Param> params{epoch_param(before), std::to_string(limit)};
  tx.exec(
      "delete from connect_link where (platform_id, token_hash) in (select platform_id, token_hash from "
      "connect_link"
      " where expires_at < assistiv_time($1::bigint) limit $2::int)",
      params);
  tx.exec(
      "delete from connect_flow where (platform_id, flow_id) in (select platform_id, flow_id from "
      "connect_flow"
      " where expires_at < assistiv_time($1::bigint) and status <> 'awaiting_confirmation' limit $2::int)",
      params);
}

}  // namespace assistiv::oauth
