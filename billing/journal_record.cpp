// The bytes of the journal's records.
#include "billing/journal_record.h"

#include <cstring>

#include "billing/journal.h"

namespace assistiv::billing {

namespace {

constexpr char kHoldRecord = 'H';
constexpr char kSettleRecord = 'S';

class Writer {
 public:
  explicit Writer(char type) { out_.push_back(type); }
  void integer(std::int64_t value) { out_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void text(std::string_view value) {
    integer(static_cast<std::int64_t>(value.size()));
    out_.append(value);
  }
  void uuid(const core::Uuid& value) {
    out_.append(reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size());
  }
  void optional(const std::optional<std::int64_t>& value) {
    integer(value.has_value());
    integer(value.value_or(0));
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// Reads what Writer wrote; `good` turns false at the first byte that is missing.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  std::int64_t integer() {
    std::int64_t value = 0;
    if (const auto bytes = take(sizeof value); bytes.size() == sizeof value) {
      std::memcpy(&value, bytes.data(), sizeof value);
    }
    return value;
  }
  std::string text() {
    const auto size = integer();
    return std::string(take(size < 0 ? in_.size() + 1 : static_cast<std::size_t>(size)));
  }
  core::Uuid uuid() {
    core::Uuid out;
    if (const auto bytes = take(out.bytes.size()); bytes.size() == out.bytes.size()) {
      std::memcpy(out.bytes.data(), bytes.data(), bytes.size());
    }
    return out;
  }
  std::optional<std::int64_t> optional() {
    const bool has = integer() != 0;
    const auto value = integer();
    return has ? std::optional(value) : std::nullopt;
  }
  char type() {
    const auto byte = take(1);
    return byte.empty() ? '\0' : byte[0];
  }
  bool good() const { return good_; }

 private:
  std::string_view take(std::size_t size) {
    if (size > in_.size()) {
      good_ = false;
      return {};
    }
    const auto out = in_.substr(0, size);
    in_.remove_prefix(size);
    return out;
  }
  std::string_view in_;
  bool good_ = true;
};

void write_level(Writer& out, const HoldLevel& level) {
  out.uuid(level.account.uuid);
  out.integer(level.period_no);
  out.integer(level.amount);
  out.integer(level.tokens);
}

HoldLevel read_level(Reader& in) {
  HoldLevel out;
  out.account = AccountId{in.uuid()};
  out.period_no = in.integer();
  out.amount = in.integer();
  out.tokens = in.integer();
  return out;
}

void write_facts(Writer& out, const CallFacts& facts) {
  for (const auto* text : {&facts.request_id, &facts.request_type, &facts.provider, &facts.model,
                           &facts.provider_model, &facts.tag, &facts.key_id, &facts.run_id}) {
    out.text(*text);
  }
  out.integer(facts.attempt);
  out.integer(facts.stream);
}

CallFacts read_facts(Reader& in) {
  CallFacts out;
  for (auto* text : {&out.request_id, &out.request_type, &out.provider, &out.model, &out.provider_model,
                     &out.tag, &out.key_id, &out.run_id}) {
    *text = in.text();
  }
  out.attempt = static_cast<int>(in.integer());
  out.stream = in.integer() != 0;
  return out;
}

constexpr std::optional<std::int64_t> core::Usage::*kUsageCounts[] = {
    &core::Usage::input,          &core::Usage::output,         &core::Usage::cache_read,
    &core::Usage::cache_write_5m, &core::Usage::cache_write_1h, &core::Usage::input_audio,
    &core::Usage::input_image,    &core::Usage::reasoning,      &core::Usage::output_audio,
    &core::Usage::output_image,
};

HoldRecord read_hold(Reader& in) {
  HoldRecord out;
  out.epoch = in.integer();
  out.seq = in.integer();
  out.payer.platform_id = core::PlatformId{in.uuid()};
  if (in.integer() != 0) out.payer.end_user_id = core::EndUserId{in.uuid()};
  out.facts = read_facts(in);
  out.price_id = in.text();
  out.bound = in.integer();
  out.lost_cost = in.integer();
  out.token_bound = in.integer();
  out.created_ms = in.integer();
  out.wallet = read_level(in);
  if (in.integer() != 0) out.budget = read_level(in);
  return out;
}

void read_settlement(Reader& in, SettledCall& out) {
  auto& settlement = out.settlement;
  settlement.outcome = static_cast<CallOutcome>(in.integer());
  for (const auto count : kUsageCounts) settlement.usage.*count = in.optional();
  settlement.cost = {in.integer()};
  settlement.usage_estimated = in.integer() != 0;
  settlement.status = static_cast<int>(in.integer());
  settlement.error = in.text();
  settlement.upstream_request_id = in.text();
  settlement.latency = std::chrono::milliseconds(in.integer());
  if (const auto first = in.optional()) settlement.first_token = std::chrono::milliseconds(*first);
  out.cost = in.integer();
  out.tokens = in.integer();
}

}  // namespace

std::string encode_hold(const HoldRecord& hold) {
  Writer out(kHoldRecord);
  out.integer(hold.epoch);
  out.integer(hold.seq);
  out.uuid(hold.payer.platform_id.uuid);
  out.integer(hold.payer.end_user_id.has_value());
  if (hold.payer.end_user_id) out.uuid(hold.payer.end_user_id->uuid);
  write_facts(out, hold.facts);
  out.text(hold.price_id);
  out.integer(hold.bound);
  out.integer(hold.lost_cost);
  out.integer(hold.token_bound);
  out.integer(hold.created_ms);
  write_level(out, hold.wallet);
  out.integer(hold.budget.has_value());
  if (hold.budget) write_level(out, *hold.budget);
  return out.take();
}

std::string encode_settlement(const SettledCall& call) {
  const auto& settlement = call.settlement;
  Writer out(kSettleRecord);
  out.integer(call.hold.epoch);
  out.integer(call.hold.seq);
  out.integer(static_cast<std::int64_t>(settlement.outcome));
  for (const auto count : kUsageCounts) out.optional(settlement.usage.*count);
  out.integer(settlement.cost.nanos);
  out.integer(settlement.usage_estimated);
  out.integer(settlement.status);
  out.text(settlement.error);
  out.text(settlement.upstream_request_id);
  out.integer(settlement.latency.count());
  out.optional(settlement.first_token ? std::optional<std::int64_t>(settlement.first_token->count())
                                      : std::nullopt);
  out.integer(call.cost);
  out.integer(call.tokens);
  return out.take();
}

bool JournalReplay::read(std::string_view record) {
  Reader in(record);
  const char type = in.type();
  if (type == kHoldRecord) {
    auto hold = read_hold(in);
    if (!in.good()) return false;
    const Key key{hold.epoch, hold.seq};
    holds_.insert_or_assign(key, std::move(hold));
    return true;
  }
  if (type != kSettleRecord) return false;
  const Key key{in.integer(), in.integer()};
  SettledCall call;
  read_settlement(in, call);
  if (!in.good()) return false;
  settled_.emplace(key, std::move(call));  // the first one counts, as in life
  return true;
}

std::vector<SettledCall> JournalReplay::calls() {
  std::vector<SettledCall> out;
  for (auto& [key, hold] : holds_) {
    const auto found = settled_.find(key);
    if (found == settled_.end()) {
      out.push_back(lost_call(std::move(hold)));
    } else {
      out.push_back(std::move(found->second));
      out.back().hold = std::move(hold);
    }
  }
  return out;
}

}  // namespace assistiv::billing
