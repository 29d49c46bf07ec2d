#include "oauth/authorize/provider_sign_in.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "core/url_text.h"
#include "oauth/authorize/outbound.h"
#include "oauth/authorize/provider_flow_store.h"
#include "oauth/crypto/pkce.h"

namespace assistiv::oauth {

namespace {

constexpr std::chrono::minutes kProviderFlowLife{10};
constexpr AttemptLimitOptions kStarts{30, std::chrono::seconds(60), 10000};
constexpr std::size_t kStateBytes = 32;
constexpr std::size_t kSlugMax = 63;
constexpr std::size_t kTokenReplyMax = 64 * 1024;
constexpr std::chrono::milliseconds kTokenTimeout{10000};

// What must be asked for to get the claim (OpenID Connect Core 1.0 section 5.4).
std::string scope_for(const std::string& claim) {
  if (claim == "email") return "openid email";
  return claim == "preferred_username" || claim == "nickname" ? "openid profile" : "openid";
}

// RFC 6749 section 2.3.1: both parts form-encoded before base64.
std::string basic_of(const RegisteredIssuer& issuer) {
  return "Basic " + core::base64_encode(core::percent_encode(issuer.client_id) + ":" +
                                        core::percent_encode(issuer.client_secret->reveal()));
}

core::OutboundRequest code_request(const RegisteredIssuer& issuer, core::FormFields fields) {
  core::OutboundRequest request;
  request.method = "POST";
  request.url = issuer.token_endpoint;
  request.allowed_hosts = {core::url_authority(issuer.token_endpoint)};
  request.timeout = kTokenTimeout;
  request.response_bytes_max = kTokenReplyMax;
  request.headers.set("Accept", "application/json");
  request.headers.set("Content-Type", "application/x-www-form-urlencoded");
  request.headers.set("User-Agent", "assistiv");
  if (issuer.token_auth == TokenAuth::SecretBasic) request.headers.set("Authorization", basic_of(issuer));
  if (issuer.token_auth != TokenAuth::SecretBasic) fields.emplace_back("client_id", issuer.client_id);
  if (issuer.token_auth == TokenAuth::SecretPost)
    fields.emplace_back("client_secret", issuer.client_secret->reveal());
  request.body = core::form_encode(fields);
  return request;
}

std::optional<std::string> id_token_of(const core::OutboundResponse& response) {
  const auto json = response.status == 200 ? core::try_parse_json(response.body, 16) : std::nullopt;
  if (!json || !json->is_object()) return std::nullopt;
  const auto token = json->find("id_token");
  return token != json->end() && token->is_string() ? std::optional(token->get<std::string>()) : std::nullopt;
}

// OpenID Connect Core 1.0 section 3.1.3.7, numbers 3 to 5.
bool is_for_client(const ExternalClaims& claims, const std::string& client_id) {
  const auto& audiences = claims.audiences;
  if (std::find(audiences.begin(), audiences.end(), client_id) == audiences.end()) return false;
  const auto authorized = claim_text(claims, "azp");
  return authorized.empty() ? audiences.size() == 1 : authorized == client_id;
}

ProviderResult provider_fault(ProviderFault fault, std::string query = {}) {
  return {fault, {}, std::move(query), {}};
}

}  // namespace

ProviderSignIn::ProviderSignIn(AuthorizeWorld& world, ExternalTokens& tokens, SignInService& sign_ins)
    : world_(world), tokens_(tokens), sign_ins_(sign_ins), starts_(world.clock, kStarts) {}

std::string ProviderSignIn::made_of(std::string_view purpose, const std::string& state) const {
  const auto key = world_.vault.derive("provider_sign_in");
  return core::base64url_encode(core::hmac_sha256(key.reveal(), std::string(purpose) + " " + state));
}

core::Task<ProviderOffer> ProviderSignIn::offer() {
  // System scope, here and below: the browser belongs to no tenant yet.
  co_return co_await world_.database.run(storage::Scope::system(), [this](storage::Transaction& tx) {
    return IssuerStore(world_.vault).offer(tx);
  });
}

core::Task<ProviderResult> ProviderSignIn::start(std::string platform_slug, std::string cookie,
                                                 std::string query, std::string address) {
  if (!starts_.take(address_block(address))) co_return provider_fault(ProviderFault::TooMany);
  if (platform_slug.empty() || platform_slug.size() > kSlugMax || !core::is_valid_utf8(platform_slug) ||
      platform_slug.find('\0') != std::string::npos)
    co_return provider_fault(ProviderFault::UnknownPlatform);
  const auto state = core::random_token(world_.random, kStateBytes);
  auto result = provider_fault(ProviderFault::UnknownPlatform);
  const auto issuer = co_await world_.database.run(
      storage::Scope::system(),
      [this, platform_slug, cookie, query,
       state](storage::Transaction& tx) -> std::optional<RegisteredIssuer> {
        auto found = IssuerStore(world_.vault).for_sign_in(tx, platform_slug);
        if (!found) return std::nullopt;
        const auto now = world_.clock.now();
        const ProviderFlow flow{found->platform_id, found->id, query, now + kProviderFlowLife};
        if (!ProviderFlowStore().insert(tx, flow, state, cookie, now)) {
          throw core::Error(core::ErrorKind::Unavailable,
                            "Too many people are signing in. Try again in a minute.")
              .with_retry_after(std::chrono::seconds(60));
        }
        return found;
      });
  if (!issuer) co_return result;
  result.fault.reset();
  const auto& url = issuer->authorization_endpoint;
  result.url = url + (url.find('?') == std::string::npos ? "?" : "&") +
               core::form_encode({{"response_type", "code"},
                                  {"client_id", issuer->client_id},
                                  {"redirect_uri", redirect_uri()},
                                  {"scope", scope_for(issuer->end_user_claim)},
                                  {"state", state},
                                  {"nonce", made_of("nonce", state)},
                                  {"code_challenge", code_challenge_s256(made_of("verifier", state))},
                                  {"code_challenge_method", "S256"}});
  co_return result;
}

core::Task<std::optional<ProviderSignIn::Flow>> ProviderSignIn::take(std::string state, std::string cookie) {
  co_return co_await world_.database.run(
      storage::Scope::system(), [this, state, cookie](storage::Transaction& tx) -> std::optional<Flow> {
        const auto flow = ProviderFlowStore().take(tx, state, cookie);
        if (!flow || flow->expires_at <= world_.clock.now()) return std::nullopt;
        auto issuer = IssuerStore(world_.vault).get(tx, flow->platform_id, flow->issuer_id);
        if (!issuer) return std::nullopt;
        return Flow{std::move(*issuer), flow->query};
      });
}

core::Task<std::optional<ExternalClaims>> ProviderSignIn::redeem(RegisteredIssuer issuer, std::string code,
                                                                 std::string state) {
  std::optional<std::string> token;
  try {
    token = id_token_of(
        co_await world_.http.send(code_request(issuer, {{"grant_type", "authorization_code"},
                                                        {"code", code},
                                                        {"redirect_uri", redirect_uri()},
                                                        {"code_verifier", made_of("verifier", state)}})));
  } catch (const core::OutboundError& e) {
    core::log::info("authorize.provider_failed", {{"issuer", issuer.issuer}, {"detail", e.what()}});
  }
  if (!token) co_return std::nullopt;
  auto claims = co_await tokens_.verified(issuer, std::move(*token));
  const bool good = claims && is_for_client(*claims, issuer.client_id) &&
                    core::constant_time_equal(claim_text(*claims, "nonce"), made_of("nonce", state));
  if (!good) co_return std::nullopt;
  co_return claims;
}

core::Task<ProviderResult> ProviderSignIn::finish(ProviderAnswer answer, std::string cookie,
                                                  std::string request_id) {
  if (answer.state.empty() || !SignInService::is_browser_secret(cookie))
    co_return provider_fault(ProviderFault::Unknown);
  const auto flow = co_await take(answer.state, cookie);
  if (!flow) co_return provider_fault(ProviderFault::Unknown);
  const auto& issuer = flow->issuer;
  // RFC 9207 section 2.4: an answer of another server must not reach this one's token endpoint.
  const bool names_it = answer.issuer.empty() ? !issuer.names_itself : answer.issuer == issuer.issuer;
  if (!names_it) co_return provider_fault(ProviderFault::Failed, flow->query);
  if (!answer.error.empty()) co_return provider_fault(ProviderFault::Denied, flow->query);
  if (answer.code.empty()) co_return provider_fault(ProviderFault::Failed, flow->query);
  std::optional<ExternalClaims> claims;
  try {
    claims = co_await redeem(issuer, answer.code, answer.state);
  } catch (const core::Error& e) {
    if (e.kind() != core::ErrorKind::Unavailable) throw;
  }
  if (!claims) co_return provider_fault(ProviderFault::Failed, flow->query);
  const auto end_user = co_await tokens_.end_user_of(issuer, *claims, request_id);
  if (!end_user) co_return provider_fault(ProviderFault::NoEndUser, flow->query);
  ProviderResult out;
  out.query = flow->query;
  out.cookie = co_await sign_ins_.use_provider(issuer.platform_id, *end_user, core::KeyId{issuer.id.uuid},
                                               std::move(request_id));
  co_return out;
}

}  // namespace assistiv::oauth
