#pragma once
// How a request becomes an HTTP reply, in both eras.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/http.h"
#include "mcp/protocol/call.h"
#include "mcp/protocol/methods.h"

namespace assistiv::mcp {

inline constexpr std::string_view kSessionHeader = "mcp-session-id";

core::HttpReply fault_reply(std::string_view id, const Fault& fault);
// 202 without a body: a notification or a response was taken.
core::HttpReply accepted_reply();
core::HttpReply event_reply(std::function<core::Task<>(std::shared_ptr<core::EventSink>)> stream);
// One message, as JSON or, for a client that takes nothing else, as an event.
core::HttpReply message_reply(const Accepts& accepts, int status, std::string message);

// Runs a call to its end: a plain reply, or a stream that is still being written. `method` may be null
// (unknown).
core::Task<core::HttpReply> serve_call(CallPtr call, const Method* method);
// The same where the answer is one of many (a batch): "" when nothing is to be said.
core::Task<std::string> answer_call(CallPtr call, const Method* method);

// Runs it beside: what it says goes to call->answer, which is not null.
core::Task<> start_call(CallPtr call, const Method* method);

// The transports.
core::Task<core::HttpReply> post_modern(EndpointServices& services, IncomingPtr incoming,
                                        ParsedMessage parsed);
core::Task<core::HttpReply> post_legacy(EndpointServices& services, IncomingPtr incoming, ParsedBody body);
core::Task<core::HttpReply> get_legacy(EndpointServices& services, IncomingPtr incoming);
core::Task<core::HttpReply> delete_legacy(EndpointServices& services, IncomingPtr incoming);
// The 2024-11-05 transport: GET opens the stream, POSTs go to the URL that its first event names.
core::Task<core::HttpReply> serve_sse(EndpointServices& services, IncomingPtr incoming);
core::Task<core::HttpReply> open_listen(CallPtr call);

// Finds the session that the request names. Null without the header; with one that is not known here `fault`
// is set (404: the client must begin again).
core::Task<SessionPtr> find_session(EndpointServices& services, IncomingPtr incoming,
                                    std::shared_ptr<Fault> fault);

}  // namespace assistiv::mcp
