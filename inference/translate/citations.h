#pragma once
// What text rests on, in OpenAI's words and counted in characters, as the canonical form has it.
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "inference/canonical.h"

namespace assistiv::inference {

// Code points of UTF-8 text; a cut character counts with its first byte.
std::int64_t characters(std::string_view utf8);
// Where the character begins; the end when there are fewer.
std::size_t byte_of_character(std::string_view utf8, std::int64_t character);

// OpenAI's url_citation: {"url","title","start_index","end_index"}. False when it names no URL.
bool read_url_citation(const core::Json& value, Citation& into);
// The same, `before` characters into the text that OpenAI counts in. `length` is the part's.
core::Json url_citation(const Citation& citation, std::int64_t before, std::int64_t length);

// What `client` has no form for in the reply: "reply.<name>" each, for the x-aig-dropped header.
std::vector<std::string> left_out_for(DialectId client, const Reply& reply);

}  // namespace assistiv::inference
