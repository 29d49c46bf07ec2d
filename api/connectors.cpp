#include "api/connectors.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/log.h"

namespace assistiv::api {

namespace {

mcp::AccessToken tool_token(oauth::TokenAnswer answer) {
  mcp::AccessToken out;
  switch (answer.status) {
    case oauth::TokenStatus::Ready:
      out.outcome = mcp::TokenOutcome::Ready;
      out.value = std::move(answer.token);
      if (answer.vars) out.vars.insert(answer.vars->begin(), answer.vars->end());
      break;
    case oauth::TokenStatus::NotConnected:
      out.outcome = mcp::TokenOutcome::Absent;
      break;
    case oauth::TokenStatus::NeedsReauth:
      out.outcome = mcp::TokenOutcome::NeedsReauth;
      break;
    case oauth::TokenStatus::RetryLater:
    case oauth::TokenStatus::Misconfigured:
      out.outcome = mcp::TokenOutcome::RetryLater;
      break;
  }
  out.version = answer.version;
  out.retry_after = answer.retry_after;
  return out;
}

oauth::ConnectorPtr connector_in(const mcp::CatalogPtr& catalog, std::string_view app) {
  const mcp::App* found = catalog->find_app(app);
  return found == nullptr ? nullptr : found->connector;
}

}  // namespace

CatalogRegistry::CatalogRegistry(mcp::AppBook& book,
                                 const std::map<std::string, ConnectorOverride>& overrides)
    : book_(book) {
  std::vector<mcp::ManifestFault> faults;
  for (const auto& app : book.built_in()->apps()) {
    try {
      specs_.emplace(app->id,
                     std::make_shared<oauth::ConnectorSpec>(oauth::ConnectorSpec::parse(*app->document)));
    } catch (const core::Error& error) {
      faults.push_back({app->manifest_file, error.field(), error.message()});
    }
  }
  if (!faults.empty()) throw mcp::ManifestError(std::move(faults));
  for (const auto& [app, urls] : overrides) {
    const auto spec = specs_.find(app);
    if (spec == specs_.end()) {
      throw core::bad_request("connector_overrides names the app \"" + app +
                              "\", which this server does not know.");
    }
    if (urls.hosts.empty()) {
      oauth::apply_override(*spec->second, urls.web, urls.api);
    } else {
      oauth::apply_host_override(*spec->second, urls.hosts);
    }
  }
}

oauth::ConnectorPtr CatalogRegistry::built_in(std::string_view app) const {
  const auto it = specs_.find(app);
  return it == specs_.end() ? nullptr : it->second;
}

core::Task<oauth::ConnectorPtr> CatalogRegistry::find(core::PlatformId platform, std::string app) const {
  if (auto spec = built_in(app)) co_return spec;
  co_return connector_in(co_await book_.get(platform), app);
}

oauth::ConnectorPtr CatalogRegistry::find_in(storage::Transaction& tx, core::PlatformId platform,
                                             std::string_view app) const {
  if (auto spec = built_in(app)) return spec;
  return connector_in(book_.get_in(tx, platform), app);
}

core::Task<mcp::AccessToken> ConnectionTokens::token(mcp::CredentialRef credential) {
  connections_.touch(credential.platform_id, credential.connection_id);
  co_return tool_token(
      co_await tokens_.access_token(credential.platform_id, credential.connection_id, credential.slot));
}

core::Task<mcp::AccessToken> ConnectionTokens::after_401(mcp::CredentialRef credential,
                                                         std::int64_t version) {
  co_return tool_token(co_await tokens_.force_refresh(credential.platform_id, credential.connection_id,
                                                      credential.slot, version));
}

core::Task<> ConnectionTokens::rejected(mcp::CredentialRef credential, std::int64_t version) {
  try {
    co_await tokens_.mark_needs_reauth(credential.platform_id, credential.connection_id, credential.slot,
                                       version, "rejected_by_api");
  } catch (const core::Error& error) {
    // The call has its answer all the same; the next one finds out again.
    core::log::warn("connector.reauth_not_marked",
                    {{"connection_id", credential.connection_id.str()}, {"error", error.what()}});
  }
}

core::Task<mcp::ConnectLink> FlowLinks::create(oauth::PrincipalPtr who, std::string app,
                                               std::string request_id,
                                               std::optional<core::ConnectionId> repair) {
  oauth::NewLink input;
  input.app = std::move(app);
  input.reuse = true;
  input.connection_id = repair;
  const auto link = co_await flow_.create_link(who->platform_id, who->end_user_id.value(), std::move(input),
                                               {who, std::move(request_id)});
  co_return mcp::ConnectLink{link.url, link.expires_at};
}

}  // namespace assistiv::api
