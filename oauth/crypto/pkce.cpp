#include "oauth/crypto/pkce.h"

#include <algorithm>

#include "core/encoding.h"

namespace assistiv::oauth {

core::Secret make_code_verifier(core::Random& random) {
  return core::Secret(core::random_token(random, 32));
}

std::string code_challenge_s256(std::string_view verifier) {
  return core::base64url_encode(core::sha256(verifier));
}

bool is_code_verifier(std::string_view text) {
  const auto unreserved = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
  };
  return text.size() >= 43 && text.size() <= 128 && std::all_of(text.begin(), text.end(), unreserved);
}

}  // namespace assistiv::oauth
