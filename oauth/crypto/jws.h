#pragma once
// JWS compact serialization (RFC 7515 section 7.1), through cjose; what we sign is ES256. Every call makes
// its own cjose objects, which must not be shared between threads.
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/secret.h"
#include "oauth/crypto/jwe.h"

namespace assistiv::oauth {

// A P-256 key pair as JWK texts (RFC 7517); both carry `kid`.
struct SigningKeyPair {
  core::Secret private_jwk;
  std::string public_jwk;
};

SigningKeyPair make_es256_key(const std::string& kid);

// `header` goes into the protected header, beside alg. Throws Error{Internal}.
std::string jws_sign(const core::Secret& private_jwk, const JweHeader& header, std::string_view payload);

// The payload, when alg is ES256, nothing is critical, and the signature is this key's; else nothing. Never
// throws for what is in `jws`.
std::optional<std::string> jws_verify(const std::string& public_jwk, std::string_view jws);

// The payload when the signature is this key's, by the algorithm that the header names. Which algorithms may
// come with the key, and whether something is critical, is the caller's to check before. Never throws for
// what is in `jws`.
std::optional<std::string> jws_open(const std::string& public_jwk, std::string_view jws);

// The (not yet authenticated) protected header: an object, or nothing when `jws` is no such text.
std::optional<core::Json> jws_header(std::string_view jws);

}  // namespace assistiv::oauth
