#include "mcp/content/kept_result_store.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/secret.h"
#include "mcp/content/content_uri.h"

namespace assistiv::mcp {

namespace {

using storage::Scope;
using storage::Transaction;

constexpr std::size_t kResultIdBytes = 18;

oauth::SecretContext sealed_body(core::PlatformId platform, const std::string& id) {
  return {platform, "kept_result", id, "body"};
}

std::string kept_ms(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

// The start of the character that byte `at` is in.
std::size_t character_start(const std::string& text, std::size_t at) {
  if (at >= text.size()) return text.size();
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0u) == 0x80u) --at;
  return at;
}

}  // namespace

std::size_t kept_parts(std::size_t bytes) {
  return bytes == 0 ? 1 : (bytes + kKeptPartBytes - 1) / kKeptPartBytes;
}

std::optional<std::string> kept_part(const std::string& text, std::size_t number) {
  if (number == 0 || number > kept_parts(text.size())) return {};
  const auto from = character_start(text, (number - 1) * kKeptPartBytes);
  return text.substr(from, character_start(text, number * kKeptPartBytes) - from);
}

std::vector<oauth::SealedColumn> kept_sealed_columns() {
  return {{"kept_result", "result_id", "text", "body", "body"}};
}

KeptResults::KeptResults(storage::Database& database, const oauth::Vault& vault, const core::Clock& clock,
                         core::Random& random, KeptResultOptions options)
    : database_(database), vault_(vault), clock_(clock), random_(random), options_(options) {}

// False when its connection is revoked.
bool KeptResults::insert(Transaction& tx, const ResultToKeep& result, const std::string& id) const {
  const auto& who = *result.principal;
  const std::string platform = who.platform_id.str(), end_user = who.end_user_id->str();
  const auto now = clock_.now();
  // Until the end of the transaction nobody else counts or adds results of this end user.
  tx.exec("select pg_advisory_xact_lock(hashtextextended($1, 0))", {"kept result " + platform + end_user});
  const auto room =
      options_.bytes_per_end_user_max - std::min(options_.bytes_per_end_user_max, result.text.size());
  // The oldest make room for this one.
  tx.exec(
      "delete from kept_result where platform_id = $1::uuid and result_id in (select result_id from (select"
      " result_id, expires_at, row_number() over newest as place, sum(bytes) over newest as sum_bytes from"
      " kept_result where platform_id = $1::uuid and end_user_id = $2::uuid window newest as (order by "
      "created_at"
      " desc, result_id)) as kept where place >= $3::bigint or sum_bytes > $4::bigint or expires_at <="
      " assistiv_time($5::bigint))",
      {platform, end_user, std::to_string(options_.per_end_user_max), std::to_string(room), kept_ms(now)});
  const auto kept = tx.exec(
      "insert into kept_result (platform_id, result_id, end_user_id, key_id, connection_id, tool, body, "
      "bytes,"
      " created_at, expires_at) select $1::uuid, $2, $3::uuid, $4::uuid, $5::uuid, $6, $7, $8::bigint,"
      " assistiv_time($9::bigint), assistiv_time($10::bigint)",
      {platform, id, end_user, who.key_id.str(), result.connection.str(), result.tool,
       vault_.seal(sealed_body(who.platform_id, id), core::Secret(result.text)),
       std::to_string(result.text.size()), kept_ms(now), kept_ms(now + options_.life)});
  return kept.affected() != 0;
}

core::Task<std::optional<KeptLink>> KeptResults::keep(ResultToKeep result) {
  static auto& kept_total =
      core::metrics::counter("assistiv_results_kept_total", "Tool results that were kept whole.");
  const std::size_t bytes = result.text.size();
  if (bytes > kKeptBytesMax || bytes > options_.bytes_per_end_user_max || !result.principal->end_user_id)
    co_return std::nullopt;
  const std::string id = core::random_token(random_, kResultIdBytes);
  const auto platform = result.principal->platform_id;
  try {
    const bool kept = co_await database_.run(
        Scope::tenant(platform),
        [this, given = std::move(result), id](Transaction& tx) { return insert(tx, given, id); });
    if (!kept) co_return std::nullopt;
  } catch (const core::Error& e) {
    core::log::warn("mcp.result_not_kept", {{"error", e.what()}, {"detail", e.detail()}});
    co_return std::nullopt;
  }
  kept_total.add();
  co_return KeptLink{result_uri(id), bytes, kept_parts(bytes)};
}

core::Task<std::optional<KeptResult>> KeptResults::find(oauth::PrincipalPtr who, std::string id) {
  if (!who->end_user_id) co_return std::nullopt;
  co_return co_await database_.run(
      Scope::tenant(who->platform_id), [this, who, id](Transaction& tx) -> std::optional<KeptResult> {
        const auto rows = tx.exec(
            "select connection_id, tool, body from kept_result where platform_id = $1::uuid and result_id = "
            "$2 and"
            " end_user_id = $3::uuid and key_id = $4::uuid and expires_at > assistiv_time($5::bigint)",
            {who->platform_id.str(), id, who->end_user_id->str(), who->key_id.str(), kept_ms(clock_.now())});
        if (rows.empty()) return {};
        const auto row = rows[0];
        return KeptResult{row.id<core::ConnectionId>("connection_id"), row.text("tool"),
                          vault_.open(sealed_body(who->platform_id, id), row.text("body")).reveal()};
      });
}

core::Task<std::size_t> KeptResults::sweep(std::size_t max) {
  const std::string now = kept_ms(clock_.now());
  // System scope: the results of every platform.
  co_return co_await database_.run(Scope::system(), [=](Transaction& tx) {
    return tx
        .exec(
            "delete from kept_result where (platform_id, result_id) in (select platform_id, result_id from"
            " kept_result where expires_at <= assistiv_time($1::bigint) order by expires_at limit $2::bigint "
            "for"
            " update skip locked)",
            {now, std::to_string(max)})
        .affected();
  });
}

}  // namespace assistiv::mcp
