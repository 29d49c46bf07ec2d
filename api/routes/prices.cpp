#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "billing/price_book.h"
#include "billing/price_import.h"
#include "billing/price_text.h"
#include "core/json_read.h"

namespace assistiv::api {

namespace {

core::Json price_json(const billing::Price& price) {
  return {{"id", price.id},
          {"provider", price.provider},
          {"model", price.model},
          {"valid_from", core::format_time(price.valid_from)},
          {"rates", billing::rates_json(price.base)},
          {"tiers", billing::tiers_json(price.tiers)},
          {"source", price.source}};
}

core::Json changes_json(const billing::PriceChanges& changes) {
  return {{"added", changes.added},
          {"superseded", changes.superseded},
          {"unchanged", changes.unchanged},
          {"kept", changes.kept}};
}

core::Task<core::HttpReply> list_prices(Services* s, Call call) {
  billing::PriceFilter filter;
  if (call.query.contains("provider")) filter.provider = call.query.at("provider");
  if (call.query.contains("model")) filter.model = call.query.at("model");
  if (call.query.contains("source")) filter.source = call.query.at("source");
  filter.page = call.page();
  filter.limit = call.limit();
  const auto page = co_await s->prices->list(std::move(filter));
  core::Json rows = core::Json::array();
  for (const auto& price : page.prices) rows.push_back(price_json(price));
  co_return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> put_prices(Services* s, Call call) {
  auto prices = billing::parse_prices(call.body->at("prices"), "/prices");
  co_return data_reply(200, changes_json(co_await s->prices->put("admin", std::move(prices))));
}

core::Task<core::HttpReply> import_prices(Services* s, Call call) {
  // The pipeline's copy of the body holds doubles: the prices are read from the text again.
  const core::Json exact = billing::parse_catalogue(call.request.body);
  const auto format = billing::parse_catalogue_format(call.body->at("format").get<std::string>());
  auto imported = billing::import_prices(format.value(), exact.at("catalogue"));
  const auto changes =
      co_await s->prices->put(std::string(billing::to_string(*format)), std::move(imported.prices));
  core::Json view = changes_json(changes);
  core::Json faults = core::Json::array();
  for (const auto& fault : imported.faults) {
    faults.push_back({{"row", fault.row}, {"message", fault.message}});
  }
  view["faults_total"] = imported.faults_total;
  view["faults"] = std::move(faults);
  co_return data_reply(200, view);
}

}  // namespace

void add_price_routes(RouteTable& table, Services& services) {
  const std::string base = "/v1/admin/prices";
  table.push_back({.method = "GET",
                   .path = base,
                   .access = Access::Operator,
                   .scope = "",
                   .operation_id = "listPrices",
                   .tag = "Prices",
                   .summary = "The prices in force, by provider and model.",
                   .query = {{"provider", "Only this provider.", {}},
                             {"model", "Only this model, as it stands in the price.", {}},
                             {"source", "Only prices of this source, e.g. admin.", {}}},
                   .paginated = true,
                   .reply_schema = "Price",
                   .handle = with_services(services, list_prices)});
  table.push_back({.method = "PUT",
                   .path = base,
                   .access = Access::Operator,
                   .scope = "",
                   .operation_id = "putPrices",
                   .tag = "Prices",
                   .summary = "Set prices by hand; they stand against imports.",
                   .body_schema = "PricesPut",
                   .reply_schema = "PriceChanges",
                   .handle = with_services(services, put_prices)});
  table.push_back({.method = "POST",
                   .path = base + "/import",
                   .access = Access::Operator,
                   .scope = "",
                   .operation_id = "importPrices",
                   .tag = "Prices",
                   .summary = "Take the prices of a catalogue over; rows that cannot be read are named.",
                   .body_schema = "PricesImport",
                   .reply_schema = "PriceImportReport",
                   .handle = with_services(services, import_prices)});
}

}  // namespace assistiv::api
