#pragma once
// Text encodings and digests that several modules need. All functions are pure.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace assistiv::core {

std::string hex_encode(std::string_view bytes);
std::optional<std::string> hex_decode(std::string_view text);

std::string base64_encode(std::string_view bytes);  // padded, RFC 4648 section 4
// Strict: alphabet, padding and trailing bits are checked.
std::optional<std::string> base64_decode(std::string_view text);
std::string base64url_encode(std::string_view bytes);  // unpadded, RFC 4648 section 5
std::optional<std::string> base64url_decode(std::string_view text);

std::string sha256(std::string_view bytes);  // 32 raw bytes
std::string sha256_hex(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view bytes);  // 32 raw bytes
// Compares in time that depends on the lengths only.
bool constant_time_equal(std::string_view a, std::string_view b);

// RFC 3986: everything but unreserved characters is encoded, "/" too.
std::string percent_encode(std::string_view text);
// Empty on a malformed escape or a NUL byte.
std::optional<std::string> percent_decode(std::string_view text);

using FormFields = std::vector<std::pair<std::string, std::string>>;
// application/x-www-form-urlencoded ("+" is a space).
std::string form_encode(const FormFields& fields);
std::optional<FormFields> form_decode(std::string_view text);

// Text safe inside HTML elements and quoted attributes.
std::string html_escape(std::string_view text);

bool is_valid_utf8(std::string_view text);

}  // namespace assistiv::core
