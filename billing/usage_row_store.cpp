#include "billing/usage_row_store.h"

#include <optional>

#include "storage/text_array.h"

namespace assistiv::billing {

namespace {

// One column of the rows as one array parameter.
template <class F>
storage::Param column(const std::vector<UsageRow>& rows, F value) {
  storage::TextArray out;
  for (const auto& row : rows) {
    const std::optional<std::string> text = value(row);
    if (text) {
      out.add(*text);
    } else {
      out.add_null();
    }
  }
  return out.take();
}

std::optional<std::string> filled(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

template <class F>
storage::Param call_text(const std::vector<UsageRow>& rows, F value) {
  return column(rows, [&](const UsageRow& row) { return std::optional<std::string>(value(*row.call)); });
}

template <class F>
storage::Param call_optional(const std::vector<UsageRow>& rows, F value) {
  return column(rows, [&](const UsageRow& row) { return std::optional<std::string>(value(*row.call)); });
}

template <class F>
storage::Param call_integer(const std::vector<UsageRow>& rows, F value) {
  return column(rows, [&](const UsageRow& row) { return std::optional(std::to_string(value(*row.call))); });
}

storage::Param count_column(const std::vector<UsageRow>& rows,
                            std::optional<std::int64_t> core::Usage::*count) {
  return column(rows, [&](const UsageRow& row) -> std::optional<std::string> {
    const auto value = row.call->settlement.usage.*count;
    return value ? std::optional(std::to_string(*value)) : std::nullopt;
  });
}

constexpr char kInsert[] =
    "insert into usage_row (platform_id, request_id, attempt, created_at, end_user_id, budget_id, key_id, "
    "run_id, tag, request_type, provider, model, provider_model, stream, outcome, status, error, "
    "upstream_request_id, input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens, "
    "cache_write_1h_tokens, input_audio_tokens, input_image_tokens, reasoning_tokens, output_audio_tokens, "
    "output_image_tokens, usage_estimated, price_id, cost, unbilled, latency_ms, first_token_ms, epoch, "
    "hold_seq, batch) "
    "select f.c1, f.c2, f.c3, assistiv_time(f.c4), f.c5, f.c6, f.c7, f.c8, f.c9, f.c10, f.c11, f.c12, f.c13, "
    "f.c14, f.c15, f.c16, f.c17, f.c18, f.c19, f.c20, f.c21, f.c22, f.c23, f.c24, f.c25, f.c26, f.c27, "
    "f.c28, "
    "f.c29, f.c30, f.c31, f.c32, f.c33, f.c34, f.c35, f.c36, $37::bigint from unnest($1::uuid[], $2::text[], "
    "$3::int[], $4::bigint[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[], "
    "$11::text[], $12::text[], $13::text[], $14::boolean[], $15::text[], $16::int[], $17::text[], "
    "$18::text[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[], "
    "$25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[], $29::boolean[], $30::text[], $31::bigint[], "
    "$32::bigint[], $33::int[], $34::int[], $35::bigint[], $36::bigint[]) "
    "f(c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20, c21, c22, "
    "c23, c24, c25, c26, c27, c28, c29, c30, c31, c32, c33, c34, c35, c36)";

void add_facts(std::vector<storage::Param>& out, const std::vector<UsageRow>& rows) {
  using Call = const SettledCall&;
  out.push_back(call_text(rows, [](Call c) { return c.hold.payer.platform_id.str(); }));
  out.push_back(call_text(rows, [](Call c) { return c.hold.facts.request_id; }));
  out.push_back(call_integer(rows, [](Call c) { return c.hold.facts.attempt; }));
  out.push_back(call_integer(rows, [](Call c) { return c.hold.created_ms; }));
  out.push_back(call_optional(rows, [](Call c) {
    const auto& user = c.hold.payer.end_user_id;
    return user ? std::optional(user->str()) : std::nullopt;
  }));
  out.push_back(call_optional(rows, [](Call c) {
    return c.hold.budget ? std::optional(c.hold.budget->account.str()) : std::nullopt;
  }));
  out.push_back(call_optional(rows, [](Call c) { return filled(c.hold.facts.key_id); }));
  out.push_back(call_optional(rows, [](Call c) { return filled(c.hold.facts.run_id); }));
  out.push_back(call_optional(rows, [](Call c) { return filled(c.hold.facts.tag); }));
  out.push_back(call_text(rows, [](Call c) { return c.hold.facts.request_type; }));
  out.push_back(call_text(rows, [](Call c) { return c.hold.facts.provider; }));
  out.push_back(call_text(rows, [](Call c) { return c.hold.facts.model; }));
  out.push_back(call_text(rows, [](Call c) { return c.hold.facts.provider_model; }));
  out.push_back(call_text(rows, [](Call c) { return c.hold.facts.stream ? "true" : "false"; }));
}

void add_end(std::vector<storage::Param>& out, const std::vector<UsageRow>& rows) {
  using Call = const SettledCall&;
  out.push_back(call_text(rows, [](Call c) { return std::string(to_string(c.settlement.outcome)); }));
  out.push_back(call_integer(rows, [](Call c) { return c.settlement.status; }));
  out.push_back(call_optional(rows, [](Call c) { return filled(c.settlement.error); }));
  out.push_back(call_optional(rows, [](Call c) { return filled(c.settlement.upstream_request_id); }));
  for (const auto count :
       {&core::Usage::input, &core::Usage::output, &core::Usage::cache_read, &core::Usage::cache_write_5m,
        &core::Usage::cache_write_1h, &core::Usage::input_audio, &core::Usage::input_image,
        &core::Usage::reasoning, &core::Usage::output_audio, &core::Usage::output_image}) {
    out.push_back(count_column(rows, count));
  }
  out.push_back(call_text(rows, [](Call c) { return c.settlement.usage_estimated ? "true" : "false"; }));
  out.push_back(call_optional(rows, [](Call c) { return filled(c.hold.price_id); }));
  out.push_back(column(rows, [](const UsageRow& row) {
    return std::optional(std::to_string(row.call->cost - row.unbilled));
  }));
  out.push_back(
      column(rows, [](const UsageRow& row) { return std::optional(std::to_string(row.unbilled)); }));
  out.push_back(call_integer(rows, [](Call c) { return c.settlement.latency.count(); }));
  out.push_back(call_optional(rows, [](Call c) {
    const auto& first = c.settlement.first_token;
    return first ? std::optional(std::to_string(first->count())) : std::nullopt;
  }));
  out.push_back(call_integer(rows, [](Call c) { return c.hold.epoch; }));
  out.push_back(call_integer(rows, [](Call c) { return c.hold.seq; }));
}

}  // namespace

void insert_usage_rows(storage::Transaction& tx, const std::vector<UsageRow>& rows, std::int64_t batch) {
  if (rows.empty()) return;
  std::vector<storage::Param> params;
  add_facts(params, rows);
  add_end(params, rows);
  params.emplace_back(std::to_string(batch));
  tx.exec(kInsert, std::move(params));
}

std::string usage_key(const SettledCall& call) {
  return call.hold.payer.platform_id.str() + "/" + call.hold.facts.request_id + "/" +
         std::to_string(call.hold.facts.attempt);
}

UsageKeys existing_usage(storage::Transaction& tx, const std::vector<SettledCall>& calls) {
  storage::TextArray platforms, requests, attempts;
  for (const auto& call : calls) {
    platforms.add(call.hold.payer.platform_id.str());
    requests.add(call.hold.facts.request_id);
    attempts.add(std::to_string(call.hold.facts.attempt));
  }
  UsageKeys out;
  for (const auto row :
       tx.exec("select u.platform_id, u.request_id, u.attempt, u.epoch, u.hold_seq from usage_row u join "
               "unnest($1::uuid[], $2::text[], $3::int[]) f(p, r, a) "
               "on u.platform_id = f.p and u.request_id = f.r and u.attempt = f.a",
               {platforms.take(), requests.take(), attempts.take()})) {
    out[row.text("platform_id") + "/" + row.text("request_id") + "/" +
        std::to_string(row.integer("attempt"))] = {row.integer("epoch"), row.integer("hold_seq")};
  }
  return out;
}

std::set<std::string> wallets_of(storage::Transaction& tx, const std::vector<SettledCall>& calls) {
  std::set<std::string> asked;
  for (const auto& call : calls) asked.insert(call.hold.payer.platform_id.str());
  storage::TextArray platforms;
  for (const auto& platform : asked) platforms.add(platform);
  std::set<std::string> out;
  for (const auto row :
       tx.exec("select platform_id from account where kind = 'wallet' and platform_id = any($1::uuid[])",
               {platforms.take()})) {
    out.insert(row.text("platform_id"));
  }
  return out;
}

}  // namespace assistiv::billing
