#include "oauth/connect/connect_world.h"

namespace assistiv::oauth {

std::vector<SealedColumn> connect_sealed_columns() {
  return {
      {"mcp_app", "app", "text", "client_secret", "client_secret"},
      {"provider_webhook", "app", "text", "secret", "secret"},
      {"credential", "credential_id", "uuid", "access_token", "access_token"},
      {"credential", "credential_id", "uuid", "refresh_token", "refresh_token"},
      {"credential", "credential_id", "uuid", "previous_refresh_token", "previous_refresh_token"},
      {"connect_flow", "flow_id", "uuid", "code_verifier", "code_verifier"},
      {"connect_flow", "flow_id", "uuid", "outcome", "outcome"},
      {"upstream_revocation", "revocation_id", "uuid", "payload", "payload"},
  };
}

void announce_app(const ConnectWorld& world, core::PlatformId platform, const std::string& app) {
  if (world.changed) world.changed("app", platform.str() + "/" + app);
}

void announce_connection(const ConnectWorld& world, core::PlatformId platform, core::EndUserId end_user) {
  if (world.changed) world.changed("connection", platform.str() + "/" + end_user.str());
}

std::string callback_url(const ConnectWorld& world, core::PlatformId platform, const ConnectorSpec& spec) {
  const std::string base = world.public_url + "/oauth/callback";
  if (is_own_app(spec.id)) return base + "/" + spec.id + "/" + platform.str();
  return base + (spec.oauth.shared_callback ? "" : "/" + spec.id);
}

}  // namespace assistiv::oauth
