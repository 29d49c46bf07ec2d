// A whole chat reply, both ways, and its usage.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "inference/openai_chat/chat.h"
#include "inference/translate/citations.h"
#include "inference/translate/content.h"
#include "inference/translate/fields.h"

namespace assistiv::inference::openai_chat {

namespace {

constexpr std::size_t kChoicesMax = 128;

void read_reply_text(const core::Json& content, std::vector<Part>& parts) {
  if (content.is_string() && !content.get_ref<const std::string&>().empty()) {
    TextPart part;
    part.text = content.get_ref<const std::string&>();
    parts.emplace_back(std::move(part));
  } else if (content.is_array()) {
    for (const auto& item : content) {
      TextPart part;
      part.text = text_of(item, "text");
      if (!part.text.empty()) parts.emplace_back(std::move(part));
    }
  }
}

void read_annotations(const core::Json& message, Reply& reply, std::vector<Part>& parts) {
  const auto* list = member_of(message, "annotations");
  if (list == nullptr || !list->is_array()) return;
  const auto text = std::find_if(parts.begin(), parts.end(),
                                 [](const Part& part) { return std::holds_alternative<TextPart>(part); });
  for (const auto& entry : *list) {
    Citation citation;
    const auto* cited = member_of(entry, "url_citation");
    if (cited != nullptr && text != parts.end() && read_url_citation(*cited, citation)) {
      std::get<TextPart>(*text).citations.push_back(std::move(citation));
    } else {
      reply.left_out.emplace_back("annotations");
    }
  }
}

ToolCallPart read_reply_call(const core::Json& call, std::size_t index) {
  ToolCallPart part;
  part.id = text_of(call, "id");
  const auto* function = member_of(call, "function");
  const auto& named = function != nullptr ? *function : call;
  part.name = text_of(named, "name");
  const auto* arguments = member_of(named, "arguments");
  if (arguments != nullptr) {
    part.arguments = arguments->is_string() ? arguments->get<std::string>() : arguments->dump();
  }
  if (part.id.empty()) part.id = "call_" + std::to_string(index);
  part.signature = signature_of_call(call);
  return part;
}

void read_reply_thinking(const core::Json& message, std::vector<Part>& parts) {
  auto details = read_reasoning_details(message);
  for (auto& part : details) parts.emplace_back(std::move(part));
  if (!details.empty()) return;
  ThinkingPart part;
  part.text = text_of(message, "reasoning_content");
  if (part.text.empty()) part.text = text_of(message, "reasoning");
  part.signed_by = DialectId::OpenAiChat;
  if (!part.text.empty()) parts.emplace_back(std::move(part));
}

Choice read_choice(const core::Json& value, Reply& reply) {
  Choice choice;
  choice.message.role = Role::Assistant;
  auto& parts = choice.message.parts;
  bool called = false;
  if (const auto* message = member_of(value, "message")) {
    read_reply_thinking(*message, parts);
    if (const auto* content = member_of(*message, "content")) read_reply_text(*content, parts);
    read_annotations(*message, reply, parts);
    for (auto& image : read_reply_images(*message)) parts.emplace_back(std::move(image));
    if (member_of(*message, "audio") != nullptr) reply.left_out.emplace_back("audio");
    if (auto refusal = text_of(*message, "refusal"); !refusal.empty()) {
      parts.emplace_back(RefusalPart{std::move(refusal)});
    }
    const auto* calls = member_of(*message, "tool_calls");
    if (calls != nullptr && calls->is_array()) {
      for (std::size_t i = 0; i < calls->size(); ++i) parts.emplace_back(read_reply_call((*calls)[i], i));
      called = !calls->empty();
    }
    if (const auto* call = member_of(*message, "function_call")) {
      parts.emplace_back(read_reply_call(*call, 0));
      called = true;
    }
  }
  choice.finish = finish_of(text_of(value, "finish_reason"), called);
  if (const auto* logprobs = member_of(value, "logprobs")) choice.logprobs = *logprobs;
  return choice;
}

core::Json write_call(const ToolCallPart& call) {
  core::Json out = {
      {"id", call.id},
      {"type", "function"},
      {"function", {{"name", call.name}, {"arguments", call.arguments.empty() ? "{}" : call.arguments}}}};
  if (!call.signature.empty()) out["extra_content"] = call_signature(call.signature);
  return out;
}

// What the parts of one message add up to.
struct Gathered {
  std::string text;
  std::int64_t characters = 0;
  bool spoke = false;
  std::string thought;
  core::Json refusal;
  core::Json details = core::Json::array();
  core::Json calls = core::Json::array();
  core::Json images = core::Json::array();
  core::Json annotations = core::Json::array();
};

void gather_text(const TextPart& part, Gathered& out) {
  const auto length = characters(part.text);
  for (const auto& citation : part.citations) {
    out.annotations.push_back(
        {{"type", "url_citation"}, {"url_citation", url_citation(citation, out.characters, length)}});
  }
  out.text += part.text;
  out.characters += length;
  out.spoke = true;
}

void gather(const Part& part, Gathered& out) {
  if (const auto* text = std::get_if<TextPart>(&part)) {
    gather_text(*text, out);
  } else if (const auto* thinking = std::get_if<ThinkingPart>(&part)) {
    out.thought += thinking->text;
    auto detail = reasoning_detail(*thinking, static_cast<int>(out.details.size()));
    if (!detail.is_null()) out.details.push_back(std::move(detail));
  } else if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
    out.refusal = refusal->text;
  } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
    out.calls.push_back(write_call(*call));
  } else if (const auto* media = std::get_if<MediaPart>(&part)) {
    out.images.push_back(reply_image(*media));
  }
}

core::Json write_message(const Message& message, const ReplyContext& context) {
  Gathered said;
  for (const auto& part : message.parts) gather(part, said);
  core::Json out = {{"role", "assistant"}, {"content", nullptr}, {"refusal", std::move(said.refusal)}};
  if (said.spoke || (said.calls.empty() && out["refusal"].is_null())) out["content"] = std::move(said.text);
  if (!said.calls.empty()) out["tool_calls"] = std::move(said.calls);
  if (!said.images.empty()) out["images"] = std::move(said.images);
  if (!said.annotations.empty()) out["annotations"] = std::move(said.annotations);
  if (context.include_reasoning && !said.thought.empty()) out["reasoning_content"] = std::move(said.thought);
  if (context.include_reasoning && !said.details.empty()) out["reasoning_details"] = std::move(said.details);
  return out;
}

}  // namespace

std::vector<MediaPart> read_reply_images(const core::Json& message) {
  std::vector<MediaPart> out;
  const auto* images = member_of(message, "images");
  if (images == nullptr || !images->is_array()) return out;
  for (const auto& image : *images) {
    const auto* source = member_of(image, "image_url");
    const auto url = source == nullptr ? std::string() : text_of(*source, "url");
    if (url.empty()) continue;
    auto& part = out.emplace_back();
    if (!read_data_url(url, part)) part.url = url;
  }
  return out;
}

core::Json reply_image(const MediaPart& media) {
  return {{"type", "image_url"}, {"image_url", {{"url", media.data.empty() ? media.url : data_url(media)}}}};
}

Finish finish_of(std::string_view word, bool tools_called) {
  if (word == "length") return Finish::Length;
  if (word == "content_filter") return Finish::ContentFilter;
  if (word == "error") return Finish::Error;
  // Local servers say "stop" after a tool call.
  return tools_called || word == "tool_calls" || word == "function_call" ? Finish::ToolCalls : Finish::Stop;
}

std::string_view finish_word(Finish finish) {
  switch (finish) {
    case Finish::Length:
      return "length";
    case Finish::ToolCalls:
      return "tool_calls";
    case Finish::ContentFilter:
      return "content_filter";
    case Finish::Stop:
    case Finish::StopSequence:
    case Finish::PauseTurn:
    case Finish::Error:
      return "stop";
  }
  return "stop";
}

Reply decode_reply(const core::Json& body) {
  const auto* choices = member_of(body, "choices");
  if (choices == nullptr || !choices->is_array() || choices->empty() || choices->size() > kChoicesMax) {
    throw core::Error(core::ErrorKind::UpstreamFailed,
                      "The provider's reply is not a chat completion: it has no choices.");
  }
  Reply reply;
  reply.id = text_of(body, "id");
  reply.model = text_of(body, "model");
  reply.created = count_of(body, "created").value_or(0);
  for (const auto& choice : *choices) reply.choices.push_back(read_choice(choice, reply));
  reply.usage = decode_usage(body);
  return reply;
}

core::Json encode_reply(const Reply& reply, const ReplyContext& context) {
  core::Json choices = core::Json::array();
  for (std::size_t i = 0; i < reply.choices.size(); ++i) {
    const auto& choice = reply.choices[i];
    choices.push_back({{"index", i},
                       {"message", write_message(choice.message, context)},
                       {"logprobs", choice.logprobs},
                       {"finish_reason", finish_word(choice.finish)}});
  }
  core::Json out = {{"id", context.id}, {"object", "chat.completion"}, {"created", context.created}};
  out["model"] = context.model;
  out["choices"] = std::move(choices);
  out["usage"] = encode_usage(reply.usage);
  return out;
}

core::Usage decode_usage(const core::Json& body) {
  const auto* usage = member_of(body, "usage");
  return usage == nullptr ? core::Usage() : read_openai_usage(*usage);
}

core::Json encode_usage(const core::Usage& usage) {
  core::Json prompt = {{"cached_tokens", usage.cache_read.value_or(0)},
                       {"audio_tokens", usage.input_audio.value_or(0)}};
  const auto written = usage.cache_write_5m.value_or(0) + usage.cache_write_1h.value_or(0);
  if (usage.cache_write_5m || usage.cache_write_1h) prompt["cache_write_tokens"] = written;
  return {{"prompt_tokens", usage.input.value_or(0)},
          {"completion_tokens", usage.output.value_or(0)},
          {"total_tokens", core::total_tokens(usage)},
          {"prompt_tokens_details", std::move(prompt)},
          {"completion_tokens_details",
           {{"reasoning_tokens", usage.reasoning.value_or(0)},
            {"audio_tokens", usage.output_audio.value_or(0)}}}};
}

}  // namespace assistiv::inference::openai_chat
