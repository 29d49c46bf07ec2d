#include "billing/usage_report.h"

#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "oauth/identity/identity_service.h"

namespace assistiv::api {

namespace {

using billing::UsageGrouping;

std::optional<std::string> usage_text(const Call& call, const std::string& name) {
  const auto it = call.query.find(name);
  return it == call.query.end() ? std::nullopt : std::optional(it->second);
}

// A time, or a day, which begins at midnight UTC.
std::optional<core::Time> usage_time(const Call& call, const std::string& name) {
  const auto text = usage_text(call, name);
  if (!text) return {};
  const auto time = core::parse_time(text->size() == 10 ? *text + "T00:00:00Z" : *text);
  if (!time) {
    throw core::bad_request("\"" + name + "\" is a day (2026-11-21) or a time (RFC 3339).", name);
  }
  return time;
}

billing::UsageFilter usage_filter(const Call& call) {
  billing::UsageFilter out;
  out.from = usage_time(call, "from");
  out.to = usage_time(call, "to");
  out.model = usage_text(call, "model");
  out.provider = usage_text(call, "provider");
  out.tag = usage_text(call, "tag");
  out.request_id = usage_text(call, "request_id");
  out.run_id = usage_text(call, "run_id");
  if (const auto id = usage_text(call, "end_user_id")) {
    out.end_user_id = core::EndUserId::parse(*id);
    if (!out.end_user_id) throw core::bad_request("\"end_user_id\" must be an id.", "end_user_id");
  }
  return out;
}

// The platform in the path, or else the one of the key.
core::PlatformId usage_platform(const Call& call) {
  if (call.params.contains("platform_id")) return call.platform_id();
  if (call.principal->kind == oauth::PrincipalKind::EndUser) {
    throw core::forbidden("This route needs a platform (sk-plat_) key; see /v1/me/usage.");
  }
  if (call.principal->kind == oauth::PrincipalKind::Operator) {
    throw core::bad_request("An operator names the platform: /v1/platforms/{platform_id}/usage.");
  }
  return call.principal->platform_id;
}

core::Task<core::HttpReply> usage_rows(Services* s, Call call) {
  const auto platform = usage_platform(call);
  co_await s->identity.get_platform(platform);
  const auto filter = usage_filter(call);
  // Wrong paging is a fault of the request in either form.
  const int page = call.page(), limit = call.limit();
  if (call.query_or("format", "json") == "csv") co_return s->usage->csv(platform, filter);
  const auto found = co_await s->usage->list(platform, filter, page, limit);
  core::Json rows = core::Json::array();
  for (const auto& entry : found.rows) rows.push_back(billing::usage_json(entry));
  co_return list_reply(rows, found.total, call);
}

core::Task<core::HttpReply> usage_sums(Services* s, Call call, UsageGrouping grouping) {
  const auto platform = usage_platform(call);
  co_await s->identity.get_platform(platform);
  const auto found =
      co_await s->usage->sums(platform, usage_filter(call), grouping, call.page(), call.limit());
  core::Json rows = core::Json::array();
  for (const auto& sum : found.rows) rows.push_back(billing::usage_sum_json(sum, grouping));
  co_return list_reply(rows, found.total, call);
}

core::Task<core::HttpReply> usage_by_tag(Services* s, Call call) {
  return usage_sums(s, std::move(call), UsageGrouping::Tag);
}
core::Task<core::HttpReply> usage_by_model(Services* s, Call call) {
  return usage_sums(s, std::move(call), UsageGrouping::Model);
}
core::Task<core::HttpReply> usage_by_end_user(Services* s, Call call) {
  return usage_sums(s, std::move(call), UsageGrouping::EndUser);
}
core::Task<core::HttpReply> usage_by_day(Services* s, Call call) {
  return usage_sums(s, std::move(call), UsageGrouping::Day);
}

core::Task<core::HttpReply> my_usage(Services* s, Call call) {
  auto filter = usage_filter(call);
  filter.end_user_id = call.principal->end_user_id;
  const auto found = co_await s->usage->list(call.principal->platform_id, filter, call.page(), call.limit());
  core::Json rows = core::Json::array();
  for (const auto& entry : found.rows) rows.push_back(billing::usage_json(entry));
  co_return list_reply(rows, found.total, call);
}

std::vector<QueryParam> usage_query(bool of_platform) {
  std::vector<QueryParam> out = {{"from", "Calls from this day or time on (UTC).", {}},
                                 {"to", "Calls before this day or time (UTC).", {}},
                                 {"model", "Only this model, as asked for or as the provider names it.", {}},
                                 {"provider", "Only this provider.", {}},
                                 {"tag", "Only this tag (x-aig-tag).", {}},
                                 {"request_id", "Only this request.", {}},
                                 {"run_id", "Only this run of an agent.", {}}};
  if (of_platform) out.push_back({"end_user_id", "Only this end user.", {}});
  return out;
}

struct UsageRoute {
  std::string path, operation, summary;
  ServiceHandler handle;
};

// Each once for the key's own platform and once for the platform in the path.
void add_both(RouteTable& table, Services& services, const UsageRoute& what) {
  auto query = usage_query(true);
  const bool rows = what.path.empty();
  if (rows) query.push_back({"format", "csv streams every call instead of a page.", {"json", "csv"}});
  for (const bool in_path : {true, false}) {
    table.push_back({.method = "GET",
                     .path = (in_path ? "/v1/platforms/{platform_id}/usage" : "/v1/usage") + what.path,
                     .access = in_path ? Access::Platform : Access::AnyKey,
                     .scope = "management",
                     .operation_id = (in_path ? "listPlatform" : "list") + what.operation,
                     .tag = "Usage",
                     .summary = what.summary,
                     .query = query,
                     .paginated = true,
                     .reply_schema = rows ? "UsageRow" : "UsageSum",
                     .also_type = rows ? "text/csv" : "",
                     .handle = with_services(services, what.handle)});
  }
}

}  // namespace

void add_usage_routes(RouteTable& table, Services& services) {
  add_both(table, services,
           {"", "Usage", "The upstream calls, newest first; one row per attempt.", usage_rows});
  add_both(table, services, {"/by-tag", "UsageByTag", "Usage summed by tag, dearest first.", usage_by_tag});
  add_both(table, services,
           {"/by-model", "UsageByModel", "Usage summed by model, dearest first.", usage_by_model});
  add_both(table, services,
           {"/by-end-user", "UsageByEndUser", "Usage summed by end user, dearest first.", usage_by_end_user});
  add_both(table, services,
           {"/by-day", "UsageByDay", "Usage summed by day (UTC), latest first.", usage_by_day});
  table.push_back({.method = "GET",
                   .path = "/v1/me/usage",
                   .access = Access::EndUser,
                   .scope = "inference",
                   .operation_id = "listMyUsage",
                   .tag = "Me",
                   .summary = "The end user's own calls, newest first.",
                   .query = usage_query(false),
                   .paginated = true,
                   .reply_schema = "UsageRow",
                   .handle = with_services(services, my_usage)});
}

}  // namespace assistiv::api
