#include <nlohmann/json.hpp>

#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "api/wire/money.h"
#include "api/wire/views.h"
#include "billing/price_text.h"
#include "core/error.h"
#include "core/json_read.h"
#include "oauth/connect/return_url.h"
#include "oauth/identity/identity_service.h"

namespace assistiv::api {

namespace {

// A faulty one would only show when a user comes back from the provider.
void check_verifier_url(const core::JsonReader& settings) {
  const auto url = settings.optional_string("connect_verifier_url");
  const std::string fault = url ? oauth::return_url_fault(*url) : "";
  if (!fault.empty()) {
    throw core::bad_request("\"connect_verifier_url\" cannot be used: " + fault + ".",
                            settings.pointer("connect_verifier_url"));
  }
}

// A faulty one would only show when the next end user is made.
void check_default_budget(const core::Json& settings) {
  constexpr const char* kMember = "default_budget_usd";
  try {
    const auto amount = usd_in(core::dump_json(settings), kMember);
    if (!amount || amount->nanos > 0) return;
  } catch (const core::Error&) {
  }
  throw core::bad_request(
      "\"default_budget_usd\" must be an amount in USD above zero, such as \"5.00\", or null.",
      std::string("/settings/") + kMember);
}

void check_price_ceiling(const core::Json& settings) {
  try {
    billing::unknown_price_ceiling(settings);
  } catch (const core::Error& error) {
    throw core::Error(error).with_field("/settings" + error.field());
  }
}

std::optional<std::string> settings_text(const core::JsonReader& body) {
  const core::Json* settings = body.object("settings");
  if (settings != nullptr) {
    const core::JsonReader reader(*settings, "/settings");
    check_verifier_url(reader);
    check_price_ceiling(*settings);
    check_default_budget(*settings);
  }
  return settings == nullptr ? std::nullopt : std::optional<std::string>(core::dump_json(*settings));
}

core::Task<core::HttpReply> create_platform(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  const auto made = co_await s->identity.create_platform(
      {body.string("name"), body.optional_string("slug"), settings_text(body)}, audit_context(call));
  core::Json view = platform_view(made.platform);
  view["api_key"] = issued_key_view(made.api_key);
  co_return data_reply(201, view);
}

core::Task<core::HttpReply> list_platforms(Services* s, Call call) {
  const auto page = co_await s->identity.list_platforms(page_request(call));
  core::Json rows = core::Json::array();
  for (const auto& platform : page.items) rows.push_back(platform_view(platform));
  co_return list_reply(rows, page.total, call);
}

core::Task<core::HttpReply> get_platform(Services* s, Call call) {
  co_return data_reply(200, platform_view(co_await s->identity.get_platform(call.platform_id())));
}

core::Task<core::HttpReply> patch_platform(Services* s, Call call) {
  const core::JsonReader body(*call.body);
  oauth::PlatformPatch patch;
  patch.name = body.optional_string("name");
  patch.slug = body.optional_string("slug");
  patch.settings_json = settings_text(body);
  co_return data_reply(200, platform_view(co_await s->identity.update_platform(call.platform_id(), patch,
                                                                               audit_context(call))));
}

core::Task<core::HttpReply> delete_platform(Services* s, Call call) {
  co_await s->identity.remove_platform(call.platform_id(), audit_context(call));
  co_return no_content();
}

}  // namespace

void add_platform_routes(RouteTable& table, Services& services) {
  const std::string one = "/v1/platforms/{platform_id}";
  table.push_back({.method = "POST",
                   .path = "/v1/platforms",
                   .access = Access::Operator,
                   .scope = "",
                   .operation_id = "createPlatform",
                   .tag = "Platforms",
                   .summary = "Create a platform and its first key.",
                   .body_schema = "PlatformCreate",
                   .success = 201,
                   .reply_schema = "PlatformCreated",
                   .handle = with_services(services, create_platform)});
  table.push_back({.method = "GET",
                   .path = "/v1/platforms",
                   .access = Access::Operator,
                   .scope = "",
                   .operation_id = "listPlatforms",
                   .tag = "Platforms",
                   .summary = "List platforms.",
                   .paginated = true,
                   .reply_schema = "Platform",
                   .handle = with_services(services, list_platforms)});
  table.push_back({.method = "GET",
                   .path = one,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "getPlatform",
                   .tag = "Platforms",
                   .summary = "Read a platform.",
                   .reply_schema = "Platform",
                   .handle = with_services(services, get_platform)});
  table.push_back({.method = "PATCH",
                   .path = one,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "updatePlatform",
                   .tag = "Platforms",
                   .summary = "Change a platform; settings are merged.",
                   .body_schema = "PlatformPatch",
                   .reply_schema = "Platform",
                   .handle = with_services(services, patch_platform)});
  table.push_back({.method = "DELETE",
                   .path = one,
                   .access = Access::Platform,
                   .scope = "management",
                   .operation_id = "deletePlatform",
                   .tag = "Platforms",
                   .summary = "Delete a platform with all that belongs to it; connections are revoked first.",
                   .success = 204,
                   .handle = with_services(services, delete_platform)});
}

}  // namespace assistiv::api
