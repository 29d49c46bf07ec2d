#pragma once
// What both legacy transports do with a message: the handshake, notifications, calls.
#include <string>
#include <variant>

#include "mcp/protocol/call.h"
#include "mcp/protocol/fault.h"
#include "mcp/protocol/jsonrpc.h"

namespace assistiv::mcp {

// The session that an `initialize` asks for, with a new id and the version settled; or what is wrong with it.
std::variant<Fault, Session> read_initialize(EndpointServices& services, SessionOwner owner,
                                             const Message& message);
// The inside of the answer.
std::string initialize_members(const EndpointServices& services, const Session& session);

// `session` may be null.
core::Task<> take_notification(EndpointServices& services, SessionPtr session, Message message);
CallPtr make_legacy_call(EndpointServices& services, const IncomingPtr& incoming, const SessionPtr& session,
                         Version version, Message message);

}  // namespace assistiv::mcp
