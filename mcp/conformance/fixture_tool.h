#pragma once
// One fixture tool, and the small words that fixtures are written with.
#include <span>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/task.h"
#include "mcp/conformance/fixture_door.h"

namespace assistiv::mcp {

using FixtureRun = core::Task<ToolCallResult> (*)(const FixtureTools* tools, CallContext context,
                                                  std::shared_ptr<const core::Json> arguments);

struct FixtureTool {
  std::string_view name;
  std::string_view description;
  std::string_view input_schema;
  FixtureRun run;
};

inline constexpr std::string_view kNoArguments = R"({"type":"object","properties":{}})";
// One pixel, and one millisecond of silence.
inline constexpr std::string_view kFixturePng =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGOQz38NAAIqAXp4ksuCAAAAAElFTkSuQmCC";
inline constexpr std::string_view kFixtureWav =
    "UklGRiwAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQgAAACAgICAgICAgA==";

// Tools that answer at once or tell on the way, and tools that ask the client.
std::span<const FixtureTool> plain_fixtures();
std::span<const FixtureTool> asking_fixtures();
// Tools that go on as tasks.
std::span<const FixtureTool> task_fixtures();

ToolCallResult content_result(const core::Json& content);
ToolCallResult text_result(std::string text);
ToolCallResult ask_for(const core::Json& requests, std::string state = {});
core::Json text_content(std::string text);
// An elicitation of a form whose properties are given.
core::Json form_request(std::string message, core::Json properties, core::Json required);

}  // namespace assistiv::mcp
