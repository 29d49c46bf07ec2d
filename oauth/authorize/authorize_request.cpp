#include "oauth/authorize/authorize_request.h"

#include <algorithm>
#include <set>

namespace assistiv::oauth {

namespace {

constexpr std::size_t kStateBytesMax = 4096;
constexpr std::size_t kChallengeBytes = 43;  // SHA-256 in base64url

std::size_t count_of(const core::FormFields& fields, std::string_view name) {
  return static_cast<std::size_t>(
      std::count_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == name; }));
}

bool is_repeated(const core::FormFields& fields) {
  std::set<std::string_view> seen;
  for (const auto& [name, value] : fields) {
    if (name != "resource" && !seen.insert(name).second) return true;
  }
  return false;
}

// The redirect URI that the client may use here; nothing when there is none.
std::optional<std::string> usable_redirect(const core::FormFields& fields, const ClientMetadata& client) {
  if (count_of(fields, "redirect_uri") == 0 && client.redirect_uris.size() == 1)
    return client.redirect_uris.front();
  const auto uri = one_param(fields, "redirect_uri");
  if (!uri || !is_registered_redirect(client.redirect_uris, *uri)) return std::nullopt;
  return uri;
}

// What follows once a fault may go back to the client. Empty: all good.
std::optional<std::pair<std::string, std::string>> fault_of(const core::FormFields& fields) {
  using Fault = std::pair<std::string, std::string>;
  if (is_repeated(fields)) return Fault{"invalid_request", "A parameter is given twice."};
  const auto type = one_param(fields, "response_type");
  if (!type) return Fault{"invalid_request", "response_type is missing."};
  if (*type != "code") return Fault{"unsupported_response_type", "Only response_type=code is supported."};
  const auto challenge = one_param(fields, "code_challenge");
  if (!challenge) return Fault{"invalid_request", "PKCE is required: code_challenge is missing."};
  if (one_param(fields, "code_challenge_method").value_or("plain") != "S256")
    return Fault{"invalid_request", "code_challenge_method must be S256."};
  if (challenge->size() != kChallengeBytes || !core::base64url_decode(*challenge))
    return Fault{"invalid_request", "code_challenge is not the base64url text of a SHA-256."};
  return std::nullopt;
}

std::optional<Resource> resource_of(const core::FormFields& fields, const Resources& resources) {
  if (count_of(fields, "resource") > 1) return std::nullopt;
  // Clients of 2025-03-26 name no resource.
  return resources.find(one_param(fields, "resource").value_or(resources.all_apps()));
}

}  // namespace

std::optional<std::string> one_param(const core::FormFields& fields, std::string_view name) {
  if (count_of(fields, name) != 1) return std::nullopt;
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == name; });
  if (found->second.empty() || !core::is_valid_utf8(found->second)) return std::nullopt;
  return found->second;
}

std::variant<AuthorizeRequest, AuthorizeFault> read_authorize_request(const core::FormFields& fields,
                                                                      const ClientMetadata& client,
                                                                      const Resources& resources) {
  const auto redirect = usable_redirect(fields, client);
  if (!redirect)
    return AuthorizeFault{
        "invalid_request", "The redirect_uri is not one that this application registered.", {}, {}};
  AuthorizeRequest out;
  out.redirect_uri = *redirect;
  out.state = one_param(fields, "state");
  const auto fault = [&](std::string code, std::string description) {
    return AuthorizeFault{std::move(code), std::move(description), redirect, out.state};
  };
  if (out.state && out.state->size() > kStateBytesMax) {
    out.state.reset();
    return fault("invalid_request", "state is too long.");
  }
  if (auto wrong = fault_of(fields)) return fault(std::move(wrong->first), std::move(wrong->second));
  auto resource = resource_of(fields, resources);
  if (!resource) return fault("invalid_target", "resource is not an MCP URL of this server.");
  out.resource = std::move(*resource);
  const auto scope = one_param(fields, "scope");
  out.scopes = known_scopes(scope.value_or(full_scope()));
  if (std::find(out.scopes.begin(), out.scopes.end(), kScopeMcp) == out.scopes.end())
    return fault("invalid_scope", "scope must contain mcp or mcp:write.");
  out.client_id = one_param(fields, "client_id").value_or("");
  out.code_challenge = *one_param(fields, "code_challenge");
  return out;
}

std::string answer_url(const std::string& redirect_uri, const std::optional<std::string>& state,
                       const std::string& issuer, core::FormFields answer) {
  if (state) answer.emplace_back("state", *state);
  answer.emplace_back("iss", issuer);
  return redirect_uri + (redirect_uri.find('?') == std::string::npos ? "?" : "&") + core::form_encode(answer);
}

}  // namespace assistiv::oauth
