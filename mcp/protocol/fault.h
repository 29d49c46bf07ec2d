#pragma once
// A request that ends with a JSON-RPC error, and the HTTP status that goes with it when nothing was sent yet.
#include <string>

namespace assistiv::mcp {

// JSON-RPC 2.0 section 5.1, and what MCP defines on top (2026-07-28 basic, "Error Codes"; 2025-11-25 schema).
inline constexpr int kParseError = -32700;
inline constexpr int kInvalidRequest = -32600;
inline constexpr int kMethodNotFound = -32601;
inline constexpr int kInvalidParams = -32602;
inline constexpr int kInternalError = -32603;
inline constexpr int kTransportRefused = -32000;        // legacy only: bad header, no session, ...
inline constexpr int kSessionNotFound = -32001;         // legacy only
inline constexpr int kResourceNotFound = -32002;        // legacy only
inline constexpr int kUrlElicitationRequired = -32042;  // 2025-11-25 only
inline constexpr int kHeaderMismatch = -32020;
inline constexpr int kMissingCapability = -32021;
inline constexpr int kUnsupportedVersion = -32022;

struct Fault {
  int code = kInternalError;
  std::string message;  // for the caller
  int status = 200;
  std::string data_json;  // "" for none
};

}  // namespace assistiv::mcp
