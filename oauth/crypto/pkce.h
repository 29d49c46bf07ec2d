#pragma once
// Proof Key for Code Exchange, method S256 only (RFC 7636; OAuth 2.1 section 7.5.2 forbids "plain" where S256
// works).
#include <string>
#include <string_view>

#include "core/random.h"
#include "core/secret.h"

namespace assistiv::oauth {

// 43 characters of the unreserved alphabet: 32 random bytes in base64url (RFC 7636 section 4.1).
core::Secret make_code_verifier(core::Random& random);
// BASE64URL(SHA256(ASCII(verifier))) (section 4.2).
std::string code_challenge_s256(std::string_view verifier);
// 43..128 unreserved characters.
bool is_code_verifier(std::string_view text);

}  // namespace assistiv::oauth
