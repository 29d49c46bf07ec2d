#include "mcp/tools/tool_result.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::mcp {

namespace {

// Built as text: what is in it has been serialized already, and nothing reads the whole again.
std::string result_with(std::string_view text, std::string_view block_json, bool is_error,
                        std::string_view more) {
  const std::string quoted = core::dump_json(core::Json(text));
  std::string out = R"({"content":[{"text":)";
  out.reserve(quoted.size() + block_json.size() + more.size() + 100);
  out += quoted;
  out += R"(,"type":"text"})";
  if (!block_json.empty()) out.append(",").append(block_json);
  out += R"(],"isError":)";
  out += is_error ? "true" : "false";
  out += more;
  out += '}';
  return out;
}

}  // namespace

std::string error_result(std::string_view code, std::string_view message, core::Json details) {
  details["code"] = code;
  details["message"] = message;
  return result_with(R"({"error":)" + core::dump_json(details) + '}', {}, true, "");
}

std::string structured_result(const core::Json& structured, std::string_view text) {
  return structured_result_of(core::dump_json(structured), text);
}

std::string structured_result_of(std::string_view structured_json, std::string_view text,
                                 std::string_view block_json) {
  return result_with(text, block_json, false, R"(,"structuredContent":)" + std::string(structured_json));
}

}  // namespace assistiv::mcp
