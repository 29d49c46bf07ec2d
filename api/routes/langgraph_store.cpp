// Items of the LangGraph Server API (agents/store/item_store.h), and what a client asks of the server itself.
#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/store/item_store.h"
#include "api/routes/langgraph.h"
#include "api/version.h"
#include "api/wire/langgraph.h"
#include "core/error.h"
#include "storage/database.h"

namespace assistiv::api {

namespace {

using core::Json;
using langgraph::plain;

constexpr int kItemTtlMax = 10 * 366 * 24 * 60;  // minutes

// As the client joins them.
agents::Namespace split_labels(const std::string& text) {
  agents::Namespace out;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find('.', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

core::Task<core::HttpReply> put_item(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto& body = *call.body;
  agents::NewItem item;
  item.space = langgraph::labels_of(body, "namespace");
  item.key = body.at("key").get<std::string>();
  item.value = body.at("value");
  if (body.contains("ttl") && !body["ttl"].is_null()) {
    const auto minutes = body["ttl"].get<double>();
    if (minutes < 1 || minutes > kItemTtlMax)
      throw core::bad_request("An item's TTL is 1 to " + std::to_string(kItemTtlMax) + " minutes.", "/ttl");
    item.ttl_minutes = static_cast<int>(minutes);
  }
  co_await s->agent_gateway->items.put(caller.reach, std::move(item));
  co_return no_content();
}

core::Task<core::HttpReply> get_item(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto space = call.query_or("namespace", "");
  const auto key = call.query_or("key", "");
  if (space.empty()) throw core::bad_request("Say the namespace, its labels joined by \".\".", "namespace");
  if (key.empty()) throw core::bad_request("Say the item's key.", "key");
  const bool refresh = call.query_or("refresh_ttl", "true") != "false";
  const auto item = co_await s->agent_gateway->items.get(caller.reach, split_labels(space), key, refresh);
  co_return plain(item ? langgraph::item_view(*item) : Json(nullptr));
}

core::Task<core::HttpReply> delete_item(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  co_await s->agent_gateway->items.remove(caller.reach, langgraph::labels_of(*call.body, "namespace"),
                                          call.body->at("key").get<std::string>());
  co_return no_content();
}

core::Task<core::HttpReply> search_items(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  const auto& body = *call.body;
  if (!langgraph::text_of(body, "query").value_or("").empty())
    throw core::bad_request("Items are found by namespace and filter, not by meaning: leave \"query\" out.",
                            "/query");
  agents::ItemSearch query;
  query.prefix = langgraph::labels_of(body, "namespace_prefix");
  query.filter = langgraph::object_of(body, "filter");
  query.limit = langgraph::limit_of(body);
  query.offset = langgraph::offset_of(body);
  query.refresh_ttl = langgraph::flag_of(body, "refresh_ttl", true);
  const auto offset = query.offset;
  const auto page = co_await s->agent_gateway->items.search(caller.reach, std::move(query));
  Json rows = Json::array();
  for (const auto& item : page.items) {
    rows.push_back(langgraph::item_view(item));
    rows.back()["score"] = nullptr;
  }
  co_return langgraph::items_reply(std::move(rows), offset, page.more);
}

core::Task<core::HttpReply> list_namespaces(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  auto query = langgraph::namespace_search_of(*call.body);
  co_return plain(
      {{"namespaces", co_await s->agent_gateway->items.namespaces(caller.reach, std::move(query))}});
}

core::Task<core::HttpReply> get_info(Services*, Call) {
  co_return plain(
      {{"version", kVersion}, {"flags", {{"assistants", true}, {"crons", true}, {"langsmith", false}}}});
}

core::Task<core::HttpReply> get_ok(Services* s, Call call) {
  if (langgraph::query_flag(call, "check_db") && !co_await s->database.ready(std::chrono::seconds(2)))
    throw core::Error(core::ErrorKind::Unavailable, "The database does not answer.");
  co_return plain({{"ok", true}});
}

Route item_route(std::string method, const std::string& path, std::string operation, std::string summary,
                 std::string body, std::string reply) {
  auto out = langgraph::route(std::move(method), "/store" + path, std::move(operation), std::move(summary));
  out.body_schema = std::move(body);
  out.reply_schema = std::move(reply);
  if (out.reply_schema.empty()) out.success = 204;
  return out;
}

Route open_route(const std::string& path, std::string operation, std::string summary, std::string reply) {
  auto out = langgraph::route("GET", path, std::move(operation), std::move(summary));
  out.access = Access::Public;
  out.scope.clear();
  out.reply_schema = std::move(reply);
  return out;
}

}  // namespace

void add_langgraph_store_routes(RouteTable& table, Services& services) {
  using langgraph::push;
  push(table, services,
       item_route("PUT", "/items", "putStoreItem", "Keep an item, in place of the one that is there.",
                  "StoreItemPut", ""),
       put_item);
  auto get = item_route("GET", "/items", "getStoreItem", "An item, or null.", "", "StoreItemOrNull");
  get.query = {{"namespace", "Its labels joined by \".\".", {}},
               {"key", "The item's key.", {}},
               {"refresh_ttl", "false: its time to live goes on.", {}}};
  push(table, services, std::move(get), get_item);
  push(table, services,
       item_route("DELETE", "/items", "deleteStoreItem", "Delete an item.", "StoreItemKey", ""), delete_item);
  push(table, services,
       item_route("POST", "/items/search", "searchStoreItems", "Items below a namespace, by their members.",
                  "StoreSearch", "StoreItems"),
       search_items);
  push(table, services,
       item_route("POST", "/namespaces", "listStoreNamespaces", "Namespaces that have items.",
                  "StoreNamespacesQuery", "StoreNamespaces"),
       list_namespaces);
  push(table, services, open_route("/info", "getAgentServerInfo", "What this server has.", "AgentServerInfo"),
       get_info);
  auto ok = open_route("/ok", "getAgentServerOk", "Whether it answers.", "AgentServerOk");
  ok.query = {{"check_db", "1: the database, too.", {}}};
  push(table, services, std::move(ok), get_ok);
}

}  // namespace assistiv::api
