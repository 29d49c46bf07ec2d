#include "mcp/tools/tool_result.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::mcp {

namespace {

core::Json text_content(std::string_view text) {
  return core::Json::array({core::Json{{"type", "text"}, {"text", text}}});
}

}  // namespace

std::string error_result(std::string_view code, std::string_view message, core::Json details) {
  details["code"] = code;
  details["message"] = message;
  const std::string text = core::dump_json({{"error", std::move(details)}});
  return core::dump_json({{"content", text_content(text)}, {"isError", true}});
}

std::string structured_result(const core::Json& structured, std::string_view text) {
  return core::dump_json(
      {{"content", text_content(text)}, {"structuredContent", structured}, {"isError", false}});
}

}  // namespace assistiv::mcp
