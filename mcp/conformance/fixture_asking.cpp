// Fixtures that need something of the client: written once, asked by result (modern) or by request (legacy).
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json_read.h"
#include "mcp/conformance/fixture_tool.h"

namespace assistiv::mcp {

namespace {

using core::Json;
using Arguments = std::shared_ptr<const Json>;

constexpr std::string_view kPromptSchema =
    R"({"type":"object","properties":{"prompt":{"type":"string","description":"What to ask the model"}},"required":["prompt"]})";
constexpr std::string_view kMessageSchema =
    R"({"type":"object","properties":{"message":{"type":"string","description":"What to show the user"}},"required":["message"]})";

Json sampling_request(std::string text, int max_tokens) {
  const Json message = {{"role", "user"}, {"content", text_content(std::move(text))}};
  return {{"method", "sampling/createMessage"},
          {"params", {{"messages", Json::array({message})}, {"maxTokens", max_tokens}}}};
}

Json roots_request() {
  return {{"method", "roots/list"}, {"params", Json::object()}};
}

// The client's answer under `key`, when it is there and an object.
const Json* answer(const CallContext& context, const char* key) {
  if (!context.input_responses) return nullptr;
  const auto it = context.input_responses->find(key);
  return it == context.input_responses->end() || !it->is_object() ? nullptr : &*it;
}

// A string of an accepted form.
std::optional<std::string> form_text(const CallContext& context, const char* key, const char* field) {
  const Json* given = answer(context, key);
  if (given == nullptr || given->value("action", Json()) != "accept") return {};
  const auto content = given->find("content");
  if (content == given->end() || !content->is_object()) return {};
  const auto value = content->find(field);
  if (value == content->end() || !value->is_string()) return {};
  return value->get<std::string>();
}

bool form_answered(const CallContext& context, const char* key) {
  const Json* given = answer(context, key);
  return given != nullptr && given->contains("action");
}

std::optional<std::string> sampled_text(const CallContext& context, const char* key) {
  const Json* given = answer(context, key);
  if (given == nullptr) return {};
  const auto content = given->find("content");
  if (content == given->end() || !content->is_object()) return {};
  const auto text = content->find("text");
  if (text == content->end() || !text->is_string()) return {};
  return text->get<std::string>();
}

std::optional<std::size_t> root_count(const CallContext& context, const char* key) {
  const Json* given = answer(context, key);
  if (given == nullptr) return {};
  const auto roots = given->find("roots");
  if (roots == given->end() || !roots->is_array()) return {};
  return roots->size();
}

Json name_request() {
  return form_request("What is your name?", {{"name", {{"type", "string"}}}}, Json::array({"name"}));
}

Json confirm_request() {
  return form_request("Please confirm", {{"ok", {{"type", "boolean"}}}}, Json::array({"ok"}));
}

core::Task<ToolCallResult> sampling(const FixtureTools*, CallContext context, Arguments arguments) {
  if (const auto text = sampled_text(context, "sampling")) co_return text_result("The model said: " + *text);
  co_return ask_for({{"sampling", sampling_request(arguments->value("prompt", ""), 100)}});
}

core::Task<ToolCallResult> missing_capability(const FixtureTools*, CallContext context, Arguments) {
  if (sampled_text(context, "sampling")) co_return text_result("The client can sample.");
  co_return ask_for({{"sampling", sampling_request("Say something.", 10)}});
}

ToolCallResult form_outcome(const CallContext& context, const char* key) {
  const Json* given = answer(context, key);
  return text_result("The user answered: action=" + given->value("action", std::string()) +
                     ", content=" + core::dump_json(given->value("content", Json::object())));
}

core::Task<ToolCallResult> elicitation(const FixtureTools*, CallContext context, Arguments arguments) {
  if (form_answered(context, "account")) co_return form_outcome(context, "account");
  const Json properties = {{"username", {{"type", "string"}, {"description", "Your user name"}}},
                           {"email", {{"type", "string"}, {"description", "Your email address"}}}};
  co_return ask_for({{"account", form_request(arguments->value("message", ""), properties,
                                              Json::array({"username", "email"}))}});
}

core::Task<ToolCallResult> streaming_elicitation(const FixtureTools*, CallContext context, Arguments) {
  if (form_answered(context, "user_name")) co_return form_outcome(context, "user_name");
  co_return ask_for({{"user_name", name_request()}});
}

core::Task<ToolCallResult> elicitation_defaults(const FixtureTools*, CallContext context, Arguments) {
  if (form_answered(context, "profile")) co_return form_outcome(context, "profile");
  const Json properties = {
      {"name", {{"type", "string"}, {"description", "Name"}, {"default", "John Doe"}}},
      {"age", {{"type", "integer"}, {"description", "Age"}, {"default", 30}}},
      {"score", {{"type", "number"}, {"description", "Score"}, {"default", 95.5}}},
      {"status", {{"type", "string"}, {"enum", {"active", "inactive", "pending"}}, {"default", "active"}}},
      {"verified", {{"type", "boolean"}, {"description", "Verified"}, {"default", true}}}};
  co_return ask_for({{"profile", form_request("Check these values", properties, Json::array())}});
}

Json titled(std::initializer_list<std::pair<const char*, const char*>> options) {
  Json out = Json::array();
  for (const auto& [value, title] : options) out.push_back({{"const", value}, {"title", title}});
  return out;
}

core::Task<ToolCallResult> elicitation_enums(const FixtureTools*, CallContext context, Arguments) {
  if (form_answered(context, "choices")) co_return form_outcome(context, "choices");
  const Json options = titled({{"value1", "First"}, {"value2", "Second"}, {"value3", "Third"}});
  const Json plain = Json::array({"option1", "option2", "option3"});
  const Json properties = {
      {"untitledSingle", {{"type", "string"}, {"enum", plain}}},
      {"titledSingle", {{"type", "string"}, {"oneOf", options}}},
      {"legacyEnum",
       {{"type", "string"}, {"enum", {"opt1", "opt2", "opt3"}}, {"enumNames", {"One", "Two", "Three"}}}},
      {"untitledMulti", {{"type", "array"}, {"items", {{"type", "string"}, {"enum", plain}}}}},
      {"titledMulti", {{"type", "array"}, {"items", {{"anyOf", options}}}}}};
  co_return ask_for({{"choices", form_request("Choose", properties, Json::array())}});
}

core::Task<ToolCallResult> input_elicitation(const FixtureTools*, CallContext context, Arguments) {
  if (const auto name = form_text(context, "user_name", "name"))
    co_return text_result("Hello, " + *name + "!");
  co_return ask_for({{"user_name", name_request()}});
}

core::Task<ToolCallResult> input_sampling(const FixtureTools*, CallContext context, Arguments) {
  if (const auto text = sampled_text(context, "capital_question")) co_return text_result(*text);
  co_return ask_for({{"capital_question", sampling_request("What is the capital of France?", 100)}});
}

core::Task<ToolCallResult> input_roots(const FixtureTools*, CallContext context, Arguments) {
  if (const auto count = root_count(context, "client_roots")) {
    co_return text_result("The client has " + std::to_string(*count) + " roots.");
  }
  co_return ask_for({{"client_roots", roots_request()}});
}

core::Task<ToolCallResult> input_state(const FixtureTools*, CallContext context, Arguments) {
  if (context.input_state == "confirming" && form_answered(context, "confirm")) {
    co_return text_result("state-ok: the state came back unchanged.");
  }
  co_return ask_for({{"confirm", confirm_request()}}, "confirming");
}

core::Task<ToolCallResult> input_multiple(const FixtureTools*, CallContext context, Arguments) {
  const auto name = form_text(context, "user_name", "name");
  const auto greeting = sampled_text(context, "greeting");
  const auto roots = root_count(context, "client_roots");
  if (context.input_state == "gathering" && name && greeting && roots) {
    co_return text_result(*greeting + " (" + *name + ", " + std::to_string(*roots) + " roots)");
  }
  co_return ask_for({{"user_name", name_request()},
                     {"greeting", sampling_request("Generate a greeting", 50)},
                     {"client_roots", roots_request()}},
                    "gathering");
}

core::Task<ToolCallResult> input_rounds(const FixtureTools*, CallContext context, Arguments) {
  constexpr std::string_view kSecond = "second:";
  if (context.input_state == "first") {
    if (const auto name = form_text(context, "step1", "name")) {
      const Json color = form_request("What is your favorite color?", {{"color", {{"type", "string"}}}},
                                      Json::array({"color"}));
      co_return ask_for({{"step2", color}}, std::string(kSecond) + *name);
    }
  }
  if (context.input_state.starts_with(kSecond)) {
    if (const auto color = form_text(context, "step2", "color")) {
      co_return text_result(context.input_state.substr(kSecond.size()) + " likes " + *color + ".");
    }
  }
  co_return ask_for({{"step1", name_request()}}, "first");
}

core::Task<ToolCallResult> input_capabilities(const FixtureTools*, CallContext context, Arguments) {
  Json requests = Json::object();
  if (context.client.elicitation_form) requests["elicited"] = name_request();
  if (context.client.sampling) requests["sampled"] = sampling_request("Say something.", 10);
  if (context.client.roots) requests["roots"] = roots_request();
  if (requests.empty() || (context.input_responses && !context.input_responses->empty())) {
    co_return text_result("The client was asked for nothing that it does not know.");
  }
  co_return ask_for(requests);
}

constexpr FixtureTool kAskingFixtures[] = {
    {"test_sampling", "Asks the client's model", kPromptSchema, sampling},
    {"test_missing_capability", "Needs a client that can sample", kNoArguments, missing_capability},
    {"test_elicitation", "Asks the user for an account", kMessageSchema, elicitation},
    {"test_streaming_elicitation", "Asks the user for a name", kNoArguments, streaming_elicitation},
    {"test_elicitation_sep1034_defaults", "Asks with a default for every type", kNoArguments,
     elicitation_defaults},
    {"test_elicitation_sep1330_enums", "Asks with every kind of choice", kNoArguments, elicitation_enums},
    {"test_input_required_result_elicitation", "Needs a name", kNoArguments, input_elicitation},
    {"test_input_required_result_sampling", "Needs the client's model", kNoArguments, input_sampling},
    {"test_input_required_result_list_roots", "Needs the client's roots", kNoArguments, input_roots},
    {"test_input_required_result_request_state", "Needs its state back", kNoArguments, input_state},
    {"test_input_required_result_multiple_inputs", "Needs three answers", kNoArguments, input_multiple},
    {"test_input_required_result_multi_round", "Needs two answers, one after the other", kNoArguments,
     input_rounds},
    {"test_input_required_result_tampered_state", "Needs its state back unchanged", kNoArguments,
     input_state},
    {"test_input_required_result_capabilities", "Asks for what the client can do", kNoArguments,
     input_capabilities},
};

}  // namespace

std::span<const FixtureTool> asking_fixtures() {
  return kAskingFixtures;
}

ToolCallResult ask_for(const core::Json& requests, std::string state) {
  ToolCallResult result;
  result.outcome = ToolOutcome::InputRequired;
  result.input_requests_json = core::dump_json(requests);
  result.input_state = std::move(state);
  return result;
}

core::Json form_request(std::string message, core::Json properties, core::Json required) {
  const Json schema = {
      {"type", "object"}, {"properties", std::move(properties)}, {"required", std::move(required)}};
  return {{"method", "elicitation/create"},
          {"params", {{"message", std::move(message)}, {"requestedSchema", schema}}}};
}

}  // namespace assistiv::mcp
