#include "billing/webhook_events.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::billing {

namespace {

core::Json usd_text_or_null(const std::optional<core::NanoUsd>& amount) {
  return amount ? core::Json(core::format_usd(*amount)) : core::Json(nullptr);
}

}  // namespace

std::string webhook_payload(const BudgetEvent& event) {
  const core::Json data = {
      {"platform_id", event.platform_id.str()},
      {"end_user_id", event.end_user_id.str()},
      {"budget_id", event.budget_id.str()},
      {"transaction_id", event.transaction_id.str()},
      {"type", event.type},
      {"amount_usd", core::format_usd(event.amount)},
      {"tokens", event.tokens},
      {"max_usd_after", usd_text_or_null(event.max_after)},
      {"used_usd_after", core::format_usd(event.used_after)},
      {"remaining_usd_after", usd_text_or_null(event.remaining_after)},
      {"reason", event.reason ? core::Json(*event.reason) : core::Json(nullptr)},
      {"metadata", core::try_parse_json(event.metadata_json).value_or(core::Json::object())}};
  return webhook_body(std::string(to_string(event.event_type)), event.event_id(), event.created_at, data);
}

bool WebhookEvents::wants(core::PlatformId platform, BudgetEventType type) {
  const std::lock_guard lock(mutex_);
  const auto it = wanted_.find(platform);
  return it == wanted_.end() || it->second.contains(to_string(type));
}

WebhookEvents::Types WebhookEvents::load(storage::Transaction& tx, core::PlatformId platform) {
  std::uint64_t before = 0;
  {
    const std::lock_guard lock(mutex_);
    before = generation_;
  }
  const auto list = store_.wanted_types(tx, platform);
  Types types(list.begin(), list.end());
  const std::lock_guard lock(mutex_);
  if (generation_ != before) return types;
  if (wanted_.size() >= kPlatformsMax) wanted_.clear();
  wanted_[platform] = types;
  return types;
}

bool WebhookEvents::is_chosen(storage::Transaction& tx, core::PlatformId platform, std::string_view type) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = wanted_.find(platform);
    if (it != wanted_.end()) return it->second.contains(type);
  }
  return load(tx, platform).contains(type);
}

void WebhookEvents::record(storage::Transaction& tx, core::PlatformId platform, const WebhookMessage& message,
                           const std::optional<std::string>& also_to_url) const {
  store_.enqueue(tx, platform, message, also_to_url);
}

void WebhookEvents::record(storage::Transaction& tx, const BudgetEvent& event) {
  const std::string type(to_string(event.event_type));
  if (!is_chosen(tx, event.platform_id, type)) return;
  store_.enqueue(tx, event.platform_id, {event.event_id(), type, webhook_payload(event)});
}

void WebhookEvents::on_notify(std::string_view topic, std::string_view payload) {
  if (topic != "webhooks" && topic != "resync") return;
  const auto platform = core::PlatformId::parse(payload);
  const std::lock_guard lock(mutex_);
  ++generation_;
  if (topic == "webhooks" && platform) {
    wanted_.erase(*platform);
  } else {
    wanted_.clear();
  }
}

}  // namespace assistiv::billing
