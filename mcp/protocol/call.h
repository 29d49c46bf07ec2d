#pragma once
// One request that is being answered, and what every method works with.
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/http.h"
#include "core/json.h"
#include "core/task.h"
#include "mcp/protocol/answer.h"
#include "mcp/protocol/client_meta.h"
#include "mcp/protocol/fault.h"
#include "mcp/protocol/jsonrpc.h"
#include "mcp/protocol/request_head.h"
#include "mcp/protocol/version.h"
#include "mcp/sessions/session_store.h"
#include "mcp/tools/tool.h"
#include "oauth/principal.h"

namespace assistiv::mcp {

struct EndpointServices;

// The transport of 2025-03-26 and later, and the one of 2024-11-05 (legacy_sse.cpp). A session belongs to
// one.
enum class Transport { Streamable, Sse };

// The HTTP request as it came, with the caller that api/ authenticated. Stays where it is: `head` points into
// it.
struct Incoming {
  Incoming(core::HttpRequest request, oauth::PrincipalPtr caller, std::optional<std::string> app_name,
           Transport which = Transport::Streamable);
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;
  SessionOwner owner() const;

  core::HttpRequest http;
  oauth::PrincipalPtr principal;  // null at the fixture endpoint
  std::optional<std::string> app;
  Transport transport;
  RequestHead head;
  Accepts accepts;
  std::shared_ptr<const ToolSelection> selection;  // of this request; null: none (selection.h)
  std::string selection_fault;                     // why it cannot be read
};
using IncomingPtr = std::shared_ptr<const Incoming>;

// What a method gives back: the inside of a result object, or a fault.
struct Reply {
  enum class Kind { Complete, Listing, Discovery, Reading, InputRequired, Task, Failed };
  Kind kind = Kind::Complete;
  std::string members;
  Fault fault;
};
Reply completed(std::string members);
// Complete results that carry cache hints in the modern protocol: for the options' time, or for no time at
// all.
Reply listed(std::string members);
Reply discovered(std::string members);  // a listing that introduces the server
Reply reading(std::string members);
Reply failed(Fault fault);
Reply failed(int code, std::string message);

struct Call {
  Call(EndpointServices& endpoint_services, IncomingPtr request, Message m, Version v)
      : services(endpoint_services), incoming(std::move(request)), message(std::move(m)), version(v) {}

  bool modern() const { return is_modern(version); }
  const core::Json* params() const { return message.params.get(); }

  EndpointServices& services;
  IncomingPtr incoming;
  Message message;
  Version version;
  SessionPtr session;                              // legacy, when there is one
  std::shared_ptr<const ToolSelection> selection;  // of the session, else of the request
  ClientAbilities abilities;
  ClientLogLevel log_level = ClientLogLevel::Off;
  std::shared_ptr<Answer> answer;  // null where nothing can be said before the result
  std::stop_source stop;
  std::atomic<bool> cancelled{false};  // by notifications/cancelled: nothing may be sent any more
  std::string progress_token;
  std::optional<double> progressed;
  std::chrono::steady_clock::time_point progressed_at{};
};
using CallPtr = std::shared_ptr<Call>;

// The context for the doors.
CallContext make_context(const CallPtr& call);
// The JSON-RPC message that answers `call`, with what its era adds to every result.
std::string write_reply(const Call& call, const Reply& reply);

}  // namespace assistiv::mcp
