#include <nlohmann/json.hpp>
#include <utility>

#include "core/async.h"
#include "core/json_read.h"
#include "mcp/conformance/fixture_tool.h"

namespace assistiv::mcp {

namespace {

using core::Json;
using Arguments = std::shared_ptr<const Json>;

constexpr std::chrono::milliseconds kStep{50};
constexpr std::string_view kMirrorTool = "test_x_mcp_header";

constexpr std::string_view kMirrorSchema =
    R"({"type":"object","properties":{"region":{"type":"string","description":"Repeated in a header","x-mcp-header":"Region"},"count":{"type":"integer","x-mcp-header":"Count"}}})";

constexpr std::string_view kSchema2020 =
    R"({"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","$defs":{"address":{"$anchor":"addressDef","type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"}}}},)"
    R"("properties":{"name":{"type":"string"},"address":{"$ref":"#/$defs/address"},"contactMethod":{"type":"string","enum":["phone","email"]},"phone":{"type":"string"},"email":{"type":"string"}},)"
    R"("allOf":[{"anyOf":[{"required":["phone"]},{"required":["email"]}]}],)"
    R"("if":{"properties":{"contactMethod":{"const":"phone"}},"required":["contactMethod"]},"then":{"required":["phone"]},"else":{"required":["email"]},"additionalProperties":false})";

Json image_content() {
  return {{"type", "image"}, {"data", kFixturePng}, {"mimeType", "image/png"}};
}

Json resource_content(std::string_view uri, std::string_view type, std::string text) {
  return {{"type", "resource"}, {"resource", {{"uri", uri}, {"mimeType", type}, {"text", std::move(text)}}}};
}

core::Task<ToolCallResult> simple_text(const FixtureTools*, CallContext, Arguments) {
  co_return text_result("This is a simple text response for testing.");
}

core::Task<ToolCallResult> image(const FixtureTools*, CallContext, Arguments) {
  co_return content_result(Json::array({image_content()}));
}

core::Task<ToolCallResult> audio(const FixtureTools*, CallContext, Arguments) {
  co_return content_result(
      Json::array({{{"type", "audio"}, {"data", kFixtureWav}, {"mimeType", "audio/wav"}}}));
}

core::Task<ToolCallResult> embedded_resource(const FixtureTools*, CallContext, Arguments) {
  co_return content_result(Json::array(
      {resource_content("test://embedded-resource", "text/plain", "The text of an embedded resource.")}));
}

core::Task<ToolCallResult> mixed_content(const FixtureTools*, CallContext, Arguments) {
  co_return content_result(Json::array({text_content("Several kinds of content:"), image_content(),
                                        resource_content("test://mixed-content-resource", "application/json",
                                                         R"({"kind":"mixed","value":1})")}));
}

core::Task<ToolCallResult> with_logging(const FixtureTools*, CallContext context, Arguments) {
  for (const char* step : {"Tool execution started", "Tool processing data", "Tool execution completed"}) {
    if (context.log) co_await context.log("info", "fixtures", core::dump_json(Json(step)));
    co_await core::sleep_for(kStep, context.stop);
  }
  co_return text_result("Three messages were logged.");
}

core::Task<ToolCallResult> with_progress(const FixtureTools*, CallContext context, Arguments) {
  for (const double done : {0.0, 50.0, 100.0}) {
    if (context.progress)
      co_await context.progress(done, 100.0, "Step " + std::to_string(static_cast<int>(done)));
    co_await core::sleep_for(kStep, context.stop);
  }
  co_return text_result("All steps are done.");
}

core::Task<ToolCallResult> failing(const FixtureTools*, CallContext, Arguments) {
  auto result = text_result("This tool always fails, to show how a failure looks.");
  result.outcome = ToolOutcome::ToolError;
  result.result_json.insert(result.result_json.size() - 1, R"(,"isError":true)");
  co_return result;
}

core::Task<ToolCallResult> reconnection(const FixtureTools*, CallContext context, Arguments) {
  co_await context.release_stream();
  co_await core::sleep_for(2 * kStep, context.stop);
  co_return text_result("The stream was closed, and this came after the client was back.");
}

core::Task<ToolCallResult> schema_2020(const FixtureTools*, CallContext, Arguments arguments) {
  co_return text_result("Called with " + core::dump_json(*arguments));
}

core::Task<ToolCallResult> mirrored_header(const FixtureTools*, CallContext, Arguments arguments) {
  co_return text_result("The region is " + arguments->value("region", "not given") + ".");
}

core::Task<ToolCallResult> change_tools(const FixtureTools* tools, CallContext, Arguments) {
  tools->changed()(ListKind::Tools);
  co_return text_result("The tool list was said to have changed.");
}

core::Task<ToolCallResult> change_prompts(const FixtureTools* tools, CallContext, Arguments) {
  tools->changed()(ListKind::Prompts);
  co_return text_result("The prompt list was said to have changed.");
}

// The first one is called by scenarios that need any harmless tool.
constexpr FixtureTool kPlainFixtures[] = {
    {"test_simple_text", "Answers with a short text", kNoArguments, simple_text},
    {"test_image_content", "Answers with an image", kNoArguments, image},
    {"test_audio_content", "Answers with audio", kNoArguments, audio},
    {"test_embedded_resource", "Answers with an embedded resource", kNoArguments, embedded_resource},
    {"test_multiple_content_types", "Answers with text, an image and a resource", kNoArguments,
     mixed_content},
    {"test_tool_with_logging", "Logs three messages on the way", kNoArguments, with_logging},
    {"test_logging_tool", "Logs when the request asks for it", kNoArguments, with_logging},
    {"test_tool_with_progress", "Reports progress on the way", kNoArguments, with_progress},
    {"test_error_handling", "Always fails", kNoArguments, failing},
    {"test_reconnection", "Closes its stream and goes on", kNoArguments, reconnection},
    {"json_schema_2020_12_tool", "Has an input schema with keywords of JSON Schema 2020-12", kSchema2020,
     schema_2020},
    {kMirrorTool, "Has arguments that are repeated in headers", kMirrorSchema, mirrored_header},
    {"test_trigger_tool_change", "Announces a change of the tool list", kNoArguments, change_tools},
    {"test_trigger_prompt_change", "Announces a change of the prompt list", kNoArguments, change_prompts},
};

const FixtureTool* find_fixture(std::string_view name) {
  for (const auto fixtures : {plain_fixtures(), asking_fixtures(), task_fixtures()}) {
    for (const auto& fixture : fixtures) {
      if (fixture.name == name) return &fixture;
    }
  }
  return nullptr;
}

std::shared_ptr<const ToolList> make_list() {
  auto list = std::make_shared<ToolList>();
  for (const auto fixtures : {plain_fixtures(), asking_fixtures(), task_fixtures()}) {
    for (const auto& fixture : fixtures) {
      const Json definition = {{"name", fixture.name},
                               {"description", fixture.description},
                               {"inputSchema", core::parse_json(fixture.input_schema)}};
      list->tools.push_back({std::string(fixture.name), core::dump_json(definition)});
      list->joined_json += (list->joined_json.empty() ? "" : ",") + list->tools.back().definition_json;
    }
  }
  list->etag = "fixtures";
  return list;
}

}  // namespace

std::span<const FixtureTool> plain_fixtures() {
  return kPlainFixtures;
}

core::Json text_content(std::string text) {
  return {{"type", "text"}, {"text", std::move(text)}};
}

ToolCallResult content_result(const core::Json& content) {
  ToolCallResult result;
  result.result_json = core::dump_json({{"content", content}});
  return result;
}

ToolCallResult text_result(std::string text) {
  return content_result(Json::array({text_content(std::move(text))}));
}

FixtureTools::FixtureTools(Changed changed) : changed_(std::move(changed)), list_(make_list()) {}

core::Task<std::shared_ptr<const ToolList>> FixtureTools::list(CallContext) {
  co_return list_;
}

core::Task<ToolCallResult> FixtureTools::call(CallContext context, std::string name, core::Json arguments) {
  const FixtureTool* fixture = find_fixture(name);
  if (fixture == nullptr) {
    ToolCallResult unknown;
    unknown.outcome = ToolOutcome::Unknown;
    co_return unknown;
  }
  const auto given =
      std::make_shared<const Json>(arguments.is_object() ? std::move(arguments) : Json::object());
  co_return co_await fixture->run(this, std::move(context), given);
}

const std::vector<MirroredArgument>* FixtureTools::mirrored(const std::string& name) const {
  static const std::vector<MirroredArgument> arguments = {{{"region"}, "Region"}, {{"count"}, "Count"}};
  return name == kMirrorTool ? &arguments : nullptr;
}

}  // namespace assistiv::mcp
