#pragma once
// Messages in state, in LangChain's JSON form: {id, type: "human"|"ai"|"system"|"tool"|"remove", content,
// ...}.
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/json.h"
#include "core/random.h"

namespace assistiv::agents::pregel {

inline constexpr std::string_view kRemoveAll = "__remove_all__";

// A list of messages from what clients send: one message or a list; a string, [role, content], {role,
// content}, {type, content}, a chunk, or LangChain's constructor form, of which only kwargs are read.
// Messages without an id get a UUID. Throws Error{Unprocessable, INVALID_GRAPH_UPDATE}.
core::Json coerce_messages(const core::Json& from, core::Random& random);

// LangGraph's add_messages over coerced lists: the same id replaces in place, a "remove" takes away (an
// unknown id is an error, kRemoveAll is all before it), else the message is added. Throws as above.
core::Json add_messages(const core::Json& left, const core::Json& right);

// How many of the oldest must go so that at most `max` stay. A tool's answer goes together with its call.
std::size_t surplus_messages(const core::Json& messages, std::size_t max);

// For each call of a tool in `messages` that has no answer: a tool message with `text` and status "error".
// What is left without it no provider takes again.
core::Json answers_for_open_calls(const core::Json& messages, std::string_view text, core::Random& random);

}  // namespace assistiv::agents::pregel
