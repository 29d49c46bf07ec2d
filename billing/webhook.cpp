#include "billing/webhook.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::billing {

namespace {

core::Json time_or_null(const std::optional<core::Time>& time) {
  return time ? core::Json(core::format_time(*time)) : core::Json(nullptr);
}

template <class T>
core::Json value_or_null(const std::optional<T>& value) {
  return value ? core::Json(*value) : core::Json(nullptr);
}

}  // namespace

const std::vector<std::string>& webhook_event_types() {
  static const std::vector<std::string> types = {"budget.topped_up", "budget.low_balance",
                                                 "budget.suspended", "budget.unsuspended",
                                                 "budget.debited",   "agent.run.completed"};
  return types;
}

// One event per debit or run is a flood on a busy platform: it is asked for by name.
std::vector<std::string> default_webhook_events() {
  auto types = webhook_event_types();
  std::erase(types, "budget.debited");
  std::erase(types, "agent.run.completed");
  return types;
}

std::string webhook_body(const std::string& event_type, const std::string& event_id, core::Time at,
                         const core::Json& data) {
  return core::dump_json({{"event_type", event_type},
                          {"event_id", event_id},
                          {"api_version", "2026-04-11"},
                          {"created_at", core::format_time(at)},
                          {"data", data}});
}

core::Json to_json(const WebhookEndpoint& endpoint) {
  return {{"id", endpoint.id.str()},
          {"platform_id", endpoint.platform_id.str()},
          {"url", endpoint.url},
          {"description", endpoint.description},
          {"events", endpoint.events},
          {"is_active", endpoint.is_active},
          {"disabled_reason", value_or_null(endpoint.disabled_reason)},
          {"failing_since", time_or_null(endpoint.failing_since)},
          {"previous_secret_until", time_or_null(endpoint.previous_until)},
          {"created_at", core::format_time(endpoint.created_at)},
          {"updated_at", core::format_time(endpoint.updated_at)}};
}

core::Json to_json(const WebhookDelivery& delivery) {
  return {{"id", delivery.id.str()},
          {"webhook_id", delivery.endpoint_id.str()},
          {"message_id", delivery.message_id.str()},
          {"event_id", delivery.event_id},
          {"event_type", delivery.event_type},
          {"status", delivery.status},
          {"attempts", delivery.attempts},
          {"next_attempt_at", time_or_null(delivery.next_attempt_at)},
          {"last_status", value_or_null(delivery.last_status)},
          {"last_error", value_or_null(delivery.last_error)},
          {"last_attempt_at", time_or_null(delivery.last_attempt_at)},
          {"finished_at", time_or_null(delivery.finished_at)},
          {"created_at", core::format_time(delivery.created_at)}};
}

}  // namespace assistiv::billing
