#pragma once
// Reading provider responses by JSON pointer (RFC 6901).
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"

namespace assistiv::oauth {

bool is_json_pointer(std::string_view text);
// Null when there is nothing at `pointer`, or a null.
const core::Json* at_pointer(const core::Json& document, const std::string& pointer);
// A non-empty string or an integer there, as text; empty for anything else.
std::optional<std::string> text_at(const core::Json& document, const std::string& pointer);
// A positive integer there, or a string of digits (providers send both).
std::optional<std::int64_t> seconds_at(const core::Json& document, const std::string& pointer);

}  // namespace assistiv::oauth
