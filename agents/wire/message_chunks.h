#pragma once
// Messages in LangChain's form, in pieces and as a whole. Pure. Internal to wire/.
#include <nlohmann/json.hpp>
#include <string>

#include "agents/wire/legacy_events.h"
#include "core/json.h"

namespace assistiv::agents {

// An object with an id and a type that messages have.
bool is_message(const core::Json& value);
// A message that no model and no tool gave: those are told when they are made, which may have been in an
// earlier run.
bool written_by_hand(const core::Json& value);
// "" without one.
std::string message_id(const core::Json& message);
// Eight hex digits, for ids of events.
std::string message_hash(const std::string& id);

// The piece was told.
void count_piece(ToldMessage& told, const core::Json& piece);
// What of the whole is not told yet, as one more piece; null for nothing.
core::Json rest_of(const core::Json& whole, const ToldMessage& told);
// The message as far as it has come. False when a piece before this one is missing.
bool append_piece(core::Json& so_far, const core::Json& piece, const core::Json& place);

}  // namespace assistiv::agents
