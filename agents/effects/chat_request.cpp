#include "agents/effects/chat_request.h"

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "agents/effects/chat_blocks.h"
#include "core/error.h"
#include "core/json_read.h"
#include "inference/dialect.h"

namespace assistiv::agents {
namespace {

using core::Json;
using inference::Message;
using inference::Request;
using inference::Role;

// What the node says itself, or what would make several answers of one.
constexpr std::array<std::string_view, 9> kNotParameters = {
    "messages", "model", "stream", "stream_options", "n", "tools", "functions", "logprobs", "top_logprobs"};

std::string text_member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Request with_parameters(const Json& params) {
  Json body = {{"model", "alias"}, {"messages", {{{"role", "user"}, {"content", ""}}}}};
  if (params.is_object()) {
    for (const auto& [name, value] : params.items()) {
      for (const auto refused : kNotParameters) {
        if (name == refused)
          throw core::bad_request("\"" + name + "\" is no parameter that a graph sets", name);
      }
      body[name == "max_output_tokens" ? "max_completion_tokens" : name] = value;
    }
  }
  auto out = inference::openai_chat_dialect().decode_request(body);
  out.model.clear();
  out.messages.clear();
  return out;
}

// No provider takes arguments back that are not JSON.
std::string arguments_text(const Json& call) {
  const auto found = call.find("args");
  if (found == call.end()) return "{}";
  if (!found->is_string()) return core::dump_json(*found);
  const auto parsed = core::try_parse_json(found->get_ref<const std::string&>());
  return parsed && parsed->is_object() ? found->get<std::string>() : std::string("{}");
}

void add_calls(const Json& message, const char* member, Message& into) {
  const auto calls = message.find(member);
  if (calls == message.end() || !calls->is_array()) return;
  for (const auto& call : *calls) {
    if (!call.is_object()) continue;
    inference::ToolCallPart part;
    part.id = text_member(call, "id");
    part.name = text_member(call, "name");
    part.arguments = arguments_text(call);
    part.signature = text_member(call, "signature");
    into.parts.emplace_back(std::move(part));
  }
}

void add_tool_result(const Json& message, Message& into) {
  inference::ToolResultPart result;
  result.call_id = text_member(message, "tool_call_id");
  result.name = text_member(message, "name");
  result.is_error = text_member(message, "status") == "error";
  for (auto& part : content_parts(message.value("content", Json()), ContentOf::Tool)) {
    if (auto* text = std::get_if<inference::TextPart>(&part)) result.parts.emplace_back(std::move(*text));
    if (auto* media = std::get_if<inference::MediaPart>(&part)) result.parts.emplace_back(std::move(*media));
  }
  into.parts.emplace_back(std::move(result));
}

void add_message(const Json& message, Request& request) {
  const auto type = text_member(message, "type");
  Message out;
  out.origin = "/messages/" + std::to_string(request.messages.size());
  if (type == "tool") {
    add_tool_result(message, out);
  } else if (type == "ai") {
    out.role = Role::Assistant;
    out.parts = content_parts(message.value("content", Json()), ContentOf::Model);
    add_calls(message, "tool_calls", out);
    add_calls(message, "invalid_tool_calls", out);
    if (out.parts.empty()) return;  // nothing was said, and no provider takes an empty message
  } else if (type == "system" || type == "human") {
    out.role = type == "system" ? Role::System : Role::User;
    out.parts = content_parts(message.value("content", Json()), ContentOf::Person);
    if (type == "human") out.name = text_member(message, "name");
  } else {
    throw core::bad_request("a message of the type \"" + type.substr(0, 40) + "\" cannot be sent to a model");
  }
  request.messages.push_back(std::move(out));
}

}  // namespace

Request chat_request(const ModelCall& call) {
  auto out = with_parameters(call.params);
  for (const auto& message : call.messages) {
    if (message.is_object() && text_member(message, "type") != "remove") add_message(message, out);
  }
  for (const auto& offer : call.tools) {
    inference::ToolDefinition tool;
    tool.name = offer.called.empty() ? offer.name : offer.called;
    tool.description = offer.description;
    tool.parameters = offer.schema;
    out.tools.push_back(std::move(tool));
  }
  if (out.tools.empty()) {
    out.tool_choice.reset();
    out.parallel_tool_calls.reset();
  }
  if (!call.response_schema.is_null()) {
    out.response_format.emplace();
    out.response_format->kind = inference::ResponseFormat::Kind::JsonSchema;
    out.response_format->name = "answer";
    out.response_format->schema = call.response_schema;
  }
  return out;
}

}  // namespace assistiv::agents
