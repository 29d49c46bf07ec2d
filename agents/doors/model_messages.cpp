#include "agents/doors/model_messages.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::agents {

namespace {

using core::Json;

Json image_block(const inference::MediaPart& media, const std::string& origin) {
  if (media.kind != inference::MediaPart::Kind::Image || (media.url.empty() && media.data.empty())) {
    throw core::bad_request("Agents take texts and images (by URL or as data).", origin);
  }
  const auto url = media.url.empty() ? "data:" + media.media_type + ";base64," + media.data : media.url;
  return {{"type", "image_url"}, {"image_url", {{"url", url}}}};
}

Json tool_message(const inference::ToolResultPart& result, const std::string& origin) {
  Json content = Json::array();
  for (const auto& part : result.parts) {
    if (const auto* text = std::get_if<inference::TextPart>(&part)) {
      content.push_back({{"type", "text"}, {"text", text->text}});
    } else {
      content.push_back(image_block(std::get<inference::MediaPart>(part), origin));
    }
  }
  Json out = {{"type", "tool"},
              {"tool_call_id", result.call_id},
              {"content", std::move(content)},
              {"status", result.is_error ? "error" : "success"}};
  if (!result.name.empty()) out["name"] = result.name;
  return out;
}

Json tool_call(const inference::ToolCallPart& call) {
  auto arguments = core::try_parse_json(call.arguments.empty() ? "{}" : call.arguments);
  return {{"id", call.id},
          {"name", call.name},
          {"args", arguments ? std::move(*arguments) : Json::object()},
          {"type", "tool_call"}};
}

const char* type_of(inference::Role role) {
  switch (role) {
    case inference::Role::System:
      return "system";
    case inference::Role::User:
      return "human";
    case inference::Role::Assistant:
      return "ai";
  }
  return "human";
}

// One text alone is a string.
Json content_of(Json blocks) {
  if (blocks.empty()) return "";
  if (blocks.size() == 1 && blocks[0]["type"] == "text") return blocks[0]["text"];
  return blocks;
}

void add_message(const inference::Message& message, Json& out) {
  Json blocks = Json::array(), calls = Json::array(), results = Json::array();
  for (const auto& part : message.parts) {
    if (const auto* text = std::get_if<inference::TextPart>(&part)) {
      blocks.push_back({{"type", "text"}, {"text", text->text}});
    } else if (const auto* refusal = std::get_if<inference::RefusalPart>(&part)) {
      blocks.push_back({{"type", "text"}, {"text", refusal->text}});
    } else if (const auto* media = std::get_if<inference::MediaPart>(&part)) {
      blocks.push_back(image_block(*media, message.origin));
    } else if (const auto* call = std::get_if<inference::ToolCallPart>(&part)) {
      calls.push_back(tool_call(*call));
    } else if (const auto* result = std::get_if<inference::ToolResultPart>(&part)) {
      results.push_back(tool_message(*result, message.origin));
    }
  }
  for (auto& result : results) out.push_back(std::move(result));
  if (blocks.empty() && calls.empty()) return;
  Json made = {{"type", type_of(message.role)}, {"content", content_of(std::move(blocks))}};
  if (!calls.empty()) made["tool_calls"] = std::move(calls);
  if (!message.name.empty()) made["name"] = message.name;
  out.push_back(std::move(made));
}

}  // namespace

core::Json langchain_messages(const std::vector<inference::Message>& messages) {
  Json out = Json::array();
  for (const auto& message : messages) add_message(message, out);
  return out;
}

core::Json newest_messages(const core::Json& messages) {
  std::size_t from = 0;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].value("type", Json()) == "ai") from = i + 1;
  }
  Json out = Json::array();
  for (std::size_t i = from; i < messages.size(); ++i) out.push_back(messages[i]);
  return out;
}

}  // namespace assistiv::agents
