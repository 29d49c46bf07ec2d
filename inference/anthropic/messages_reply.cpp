// A whole Messages reply, both ways.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "inference/anthropic/messages.h"
#include "inference/translate/content.h"
#include "inference/translate/fields.h"

namespace assistiv::inference::anthropic {

Reply decode_reply(const core::Json& body) {
  const auto* content = member_of(body, "content");
  if (content == nullptr || !content->is_array()) {
    throw core::Error(core::ErrorKind::UpstreamFailed,
                      "The provider's reply is not a message: it has no list of content blocks.");
  }
  Reply reply;
  reply.id = text_of(body, "id");
  reply.model = text_of(body, "model");
  Choice choice;
  choice.message.role = Role::Assistant;
  bool answered = false;
  bool called = false;
  for (const auto& block : *content) {
    Part part;
    if (!read_reply_block(block, part)) {
      reply.left_out.push_back("content." + text_of(block, "type").substr(0, 64));
      continue;
    }
    const auto* cited = member_of(block, "citations");
    const auto* text = std::get_if<TextPart>(&part);
    if (cited != nullptr && text != nullptr && text->citations.size() < cited->size())
      reply.left_out.emplace_back("citations");
    called = called || std::holds_alternative<ToolCallPart>(part);
    answered = answered || text_of(block, "name") == kAnswerTool;
    choice.message.parts.push_back(std::move(part));
  }
  choice.finish = finish_of(text_of(body, "stop_reason"));
  if (choice.finish == Finish::ToolCalls && answered && !called) choice.finish = Finish::Stop;
  choice.stop_sequence = text_of(body, "stop_sequence");
  reply.choices.push_back(std::move(choice));
  reply.usage = decode_usage(body);
  return reply;
}

core::Json encode_reply(const Reply& reply, const ReplyContext& context) {
  core::Json content = core::Json::array();
  core::Json stop_sequence;
  Finish finish = Finish::Stop;
  if (!reply.choices.empty()) {
    const auto& choice = reply.choices.front();
    finish = choice.finish;
    if (!choice.stop_sequence.empty()) stop_sequence = choice.stop_sequence;
    for (const auto& part : choice.message.parts) {
      if (const auto* text = std::get_if<TextPart>(&part)) {
        if (!text->text.empty()) content.push_back({{"type", "text"}, {"text", text->text}});
      } else if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
        content.push_back({{"type", "text"}, {"text", refusal->text}});
        if (finish == Finish::Stop) finish = Finish::ContentFilter;
      } else if (const auto* thinking = std::get_if<ThinkingPart>(&part)) {
        if (context.include_reasoning) content.push_back(thinking_block(*thinking));
      } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
        content.push_back(tool_use_block(*call, arguments_object(call->arguments, "", Unsupported::Drop)));
      }
    }
  }
  return {{"id", context.id},
          {"type", "message"},
          {"role", "assistant"},
          {"model", context.model},
          {"content", std::move(content)},
          {"stop_reason", stop_reason_of(finish)},
          {"stop_sequence", std::move(stop_sequence)},
          {"usage", encode_usage(reply.usage)}};
}

}  // namespace assistiv::inference::anthropic
