#pragma once
// What the parts of one endpoint share. Lives as long as the endpoint.
#include <string>

#include "core/async.h"
#include "mcp/protocol/doors.h"
#include "mcp/protocol/endpoint.h"
#include "mcp/protocol/request_head.h"
#include "mcp/protocol/running_calls.h"
#include "mcp/protocol/stream_hub.h"

namespace assistiv::mcp {

struct EndpointServices {
  EndpointServices(EndpointOptions endpoint_options, Doors endpoint_doors, EndpointWorld endpoint_world);

  const EndpointOptions options;
  const Doors doors;
  const EndpointWorld world;
  const HostGuard guard;
  // Written once, spliced into every answer.
  const std::string server_info;          // the Implementation object
  const std::string server_introduction;  // the same with icons, for who asks what this is
  const std::string server_meta;          // "_meta":{"io.modelcontextprotocol/serverInfo":...}
  const std::string discovery_meta;       // the same with icons
  const std::string cache_hints;          // "ttlMs":...,"cacheScope":"private", with a comma at the end
  const std::string capabilities;         // legacy
  const std::string modern_capabilities;  // the same, and the extensions
  StreamHub hub;
  RunningCalls running;
  core::TaskGroup tasks{"mcp calls"};
};

}  // namespace assistiv::mcp
