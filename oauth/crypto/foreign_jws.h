#pragma once
// Signatures of others: one key of a stranger's JWK set (RFC 7517), and what it signed (RFC 7515). Asymmetric
// algorithms only (RS, PS and ES with SHA-256, -384 and -512), and each with its own kind of key: a header
// cannot choose how a key is used. Pure, thread-safe.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace assistiv::oauth {

struct ForeignKey {
  std::string kid;  // "" when it has none
  std::string alg;  // the one algorithm that it is for; "" for every one of its kind
  std::string kty;  // "RSA", "EC"
  std::string crv;  // of an EC key
  std::string jwk;  // its public members and nothing else
};

// Nothing for a key that is not for signatures, is symmetric, or is weak: RSA has 2048 to 8192 bits and an
// exponent of at most 64, EC is P-256, P-384 or P-521.
std::optional<ForeignKey> read_foreign_key(const core::Json& jwk);

// The usable keys of a set, at most 50; empty for a text that is none.
std::vector<ForeignKey> read_key_set(std::string_view text);

// The payload when one of `keys` signed it: the one that the header names, or any for a header that names
// none (then of the first four that fit). Never throws for what is in `jws`.
std::optional<std::string> foreign_jws_verify(const std::vector<ForeignKey>& keys, std::string_view jws);
// Whether the header names a key that is not among `keys`.
bool names_another_key(const std::vector<ForeignKey>& keys, std::string_view jws);

// Not verified: for finding out whose it says it is. Nothing when it is no JSON object.
std::optional<core::Json> jws_claims(std::string_view jws);

}  // namespace assistiv::oauth
