// Input: a POST to the MCP endpoint as a client may send it: headers ("name: value" lines) up to an empty
// line, then the body. Nothing may crash; every message that is read must have an id that is JSON, and every
// answer must be JSON.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/http.h"
#include "core/json_read.h"
#include "mcp/protocol/client_meta.h"
#include "mcp/protocol/header_mirror.h"
#include "mcp/protocol/jsonrpc.h"
#include "mcp/protocol/paging.h"
#include "mcp/protocol/request_head.h"

namespace {

namespace core = assistiv::core;
namespace mcp = assistiv::mcp;

void require(bool holds) {
  if (!holds) std::abort();
}

core::HttpHeaders read_headers(std::string_view text) {
  core::HttpHeaders headers;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() == text.size() ? line.size() : line.size() + 1);
    const auto colon = line.find(':');
    if (colon != std::string_view::npos) {
      headers.add(std::string(line.substr(0, colon)), std::string(line.substr(colon + 1)));
    }
  }
  return headers;
}

void check_message(const mcp::ParsedMessage& parsed, const mcp::RequestHead& head,
                   const core::HttpHeaders& headers) {
  const auto& message = parsed.message;
  require(message.id.empty() || core::Json::accept(message.id));
  if (parsed.fault) require(core::Json::accept(mcp::write_error(message.id, *parsed.fault)));
  require(core::Json::accept(mcp::write_result(message.id.empty() ? "null" : message.id, "")));
  const core::Json* params = message.kind == mcp::MessageKind::Response ? nullptr : message.params.get();
  mcp::ModernMeta meta;
  if (const auto fault = mcp::read_modern_meta(params, meta)) {
    require(core::Json::accept(mcp::write_error(message.id, *fault)));
  }
  mcp::check_standard_headers(head, meta.version, message.method, params);
  const std::string token = mcp::progress_token(params);
  require(token.empty() || core::Json::accept(token));
  mcp::page_of(params, 10, "etag", 3);
  if (params != nullptr) mcp::check_mirrored_arguments(headers, {{{"a"}, "A"}, {{"b", "c"}, "B"}}, *params);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto split = input.find("\n\n");
  const auto headers = read_headers(input.substr(0, split));
  const auto head = mcp::read_head(headers);
  mcp::read_accept(head.accept);
  mcp::is_json_content(head.content_type);
  static const mcp::HostGuard guard({"mcp.example.com"}, {"https://app.example.com"});
  guard.check(head);
  const auto body = split == std::string_view::npos ? std::string_view() : input.substr(split + 2);
  const auto parsed = mcp::parse_body(body);
  require(!parsed.messages.empty());
  for (const auto& message : parsed.messages) check_message(message, head, headers);
  return 0;
}
