#pragma once
// Reading table usage_row: the calls one by one, sums of them, and all of them as CSV.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/http.h"
#include "core/ids.h"
#include "core/json.h"
#include "core/money.h"
#include "core/task.h"
#include "storage/database.h"

namespace assistiv::billing {

struct UsageFilter {
  std::optional<core::Time> from, to;  // admitted at or after `from` and before `to`
  std::optional<std::string> model, provider, tag;
  std::optional<std::string> request_id;  // and its further turns: "<request id>-2", "-3", ...
  std::optional<core::EndUserId> end_user_id;
  std::optional<std::string> run_id;  // of an agent
};

// One upstream call, as the table has it.
struct UsageEntry {
  std::string request_id;
  std::int64_t attempt = 1;
  core::Time created_at;
  std::optional<core::EndUserId> end_user_id;
  std::string key_id, run_id, tag;  // "" when there is none
  std::string request_type, provider, model, provider_model;
  bool stream = false;
  std::string outcome;
  std::int64_t status = 0;  // of the upstream's reply
  std::string error;
  std::optional<std::int64_t> input, output, cache_read, cache_write_5m, cache_write_1h, input_audio,
      input_image, reasoning, output_audio, output_image;
  bool usage_estimated = false;
  std::string price_id;
  core::NanoUsd cost;
  core::NanoUsd unbilled;
  std::int64_t latency_ms = 0;
  std::optional<std::int64_t> first_token_ms;
  std::string cursor;  // where a next batch goes on
};

enum class UsageGrouping { Tag, Model, EndUser, Day };

struct UsageSum {
  std::string key;  // "" for calls without a tag or end user; a day is "2026-11-21" (UTC)
  std::int64_t calls = 0, requests = 0;
  std::int64_t input = 0, output = 0, cache_read = 0;
  core::NanoUsd cost;
};

template <class T>
struct UsagePage {
  std::vector<T> rows;
  std::int64_t total = 0;
};

// Thread-safe.
class UsageReport {
 public:
  explicit UsageReport(storage::Database& database) : database_(database) {}

  // Newest first.
  core::Task<UsagePage<UsageEntry>> list(core::PlatformId platform, UsageFilter filter, int page, int limit);
  // Dearest first; days latest first.
  core::Task<UsagePage<UsageSum>> sums(core::PlatformId platform, UsageFilter filter, UsageGrouping grouping,
                                       int page, int limit);
  // A reply that streams every call, read in batches of 500; a reader that is slow holds no connection.
  core::HttpReply csv(core::PlatformId platform, UsageFilter filter);

 private:
  storage::Database& database_;
};

// As on the wire (component "UsageRow", "UsageSum"); amounts are decimal text of USD.
core::Json usage_json(const UsageEntry& entry);
core::Json usage_sum_json(const UsageSum& sum, UsageGrouping grouping);
// The columns of the CSV, and one call. Text that a spreadsheet would run as a formula is led by an
// apostrophe.
std::string usage_csv_header();
std::string usage_csv_line(const UsageEntry& entry);

}  // namespace assistiv::billing
