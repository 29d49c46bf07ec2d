#pragma once
// CallToolResults as every tool of this server gives them.
#include <string>
#include <string_view>

#include "core/json.h"

namespace assistiv::mcp {

// An error is the text {"error": {"code", "message", ...details}}, so that models and programs read the same.
// It has no structuredContent: that would have to conform to the tool's outputSchema, and clients of the
// older SDKs refuse the whole result when it does not. `code` is stable: not_connected, reauth_required,
// scope_missing, denied, approval_required, approval_denied, validation, not_found, rate_limited, conflict,
// upstream, ... `details` is an object.
std::string error_result(std::string_view code, std::string_view message, core::Json details);
// `structured` conforms to the tool's output schema, `text` is the short copy for the model.
std::string structured_result(const core::Json& structured, std::string_view text);
// The same for one that is serialized already. `block_json` is a further content block, or "".
std::string structured_result_of(std::string_view structured_json, std::string_view text,
                                 std::string_view block_json = {});

}  // namespace assistiv::mcp
