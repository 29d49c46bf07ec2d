#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace assistiv::oauth {

// Why `url` may not be sent a browser to, in words for the caller; empty when it may. It must be absolute,
// https (http only for loopback hosts), without user info and fragment, at most 2048 printable ASCII bytes.
// Also the rule for the platform setting `connect_verifier_url`.
std::string return_url_fault(std::string_view url);

// Adds query parameters, percent-encoded, behind those that the URL has.
std::string with_query(std::string_view url, const std::vector<std::pair<std::string, std::string>>& params);

}  // namespace assistiv::oauth
