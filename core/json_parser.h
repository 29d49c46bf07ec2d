#pragma once
// The parser behind core/json_read.h.
#include <string>
#include <string_view>

#include "core/json.h"

namespace assistiv::core {

// Reads one JSON text (RFC 8259; a byte order mark in front is passed over) into `out`. Gives the fault in
// words, empty for none; `out` is then of no use. A number that is no 64-bit integer becomes a double.
// Written by hand because every model call and tool call parses its bodies: nlohmann's own parser goes byte
// by byte, and reports neither duplicate keys nor depth.
std::string parse_json_into(Json& out, std::string_view text, int depth_max);

}  // namespace assistiv::core
