#include "billing/usage_report.h"

#include <nlohmann/json.hpp>

#include "billing/usage_store.h"

namespace assistiv::billing {

namespace {

constexpr int kCsvBatch = 500;

core::Json optional_json(const std::optional<std::int64_t>& value) {
  return value ? core::Json(*value) : core::Json();
}

core::Json text_or_null(const std::string& text) {
  return text.empty() ? core::Json() : core::Json(text);
}

// RFC 4180; a lead that makes spreadsheets compute is defused.
std::string csv_text(std::string text) {
  if (!text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos) {
    text.insert(0, "'");
  }
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string csv_count(const std::optional<std::int64_t>& value) {
  return value ? std::to_string(*value) : "";
}

core::Task<std::vector<UsageEntry>> next_batch(storage::Database* database, core::PlatformId platform,
                                               UsageFilter filter, std::optional<UsageEntry> last) {
  co_return co_await database->run(
      storage::Scope::tenant(platform),
      [platform, filter = std::move(filter), last = std::move(last)](storage::Transaction& tx) {
        return UsageStore().after(tx, platform, filter, last, kCsvBatch);
      });
}

core::Task<> stream_csv(storage::Database* database, core::PlatformId platform, UsageFilter filter,
                        std::shared_ptr<core::EventSink> sink) {
  if (!co_await sink->write(usage_csv_header())) co_return;
  std::optional<UsageEntry> last;
  while (true) {
    const auto batch = co_await next_batch(database, platform, filter, last);
    if (batch.empty()) co_return;
    std::string lines;
    for (const auto& entry : batch) lines += usage_csv_line(entry);
    if (!co_await sink->write(std::move(lines))) co_return;
    if (batch.size() < kCsvBatch) co_return;
    last = batch.back();
  }
}

std::string_view group_name(UsageGrouping grouping) {
  switch (grouping) {
    case UsageGrouping::Tag:
      return "tag";
    case UsageGrouping::Model:
      return "model";
    case UsageGrouping::EndUser:
      return "end_user_id";
    case UsageGrouping::Day:
      return "day";
  }
  return "";
}

std::string_view billing_status(const UsageEntry& entry) {
  if (entry.unbilled.nanos > 0) return "partly_billed";
  return entry.cost.nanos > 0 ? "billed" : "free";
}

}  // namespace

core::Task<UsagePage<UsageEntry>> UsageReport::list(core::PlatformId platform, UsageFilter filter, int page,
                                                    int limit) {
  co_return co_await database_.run(storage::Scope::tenant(platform), [platform, filter = std::move(filter),
                                                                      page, limit](storage::Transaction& tx) {
    return UsageStore().list(tx, platform, filter, page, limit);
  });
}

core::Task<UsagePage<UsageSum>> UsageReport::sums(core::PlatformId platform, UsageFilter filter,
                                                  UsageGrouping grouping, int page, int limit) {
  co_return co_await database_.run(
      storage::Scope::tenant(platform),
      [platform, filter = std::move(filter), grouping, page, limit](storage::Transaction& tx) {
        return UsageStore().sums(tx, platform, filter, grouping, page, limit);
      });
}

core::HttpReply UsageReport::csv(core::PlatformId platform, UsageFilter filter) {
  core::HttpReply reply;
  reply.headers.add("content-type", "text/csv; charset=utf-8");
  reply.headers.add("content-disposition", "attachment; filename=\"usage.csv\"");
  reply.stream = [database = &database_, platform,
                  filter = std::move(filter)](std::shared_ptr<core::EventSink> sink) {
    return stream_csv(database, platform, filter, std::move(sink));
  };
  return reply;
}

core::Json usage_json(const UsageEntry& entry) {
  return {
      {"request_id", entry.request_id},
      {"attempt", entry.attempt},
      {"created_at", core::format_time(entry.created_at)},
      {"end_user_id", entry.end_user_id ? core::Json(entry.end_user_id->str()) : core::Json()},
      {"key_id", text_or_null(entry.key_id)},
      {"run_id", text_or_null(entry.run_id)},
      {"tag", text_or_null(entry.tag)},
      {"request_type", entry.request_type},
      {"provider", entry.provider},
      {"model", entry.model},
      {"provider_model", entry.provider_model},
      {"stream", entry.stream},
      {"status", entry.outcome},
      {"upstream_status", entry.status},
      {"error_message", text_or_null(entry.error)},
      {"prompt_tokens", optional_json(entry.input)},
      {"completion_tokens", optional_json(entry.output)},
      {"total_tokens", entry.input.value_or(0) + entry.output.value_or(0)},
      {"cache_read_tokens", optional_json(entry.cache_read)},
      {"cache_write_5m_tokens", optional_json(entry.cache_write_5m)},
      {"cache_write_1h_tokens", optional_json(entry.cache_write_1h)},
      {"input_audio_tokens", optional_json(entry.input_audio)},
      {"input_image_tokens", optional_json(entry.input_image)},
      {"reasoning_tokens", optional_json(entry.reasoning)},
      {"output_audio_tokens", optional_json(entry.output_audio)},
      {"output_image_tokens", optional_json(entry.output_image)},
      {"token_count_method", entry.usage_estimated ? "estimated" : "reported"},
      {"price_id", text_or_null(entry.price_id)},
      {"cost_usd", core::format_usd(entry.cost)},
      {"unbilled_usd", core::format_usd(entry.unbilled)},
      {"billing_status", billing_status(entry)},
      {"latency_ms", entry.latency_ms},
      {"first_token_ms", optional_json(entry.first_token_ms)},
  };
}

core::Json usage_sum_json(const UsageSum& sum, UsageGrouping grouping) {
  return {{std::string(group_name(grouping)), text_or_null(sum.key)},
          {"calls", sum.calls},
          {"requests", sum.requests},
          {"prompt_tokens", sum.input},
          {"completion_tokens", sum.output},
          {"total_tokens", sum.input + sum.output},
          {"cache_read_tokens", sum.cache_read},
          {"cost_usd", core::format_usd(sum.cost)}};
}

std::string usage_csv_header() {
  return "created_at,request_id,attempt,end_user_id,key_id,run_id,tag,request_type,provider,model,"
         "provider_model,stream,status,upstream_status,prompt_tokens,completion_tokens,total_tokens,"
         "cache_read_tokens,cache_write_5m_tokens,cache_write_1h_tokens,input_audio_tokens,"
         "input_image_tokens,reasoning_tokens,output_audio_tokens,output_image_tokens,token_count_method,"
         "price_id,cost_usd,unbilled_usd,billing_status,latency_ms,first_token_ms,error_message\r\n";
}

std::string usage_csv_line(const UsageEntry& entry) {
  std::string out;
  const auto add = [&out](const std::string& field) { out += (out.empty() ? "" : ",") + field; };
  add(core::format_time(entry.created_at));
  add(csv_text(entry.request_id));
  add(std::to_string(entry.attempt));
  add(entry.end_user_id ? entry.end_user_id->str() : "");
  add(csv_text(entry.key_id));
  add(csv_text(entry.run_id));
  add(csv_text(entry.tag));
  add(csv_text(entry.request_type));
  add(csv_text(entry.provider));
  add(csv_text(entry.model));
  add(csv_text(entry.provider_model));
  add(entry.stream ? "true" : "false");
  add(entry.outcome);
  add(std::to_string(entry.status));
  add(csv_count(entry.input));
  add(csv_count(entry.output));
  add(std::to_string(entry.input.value_or(0) + entry.output.value_or(0)));
  add(csv_count(entry.cache_read));
  add(csv_count(entry.cache_write_5m));
  add(csv_count(entry.cache_write_1h));
  add(csv_count(entry.input_audio));
  add(csv_count(entry.input_image));
  add(csv_count(entry.reasoning));
  add(csv_count(entry.output_audio));
  add(csv_count(entry.output_image));
  add(entry.usage_estimated ? "estimated" : "reported");
  add(csv_text(entry.price_id));
  add(core::format_usd(entry.cost));
  add(core::format_usd(entry.unbilled));
  add(std::string(billing_status(entry)));
  add(std::to_string(entry.latency_ms));
  add(csv_count(entry.first_token_ms));
  add(csv_text(entry.error));
  return out + "\r\n";
}

}  // namespace assistiv::billing
