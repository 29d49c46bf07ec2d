#include "oauth/authorize/issuer_store.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "storage/text_array.h"

namespace assistiv::oauth {

namespace {

// In the order of TokenAuth.
constexpr const char* kTokenAuthNames[] = {"none", "client_secret_basic", "client_secret_post"};

constexpr char kIssuerColumns[] =
    "select i.platform_id, i.issuer_id, i.issuer, i.client_id, i.client_secret, i.token_auth, "
    "i.end_user_claim,"
    " i.creates_end_users, i.sign_in, i.authorization_endpoint, i.token_endpoint, i.jwks_uri, i.names_itself,"
    " assistiv_ms(i.created_at) as created_at, assistiv_ms(i.updated_at) as updated_at,"
    " (select coalesce(json_agg(a.audience order by a.audience), '[]')::text from issuer_audience a"
    " where a.platform_id = i.platform_id and a.issuer_id = i.issuer_id and a.is_bearer) as audiences"
    " from registered_issuer i ";

std::string issuer_ms(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

SecretContext issuer_context(core::PlatformId platform, IssuerId id) {
  return {platform, "registered_issuer", id.str(), "client_secret"};
}

TokenAuth token_auth_of(const std::string& name) {
  if (name == kTokenAuthNames[1]) return TokenAuth::SecretBasic;
  return name == kTokenAuthNames[2] ? TokenAuth::SecretPost : TokenAuth::None;
}

std::string flag(bool value) {
  return value ? "true" : "false";
}

}  // namespace

RegisteredIssuer IssuerStore::read(const storage::Row& row) const {
  RegisteredIssuer out;
  out.platform_id = row.id<core::PlatformId>("platform_id");
  out.id = row.id<IssuerId>("issuer_id");
  out.issuer = row.text("issuer");
  out.client_id = row.text("client_id");
  if (!row.is_null("client_secret"))
    out.client_secret = vault_.open(issuer_context(out.platform_id, out.id), row.text("client_secret"));
  out.token_auth = token_auth_of(row.text("token_auth"));
  out.audiences = core::parse_json(row.text("audiences")).get<std::vector<std::string>>();
  out.end_user_claim = row.text("end_user_claim");
  out.creates_end_users = row.boolean("creates_end_users");
  out.sign_in = row.boolean("sign_in");
  out.authorization_endpoint = row.text("authorization_endpoint");
  out.token_endpoint = row.text("token_endpoint");
  out.jwks_uri = row.text("jwks_uri");
  out.names_itself = row.boolean("names_itself");
  out.created_at = row.time("created_at");
  out.updated_at = row.time("updated_at");
  return out;
}

storage::Param IssuerStore::sealed(const RegisteredIssuer& row) const {
  if (!row.client_secret) return std::nullopt;
  return vault_.seal(issuer_context(row.platform_id, row.id), *row.client_secret);
}

void IssuerStore::insert(storage::Transaction& tx, const RegisteredIssuer& row) const {
  // One registration of a platform at a time, so that the count holds.
  tx.exec("select 1 as locked from platform where platform_id = $1::uuid for no key update",
          {row.platform_id.str()});
  const auto count = tx.exec("select count(*) as total from registered_issuer where platform_id = $1::uuid",
                             {row.platform_id.str()});
  if (count[0].integer("total") >= kMaxPerPlatform)
    throw core::conflict("A platform can register " + std::to_string(kMaxPerPlatform) + " issuers.");
  const auto made = tx.exec(
      "insert into registered_issuer (platform_id, issuer_id, issuer, client_id, client_secret, token_auth,"
      " end_user_claim, creates_end_users, sign_in, authorization_endpoint, token_endpoint, jwks_uri, "
      "names_itself,"
      " created_at, updated_at) values ($1::uuid, $2::uuid, $3, $4, $5, $6, $7, $8::boolean, $9::boolean, "
      "$10, $11,"
      " $12, $13::boolean, assistiv_time($14::bigint), assistiv_time($14::bigint)) on conflict do nothing",
      {row.platform_id.str(), row.id.str(), row.issuer, row.client_id, sealed(row),
       kTokenAuthNames[static_cast<int>(row.token_auth)], row.end_user_claim, flag(row.creates_end_users),
       flag(row.sign_in), row.authorization_endpoint, row.token_endpoint, row.jwks_uri,
       flag(row.names_itself), issuer_ms(row.created_at)});
  if (made.affected() == 0) {
    throw core::conflict(
        "The platform has registered this issuer, or another one with sign_in. Change or remove that one "
        "first.");
  }
  put_audiences(tx, row);
}

void IssuerStore::put_audiences(storage::Transaction& tx, const RegisteredIssuer& row) const {
  tx.exec("delete from issuer_audience where platform_id = $1::uuid and issuer_id = $2::uuid",
          {row.platform_id.str(), row.id.str()});
  auto all = row.audiences;
  const bool own = std::find(all.begin(), all.end(), row.client_id) != all.end();
  // Taken even where no tokens are taken in place of keys: nobody else may take what is made for this client.
  if (!own) all.push_back(row.client_id);
  for (const auto& audience : all) {
    const bool bearer = own || audience != row.client_id;
    const auto made = tx.exec(
        "insert into issuer_audience (platform_id, issuer_id, issuer, audience, is_bearer)"
        " values ($1::uuid, $2::uuid, $3, $4, $5::boolean) on conflict do nothing",
        {row.platform_id.str(), row.id.str(), row.issuer, audience, flag(bearer)});
    if (made.affected() == 0) {
      throw core::conflict(
          "Tokens of this issuer for one of these audiences (client_id is one of them) belong to another "
          "registration. Register a client and an audience of your own at the issuer.");
    }
  }
}

void IssuerStore::update(storage::Transaction& tx, const RegisteredIssuer& row) const {
  tx.exec(
      "update registered_issuer set client_secret = $3, token_auth = $4, creates_end_users = $5::boolean,"
      " updated_at = assistiv_time($6::bigint) where platform_id = $1::uuid and issuer_id = $2::uuid",
      {row.platform_id.str(), row.id.str(), sealed(row), kTokenAuthNames[static_cast<int>(row.token_auth)],
       flag(row.creates_end_users), issuer_ms(row.updated_at)});
  put_audiences(tx, row);
}

std::optional<RegisteredIssuer> IssuerStore::get(storage::Transaction& tx, core::PlatformId platform,
                                                 IssuerId id) const {
  const auto rows =
      tx.exec(std::string(kIssuerColumns) + "where i.platform_id = $1::uuid and i.issuer_id = $2::uuid",
              {platform.str(), id.str()});
  return rows.empty() ? std::nullopt : std::optional(read(rows[0]));
}

std::vector<RegisteredIssuer> IssuerStore::list(storage::Transaction& tx, core::PlatformId platform) const {
  std::vector<RegisteredIssuer> out;
  for (const auto row : tx.exec(std::string(kIssuerColumns) +
                                    "where i.platform_id = $1::uuid order by i.issuer_id desc limit $2::int",
                                {platform.str(), std::to_string(kMaxPerPlatform)})) {
    out.push_back(read(row));
  }
  return out;
}

bool IssuerStore::remove(storage::Transaction& tx, core::PlatformId platform, IssuerId id) const {
  return tx.exec("delete from registered_issuer where platform_id = $1::uuid and issuer_id = $2::uuid",
                 {platform.str(), id.str()})
             .affected() > 0;
}

std::optional<RegisteredIssuer> IssuerStore::of_token(storage::Transaction& tx, const std::string& issuer,
                                                      const std::vector<std::string>& audiences) const {
  storage::TextArray wanted;
  for (const auto& audience : audiences) wanted.add(audience);
  const auto rows =
      tx.exec(std::string(kIssuerColumns) +
                  "where i.issuer = $1 and exists (select 1 from issuer_audience t where t.platform_id ="
                  " i.platform_id and t.issuer_id = i.issuer_id and t.issuer = $1 and t.is_bearer and"
                  " t.audience = any($2::text[])) limit 2",
              {issuer, wanted.take()});
  return rows.size() == 1 ? std::optional(read(rows[0])) : std::nullopt;
}

std::optional<RegisteredIssuer> IssuerStore::of_platform(storage::Transaction& tx, core::PlatformId platform,
                                                         const std::string& issuer) const {
  const auto rows = tx.exec(std::string(kIssuerColumns) + "where i.platform_id = $1::uuid and i.issuer = $2",
                            {platform.str(), issuer});
  return rows.empty() ? std::nullopt : std::optional(read(rows[0]));
}

std::optional<RegisteredIssuer> IssuerStore::for_sign_in(storage::Transaction& tx,
                                                         const std::string& platform_slug) const {
  const auto rows =
      tx.exec(std::string(kIssuerColumns) +
                  "join platform p on p.platform_id = i.platform_id where p.slug = $1 and p.is_active"
                  " and i.sign_in",
              {platform_slug});
  return rows.empty() ? std::nullopt : std::optional(read(rows[0]));
}

ProviderOffer IssuerStore::offer(storage::Transaction& tx) const {
  const auto rows = tx.exec(
      "select p.slug, p.name from registered_issuer i join platform p on p.platform_id = i.platform_id"
      " where i.sign_in and p.is_active limit 2");
  ProviderOffer out;
  out.any = !rows.empty();
  if (rows.size() == 1) {
    out.only_slug = rows[0].text("slug");
    out.only_name = rows[0].text("name");
  }
  return out;
}

}  // namespace assistiv::oauth
