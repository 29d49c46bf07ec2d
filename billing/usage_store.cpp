#include "billing/usage_store.h"

namespace assistiv::billing {

namespace {

constexpr std::string_view kUsageColumns =
    "request_id, attempt, created_at::text as cursor, assistiv_ms(created_at) created_at, end_user_id, "
    "key_id,"
    " run_id, tag, request_type, provider, model, provider_model, stream, outcome, status, error,"
    " input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,"
    " input_audio_tokens, input_image_tokens, reasoning_tokens, output_audio_tokens, output_image_tokens,"
    " usage_estimated, price_id, cost, unbilled, latency_ms, first_token_ms";
// Parameters $1 to $9, see filter_params.
constexpr std::string_view kUsageWhere =
    " from usage_row where platform_id = $1::uuid"
    " and ($2::bigint is null or usage_row.created_at >= assistiv_time($2::bigint))"
    " and ($3::bigint is null or usage_row.created_at < assistiv_time($3::bigint))"
    " and ($4::text is null or model = $4 or provider_model = $4) and ($5::text is null or provider = $5)"
    " and ($6::text is null or tag = $6) and ($7::text is null or request_id = any(array(select $7 union all"
    " select $7 || '-' || n from generate_series(2, 64) n)))"
    " and ($8::uuid is null or end_user_id = $8::uuid) and ($9::text is null or run_id = $9)";
constexpr std::string_view kUsageOrder = " order by usage_row.created_at desc, request_id desc, attempt desc";

storage::Param time_param(const std::optional<core::Time>& time) {
  return time ? storage::Param(std::to_string(core::to_epoch_ms(*time))) : storage::Param();
}

std::vector<storage::Param> filter_params(core::PlatformId platform, const UsageFilter& filter) {
  return {platform.str(),
          time_param(filter.from),
          time_param(filter.to),
          filter.model,
          filter.provider,
          filter.tag,
          filter.request_id,
          filter.end_user_id ? storage::Param(filter.end_user_id->str()) : storage::Param(),
          filter.run_id};
}

std::optional<std::int64_t> optional_count(const storage::Row& row, std::string_view column) {
  return row.is_null(column) ? std::nullopt : std::optional(row.integer(column));
}

UsageEntry usage_of(const storage::Row& row) {
  UsageEntry out;
  out.request_id = row.text("request_id");
  out.attempt = row.integer("attempt");
  out.cursor = row.text("cursor");
  out.created_at = row.time("created_at");
  out.end_user_id = row.optional_id<core::EndUserId>("end_user_id");
  out.key_id = row.text("key_id");
  out.run_id = row.text("run_id");
  out.tag = row.text("tag");
  out.request_type = row.text("request_type");
  out.provider = row.text("provider");
  out.model = row.text("model");
  out.provider_model = row.text("provider_model");
  out.stream = row.boolean("stream");
  out.outcome = row.text("outcome");
  out.status = row.integer("status");
  out.error = row.text("error");
  out.input = optional_count(row, "input_tokens");
  out.output = optional_count(row, "output_tokens");
  out.cache_read = optional_count(row, "cache_read_tokens");
  out.cache_write_5m = optional_count(row, "cache_write_5m_tokens");
  out.cache_write_1h = optional_count(row, "cache_write_1h_tokens");
  out.input_audio = optional_count(row, "input_audio_tokens");
  out.input_image = optional_count(row, "input_image_tokens");
  out.reasoning = optional_count(row, "reasoning_tokens");
  out.output_audio = optional_count(row, "output_audio_tokens");
  out.output_image = optional_count(row, "output_image_tokens");
  out.usage_estimated = row.boolean("usage_estimated");
  out.price_id = row.text("price_id");
  out.cost = {row.integer("cost")};
  out.unbilled = {row.integer("unbilled")};
  out.latency_ms = row.integer("latency_ms");
  out.first_token_ms = optional_count(row, "first_token_ms");
  return out;
}

std::string_view group_expression(UsageGrouping grouping) {
  switch (grouping) {
    case UsageGrouping::Tag:
      return "coalesce(tag, '')";
    case UsageGrouping::Model:
      return "model";
    case UsageGrouping::EndUser:
      return "coalesce(end_user_id::text, '')";
    case UsageGrouping::Day:
      return "to_char(created_at at time zone 'UTC', 'YYYY-MM-DD')";
  }
  return "''";
}

void add_page(std::vector<storage::Param>& params, int page, int limit) {
  params.emplace_back(std::to_string(limit));
  params.emplace_back(std::to_string(static_cast<std::int64_t>(page - 1) * limit));
}

}  // namespace

UsagePage<UsageEntry> UsageStore::list(storage::Transaction& tx, core::PlatformId platform,
                                       const UsageFilter& filter, int page, int limit) const {
  UsagePage<UsageEntry> out;
  auto params = filter_params(platform, filter);
  out.total = tx.exec("select count(*) total" + std::string(kUsageWhere), params)[0].integer("total");
  add_page(params, page, limit);
  const auto rows = tx.exec("select " + std::string(kUsageColumns) + std::string(kUsageWhere) +
                                std::string(kUsageOrder) + " limit $10::bigint offset $11::bigint",
                            params);
  for (const auto& row : rows) out.rows.push_back(usage_of(row));
  return out;
}

UsagePage<UsageSum> UsageStore::sums(storage::Transaction& tx, core::PlatformId platform,
                                     const UsageFilter& filter, UsageGrouping grouping, int page,
                                     int limit) const {
  UsagePage<UsageSum> out;
  auto params = filter_params(platform, filter);
  add_page(params, page, limit);
  const std::string order = grouping == UsageGrouping::Day ? "1 desc" : "cost desc, 1";
  const auto rows = tx.exec(
      "select " + std::string(group_expression(grouping)) +
          " as key, count(*) calls, count(distinct request_id) requests,"
          " coalesce(sum(input_tokens), 0)::bigint as input, coalesce(sum(output_tokens), 0)::bigint as "
          "output,"
          " coalesce(sum(cache_read_tokens), 0)::bigint cache_read, sum(cost)::bigint as cost,"
          " count(*) over () as total" +
          std::string(kUsageWhere) + " group by 1 order by " + order +
          " limit $10::bigint offset $11::bigint",
      params);
  for (const auto& row : rows) {
    out.rows.push_back({row.text("key"),
                        row.integer("calls"),
                        row.integer("requests"),
                        row.integer("input"),
                        row.integer("output"),
                        row.integer("cache_read"),
                        {row.integer("cost")}});
    out.total = row.integer("total");
  }
  return out;
}

std::vector<UsageEntry> UsageStore::after(storage::Transaction& tx, core::PlatformId platform,
                                          const UsageFilter& filter, const std::optional<UsageEntry>& last,
                                          int limit) const {
  auto params = filter_params(platform, filter);
  std::string from;
  if (last) {
    params.emplace_back(last->cursor);
    params.emplace_back(last->request_id);
    params.emplace_back(std::to_string(last->attempt));
    from = " and (usage_row.created_at, request_id, attempt) < ($10::timestamptz, $11, $12::integer)";
  }
  std::vector<UsageEntry> out;
  const auto rows = tx.exec("select " + std::string(kUsageColumns) + std::string(kUsageWhere) + from +
                                std::string(kUsageOrder) + " limit " + std::to_string(limit),
                            params);
  for (const auto& row : rows) out.push_back(usage_of(row));
  return out;
}

}  // namespace assistiv::billing
