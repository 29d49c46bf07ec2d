#pragma once
// The bytes in front of a reply's body. Pure.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/http.h"
#include "net/request_parser.h"

namespace assistiv::net {

// How the end of the body is told.
enum class Framing { Length, Chunked, UntilClose };

struct ReplyFrame {
  Framing framing = Framing::Length;
  bool close = false;       // "connection: close"
  bool keep_alive = false;  // "connection: keep-alive", for HTTP/1.0
  std::string_view request_id;
  std::string_view date;
};

// Whether names and values can be sent as they stand (RFC 9110 5.5): no CR, LF or NUL, names are tokens.
bool sendable(const core::HttpHeaders& headers);

// Status line and fields. What belongs to the edge (content-length, transfer-encoding, connection, date) is
// taken from `frame`, not from the reply; x-request-id only when the reply has none. An event stream gets the
// fields that keep caches and proxies from holding events back.
std::string reply_head(const core::HttpReply& reply, const ReplyFrame& frame);

// Whether a reply with this status has no body (RFC 9110 6.4.1).
bool bodiless(int status);

// {"error":{"code","message","request_id"}}
core::HttpReply refusal_reply(const Refusal& refusal, std::string_view request_id);

}  // namespace assistiv::net
