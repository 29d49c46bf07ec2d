#pragma once
// Names and sentences for a drafted manifest, from what an OpenAPI document says. Pure; every result is
// bounded.
#include <cstddef>
#include <string>
#include <string_view>

#include "core/json.h"

namespace assistiv::mcp {

// "listUserRepos", "list-user-repos", "List user repos" -> "list_user_repos"; begins with a letter; "" when
// there is nothing to make a name of.
std::string snake_name(std::string_view text, std::size_t max);
// "list_user_repos" -> "List user repos".
std::string words_of_name(std::string_view name);
// One line of plain text, cut at a word.
std::string plain_line(std::string_view text, std::size_t max);
// "*" stands for any characters; without regard to case.
bool matches_glob(std::string_view pattern, std::string_view text);
// A string member, "" for anything else.
std::string text_member(const core::Json& object, const char* name);
// A member that is an object or an array; an empty object for anything else.
const core::Json& structured_member(const core::Json& object, const char* name);

}  // namespace assistiv::mcp
