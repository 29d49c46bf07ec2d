#pragma once
// The endpoint /mcp/conformance: the fixtures behind the very protocol code that serves users. Anonymous, so
// it is for loopback addresses only (api/ sees to that), and its sessions stay in memory.
#include "mcp/conformance/fixture_door.h"
#include "mcp/protocol/endpoint.h"
#include "mcp/sessions/memory_session_store.h"

namespace assistiv::mcp {

class FixtureEndpoint {
 public:
  // Of `world` everything but the sessions is used.
  FixtureEndpoint(EndpointOptions options, const EndpointWorld& world);
  ~FixtureEndpoint();
  FixtureEndpoint(const FixtureEndpoint&) = delete;
  FixtureEndpoint& operator=(const FixtureEndpoint&) = delete;

  // handle() takes a null principal here.
  Endpoint& endpoint() { return endpoint_; }

 private:
  void announce(ListKind kind);

  MemorySessionStore sessions_;
  FixtureTools tools_;
  FixtureResources resources_;
  FixturePrompts prompts_;
  Endpoint endpoint_;
};

}  // namespace assistiv::mcp
