#include "api/wire/langgraph.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "api/wire/views.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::api::langgraph {

namespace {

using core::Json;

template <class AnyId>
Json id_or_none(const std::optional<AnyId>& id) {
  return id ? Json(id->str()) : Json(nullptr);
}

constexpr std::int64_t kOffsetMax = 1'000'000;

const Json* member(const Json& body, const char* name) {
  if (!body.is_object()) return nullptr;
  const auto found = body.find(name);
  return found == body.end() || found->is_null() ? nullptr : &*found;
}

int number_of(const Json& body, const char* name, int standard, std::int64_t max) {
  const auto* found = member(body, name);
  if (found == nullptr) return standard;
  if (!found->is_number_integer() || found->get<std::int64_t>() < 0 || found->get<std::int64_t>() > max)
    throw core::bad_request("This must be a whole number from 0 to " + std::to_string(max) + ".",
                            "/" + std::string(name));
  return found->get<int>();
}

Json only(Json view, const std::vector<std::string>& names, std::initializer_list<std::string_view> known) {
  auto out = Json::object();
  for (const auto& name : names) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw core::bad_request("There is no field \"" + name.substr(0, 64) + "\" to select.", "/select");
    const auto found = view.find(name);
    if (found != view.end()) out[name] = std::move(*found);
  }
  return out;
}

}  // namespace

Json assistant_view(const agents::Assistant& assistant) {
  return {{"assistant_id", assistant.id.str()},
          {"graph_id", assistant.graph_id},
          {"name", assistant.name},
          {"description", assistant.description ? Json(*assistant.description) : Json(nullptr)},
          {"config", assistant.config},
          {"context", assistant.context},
          {"metadata", assistant.metadata},
          {"version", assistant.version},
          {"created_at", core::format_time(assistant.created_at)},
          {"updated_at", core::format_time(assistant.updated_at)}};
}

Json thread_view(const agents::Thread& thread) {
  Json out = {{"thread_id", thread.id.str()},
              {"created_at", core::format_time(thread.created_at)},
              {"updated_at", core::format_time(thread.updated_at)},
              {"state_updated_at", time_or_null(thread.state_updated_at)},
              {"metadata", thread.metadata},
              {"config", thread.config},
              {"status", thread.status},
              {"values", thread.values},
              {"interrupts", thread.interrupts.is_object() ? thread.interrupts : Json::object()},
              {"error", thread.error}};
  if (thread.ttl) out["ttl"] = {{"ttl", thread.ttl->minutes}, {"strategy", thread.ttl->strategy}};
  return out;
}

Json run_view(const agents::Run& run) {
  return {{"run_id", run.id.str()},
          {"thread_id", run.thread.str()},
          {"assistant_id", run.assistant.str()},
          {"created_at", core::format_time(run.created_at)},
          {"updated_at", core::format_time(run.updated_at)},
          {"status", run.status},
          {"metadata", run.metadata},
          {"kwargs", run.kwargs},
          {"multitask_strategy", run.multitask_strategy}};
}

Json cron_view(const agents::Cron& cron) {
  return {{"cron_id", cron.id.str()},
          {"assistant_id", cron.assistant.str()},
          {"thread_id", id_or_none(cron.thread)},
          {"user_id", id_or_none(cron.end_user)},
          {"schedule", cron.schedule},
          {"timezone", cron.zone},
          {"end_time", time_or_null(cron.end_time)},
          {"enabled", cron.is_enabled},
          {"on_run_completed", cron.keep_thread ? "keep" : "delete"},
          {"next_run_date", time_or_null(cron.next_run_at)},
          {"payload", cron.payload},
          {"metadata", cron.metadata},
          {"last_error", cron.last_error ? Json(*cron.last_error) : Json(nullptr)},
          {"created_at", core::format_time(cron.created_at)},
          {"updated_at", core::format_time(cron.updated_at)}};
}

Json item_view(const agents::Item& item) {
  return {{"namespace", item.space},
          {"key", item.key},
          {"value", item.value},
          {"created_at", core::format_time(item.created_at)},
          {"updated_at", core::format_time(item.updated_at)}};
}

Json open_interrupts(const Json& by_task) {
  Json out = Json::array();
  if (!by_task.is_object()) return out;
  for (const auto& [task, list] : by_task.items())
    for (const auto& one : list) out.push_back(one);
  return out;
}

Json selected(Json view, const Json& body, std::initializer_list<std::string_view> known) {
  const auto* list = member(body, "select");
  if (list == nullptr) return view;
  if (!list->is_array()) throw core::bad_request("This must be a list of names of fields.", "/select");
  std::vector<std::string> names;
  for (const auto& name : *list) {
    if (!name.is_string()) throw core::bad_request("This must be a list of names of fields.", "/select");
    names.push_back(name.get<std::string>());
  }
  return only(std::move(view), names, known);
}

Json selected_by(Json view, const std::string& list, std::initializer_list<std::string_view> known) {
  if (list.empty()) return view;
  if (list.front() == '[') return selected(std::move(view), {{"select", core::parse_json(list)}}, known);
  std::vector<std::string> names;
  for (std::size_t at = 0; at <= list.size();) {
    const auto end = std::min(list.find(',', at), list.size());
    names.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return only(std::move(view), names, known);
}

int limit_of(const Json& body, int standard) {
  return number_of(body, "limit", standard, kLimitMax);
}

int offset_of(const Json& body) {
  return number_of(body, "offset", 0, kOffsetMax);
}

Json object_of(const Json& body, const char* name) {
  const auto* found = member(body, name);
  if (found == nullptr) return Json::object();
  if (!found->is_object()) throw core::bad_request("This must be an object.", "/" + std::string(name));
  return *found;
}

std::optional<std::string> text_of(const Json& body, const char* name) {
  const auto* found = member(body, name);
  if (found == nullptr) return {};
  if (!found->is_string()) throw core::bad_request("This must be text.", "/" + std::string(name));
  return found->get<std::string>();
}

agents::Namespace labels_of(const Json& body, const char* name) {
  agents::Namespace out;
  if (!body.contains(name) || body[name].is_null()) return out;
  for (const auto& label : body[name]) out.push_back(label.get<std::string>());
  return out;
}

agents::NamespaceSearch namespace_search_of(const Json& body) {
  agents::NamespaceSearch out;
  out.prefix = labels_of(body, "prefix");
  out.suffix = labels_of(body, "suffix");
  if (body.contains("max_depth") && !body["max_depth"].is_null())
    out.max_depth = body["max_depth"].get<int>();
  out.limit = limit_of(body, 100);
  out.offset = offset_of(body);
  return out;
}

bool flag_of(const Json& body, const char* name, bool standard) {
  const auto* found = member(body, name);
  if (found == nullptr) return standard;
  if (!found->is_boolean()) throw core::bad_request("This must be true or false.", "/" + std::string(name));
  return found->get<bool>();
}

bool query_flag(const Call& call, const char* name) {
  const auto text = call.query_or(name, "");
  return text == "1" || text == "true" || text == "True";
}

int query_number(const Call& call, const char* name, int standard, int max) {
  const auto text = call.query_or(name, "");
  if (text.empty()) return standard;
  int out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || out < 0 || out > max)
    throw core::bad_request("This must be a whole number from 0 to " + std::to_string(max) + ".", name);
  return out;
}

bool wants_minimal(const Call& call) {
  return call.request.headers.get("prefer").value_or("").find("return=minimal") != std::string_view::npos;
}

core::HttpReply plain(const Json& body, int status) {
  return core::json_reply(status, core::dump_json(body));
}

core::HttpReply items_reply(Json rows, int offset, bool more) {
  const auto next = static_cast<std::size_t>(offset) + rows.size();
  auto out = plain({{"items", std::move(rows)}});
  if (more) out.headers.set("x-pagination-next", std::to_string(next));
  return out;
}

core::HttpReply states_reply(const Json& rows, const agents::StatePage& page) {
  auto out = plain(rows);
  if (!page.more) return out;
  const auto& checkpoint = page.states.back().at("checkpoint");
  out.headers.set("x-pagination-next", checkpoint.at("checkpoint_id").get<std::string>());
  return out;
}

core::HttpReply page_of(const Json& rows, int offset, std::int64_t total) {
  auto out = plain(rows);
  out.headers.set("x-pagination-total", std::to_string(total));
  const auto next = offset + static_cast<std::int64_t>(rows.size());
  if (next < total && !rows.empty()) out.headers.set("x-pagination-next", std::to_string(next));
  return out;
}

}  // namespace assistiv::api::langgraph
