#pragma once
// The endpoint /mcp/conformance: the fixtures behind the very protocol code that serves users. Anonymous, so
// it is for loopback addresses only (api/ sees to that), and its sessions stay in memory.
#include "mcp/conformance/fixture_door.h"
#include "mcp/protocol/endpoint.h"
#include "mcp/sessions/memory_session_store.h"
#include "mcp/tasks/memory_task_store.h"
#include "mcp/tasks/task_runner.h"

namespace assistiv::mcp {

class FixtureEndpoint {
 public:
  // Of `world` everything but the sessions is used.
  FixtureEndpoint(EndpointOptions options, const EndpointWorld& world);
  ~FixtureEndpoint();
  FixtureEndpoint(const FixtureEndpoint&) = delete;
  FixtureEndpoint& operator=(const FixtureEndpoint&) = delete;

  // Tasks go on from now on.
  void start(core::AnyExecutor executor) { runner_.start(std::move(executor)); }
  // Ends what runs. Not on an I/O thread.
  void stop();
  // handle() takes a null principal here.
  Endpoint& endpoint() { return endpoint_; }

 private:
  void announce(ListKind kind);

  MemorySessionStore sessions_;
  MemoryTaskStore tasks_;
  FixtureTools tools_;
  FixtureResources resources_;
  FixturePrompts prompts_;
  Endpoint endpoint_;
  TaskRunner runner_;
};

}  // namespace assistiv::mcp
