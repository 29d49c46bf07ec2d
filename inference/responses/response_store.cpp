#include "inference/responses/response_store.h"

#include "storage/text_array.h"

namespace assistiv::inference {

namespace {

// Parameters $1 and $2 of every statement with an owner.
constexpr char kOwned[] =
    " platform_id = $1::uuid and end_user_id is not distinct from $2::uuid and expires_at > "
    "assistiv_time($3::bigint)";
constexpr char kTurnColumns[] =
    "response_id, coalesce(previous_response_id, '') as previous_id, input, response,"
    " assistiv_ms(created_at) as created_at, assistiv_ms(expires_at) as expires_at";

storage::Param end_user_param(const ResponseOwner& owner) {
  return owner.end_user_id ? storage::Param(owner.end_user_id->str()) : std::nullopt;
}

std::string time_param(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

StoredResponse read_turn(const storage::Row& row) {
  return {row.text("response_id"), row.text("previous_id"), row.text("input"),
          row.text("response"),    row.time("created_at"),  row.time("expires_at")};
}

}  // namespace

void ResponseStore::insert(storage::Transaction& tx, const ResponseOwner& owner,
                           const StoredResponse& response) const {
  tx.exec(
      "insert into stored_response (platform_id, response_id, end_user_id, previous_response_id, input,"
      " response, bytes, created_at, expires_at) values ($1::uuid, $2, $3::uuid, nullif($4, ''), $5, $6,"
      " $7::bigint, assistiv_time($8::bigint), assistiv_time($9::bigint))"
      " on conflict (platform_id, response_id) do nothing",
      {owner.platform_id.str(), response.id, end_user_param(owner), response.previous_id, response.input_json,
       response.response_json, std::to_string(response.input_json.size() + response.response_json.size()),
       time_param(response.created_at), time_param(response.expires_at)});
}

std::optional<StoredResponse> ResponseStore::get(storage::Transaction& tx, const ResponseOwner& owner,
                                                 const std::string& id, core::Time now) const {
  const auto rows = tx.exec(
      std::string("select ") + kTurnColumns + " from stored_response where response_id = $4 and" + kOwned,
      {owner.platform_id.str(), end_user_param(owner), time_param(now), id});
  return rows.empty() ? std::nullopt : std::optional(read_turn(rows[0]));
}

std::optional<std::vector<StoredResponse>> ResponseStore::chain(storage::Transaction& tx,
                                                                const ResponseOwner& owner,
                                                                const std::string& id, core::Time now,
                                                                int turns_max, std::int64_t bytes_max) const {
  // First how much it is, so that a long conversation is refused before it is in memory.
  const std::string walk =
      std::string(
          "with recursive turn as (select response_id, previous_response_id, bytes, 1 as depth"
          " from stored_response where response_id = $4 and") +
      kOwned +
      " union all select s.response_id, s.previous_response_id, s.bytes, turn.depth + 1 from turn"
      " join stored_response s on s.response_id = turn.previous_response_id and s.platform_id = $1::uuid"
      " and s.end_user_id is not distinct from $2::uuid and s.expires_at > assistiv_time($3::bigint)"
      " where turn.depth <= $5::int)";
  const std::vector<storage::Param> params = {owner.platform_id.str(), end_user_param(owner), time_param(now),
                                              id, std::to_string(turns_max)};
  const auto sizes = tx.exec(walk +
                                 " select count(*) as turns, coalesce(sum(bytes), 0)::bigint as bytes,"
                                 " coalesce(bool_or(previous_response_id is null), false) as whole from turn",
                             params)[0];
  if (sizes.integer("turns") > turns_max || sizes.integer("bytes") > bytes_max) return {};
  std::vector<StoredResponse> out;
  if (!sizes.boolean("whole")) return out;
  for (const auto& row :
       tx.exec(walk + " select s.response_id, coalesce(s.previous_response_id, '') as previous_id, s.input,"
                      " s.response, assistiv_ms(s.created_at) as created_at,"
                      " assistiv_ms(s.expires_at) as expires_at from turn join stored_response s"
                      " on s.platform_id = $1::uuid and s.response_id = turn.response_id"
                      " order by turn.depth desc",
               params)) {
    out.push_back(read_turn(row));
  }
  return out;
}

void ResponseStore::keep(storage::Transaction& tx, const ResponseOwner& owner,
                         const std::vector<StoredResponse>& turns, core::Time soon, core::Time until) const {
  storage::TextArray ids;
  bool any = false;
  for (const auto& turn : turns) {
    if (turn.expires_at >= soon) continue;
    ids.add(turn.id);
    any = true;
  }
  if (!any) return;
  tx.exec(
      "update stored_response set expires_at = greatest(expires_at, assistiv_time($3::bigint))"
      " where platform_id = $1::uuid and response_id = any($2::text[])",
      {owner.platform_id.str(), ids.take(), time_param(until)});
}

bool ResponseStore::remove(storage::Transaction& tx, const ResponseOwner& owner,
                           const std::string& id) const {
  return tx.exec(
               "delete from stored_response where platform_id = $1::uuid"
               " and end_user_id is not distinct from $2::uuid and response_id = $3",
               {owner.platform_id.str(), end_user_param(owner), id})
             .affected() > 0;
}

std::size_t ResponseStore::sweep(storage::Transaction& tx, core::Time now, int max) const {
  return tx
      .exec(
          "delete from stored_response where (platform_id, response_id) in (select platform_id, response_id"
          " from stored_response where expires_at <= assistiv_time($1::bigint) limit $2::int"
          " for update skip locked)",
          {time_param(now), std::to_string(max)})
      .affected();
}

}  // namespace assistiv::inference
