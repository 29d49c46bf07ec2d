#include "inference/translate/wire.h"

#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/json_read.h"

namespace assistiv::inference {

namespace {

void append_escape(std::string& out, unsigned char c) {
  static constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out.push_back(kHex[c >> 4]);
      out.push_back(kHex[c & 15]);
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  if (!core::is_valid_utf8(text)) {
    out += core::dump_json(core::Json(std::string(text)));
    return;
  }
  out.reserve(out.size() + text.size() + 2);
  out.push_back('"');
  std::size_t from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text.substr(from, i - from));
    append_escape(out, c);
    from = i + 1;
  }
  out.append(text.substr(from));
  out.push_back('"');
}

void begin_sse(std::string& out, std::string_view event) {
  if (!event.empty()) out.append("event: ").append(event).append("\n");
  out.append("data: ");
}

}  // namespace assistiv::inference
