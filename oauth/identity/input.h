#pragma once
// Values from outside, checked before they reach a statement. Faults throw Error{InvalidArgument} with the
// field.
#include <cstddef>
#include <string>
#include <string_view>

namespace assistiv::oauth {

// Valid UTF-8 of min..max characters without control characters; PostgreSQL's text cannot hold a NUL.
std::string checked_text(std::string_view text, std::size_t min, std::size_t max, const std::string& field);
// A JSON object of at most `max_bytes`, in compact form.
std::string checked_object(std::string_view json, std::size_t max_bytes, const std::string& field);
// `patch` merged into `current` (RFC 7396), under the same limits.
std::string merged_object(std::string_view current, std::string_view patch, std::size_t max_bytes,
                          const std::string& field);

}  // namespace assistiv::oauth
