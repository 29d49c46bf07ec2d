#pragma once
// Modern requests repeat parts of the body in headers, for infrastructure that routes by them; what disagrees
// is refused, so that nobody routes by one and executes the other (2026-07-28 Streamable HTTP, "Request
// Metadata").
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/http.h"
#include "core/json.h"
#include "mcp/protocol/fault.h"
#include "mcp/protocol/request_head.h"
#include "mcp/tools/tool.h"

namespace assistiv::mcp {

// A header's value, `=?base64?...?=` decoded. Empty optional when the encoding or a character is not allowed.
std::optional<std::string> decode_header_value(std::string_view value);

// MCP-Protocol-Version, Mcp-Method and Mcp-Name against the body; -32020 with status 400.
std::optional<Fault> check_standard_headers(const RequestHead& head, std::string_view version,
                                            std::string_view method, const core::Json* params);
// Mcp-Param-* of a tools/call. `arguments` may be null.
std::optional<Fault> check_mirrored_arguments(const core::HttpHeaders& headers,
                                              const std::vector<MirroredArgument>& mirrored,
                                              const core::Json& arguments);

}  // namespace assistiv::mcp
