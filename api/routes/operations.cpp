#include <nlohmann/json.hpp>

#include "api/config.h"
#include "api/routes/routes.h"
#include "api/version.h"
#include "api/web/pages.h"
#include "core/metrics.h"
#include "storage/database.h"

namespace assistiv::api {

namespace {

core::Task<core::HttpReply> healthz(Services*, Call) {
  co_return core::json_reply(200, R"({"status":"ok"})");
}

// Ready means: a statement went through the database within its time. A full pool or a lost database is a
// 503.
core::Task<core::HttpReply> readyz(Services* s, Call) {
  // The system scope: no tenant's rows are read.
  co_await s->database.run(storage::Scope::system(), [](storage::Transaction& tx) { tx.exec("select 1"); });
  co_return core::json_reply(200, R"({"status":"ready"})");
}

core::Task<core::HttpReply> metrics(Services*, Call) {
  co_return core::text_reply(200, core::metrics::render(), "text/plain; version=0.0.4; charset=utf-8");
}

core::Task<core::HttpReply> version(Services*, Call) {
  co_return data_reply(200, {{"version", kVersion}});
}

core::Task<core::HttpReply> home(Services* s, Call) {
  co_return home_page(s->config.public_url, s->config.mcp_public_url + "/mcp");
}

core::Task<core::HttpReply> style(Services*, Call) {
  co_return asset("style.css", "text/css");
}

core::Task<core::HttpReply> inspect_style(Services*, Call) {
  co_return asset("inspect.css", "text/css");
}

core::Task<core::HttpReply> inspect_script(Services*, Call) {
  co_return asset("inspect.js", "text/javascript");
}

}  // namespace

void add_operations_routes(RouteTable& table, Services& services) {
  table.push_back({.method = "GET",
                   .path = "/healthz",
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = "healthz",
                   .tag = "Operations",
                   .summary = "The process runs.",
                   .reply_schema = "Health",
                   .enveloped = false,
                   .handle = with_services(services, healthz)});
  table.push_back({.method = "GET",
                   .path = "/readyz",
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = "readyz",
                   .tag = "Operations",
                   .summary = "The process can serve: its database answers.",
                   .reply_schema = "Health",
                   .enveloped = false,
                   .handle = with_services(services, readyz)});
  table.push_back({.method = "GET",
                   .path = "/metrics",
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = "metrics",
                   .tag = "Operations",
                   .summary = "Prometheus metrics.",
                   .reply_type = "text/plain",
                   .handle = with_services(services, metrics)});
  table.push_back({.method = "GET",
                   .path = "/v1/version",
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = "version",
                   .tag = "Operations",
                   .summary = "The server's version.",
                   .reply_schema = "Version",
                   .handle = with_services(services, version)});
  table.push_back({.method = "GET",
                   .path = "/",
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = "home",
                   .tag = "Pages",
                   .summary = "A short page for people.",
                   .reply_type = "text/html",
                   .handle = with_services(services, home)});
  table.push_back({.method = "GET",
                   .path = "/assets/style.css",
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = "style",
                   .tag = "Pages",
                   .summary = "The pages' style sheet.",
                   .reply_type = "text/css",
                   .handle = with_services(services, style)});
  table.push_back({.method = "GET",
                   .path = "/assets/inspect.css",
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = "inspectStyle",
                   .tag = "Pages",
                   .summary = "The style sheet of /mcp/inspect.",
                   .reply_type = "text/css",
                   .handle = with_services(services, inspect_style)});
  table.push_back({.method = "GET",
                   .path = "/assets/inspect.js",
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = "inspectScript",
                   .tag = "Pages",
                   .summary = "The script of /mcp/inspect.",
                   .reply_type = "text/javascript",
                   .handle = with_services(services, inspect_script)});
}

}  // namespace assistiv::api
