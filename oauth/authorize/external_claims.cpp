#include "oauth/authorize/external_claims.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/http.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kAudiencesMax = 20;
constexpr std::size_t kExternalIdBytesMax = 255;
constexpr double kNumericDateMax = 253402300799.0;  // the year 9999

// RFC 7519 section 2: NumericDate may have a fraction. False for a value that is none.
bool read_date(const core::Json& payload, const char* name, std::optional<core::Time>& out) {
  const auto found = payload.find(name);
  if (found == payload.end()) return true;
  if (!found->is_number()) return false;
  const double seconds = found->get<double>();
  if (!(seconds >= 0 && seconds <= kNumericDateMax)) return false;
  out = core::from_epoch_ms(static_cast<std::int64_t>(std::floor(seconds)) * 1000);
  return true;
}

std::vector<std::string> read_audiences(const core::Json& payload) {
  std::vector<std::string> out;
  const auto found = payload.find("aud");
  if (found == payload.end()) return out;
  if (found->is_string()) return {found->get<std::string>()};
  if (!found->is_array() || found->size() > kAudiencesMax) return out;
  for (const auto& entry : *found) {
    if (!entry.is_string()) return {};
    out.push_back(entry.get<std::string>());
  }
  return out;
}

bool is_verified(const core::Json& all) {
  const auto found = all.find("email_verified");
  return found != all.end() && (*found == true || *found == "true");
}

}  // namespace

std::optional<ExternalClaims> read_external_claims(core::Json payload) {
  if (!payload.is_object()) return std::nullopt;
  ExternalClaims out;
  std::optional<core::Time> expires;
  if (!read_date(payload, "exp", expires) || !read_date(payload, "iat", out.issued_at) ||
      !read_date(payload, "nbf", out.not_before) || !expires) {
    return std::nullopt;
  }
  out.expires_at = *expires;
  out.audiences = read_audiences(payload);
  out.all = std::make_shared<const core::Json>(std::move(payload));
  out.issuer = claim_text(out, "iss");
  if (out.issuer.empty() || out.audiences.empty()) return std::nullopt;
  return out;
}

bool holds_now(const ExternalClaims& claims, core::Time now) {
  const auto in_future = [&](const std::optional<core::Time>& time) {
    return time && *time > now + kClockSkew;
  };
  return claims.expires_at > now - kClockSkew && !in_future(claims.issued_at) &&
         !in_future(claims.not_before);
}

std::string claim_text(const ExternalClaims& claims, std::string_view name) {
  const auto found = claims.all->find(name);
  return found != claims.all->end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<std::string> external_id_of(const ExternalClaims& claims, const std::string& claim) {
  auto id = claim_text(claims, claim);
  if (id.empty() || id.size() > kExternalIdBytesMax) return std::nullopt;
  if (claim == "email" && !is_verified(*claims.all)) return std::nullopt;
  return id;
}

bool is_bearer_type(std::string_view typ) {
  for (const auto* known : {"", "JWT", "at+jwt", "application/at+jwt"}) {
    if (core::equals_ignore_case(typ, known)) return true;
  }
  return false;
}

}  // namespace assistiv::oauth
