// Input: a template and a JSON object of values, separated by a NUL byte. Whatever both are, a rendered path
// stays below where the template put it, a header stays one line, and a manifest is read or refused.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/json_read.h"
#include "mcp/connectors/catalog.h"
#include "mcp/connectors/template.h"

namespace {

using assistiv::core::Json;

void require(bool good) {
  if (!good) std::abort();
}

bool is_dots_or_empty(std::string_view segment) {
  return segment.empty() || segment == "." || segment == "..";
}

void check_path(const std::string& path) {
  require(!path.empty() && path[0] == '/');
  for (std::size_t at = 1; at <= path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    require(!is_dots_or_empty(std::string_view(path).substr(at, end - at)));
    at = end + 1;
  }
  require(path.find_first_of("?#\\ \r\n") == std::string::npos && path.find('\0') == std::string::npos);
}

void fuzz_path(std::string_view pattern, const Json& values) {
  try {
    const auto path = assistiv::mcp::PathPattern::parse(pattern);
    check_path(path.render(values));
  } catch (const assistiv::core::Error&) {
  }
}

void fuzz_header(std::string_view pattern, const Json& values) {
  try {
    const assistiv::mcp::NamedPatterns headers = {
        {"X-Fuzz", assistiv::mcp::JsonPattern::parse(Json(std::string(pattern)), "")}};
    for (const auto& [name, value] : assistiv::mcp::render_headers(headers, values)) {
      require(std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c < 0x7f; }));
    }
  } catch (const assistiv::core::Error&) {
  }
}

void fuzz_body(std::string_view pattern, const Json& values) {
  const auto tree = assistiv::core::try_parse_json(pattern);
  if (!tree) return;
  try {
    Json out;
    if (assistiv::mcp::JsonPattern::parse(*tree, "").render(values, out)) {
      require(assistiv::core::try_parse_json(assistiv::core::dump_json(out), 200).has_value());
      if (out.is_object()) assistiv::mcp::form_body(out);
    }
  } catch (const assistiv::core::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto split = input.find('\0');
  const auto pattern = input.substr(0, split);
  if (split == std::string_view::npos) {
    try {
      assistiv::mcp::Catalog::load({{"fuzz.json", std::string(input)}});
    } catch (const assistiv::mcp::ManifestError&) {
    }
    return 0;
  }
  const auto values = assistiv::core::try_parse_json(input.substr(split + 1));
  if (!values || !values->is_object()) return 0;
  fuzz_path(pattern, *values);
  fuzz_header(pattern, *values);
  fuzz_body(pattern, *values);
  return 0;
}
