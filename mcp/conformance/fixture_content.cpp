// Resources, prompts and completions of the fixtures.
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json_read.h"
#include "mcp/conformance/fixture_tool.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr std::string_view kTemplatePrefix = "test://template/";
constexpr std::string_view kTemplateSuffix = "/data";

DefinitionListPtr definitions(std::initializer_list<Json> items, std::string etag) {
  auto list = std::make_shared<DefinitionList>();
  for (const auto& item : items) list->items.push_back(core::dump_json(item));
  list->etag = std::move(etag);
  return list;
}

ReadResult resource_result(Json content) {
  ReadResult out;
  out.result_json = core::dump_json({{"contents", Json::array({std::move(content)})}});
  return out;
}

ReadResult read_failure(ReadOutcome outcome, std::string message) {
  ReadResult out;
  out.outcome = outcome;
  out.message = std::move(message);
  return out;
}

// The id in test://template/{id}/data.
std::optional<std::string> template_id(std::string_view uri) {
  if (!uri.starts_with(kTemplatePrefix) || !uri.ends_with(kTemplateSuffix)) return {};
  if (uri.size() <= kTemplatePrefix.size() + kTemplateSuffix.size()) return {};
  uri.remove_prefix(kTemplatePrefix.size());
  uri.remove_suffix(kTemplateSuffix.size());
  return std::string(uri);
}

ReadResult prompt_result(std::initializer_list<Json> contents) {
  Json messages = Json::array();
  for (const auto& content : contents) messages.push_back({{"role", "user"}, {"content", content}});
  ReadResult out;
  out.result_json = core::dump_json({{"messages", messages}});
  return out;
}

Json prompt_argument(const char* name, const char* description) {
  return {{"name", name}, {"description", description}, {"required", true}};
}

// A required argument of a prompt.
std::optional<std::string> argument_text(const Json& arguments, const char* name) {
  if (!arguments.is_object()) return {};
  const auto it = arguments.find(name);
  return it == arguments.end() || !it->is_string() ? std::nullopt : std::optional(it->get<std::string>());
}

ReadResult prompt_with_arguments(const Json& arguments) {
  const auto first = argument_text(arguments, "arg1");
  const auto second = argument_text(arguments, "arg2");
  if (!first || !second) return read_failure(ReadOutcome::InvalidArguments, "arg1 and arg2 are required.");
  return prompt_result({text_content("The arguments are arg1='" + *first + "' and arg2='" + *second + "'.")});
}

ReadResult prompt_with_resource(const Json& arguments) {
  const auto uri = argument_text(arguments, "resourceUri");
  if (!uri) return read_failure(ReadOutcome::InvalidArguments, "resourceUri is required.");
  const Json resource = {{"uri", *uri}, {"mimeType", "text/plain"}, {"text", "The text of the resource."}};
  return prompt_result(
      {{{"type", "resource"}, {"resource", resource}}, text_content("Read the resource above.")});
}

ReadResult prompt_with_input(const CallContext& context) {
  if (context.input_responses) {
    const auto answer = context.input_responses->find("user_context");
    if (answer != context.input_responses->end() && answer->is_object() && answer->contains("content")) {
      return prompt_result({text_content("The context is " + core::dump_json(answer->at("content")))});
    }
  }
  ReadResult out;
  out.outcome = ReadOutcome::InputRequired;
  out.input_requests_json = core::dump_json(
      {{"user_context", form_request("What is the context?", {{"context", {{"type", "string"}}}},
                                     Json::array({"context"}))}});
  return out;
}

}  // namespace

core::Task<DefinitionListPtr> FixtureResources::list(CallContext) {
  static const auto list = definitions({{{"uri", "test://static-text"},
                                         {"name", "static-text"},
                                         {"description", "A text"},
                                         {"mimeType", "text/plain"}},
                                        {{"uri", "test://static-binary"},
                                         {"name", "static-binary"},
                                         {"description", "An image"},
                                         {"mimeType", "image/png"}},
                                        {{"uri", "test://watched-resource"},
                                         {"name", "watched-resource"},
                                         {"description", "A text to subscribe to"},
                                         {"mimeType", "text/plain"}}},
                                       "fixture-resources");
  co_return list;
}

core::Task<DefinitionListPtr> FixtureResources::templates(CallContext) {
  static const auto list = definitions({{{"uriTemplate", "test://template/{id}/data"},
                                         {"name", "template"},
                                         {"description", "A text with the id in it"},
                                         {"mimeType", "application/json"}}},
                                       "fixture-templates");
  co_return list;
}

core::Task<ReadResult> FixtureResources::read(CallContext, std::string uri) {
  if (uri == "test://static-text" || uri == "test://watched-resource") {
    co_return resource_result(
        {{"uri", uri}, {"mimeType", "text/plain"}, {"text", "The text of " + uri + "."}});
  }
  if (uri == "test://static-binary") {
    co_return resource_result({{"uri", uri}, {"mimeType", "image/png"}, {"blob", kFixturePng}});
  }
  if (const auto id = template_id(uri)) {
    const Json data = {{"id", *id}, {"data", "The data of " + *id}};
    co_return resource_result(
        {{"uri", uri}, {"mimeType", "application/json"}, {"text", core::dump_json(data)}});
  }
  co_return read_failure(ReadOutcome::Unknown, "unknown");
}

core::Task<DefinitionListPtr> FixturePrompts::list(CallContext) {
  static const auto list = definitions(
      {{{"name", "test_simple_prompt"}, {"description", "A prompt without arguments"}},
       {{"name", "test_prompt_with_arguments"},
        {"description", "A prompt with two arguments"},
        {"arguments", {prompt_argument("arg1", "The first"), prompt_argument("arg2", "The second")}}},
       {{"name", "test_prompt_with_embedded_resource"},
        {"description", "A prompt that embeds a resource"},
        {"arguments", Json::array({prompt_argument("resourceUri", "The resource to embed")})}},
       {{"name", "test_prompt_with_image"}, {"description", "A prompt with an image"}},
       {{"name", "test_input_required_result_prompt"}, {"description", "A prompt that asks the user first"}}},
      "fixture-prompts");
  co_return list;
}

core::Task<ReadResult> FixturePrompts::get(CallContext context, std::string name, core::Json arguments) {
  if (name == "test_simple_prompt")
    co_return prompt_result({text_content("This is a simple prompt for testing.")});
  if (name == "test_prompt_with_arguments") co_return prompt_with_arguments(arguments);
  if (name == "test_prompt_with_embedded_resource") co_return prompt_with_resource(arguments);
  if (name == "test_prompt_with_image") {
    const Json image = {{"type", "image"}, {"data", kFixturePng}, {"mimeType", "image/png"}};
    co_return prompt_result({image, text_content("Describe the image above.")});
  }
  if (name == "test_input_required_result_prompt") co_return prompt_with_input(context);
  co_return read_failure(ReadOutcome::Unknown, "unknown");
}

core::Task<ReadResult> FixturePrompts::complete(CallContext, core::Json params) {
  const auto argument = params.find("argument");
  if (argument == params.end() || !argument->is_object() || !params.contains("ref")) {
    co_return read_failure(ReadOutcome::InvalidArguments, "params must have \"ref\" and \"argument\".");
  }
  const std::string typed = argument_text(*argument, "value").value_or("");
  Json values = Json::array();
  for (const char* word : {"paris", "park", "party", "test", "testing"}) {
    if (std::string_view(word).starts_with(typed)) values.push_back(word);
  }
  ReadResult out;
  out.result_json =
      core::dump_json({{"completion", {{"values", values}, {"total", values.size()}, {"hasMore", false}}}});
  co_return out;
}

}  // namespace assistiv::mcp
