#include "oauth/crypto/foreign_jws.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/json_read.h"
#include "oauth/crypto/jws.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kSetKeysMax = 50;
constexpr std::size_t kTriesWithoutKid = 4;
constexpr std::size_t kModulusMin = 256, kModulusMax = 1024;  // bytes
constexpr std::size_t kExponentMax = 8;
constexpr int kClaimsDepth = 16;

struct SignatureAlgorithm {
  std::string_view name, kty, crv;
};
constexpr std::array<SignatureAlgorithm, 9> kSignatureAlgorithms = {{{"RS256", "RSA", ""},
                                                                     {"RS384", "RSA", ""},
                                                                     {"RS512", "RSA", ""},
                                                                     {"PS256", "RSA", ""},
                                                                     {"PS384", "RSA", ""},
                                                                     {"PS512", "RSA", ""},
                                                                     {"ES256", "EC", "P-256"},
                                                                     {"ES384", "EC", "P-384"},
                                                                     {"ES512", "EC", "P-521"}}};

const SignatureAlgorithm* algorithm_of(std::string_view name) {
  const auto* const found = std::find_if(kSignatureAlgorithms.begin(), kSignatureAlgorithms.end(),
                                         [&](const auto& known) { return known.name == name; });
  return found == kSignatureAlgorithms.end() ? nullptr : found;
}

// "" when absent or of another type.
std::string member_text(const core::Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The size of a base64url number without its leading zeros; 0 for what is no such text.
std::size_t number_bytes(const std::string& text) {
  const auto bytes = core::base64url_decode(text);
  if (!bytes) return 0;
  const auto first = bytes->find_first_not_of('\0');
  return first == std::string::npos ? 0 : bytes->size() - first;
}

bool is_for_signatures(const core::Json& jwk) {
  if (jwk.contains("use") && member_text(jwk, "use") != "sig") return false;
  const auto ops = jwk.find("key_ops");
  return ops == jwk.end() ||
         (ops->is_array() && std::find(ops->begin(), ops->end(), core::Json("verify")) != ops->end());
}

// With 1 everybody could sign; an even one is none of RSA's.
bool is_exponent(const std::string& text) {
  const auto size = number_bytes(text);
  if (size == 0 || size > kExponentMax) return false;
  const auto last = static_cast<unsigned char>(core::base64url_decode(text)->back());
  return last % 2 == 1 && (size > 1 || last > 1);
}

core::Json rsa_members(const core::Json& jwk) {
  const auto modulus = number_bytes(member_text(jwk, "n"));
  if (modulus < kModulusMin || modulus > kModulusMax || !is_exponent(member_text(jwk, "e"))) return {};
  return {{"kty", "RSA"}, {"n", jwk["n"]}, {"e", jwk["e"]}};
}

core::Json ec_members(const core::Json& jwk) {
  const auto crv = member_text(jwk, "crv");
  const std::size_t size = crv == "P-256" ? 32 : crv == "P-384" ? 48 : crv == "P-521" ? 66 : 0;
  const auto coordinate = [&](const char* name) {
    const auto bytes = core::base64url_decode(member_text(jwk, name));
    return bytes && bytes->size() == size;
  };
  if (size == 0 || !coordinate("x") || !coordinate("y")) return {};
  return {{"kty", "EC"}, {"crv", crv}, {"x", jwk["x"]}, {"y", jwk["y"]}};
}

bool key_fits(const ForeignKey& key, const SignatureAlgorithm& algorithm) {
  return key.kty == algorithm.kty && key.crv == algorithm.crv &&
         (key.alg.empty() || key.alg == algorithm.name);
}

}  // namespace

std::optional<ForeignKey> read_foreign_key(const core::Json& jwk) {
  if (!jwk.is_object() || !is_for_signatures(jwk)) return std::nullopt;
  ForeignKey out;
  out.kty = member_text(jwk, "kty");
  const auto members = out.kty == "RSA" ? rsa_members(jwk) : out.kty == "EC" ? ec_members(jwk) : core::Json();
  if (members.is_null()) return std::nullopt;
  out.kid = member_text(jwk, "kid");
  out.alg = member_text(jwk, "alg");
  out.crv = member_text(members, "crv");
  if (!out.alg.empty()) {
    const auto* algorithm = algorithm_of(out.alg);
    if (algorithm == nullptr || !key_fits(out, *algorithm)) return std::nullopt;
  }
  out.jwk = core::dump_json(members);
  return out;
}

std::vector<ForeignKey> read_key_set(std::string_view text) {
  std::vector<ForeignKey> out;
  const auto set = core::try_parse_json(text, 8);
  if (!set || !set->is_object()) return out;
  const auto keys = set->find("keys");
  if (keys == set->end() || !keys->is_array()) return out;
  for (const auto& jwk : *keys) {
    if (out.size() == kSetKeysMax) break;
    if (auto key = read_foreign_key(jwk)) out.push_back(std::move(*key));
  }
  return out;
}

std::optional<std::string> foreign_jws_verify(const std::vector<ForeignKey>& keys, std::string_view jws) {
  const auto header = jws_header(jws);
  if (!header || header->contains("crit")) return std::nullopt;
  const auto* algorithm = algorithm_of(header->value("alg", ""));
  if (algorithm == nullptr) return std::nullopt;
  const auto kid = header->value("kid", "");
  std::size_t tries = 0;
  for (const auto& key : keys) {
    if (!key_fits(key, *algorithm) || (!kid.empty() && !key.kid.empty() && key.kid != kid)) continue;
    if (auto payload = jws_open(key.jwk, jws)) return payload;
    if (++tries == kTriesWithoutKid) break;
  }
  return std::nullopt;
}

bool names_another_key(const std::vector<ForeignKey>& keys, std::string_view jws) {
  const auto header = jws_header(jws);
  const auto kid = header ? header->value("kid", "") : std::string();
  return !kid.empty() &&
         std::none_of(keys.begin(), keys.end(), [&](const auto& key) { return key.kid == kid; });
}

std::optional<core::Json> jws_claims(std::string_view jws) {
  const auto first = jws.find('.');
  const auto second = jws.find('.', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const auto bytes = core::base64url_decode(jws.substr(first + 1, second - first - 1));
  auto claims = bytes ? core::try_parse_json(*bytes, kClaimsDepth) : std::nullopt;
  return claims && claims->is_object() ? std::move(claims) : std::nullopt;
}

}  // namespace assistiv::oauth
