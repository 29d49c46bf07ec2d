// Apps that platforms bring themselves, and what the operator says to them
// (mcp/connectors/own_app_service.h).
#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "core/json_read.h"
#include "mcp/connectors/own_app_service.h"

namespace assistiv::api {

namespace {

mcp::ManifestFilter manifest_filter(const Call& call) {
  mcp::ManifestFilter out;
  if (call.query.contains("status")) out.status = mcp::parse_manifest_status(call.query.at("status"));
  if (call.query.contains("app")) out.app = call.query.at("app");
  return out;
}

mcp::ManifestId manifest_param(const Call& call) {
  return call.id<mcp::ManifestId>("manifest_id", "manifest");
}

core::HttpReply manifests_reply(const oauth::Page<mcp::OwnManifest>& page, const Call& call) {
  core::Json rows = core::Json::array();
  for (const auto& manifest : page.items) rows.push_back(manifest_view(manifest));
  return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> list_manifests(Services* s, Call call) {
  co_return manifests_reply(
      co_await s->own_apps->list(call.platform_id(), manifest_filter(call), page_request(call)), call);
}

core::Task<core::HttpReply> get_manifest(Services* s, Call call) {
  co_return data_reply(200,
                       manifest_view(co_await s->own_apps->get(call.platform_id(), manifest_param(call))));
}

core::Task<core::HttpReply> delete_own_app(Services* s, Call call) {
  co_await s->own_apps->remove(call.platform_id(), call.params.at("app"), audit_context(call));
  co_return no_content();
}

core::Task<core::HttpReply> list_all_manifests(Services* s, Call call) {
  co_return manifests_reply(co_await s->own_apps->list_all(manifest_filter(call), page_request(call)), call);
}

core::Task<core::HttpReply> get_any_manifest(Services* s, Call call) {
  co_return data_reply(200, manifest_view(co_await s->own_apps->get_any(manifest_param(call))));
}

core::Task<core::HttpReply> approve_manifest(Services* s, Call call) {
  co_return data_reply(
      200, manifest_view(co_await s->own_apps->approve(manifest_param(call), audit_context(call))));
}

core::Task<core::HttpReply> refuse_manifest(Services* s, Call call) {
  auto reason = core::JsonReader(*call.body).string("reason");
  co_return data_reply(200, manifest_view(co_await s->own_apps->refuse(
                                manifest_param(call), std::move(reason), audit_context(call))));
}

const std::vector<QueryParam> kManifestQuery = {
    {"status", "Only manifests of this status.", {"pending", "serving", "refused", "replaced", "withdrawn"}},
    {"app", "Only manifests of this app.", {}}};

void add_admin_manifest_routes(RouteTable& table, Services& services) {
  const std::string base = "/v1/admin/manifests";
  const std::string one = base + "/{manifest_id}";
  table.push_back({.method = "GET",
                   .path = base,
                   .access = Access::Operator,
                   .scope = "",
                   .operation_id = "listAllManifests",
                   .tag = "Admin",
                   .summary = "Manifests that platforms submitted, newest first.",
                   .query = kManifestQuery,
                   .paginated = true,
                   .reply_schema = "Manifest",
                   .handle = with_services(services, list_all_manifests)});
  table.push_back({.method = "GET",
                   .path = one,
                   .access = Access::Operator,
                   .scope = "",
                   .operation_id = "getAnyManifest",
                   .tag = "Admin",
                   .summary = "Read a submitted manifest.",
                   .reply_schema = "Manifest",
                   .handle = with_services(services, get_any_manifest)});
  table.push_back({.method = "POST",
                   .path = one + "/approve",
                   .access = Access::Operator,
                   .scope = "",
                   .operation_id = "approveManifest",
                   .tag = "Admin",
                   .summary = "Put a pending manifest in service for its platform.",
                   .reply_schema = "Manifest",
                   .handle = with_services(services, approve_manifest)});
  table.push_back({.method = "POST",
                   .path = one + "/refuse",
                   .access = Access::Operator,
                   .scope = "",
                   .operation_id = "refuseManifest",
                   .tag = "Admin",
                   .summary = "Refuse a pending manifest; the platform reads the reason.",
                   .body_schema = "ManifestRefusal",
                   .reply_schema = "Manifest",
                   .handle = with_services(services, refuse_manifest)});
}

}  // namespace

core::Json manifest_view(const mcp::OwnManifest& manifest) {
  core::Json out = {{"id", manifest.id.str()},
                    {"platform_id", manifest.platform_id.str()},
                    {"app", manifest.app},
                    {"title", manifest.title},
                    {"version", manifest.version},
                    {"number", manifest.number},
                    {"status", mcp::manifest_status_name(manifest.status)},
                    {"reason", manifest.reason.empty() ? core::Json() : core::Json(manifest.reason)},
                    {"fault", manifest.fault.empty() ? core::Json() : core::Json(manifest.fault)},
                    {"created_at", core::format_time(manifest.created_at)},
                    {"decided_at", manifest.decided_at ? core::Json(core::format_time(*manifest.decided_at))
                                                       : core::Json()}};
  if (!manifest.document.empty()) out["manifest"] = core::parse_json(manifest.document);
  return out;
}

void add_manifest_routes(RouteTable& table, Services& services) {
  const std::string base = "/v1/platforms/{platform_id}/mcp";
  table.push_back({.method = "GET",
                   .path = base + "/manifests",
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "listManifests",
                   .tag = "Apps",
                   .summary = "The manifests of the platform's own apps, newest first.",
                   .query = kManifestQuery,
                   .paginated = true,
                   .reply_schema = "Manifest",
                   .handle = with_services(services, list_manifests)});
  table.push_back({.method = "GET",
                   .path = base + "/manifests/{manifest_id}",
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "getManifest",
                   .tag = "Apps",
                   .summary = "Read one of them: its status, the reason of a refusal, the document.",
                   .reply_schema = "Manifest",
                   .handle = with_services(services, get_manifest)});
  table.push_back(
      {.method = "DELETE",
       .path = base + "/own-apps/{app}",
       .access = Access::Platform,
       .scope = "management",
       .operation_id = "deleteOwnApp",
       .tag = "Apps",
       .summary = "Delete an app of the platform's own, with every manifest; deactivate it first.",
       .success = 204,
       .handle = with_services(services, delete_own_app)});
  add_admin_manifest_routes(table, services);
}

}  // namespace assistiv::api
