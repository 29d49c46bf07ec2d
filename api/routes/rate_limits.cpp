#include "billing/rate_limit.h"

#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "core/json_read.h"
#include "oauth/identity/identity_service.h"

namespace assistiv::api {

namespace {

using billing::RateLimits;

constexpr std::int64_t kRateLimitMax = 1'000'000'000'000;

RateLimits read_rate_limits(const core::Json& object, const std::string& path) {
  const core::JsonReader reader(object, path);
  return {reader.optional_integer("rpm_limit", 0, kRateLimitMax),
          reader.optional_integer("tpm_limit", 0, kRateLimitMax),
          reader.optional_integer("rpd_limit", 0, kRateLimitMax),
          reader.optional_integer("concurrency_limit", 0, kRateLimitMax)};
}

core::Json rate_number(const std::optional<std::int64_t>& value) {
  return value ? core::Json(*value) : core::Json();
}

core::Json rate_limits_json(const RateLimits& limits) {
  return {{"rpm_limit", rate_number(limits.rpm)},
          {"tpm_limit", rate_number(limits.tpm)},
          {"rpd_limit", rate_number(limits.rpd)},
          {"concurrency_limit", rate_number(limits.concurrency)}};
}

core::Json rate_view_json(const billing::RateView& view) {
  core::Json out = rate_limits_json(view.limits);
  out["resolution"] = to_string(view.resolution);
  core::Json windows = core::Json::array();
  for (const auto& use : view.uses) {
    windows.push_back({{"of", use.of_platform ? "platform" : "end_user"},
                       {"dimension", to_string(use.dimension)},
                       {"limit", use.limit},
                       {"remaining", use.remaining},
                       {"reset_ms", use.reset.count()}});
  }
  out["windows"] = std::move(windows);
  return out;
}

core::Json platform_rates_json(const billing::PlatformRateLimits& limits) {
  return {{"platform", rate_limits_json(limits.platform)},
          {"default", limits.has_default ? rate_limits_json(limits.end_user_default) : core::Json()}};
}

core::Task<core::HttpReply> get_platform_rates(Services* s, Call call) {
  co_await s->identity.get_platform(call.platform_id());
  co_return data_reply(200, platform_rates_json(co_await s->rates->platform_limits(call.platform_id())));
}

core::Task<core::HttpReply> put_platform_rates(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  billing::PlatformRateLimits limits;
  if (const auto* platform = body.object("platform")) {
    limits.platform = read_rate_limits(*platform, "/platform");
  }
  if (const auto* standard = body.object("default")) {
    limits.end_user_default = read_rate_limits(*standard, "/default");
    limits.has_default = true;
  }
  const auto view = platform_rates_json(limits);
  co_await s->identity.get_platform(call.platform_id());
  co_await s->rates->set_platform_limits(
      call.platform_id(), limits,
      oauth::audit_event(audit_context(call), "rate_limits.updated", {}, call.platform_id().str(), view));
  co_return data_reply(200, view);
}

core::Task<core::HttpReply> get_user_rates(Services* s, Call call) {
  const auto platform = call.platform_id();
  const auto user = end_user_param(call);
  co_await s->identity.get_end_user(platform, user);
  co_return data_reply(200, rate_view_json(co_await s->rates->view({platform, user})));
}

core::Task<core::HttpReply> put_user_rates(Services* s, Call call) {
  const auto platform = call.platform_id();
  const auto user = end_user_param(call);
  const auto limits = read_rate_limits(*call.body, "");
  co_await s->identity.get_end_user(platform, user);
  co_await s->rates->set_override(platform, user, limits,
                                  oauth::audit_event(audit_context(call), "rate_limits.updated", user,
                                                     user.str(), rate_limits_json(limits)));
  co_return data_reply(200, rate_view_json(co_await s->rates->view({platform, user})));
}

core::Task<core::HttpReply> delete_user_rates(Services* s, Call call) {
  const auto platform = call.platform_id();
  const auto user = end_user_param(call);
  co_await s->identity.get_end_user(platform, user);
  co_await s->rates->clear_override(
      platform, user,
      oauth::audit_event(audit_context(call), "rate_limits.cleared", user, user.str(), core::Json::object()));
  co_return no_content();
}

core::Task<core::HttpReply> get_my_rates(Services* s, Call call) {
  co_return data_reply(
      200,
      rate_view_json(co_await s->rates->view({call.principal->platform_id, call.principal->end_user_id})));
}

void add_end_user_rate_routes(RouteTable& table, Services& services) {
  const std::string one = "/v1/platforms/{platform_id}/end-users/{end_user_id}/rate-limits";
  table.push_back({.method = "GET",
                   .path = one,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "getEndUserRateLimits",
                   .tag = "Rate limits",
                   .summary = "What an end user is limited to, where that comes from, and what is left.",
                   .reply_schema = "RateLimitView",
                   .handle = with_services(services, get_user_rates)});
  table.push_back({.method = "PUT",
                   .path = one,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "putEndUserRateLimits",
                   .tag = "Rate limits",
                   .summary = "Give an end user limits of its own; what is left out is unlimited.",
                   .body_schema = "RateLimits",
                   .reply_schema = "RateLimitView",
                   .handle = with_services(services, put_user_rates)});
  table.push_back({.method = "DELETE",
                   .path = one,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "deleteEndUserRateLimits",
                   .tag = "Rate limits",
                   .summary = "Take an end user's own limits away: the platform's default holds again.",
                   .success = 204,
                   .handle = with_services(services, delete_user_rates)});
}

}  // namespace

void add_rate_limit_routes(RouteTable& table, Services& services) {
  const std::string platform = "/v1/platforms/{platform_id}/rate-limits";
  table.push_back({.method = "GET",
                   .path = platform,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "getPlatformRateLimits",
                   .tag = "Rate limits",
                   .summary = "The limits of the platform as a whole, and of each end user without own ones.",
                   .reply_schema = "PlatformRateLimits",
                   .handle = with_services(services, get_platform_rates)});
  table.push_back({.method = "PUT",
                   .path = platform,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "putPlatformRateLimits",
                   .tag = "Rate limits",
                   .summary = "Replace both; a part that is left out is taken away.",
                   .body_schema = "PlatformRateLimits",
                   .reply_schema = "PlatformRateLimits",
                   .handle = with_services(services, put_platform_rates)});
  add_end_user_rate_routes(table, services);
  table.push_back({.method = "GET",
                   .path = "/v1/me/rate-limits",
                   .access = Access::EndUser,
                   .scope = "inference",
                   .operation_id = "getMyRateLimits",
                   .tag = "Me",
                   .summary = "What the end user is limited to, where that comes from, and what is left.",
                   .reply_schema = "RateLimitView",
                   .handle = with_services(services, get_my_rates)});
}

}  // namespace assistiv::api
