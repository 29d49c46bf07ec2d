#pragma once
// JWE compact serialization (RFC 7516 section 7.1), alg "dir" and enc "A256GCM" only. The only source that
// touches cjose; every call makes its own cjose objects, which must not be shared between threads.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/secret.h"

namespace assistiv::oauth {

using JweHeader = std::vector<std::pair<std::string, std::string>>;

// `key` is 32 bytes. `header` goes into the protected header. Throws Error{Internal}; no message quotes the
// plaintext.
std::string jwe_encrypt(const core::Secret& key, const JweHeader& header, const core::Secret& plaintext);

// Decrypts and then compares the protected header: each entry of `expected` must be there with that value.
// Throws Error{Internal}.
core::Secret jwe_decrypt(const core::Secret& key, const JweHeader& expected, std::string_view jwe);

// A text member of the (not yet authenticated) protected header; "" when there is none or `jwe` is not such a
// text.
std::string jwe_header_value(std::string_view jwe, const char* name);

}  // namespace assistiv::oauth
