#include "oauth/authorize/issuer_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/json_read.h"
#include "oauth/authorize/outbound.h"
#include "oauth/identity/input.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kMetadataBytes = 128 * 1024;
constexpr std::size_t kIssuerCharsMax = 512;
constexpr std::size_t kAudienceChars = 255;
constexpr std::size_t kAudiencesPerIssuer = 10;
constexpr std::size_t kClaimChars = 100;
constexpr std::size_t kClientIdChars = 255;

core::Error bad_issuer(const std::string& why) {
  return core::bad_request("The issuer cannot be used: " + why, "/issuer");
}

core::Error no_issuer() {
  return core::not_found("No such issuer.");
}

std::string endpoint_of(const core::JsonReader& reader, const char* name, bool allow_loopback) {
  auto url = reader.string(name, 1, 2048);
  if (!is_provider_url(url, allow_loopback))
    throw bad_issuer(std::string(name) + " in its metadata is not https.");
  return url;
}

std::vector<std::string> checked_audiences(std::vector<std::string> audiences) {
  if (audiences.size() > kAudiencesPerIssuer) throw core::bad_request("At most 10 audiences.", "/audiences");
  for (const auto& audience : audiences) checked_text(audience, 1, kAudienceChars, "/audiences");
  const std::set<std::string> unique(audiences.begin(), audiences.end());
  return {unique.begin(), unique.end()};
}

// Audiences that name the platform are nobody else's. Whose any other one is, the operator knows. What the
// registration has is not asked again.
void require_own_audiences(const std::vector<std::string>& audiences, const std::vector<std::string>& held,
                           core::PlatformId platform, const std::string& example,
                           const AuditContext& context) {
  if (context.actor && context.actor->kind == PrincipalKind::Operator) return;
  for (const auto& audience : audiences) {
    const bool known = std::find(held.begin(), held.end(), audience) != held.end();
    if (known || audience.find(platform.str()) != std::string::npos) continue;
    throw core::bad_request(
        "An audience must contain the platform's id, so that nobody else can take tokens that are made for "
        "you. Let your issuer make them for \"" +
            example + "\", or have the operator of this server register another audience.",
        "/audiences");
  }
}

TokenAuth token_auth_for(const std::optional<core::Secret>& secret, bool takes_basic, bool takes_post) {
  if (!secret) return TokenAuth::None;
  return takes_basic || !takes_post ? TokenAuth::SecretBasic : TokenAuth::SecretPost;
}

RegisteredIssuer new_registration(core::PlatformId platform, NewIssuer input,
                                  const ProviderMetadata& metadata, const AuthorizeWorld& world) {
  RegisteredIssuer row;
  row.platform_id = platform;
  row.id = IssuerId::make(world.clock, world.random);
  row.issuer = std::move(input.issuer);
  row.client_id = checked_text(input.client_id, 1, kClientIdChars, "/client_id");
  row.client_secret = std::move(input.client_secret);
  row.token_auth = token_auth_for(row.client_secret, metadata.takes_basic, metadata.takes_post);
  row.audiences = checked_audiences(std::move(input.audiences));
  row.end_user_claim = checked_text(input.end_user_claim, 1, kClaimChars, "/end_user_claim");
  row.creates_end_users = input.creates_end_users;
  row.sign_in = input.sign_in;
  row.authorization_endpoint = metadata.authorization_endpoint;
  row.token_endpoint = metadata.token_endpoint;
  row.jwks_uri = metadata.jwks_uri;
  row.names_itself = metadata.names_itself;
  row.created_at = world.clock.now();
  row.updated_at = row.created_at;
  return row;
}

}  // namespace

ProviderMetadata read_provider_metadata(const std::string& text, const std::string& issuer,
                                        bool allow_loopback) {
  const auto json = core::try_parse_json(text, 16);
  if (!json || !json->is_object()) throw bad_issuer("its metadata is not a JSON object.");
  try {
    const core::JsonReader reader(*json);
    if (reader.string("issuer", 1, kIssuerCharsMax) != issuer)
      throw bad_issuer("its metadata names another issuer. Both must be equal, byte for byte.");
    ProviderMetadata out;
    out.authorization_endpoint = endpoint_of(reader, "authorization_endpoint", allow_loopback);
    out.token_endpoint = endpoint_of(reader, "token_endpoint", allow_loopback);
    out.jwks_uri = endpoint_of(reader, "jwks_uri", allow_loopback);
    const auto auth = reader.strings("token_endpoint_auth_methods_supported");
    const auto takes = [&](const char* name) {
      return std::find(auth.begin(), auth.end(), name) != auth.end();
    };
    // Absent means client_secret_basic (OpenID Connect Discovery 1.0 section 3).
    out.takes_basic = auth.empty() || takes("client_secret_basic");
    out.takes_post = takes("client_secret_post");
    out.names_itself = reader.optional_bool("authorization_response_iss_parameter_supported").value_or(false);
    return out;
  } catch (const core::Error& e) {
    if (e.field() == "/issuer" && e.message().starts_with("The issuer cannot")) throw;
    throw bad_issuer("its metadata has a fault at " + e.field() + ".");
  }
}

core::Task<ProviderMetadata> IssuerService::discover(std::string issuer) {
  const bool good = issuer.size() <= kIssuerCharsMax &&
                    is_provider_url(issuer, world_.allow_loopback_documents) &&
                    issuer.find('?') == std::string::npos;
  if (!good) throw bad_issuer("it must be an https URL without query and fragment.");
  if (issuer == world_.issuer) throw bad_issuer("it is this server.");
  const std::string base = issuer.ends_with('/') ? issuer.substr(0, issuer.size() - 1) : issuer;
  const auto response =
      co_await get_json(world_.http, base + "/.well-known/openid-configuration", kMetadataBytes);
  if (!response)
    throw bad_issuer("its address /.well-known/openid-configuration does not answer, or may not be called.");
  co_return read_provider_metadata(response->body, issuer, world_.allow_loopback_documents);
}

void IssuerService::announce(storage::Transaction& tx, const RegisteredIssuer& row, const std::string& event,
                             const AuditContext& context) const {
  tx.notify("platform", row.platform_id.str());
  world_.audit.append(tx, row.platform_id,
                      audit_event(context, event, {}, row.id.str(),
                                  {{"issuer", row.issuer},
                                   {"client_id", row.client_id},
                                   {"audiences", row.audiences},
                                   {"end_user_claim", row.end_user_claim},
                                   {"creates_end_users", row.creates_end_users}}));
}

void IssuerService::tell(core::PlatformId platform) const {
  if (world_.changed) world_.changed("platform", platform.str());
}

std::string IssuerService::audience_of(core::PlatformId platform) const {
  return world_.issuer + "/platforms/" + platform.str();
}

core::Task<RegisteredIssuer> IssuerService::add(core::PlatformId platform, NewIssuer input,
                                                AuditContext context) {
  require_own_audiences(input.audiences, {}, platform, audience_of(platform), context);
  const auto metadata = co_await discover(input.issuer);
  const auto row = new_registration(platform, std::move(input), metadata, world_);
  co_await world_.database.run(storage::Scope::tenant(platform),
                               [this, row, context](storage::Transaction& tx) {
                                 IssuerStore(world_.vault).insert(tx, row);
                                 announce(tx, row, "issuer.registered", context);
                               });
  tell(platform);
  co_return row;
}

core::Task<std::vector<RegisteredIssuer>> IssuerService::list(core::PlatformId platform) {
  co_return co_await world_.database.run(
      storage::Scope::tenant(platform),
      [this, platform](storage::Transaction& tx) { return IssuerStore(world_.vault).list(tx, platform); });
}

core::Task<RegisteredIssuer> IssuerService::get(core::PlatformId platform, IssuerId id) {
  auto row = co_await world_.database.run(storage::Scope::tenant(platform),
                                          [this, platform, id](storage::Transaction& tx) {
                                            return IssuerStore(world_.vault).get(tx, platform, id);
                                          });
  if (!row) throw no_issuer();
  co_return std::move(*row);
}

core::Task<RegisteredIssuer> IssuerService::update(core::PlatformId platform, IssuerId id, IssuerPatch patch,
                                                   AuditContext context) {
  auto updated = co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, id, patch, context](storage::Transaction& tx) {
        const IssuerStore store(world_.vault);
        auto row = store.get(tx, platform, id);
        if (!row) throw no_issuer();
        if (patch.client_secret) {
          row->client_secret = patch.client_secret;
          if (row->token_auth == TokenAuth::None) row->token_auth = TokenAuth::SecretBasic;
        }
        if (patch.audiences) {
          require_own_audiences(*patch.audiences, row->audiences, platform, audience_of(platform), context);
          row->audiences = checked_audiences(*patch.audiences);
        }
        if (patch.creates_end_users) row->creates_end_users = *patch.creates_end_users;
        row->updated_at = world_.clock.now();
        store.update(tx, *row);
        announce(tx, *row, "issuer.updated", context);
        return std::move(*row);
      });
  tell(platform);
  co_return updated;
}

core::Task<> IssuerService::remove(core::PlatformId platform, IssuerId id, AuditContext context) {
  co_await world_.database.run(storage::Scope::tenant(platform),
                               [this, platform, id, context](storage::Transaction& tx) {
                                 const IssuerStore store(world_.vault);
                                 const auto row = store.get(tx, platform, id);
                                 if (!row || !store.remove(tx, platform, id)) throw no_issuer();
                                 announce(tx, *row, "issuer.removed", context);
                               });
  tell(platform);
}

}  // namespace assistiv::oauth
