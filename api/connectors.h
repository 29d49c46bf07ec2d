#pragma once
// Adapters that plug what mcp/ needs into what oauth/ offers: the two do not know each other's services.
#include <map>
#include <string>
#include <vector>

#include "api/config.h"
#include "mcp/connectors/app_book.h"
#include "mcp/connectors/token_source.h"
#include "mcp/tools/connect_links.h"
#include "oauth/connect/connect_flow.h"
#include "oauth/connect/connection_service.h"
#include "oauth/connect/connector_spec.h"
#include "oauth/connect/token_service.h"

namespace assistiv::api {

// The OAuth side of every app in the book, with the configured overrides applied to the server's own.
class CatalogRegistry final : public oauth::ConnectorRegistry {
 public:
  // Throws mcp::ManifestError with the file and pointer of a fault, core::Error for an override of an unknown
  // app. `book` must outlive it.
  CatalogRegistry(mcp::AppBook& book, const std::map<std::string, ConnectorOverride>& overrides);
  core::Task<oauth::ConnectorPtr> find(core::PlatformId platform, std::string app) const override;
  oauth::ConnectorPtr find_in(storage::Transaction& tx, core::PlatformId platform,
                              std::string_view app) const override;
  // Null for an app that is not the server's.
  oauth::ConnectorPtr built_in(std::string_view app) const;

 private:
  mcp::AppBook& book_;
  std::map<std::string, std::shared_ptr<oauth::ConnectorSpec>, std::less<>> specs_;
};

class ConnectionTokens final : public mcp::TokenSource {
 public:
  ConnectionTokens(oauth::TokenService& tokens, oauth::ConnectionService& connections)
      : tokens_(tokens), connections_(connections) {}
  core::Task<mcp::AccessToken> token(mcp::CredentialRef credential) override;
  core::Task<mcp::AccessToken> after_401(mcp::CredentialRef credential, std::int64_t version) override;
  core::Task<> rejected(mcp::CredentialRef credential, std::int64_t version) override;

 private:
  oauth::TokenService& tokens_;
  oauth::ConnectionService& connections_;
};

class FlowLinks final : public mcp::ConnectLinks {
 public:
  explicit FlowLinks(oauth::ConnectFlow& flow) : flow_(flow) {}
  core::Task<mcp::ConnectLink> create(oauth::PrincipalPtr who, std::string app, std::string request_id,
                                      std::optional<core::ConnectionId> repair) override;

 private:
  oauth::ConnectFlow& flow_;
};

}  // namespace assistiv::api
