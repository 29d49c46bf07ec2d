#pragma once
// Changing single members of a JSON object in its text: every other byte stays as the caller wrote it.
#include <optional>
#include <string>
#include <string_view>

namespace assistiv::inference {

// `object` is valid JSON (already parsed) with an object at its root. Pure.
// The member's value as it stands; empty when absent.
std::optional<std::string_view> json_member(std::string_view object, std::string_view name);
// Puts `value` (JSON text) in the member's place, or behind the last member.
std::string with_json_member(std::string_view object, std::string_view name, std::string_view value);
// Whether every name at the root is written without escapes, so that none is missed by the above.
bool plain_member_names(std::string_view object);

}  // namespace assistiv::inference
