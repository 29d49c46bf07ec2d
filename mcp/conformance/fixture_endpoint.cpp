#include "mcp/conformance/fixture_endpoint.h"

#include <utility>

namespace assistiv::mcp {

FixtureEndpoint::FixtureEndpoint(EndpointOptions options, const EndpointWorld& world)
    : sessions_(world.clock, options.session_idle_max),
      tasks_(world.clock),
      tools_([this](ListKind kind) { announce(kind); }),
      endpoint_(std::move(options),
                {.tools = tools_,
                 .resources = &resources_,
                 .prompts = &prompts_,
                 .completions = &prompts_,
                 .logging = LogSupport::Yes,
                 .tasks = &tasks_},
                {sessions_, world.vault, world.clock, world.random}),
      runner_({tasks_, tools_, world.clock, world.random}) {
  tasks_.announce_to([this](std::string_view topic, std::string_view payload) {
    endpoint_.on_notify(topic, payload);
    runner_.on_notify(topic, payload);
  });
  sessions_.announce_to(
      [this](std::string_view topic, std::string_view payload) { endpoint_.on_notify(topic, payload); });
}

FixtureEndpoint::~FixtureEndpoint() {
  stop();
}

void FixtureEndpoint::stop() {
  runner_.stop();
  endpoint_.stop();
}

void FixtureEndpoint::announce(ListKind kind) {
  endpoint_.on_list_changed({}, core::EndUserId{}, kind);
}

}  // namespace assistiv::mcp
