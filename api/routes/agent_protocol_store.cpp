// The store of the Agent Protocol: the same items as the LangGraph Server API's.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/store/item_store.h"
#include "api/agent_gateway.h"
#include "api/routes/agent_caller.h"
#include "api/routes/agent_protocol.h"
#include "api/wire/langgraph.h"
#include "core/error.h"

namespace assistiv::api {

namespace {

using core::Json;
using langgraph::plain;

core::Task<core::HttpReply> put_protocol_item(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  agents::NewItem item;
  item.space = langgraph::labels_of(*call.body, "namespace");
  item.key = call.body->at("key").get<std::string>();
  item.value = call.body->at("value");
  co_await s->agent_gateway->items.put(caller.reach, std::move(item));
  co_return no_content();
}

core::Task<core::HttpReply> get_protocol_item(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  agents::Namespace space;
  const auto labels = call.query_or("namespace", "");  // repeated: with commas between them
  for (std::size_t at = 0; !labels.empty() && at <= labels.size();) {
    const auto end = std::min(labels.find(',', at), labels.size());
    space.push_back(labels.substr(at, end - at));
    at = end + 1;
  }
  const auto key = call.query_or("key", "");
  if (key.empty()) throw core::bad_request("Say the item's key.", "key");
  const auto item = co_await s->agent_gateway->items.get(caller.reach, std::move(space), key, true);
  if (!item) throw core::not_found("There is no such item.");
  co_return plain(langgraph::item_view(*item));
}

core::Task<core::HttpReply> delete_protocol_item(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  co_await s->agent_gateway->items.remove(caller.reach, langgraph::labels_of(*call.body, "namespace"),
                                          call.body->at("key").get<std::string>());
  co_return no_content();
}

core::Task<core::HttpReply> search_protocol_items(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  agents::ItemSearch query;
  query.prefix = langgraph::labels_of(*call.body, "namespace_prefix");
  query.filter = langgraph::object_of(*call.body, "filter");
  query.limit = langgraph::limit_of(*call.body);
  query.offset = langgraph::offset_of(*call.body);
  const auto offset = query.offset;
  const auto page = co_await s->agent_gateway->items.search(caller.reach, std::move(query));
  Json rows = Json::array();
  for (const auto& item : page.items) rows.push_back(langgraph::item_view(item));
  co_return langgraph::items_reply(std::move(rows), offset, page.more);
}

core::Task<core::HttpReply> list_protocol_namespaces(Services* s, Call call) {
  const auto caller = co_await run_caller(*s, call);
  auto query = langgraph::namespace_search_of(*call.body);
  co_return plain(Json(co_await s->agent_gateway->items.namespaces(caller.reach, std::move(query))));
}

}  // namespace

void add_agent_protocol_store_routes(RouteTable& table, Services& services) {
  const auto add = [&](const char* method, const char* path, const char* operation, const char* summary,
                       const char* body, const char* reply, ServiceHandler handler) {
    auto route = agent_protocol::route(method, path, operation, summary);
    route.body_schema = body;
    route.reply_schema = reply;
    if (route.reply_schema.empty()) route.success = 204;
    if (route.method == "GET")
      route.query = {{"namespace", "Its labels.", {}, true}, {"key", "The item's key.", {}}};
    route.handle = with_services(services, handler);
    table.push_back(std::move(route));
  };
  add("PUT", "/store/items", "putProtocolItem", "Keep an item, in place of the one that is there.",
      "StoreItemPut", "", put_protocol_item);
  add("GET", "/store/items", "getProtocolItem", "An item.", "", "StoreItem", get_protocol_item);
  add("DELETE", "/store/items", "deleteProtocolItem", "Delete an item.", "StoreItemKey", "",
      delete_protocol_item);
  add("POST", "/store/items/search", "searchProtocolItems", "Items below a namespace, by their members.",
      "StoreSearch", "StoreItems", search_protocol_items);
  add("POST", "/store/namespaces", "listProtocolNamespaces", "Namespaces that have items.",
      "StoreNamespacesQuery", "ProtocolNamespaces", list_protocol_namespaces);
}

}  // namespace assistiv::api
