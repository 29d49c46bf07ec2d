#pragma once
// JSON text and SSE frames written straight into a buffer: what a stream encoder does once per token.
#include <cstdint>
#include <string>
#include <string_view>

namespace assistiv::inference {

// `text` as a JSON string with its quotes. Invalid UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);
// "event: <event>\n" (left out when empty) and "data: ".
void begin_sse(std::string& out, std::string_view event);
inline void end_sse(std::string& out) {
  out.append("\n\n");
}

}  // namespace assistiv::inference
