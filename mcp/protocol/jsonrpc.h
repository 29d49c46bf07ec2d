#pragma once
// JSON-RPC 2.0 as MCP uses it: reading what a client posted and writing what it gets. Pure functions.
// Answers are written as text around text: a result that a door serialized once is never parsed again.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "mcp/protocol/fault.h"

namespace assistiv::mcp {

enum class MessageKind { Request, Notification, Response };

struct Message {
  MessageKind kind = MessageKind::Request;
  std::string id;      // JSON text as it was sent: "7", "\"a\"", "1.0"; "" for a notification
  std::string method;  // "" for a response
  // The params object of a request or notification, the whole message of a response. Null without params.
  std::shared_ptr<core::Json> params;
};

struct ParsedMessage {
  Message message;  // with a fault: at least the id, when it could be read
  std::optional<Fault> fault;
};

struct ParsedBody {
  bool batch = false;
  std::vector<ParsedMessage> messages;  // exactly one unless it is a batch
};

inline constexpr std::size_t kBatchMax = 64;
inline constexpr int kJsonDepthMax = 48;

// Never throws. A body that is no JSON-RPC at all is one message with a fault.
ParsedBody parse_body(std::string_view body);

// `text` as a JSON string, quotes included.
std::string json_string(std::string_view text);

// `members` is the inside of the result object, without its braces.
std::string write_result(std::string_view id, std::string_view members);
// An empty id is left out, as the schema has it since 2025-11-25.
std::string write_error(std::string_view id, const Fault& fault);
std::string write_notification(std::string_view method, std::string_view params_json);
std::string write_request(std::string_view id, std::string_view method, std::string_view params_json);

// The inside of a serialized object, without braces and without the white space around.
std::string_view object_members(std::string_view object_json);

}  // namespace assistiv::mcp
