#include "billing/webhook_store.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "storage/text_array.h"

namespace assistiv::billing {

namespace {

using storage::Row;
using storage::Transaction;

#define ENDPOINT_COLUMNS                                                                                  \
  "platform_id, endpoint_id, url, description, to_json(events)::text events, is_active, disabled_reason," \
  " assistiv_ms(failing_since) failing_since, assistiv_ms(previous_until) previous_until,"                \
  " assistiv_ms(created_at) created_at, assistiv_ms(updated_at) updated_at"

#define DELIVERY_COLUMNS                                                                        \
  "d.delivery_id, d.endpoint_id, d.message_id, m.event_id, m.event_type, d.status, d.attempts," \
  " assistiv_ms(d.next_attempt_at) next_attempt_at, d.last_status, d.last_error,"               \
  " assistiv_ms(d.last_attempt_at) last_attempt_at, assistiv_ms(d.finished_at) finished_at,"    \
  " assistiv_ms(d.created_at) created_at"

#define DELIVERY_TABLES                                                                                  \
  " from webhook_delivery d join webhook_message m on m.platform_id = d.platform_id and m.message_id = " \
  "d.message_id"

std::string ms(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

std::string text_array(const std::vector<std::string>& values) {
  storage::TextArray out;
  for (const auto& value : values) out.add(value);
  return out.take();
}

WebhookEndpoint read_endpoint(const Row& row) {
  WebhookEndpoint out;
  out.id = row.id<WebhookId>("endpoint_id");
  out.platform_id = row.id<core::PlatformId>("platform_id");
  out.url = row.text("url");
  out.description = row.text("description");
  out.events = core::Json::parse(row.text("events")).get<std::vector<std::string>>();
  out.is_active = row.boolean("is_active");
  out.disabled_reason = row.optional_text("disabled_reason");
  out.failing_since = row.optional_time("failing_since");
  out.previous_until = row.optional_time("previous_until");
  out.created_at = row.time("created_at");
  out.updated_at = row.time("updated_at");
  return out;
}

WebhookDelivery read_delivery(const Row& row) {
  WebhookDelivery out;
  out.id = row.id<DeliveryId>("delivery_id");
  out.endpoint_id = row.id<WebhookId>("endpoint_id");
  out.message_id = row.id<MessageId>("message_id");
  out.event_id = row.text("event_id");
  out.event_type = row.text("event_type");
  out.status = row.text("status");
  out.attempts = static_cast<int>(row.integer("attempts"));
  out.next_attempt_at = row.optional_time("next_attempt_at");
  if (!row.is_null("last_status")) out.last_status = static_cast<int>(row.integer("last_status"));
  out.last_error = row.optional_text("last_error");
  out.last_attempt_at = row.optional_time("last_attempt_at");
  out.finished_at = row.optional_time("finished_at");
  out.created_at = row.time("created_at");
  return out;
}

ClaimedDelivery read_claimed(const Row& row) {
  ClaimedDelivery out;
  out.platform_id = row.id<core::PlatformId>("platform_id");
  out.id = row.id<DeliveryId>("delivery_id");
  out.endpoint_id = row.id<WebhookId>("endpoint_id");
  out.message_id = row.id<MessageId>("message_id");
  out.attempt = static_cast<int>(row.integer("attempts"));
  out.event_type = row.text("event_type");
  out.payload = row.text("payload");
  out.url = row.text("url");
  out.secret = row.text("secret");
  out.previous_secret = row.optional_text("previous_secret");
  return out;
}

template <class T>
std::optional<T> first(const storage::Result& rows, T (*read)(const Row&)) {
  return rows.empty() ? std::nullopt : std::optional<T>(read(rows[0]));
}

}  // namespace

WebhookEndpoint WebhookStore::create(Transaction& tx, core::PlatformId platform, WebhookId id,
                                     const NewWebhook& input, const std::string& sealed) const {
  return *first(tx.exec("insert into webhook_endpoint (platform_id, endpoint_id, url, description, events,"
                        " secret, created_at, updated_at) values ($1::uuid, $2::uuid, $3, $4, $5::text[],"
                        " $6, assistiv_time($7::bigint), assistiv_time($7::bigint))"
                        " returning " ENDPOINT_COLUMNS,
                        {platform.str(), id.str(), input.url, input.description, text_array(input.events),
                         sealed, ms(clock_.now())}),
                read_endpoint);
}

std::optional<WebhookEndpoint> WebhookStore::get(Transaction& tx, core::PlatformId platform,
                                                 WebhookId id) const {
  return first(tx.exec("select " ENDPOINT_COLUMNS
                       " from webhook_endpoint where platform_id = $1::uuid and endpoint_id = $2::uuid",
                       {platform.str(), id.str()}),
               read_endpoint);
}

ListPage<WebhookEndpoint> WebhookStore::list(Transaction& tx, core::PlatformId platform,
                                             ListRequest page) const {
  ListPage<WebhookEndpoint> out;
  out.total = count(tx, platform);
  for (const auto row :
       tx.exec("select " ENDPOINT_COLUMNS " from webhook_endpoint where platform_id = $1::uuid"
               " order by endpoint_id desc limit $2::int offset $3::bigint",
               {platform.str(), std::to_string(page.limit), page.offset()})) {
    out.items.push_back(read_endpoint(row));
  }
  return out;
}

std::int64_t WebhookStore::count(Transaction& tx, core::PlatformId platform) const {
  return tx.exec("select count(*) n from webhook_endpoint where platform_id = $1::uuid", {platform.str()})[0]
      .integer("n");
}

std::optional<WebhookEndpoint> WebhookStore::update(Transaction& tx, core::PlatformId platform, WebhookId id,
                                                    const WebhookPatch& patch) const {
  const auto active = patch.is_active ? storage::Param(*patch.is_active ? "true" : "false") : std::nullopt;
  const auto events = patch.events ? storage::Param(text_array(*patch.events)) : std::nullopt;
  auto found = first(
      tx.exec("update webhook_endpoint set url = coalesce($3, url), description = coalesce($4, description),"
              " events = coalesce($5::text[], events), is_active = coalesce($6::boolean, is_active),"
              " disabled_reason = case when $6::boolean then null when not $6::boolean then"
              " coalesce(disabled_reason, 'platform') else disabled_reason end,"
              " failing_since = case when $6::boolean then null else failing_since end,"
              " updated_at = assistiv_time($7::bigint)"
              " where platform_id = $1::uuid and endpoint_id = $2::uuid returning " ENDPOINT_COLUMNS,
              {platform.str(), id.str(), patch.url, patch.description, events, active, ms(clock_.now())}),
      read_endpoint);
  if (found && patch.is_active == false) end_pending(tx, platform, id);
  return found;
}

bool WebhookStore::remove(Transaction& tx, core::PlatformId platform, WebhookId id) const {
  return tx.exec("delete from webhook_endpoint where platform_id = $1::uuid and endpoint_id = $2::uuid",
                 {platform.str(), id.str()})
             .affected() > 0;
}

std::optional<std::string> WebhookStore::lock_secret(Transaction& tx, core::PlatformId platform,
                                                     WebhookId id) const {
  const auto rows = tx.exec(
      "select secret from webhook_endpoint where platform_id = $1::uuid and endpoint_id = $2::uuid for "
      "update",
      {platform.str(), id.str()});
  return rows.empty() ? std::nullopt : rows[0].optional_text("secret");
}

std::optional<WebhookEndpoint> WebhookStore::replace_secret(Transaction& tx, core::PlatformId platform,
                                                            WebhookId id, const std::string& sealed,
                                                            const std::string& sealed_previous,
                                                            core::Time previous_until) const {
  return first(
      tx.exec("update webhook_endpoint set secret = $3, previous_secret = $4,"
              " previous_until = assistiv_time($5::bigint), updated_at = assistiv_time($6::bigint)"
              " where platform_id = $1::uuid and endpoint_id = $2::uuid returning " ENDPOINT_COLUMNS,
              {platform.str(), id.str(), sealed, sealed_previous, ms(previous_until), ms(clock_.now())}),
      read_endpoint);
}

void WebhookStore::disable(Transaction& tx, core::PlatformId platform, WebhookId id,
                           const std::string& reason) const {
  tx.exec(
      "update webhook_endpoint set is_active = false, disabled_reason = $3, updated_at ="
      " assistiv_time($4::bigint) where platform_id = $1::uuid and endpoint_id = $2::uuid and is_active",
      {platform.str(), id.str(), reason, ms(clock_.now())});
  end_pending(tx, platform, id);
}

void WebhookStore::end_pending(Transaction& tx, core::PlatformId platform, WebhookId endpoint) const {
  tx.exec(
      "update webhook_delivery set status = 'failed', next_attempt_at = null, last_error ="
      " 'The endpoint was switched off.', finished_at = assistiv_time($3::bigint)"
      " where platform_id = $1::uuid and endpoint_id = $2::uuid and status = 'pending'",
      {platform.str(), endpoint.str(), ms(clock_.now())});
}

std::vector<std::string> WebhookStore::wanted_types(Transaction& tx, core::PlatformId platform) const {
  std::vector<std::string> out;
  for (const auto row : tx.exec("select distinct unnest(events) event_type from webhook_endpoint"
                                " where platform_id = $1::uuid and is_active",
                                {platform.str()})) {
    out.push_back(row.text("event_type"));
  }
  return out;
}

MessageId WebhookStore::put_message(Transaction& tx, core::PlatformId platform, const WebhookMessage& message,
                                    bool& fresh) const {
  const auto id = MessageId::make(clock_, random_);
  fresh = tx.exec(
                "insert into webhook_message (platform_id, message_id, event_id, event_type, payload,"
                " created_at) values ($1::uuid, $2::uuid, $3, $4, $5, assistiv_time($6::bigint))"
                " on conflict (platform_id, event_id) do nothing",
                {platform.str(), id.str(), message.event_id, message.event_type, message.payload,
                 ms(clock_.now())})
              .affected() > 0;
  return id;
}

DeliveryId WebhookStore::put_delivery(Transaction& tx, core::PlatformId platform, WebhookId endpoint,
                                      MessageId message) const {
  const auto id = DeliveryId::make(clock_, random_);
  tx.exec(
      "insert into webhook_delivery (platform_id, delivery_id, endpoint_id, message_id, status,"
      " next_attempt_at, created_at) values ($1::uuid, $2::uuid, $3::uuid, $4::uuid, 'pending',"
      " assistiv_time($5::bigint), assistiv_time($5::bigint))",
      {platform.str(), id.str(), endpoint.str(), message.str(), ms(clock_.now())});
  return id;
}

bool WebhookStore::has_active(Transaction& tx, core::PlatformId platform, const std::string& url) const {
  return !tx.exec(
                "select 1 from webhook_endpoint where platform_id = $1::uuid and is_active and url = $2 "
                "limit 1",
                {platform.str(), url})
              .empty();
}

std::size_t WebhookStore::enqueue(Transaction& tx, core::PlatformId platform, const WebhookMessage& message,
                                  const std::optional<std::string>& also_to_url) const {
  const auto endpoints = tx.exec(
      "select endpoint_id from webhook_endpoint where platform_id = $1::uuid and is_active"
      " and ($2 = any(events) or url = $3) order by endpoint_id for key share",
      {platform.str(), message.event_type, also_to_url});
  if (endpoints.empty()) return 0;
  bool fresh = false;
  const auto id = put_message(tx, platform, message, fresh);
  if (!fresh) return 0;
  for (const auto row : endpoints) put_delivery(tx, platform, row.id<WebhookId>("endpoint_id"), id);
  return endpoints.size();
}

void WebhookStore::enqueue_for(Transaction& tx, core::PlatformId platform, WebhookId endpoint,
                               const WebhookMessage& message) const {
  bool fresh = false;
  const auto id = put_message(tx, platform, message, fresh);
  if (fresh) put_delivery(tx, platform, endpoint, id);
}

ListPage<WebhookDelivery> WebhookStore::deliveries(Transaction& tx, core::PlatformId platform,
                                                   WebhookId endpoint,
                                                   const std::optional<std::string>& status,
                                                   ListRequest page) const {
  ListPage<WebhookDelivery> out;
  out.total = tx.exec(
                    "select count(*) n from webhook_delivery where platform_id = $1::uuid"
                    " and endpoint_id = $2::uuid and ($3::text is null or status = $3)",
                    {platform.str(), endpoint.str(), status})[0]
                  .integer("n");
  for (const auto row :
       tx.exec("select " DELIVERY_COLUMNS DELIVERY_TABLES
               " where d.platform_id = $1::uuid and d.endpoint_id = $2::uuid"
               " and ($3::text is null or d.status = $3)"
               " order by d.delivery_id desc limit $4::int offset $5::bigint",
               {platform.str(), endpoint.str(), status, std::to_string(page.limit), page.offset()})) {
    out.items.push_back(read_delivery(row));
  }
  return out;
}

std::optional<WebhookDelivery> WebhookStore::delivery(Transaction& tx, core::PlatformId platform,
                                                      WebhookId endpoint, DeliveryId id) const {
  return first(tx.exec("select " DELIVERY_COLUMNS DELIVERY_TABLES
                       " where d.platform_id = $1::uuid and d.endpoint_id = $2::uuid and d.delivery_id ="
                       " $3::uuid",
                       {platform.str(), endpoint.str(), id.str()}),
               read_delivery);
}

WebhookDelivery WebhookStore::replay(Transaction& tx, core::PlatformId platform, WebhookId endpoint,
                                     const WebhookDelivery& of) const {
  return *delivery(tx, platform, endpoint, put_delivery(tx, platform, endpoint, of.message_id));
}

std::vector<ClaimedDelivery> WebhookStore::claim(Transaction& tx, const ClaimLimits& limits) const {
  storage::TextArray busy;
  for (const auto& id : limits.busy) busy.add(id.str());
  const auto now = clock_.now();
  std::vector<ClaimedDelivery> out;
  // The conditions stand on the locked row too: a delivery that another worker has just taken is skipped, and
  // one that it took a moment ago is no longer due.
  for (const auto row : tx.exec(
           "with waiting as (select platform_id, delivery_id, endpoint_id, next_attempt_at"
           " from webhook_delivery where status = 'pending' and next_attempt_at <= assistiv_time($1::bigint)"
           " and not (endpoint_id = any($4::uuid[])) order by next_attempt_at limit 500),"
           " turn as (select *, row_number() over (partition by endpoint_id order by next_attempt_at,"
           " delivery_id) n from waiting),"
           " due as (select d.platform_id, d.delivery_id from webhook_delivery d join turn"
           " on turn.platform_id = d.platform_id and turn.delivery_id = d.delivery_id"
           " where turn.n <= $5::int and d.status = 'pending'"
           " and d.next_attempt_at <= assistiv_time($1::bigint)"
           " order by d.next_attempt_at limit $3::int for update of d skip locked),"
           " taken as (update webhook_delivery d set attempts = attempts + 1,"
           " next_attempt_at = assistiv_time($2::bigint), last_attempt_at = assistiv_time($1::bigint)"
           " from due where d.platform_id = due.platform_id and d.delivery_id = due.delivery_id"
           " returning d.platform_id, d.delivery_id, d.endpoint_id, d.message_id, d.attempts)"
           " select taken.*, m.event_type, m.payload, e.url, e.secret,"
           " case when e.previous_until > assistiv_time($1::bigint) then e.previous_secret end"
           " previous_secret from taken"
           " join webhook_message m on m.platform_id = taken.platform_id and m.message_id = taken.message_id"
           " join webhook_endpoint e on e.platform_id = taken.platform_id"
           " and e.endpoint_id = taken.endpoint_id",
           {ms(now), ms(now + limits.lease), std::to_string(limits.deliveries), busy.take(),
            std::to_string(limits.per_endpoint)})) {
    out.push_back(read_claimed(row));
  }
  return out;
}

bool WebhookStore::finish(Transaction& tx, const ClaimedDelivery& claimed,
                          const AttemptResult& result) const {
  const auto now = clock_.now();
  storage::Param next;
  if (result.end == AttemptEnd::Again) next = ms(now + kWebhookWaits[claimed.attempt]);
  const char* status = result.end == AttemptEnd::Delivered ? "delivered"
                       : result.end == AttemptEnd::Failed  ? "failed"
                                                           : "pending";
  return tx.exec(
               "update webhook_delivery set status = $4, next_attempt_at = assistiv_time($5::bigint),"
               " last_status = $6::int, last_error = nullif($7, ''), finished_at ="
               " case when $4 <> 'pending' then assistiv_time($8::bigint) end"
               " where platform_id = $1::uuid and delivery_id = $2::uuid and attempts = $3::int"
               " and status = 'pending'",
               {claimed.platform_id.str(), claimed.id.str(), std::to_string(claimed.attempt), status, next,
                result.status ? storage::Param(std::to_string(*result.status)) : std::nullopt, result.error,
                ms(now)})
             .affected() > 0;
}

void WebhookStore::note_success(Transaction& tx, core::PlatformId platform, WebhookId id) const {
  tx.exec(
      "update webhook_endpoint set failing_since = null where platform_id = $1::uuid and endpoint_id ="
      " $2::uuid and failing_since is not null",
      {platform.str(), id.str()});
}

core::Time WebhookStore::note_failure(Transaction& tx, core::PlatformId platform, WebhookId id) const {
  const auto now = clock_.now();
  const auto rows = tx.exec(
      "update webhook_endpoint set failing_since = coalesce(failing_since, assistiv_time($3::bigint))"
      " where platform_id = $1::uuid and endpoint_id = $2::uuid"
      " returning assistiv_ms(failing_since) failing_since",
      {platform.str(), id.str(), ms(now)});
  return rows.empty() ? now : rows[0].time("failing_since");
}

std::size_t WebhookStore::discard_old(Transaction& tx, core::Time before, std::size_t limit) const {
  return tx
      .exec(
          "delete from webhook_message where (platform_id, message_id) in (select m.platform_id, m.message_id"
          " from webhook_message m where m.created_at < assistiv_time($1::bigint) and not exists (select 1"
          " from webhook_delivery d where d.platform_id = m.platform_id and d.message_id = m.message_id"
          " and (d.status = 'pending' or d.created_at >= assistiv_time($1::bigint)))"
          " order by m.created_at limit $2::int for update skip locked)",
          {ms(before), std::to_string(limit)})
      .affected();
}

}  // namespace assistiv::billing
