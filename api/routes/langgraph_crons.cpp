// Schedules of the LangGraph Server API (agents/store/cron_store.h).
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "agents/service/assistant_service.h"
#include "agents/store/cron_store.h"
#include "api/routes/langgraph.h"
#include "api/wire/langgraph.h"
#include "billing/webhook_service.h"
#include "core/clock.h"
#include "core/error.h"

namespace assistiv::api {

namespace {

using core::Json;
using langgraph::plain;

constexpr std::int64_t kEndUserCronsMax = 100;
constexpr std::int64_t kPlatformCronsMax = 10'000;
constexpr std::initializer_list<std::string_view> kCronFields = {
    "cron_id",  "assistant_id", "thread_id",  "user_id",          "schedule",
    "timezone", "end_time",     "enabled",    "on_run_completed", "next_run_date",
    "payload",  "metadata",     "created_at", "updated_at",       "last_error"};
// What belongs to the schedule; the rest of a body is the run's.
constexpr std::string_view kOwnMembers[] = {"schedule", "timezone", "end_time", "enabled",
                                            "on_run_completed"};

agents::CronId cron_param(const Call& call) {
  return call.id<agents::CronId>("cron_id", "schedule");
}

std::optional<core::Time> end_time_of(const Json& body) {
  const auto text = langgraph::text_of(body, "end_time");
  if (!text) return {};
  const auto time = core::parse_time(*text);
  if (!time) throw core::bad_request("This must be a time in ISO 8601.", "/end_time");
  return time;
}

// Laid over the members of `onto`.
Json payload_of(const Json& body, Json onto) {
  onto.update(body);
  for (const auto member : kOwnMembers) onto.erase(std::string(member));
  return onto;
}

// The same check as of a run's, so that it is not first told when nobody looks.
core::Task<> check_webhook(Services* s, core::PlatformId platform, std::optional<std::string> url) {
  if (url) co_await s->webhooks->require_endpoint(platform, std::move(*url), "webhook");
}

core::Task<> check_cron_room(agents::CronStore* crons, agents::Reach reach) {
  const auto max = reach.end_user ? kEndUserCronsMax : kPlatformCronsMax;
  if (co_await crons->count(reach, {}) >= max)
    throw core::conflict("There are " + std::to_string(max) + " schedules already: delete one first.");
}

core::Task<core::HttpReply> make_cron(Services* s, Call call, std::optional<agents::ThreadId> thread) {
  const auto caller = co_await run_caller(*s, call);
  const auto& body = *call.body;
  const auto assistant =
      co_await s->agent_gateway->assistants.resolve(caller.reach, body.at("assistant_id").get<std::string>());
  co_await check_cron_room(&s->agent_gateway->crons, caller.reach);
  co_await check_webhook(s, caller.reach.platform, langgraph::text_of(body, "webhook"));
  agents::NewCron input;
  input.thread = thread;
  input.assistant = assistant.assistant.id;
  input.schedule = body.at("schedule").get<std::string>();
  input.zone = langgraph::text_of(body, "timezone").value_or("UTC");
  input.metadata = langgraph::object_of(body, "metadata");
  input.is_enabled = langgraph::flag_of(body, "enabled", true);
  input.keep_thread = langgraph::text_of(body, "on_run_completed") == "keep";
  input.end_time = end_time_of(body);
  input.key = caller.principal->key_id;
  input.payload = payload_of(body, Json::object());
  input.payload["assistant_id"] = assistant.assistant.id.str();
  co_return plain(
      langgraph::cron_view(co_await s->agent_gateway->crons.create(caller.reach, std::move(input))));
}

core::Task<core::HttpReply> create_cron(Services* s, Call call) {
  return make_cron(s, std::move(call), {});
}

core::Task<core::HttpReply> create_thread_cron(Services* s, Call call) {
  const auto thread = langgraph::thread_param(call);
  return make_cron(s, std::move(call), thread);
}

agents::CronSearch cron_search_of(const Json& body) {
  agents::CronSearch out;
  if (const auto assistant = langgraph::text_of(body, "assistant_id")) {
    const auto id = core::Uuid::parse(*assistant);
    out.assistant = id ? *id : agents::default_assistant_id(*assistant);
  }
  out.thread = langgraph::id_of<agents::ThreadId>(body, "thread_id", "thread");
  if (body.contains("enabled") && !body["enabled"].is_null())
    out.is_enabled = langgraph::flag_of(body, "enabled");
  out.metadata = langgraph::object_of(body, "metadata");
  out.limit = langgraph::limit_of(body);
  out.offset = langgraph::offset_of(body);
  return out;
}

core::Task<core::HttpReply> search_crons(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto query = cron_search_of(*call.body);
  auto& crons = s->agent_gateway->crons;
  const auto total = co_await crons.count(caller.reach, query);
  Json rows = Json::array();
  for (const auto& cron : co_await crons.search(caller.reach, query))
    rows.push_back(langgraph::selected(langgraph::cron_view(cron), *call.body, kCronFields));
  co_return langgraph::page_of(rows, query.offset, total);
}

core::Task<core::HttpReply> count_crons(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  co_return plain(co_await s->agent_gateway->crons.count(caller.reach, cron_search_of(*call.body)));
}

core::Task<core::HttpReply> update_cron(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  auto& crons = s->agent_gateway->crons;
  const auto& body = *call.body;
  const auto now = co_await crons.get(caller.reach, cron_param(call));
  co_await check_webhook(s, caller.reach.platform, langgraph::text_of(body, "webhook"));
  agents::CronPatch patch;
  patch.schedule = langgraph::text_of(body, "schedule");
  patch.zone = langgraph::text_of(body, "timezone");
  patch.end_time = end_time_of(body);
  if (body.contains("enabled") && !body["enabled"].is_null())
    patch.is_enabled = langgraph::flag_of(body, "enabled");
  if (const auto kept = langgraph::text_of(body, "on_run_completed")) patch.keep_thread = *kept == "keep";
  if (body.contains("metadata") && !body["metadata"].is_null()) {
    patch.metadata = now.metadata;
    patch.metadata->update(langgraph::object_of(body, "metadata"));
  }
  patch.payload = payload_of(body, now.payload);
  (*patch.payload)["assistant_id"] = now.assistant.str();
  co_return plain(langgraph::cron_view(co_await crons.update(caller.reach, now.id, std::move(patch))));
}

core::Task<core::HttpReply> delete_cron(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  co_await s->agent_gateway->crons.remove(caller.reach, cron_param(call));
  co_return no_content();
}

Route cron_route(std::string method, const std::string& path, std::string operation, std::string summary,
                 std::string body, std::string reply = "Cron") {
  auto out = langgraph::route(std::move(method), path, std::move(operation), std::move(summary));
  out.body_schema = std::move(body);
  out.reply_schema = std::move(reply);
  if (out.reply_schema.empty()) out.success = 204;
  return out;
}

}  // namespace

void add_langgraph_cron_routes(RouteTable& table, Services& services) {
  using langgraph::push;
  push(table, services,
       cron_route("POST", "/threads/{thread_id}/runs/crons", "createThreadCron",
                  "Run an assistant on this thread, again and again.", "CronCreate"),
       create_thread_cron);
  push(table, services,
       cron_route("POST", "/runs/crons", "createCron",
                  "Run an assistant again and again, on a thread of its own each time.", "CronCreate"),
       create_cron);
  push(table, services,
       cron_route("POST", "/runs/crons/search", "searchCrons", "Schedules, newest first.", "CronSearch",
                  "Crons"),
       search_crons);
  push(table, services,
       cron_route("POST", "/runs/crons/count", "countCrons", "How many a search finds.", "CronSearch",
                  "Count"),
       count_crons);
  push(table, services,
       cron_route("PATCH", "/runs/crons/{cron_id}", "updateCron", "Change a schedule or its runs.",
                  "CronPatch"),
       update_cron);
  push(table, services,
       cron_route("DELETE", "/runs/crons/{cron_id}", "deleteCron", "Delete a schedule.", "", ""),
       delete_cron);
}

}  // namespace assistiv::api
