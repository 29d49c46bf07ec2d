#include "mcp/conformance/fixture_endpoint.h"

#include <utility>

namespace assistiv::mcp {

FixtureEndpoint::FixtureEndpoint(EndpointOptions options, const EndpointWorld& world)
    : sessions_(world.clock, options.session_idle_max),
      tools_([this](ListKind kind) { announce(kind); }),
      endpoint_(std::move(options),
                {.tools = tools_,
                 .resources = &resources_,
                 .prompts = &prompts_,
                 .completions = &prompts_,
                 .logging = LogSupport::Yes},
                {sessions_, world.vault, world.clock, world.random}) {
  sessions_.announce_to(
      [this](std::string_view topic, std::string_view payload) { endpoint_.on_notify(topic, payload); });
}

FixtureEndpoint::~FixtureEndpoint() {
  endpoint_.stop();
}

void FixtureEndpoint::announce(ListKind kind) {
  endpoint_.on_list_changed({}, core::EndUserId{}, kind);
}

}  // namespace assistiv::mcp
