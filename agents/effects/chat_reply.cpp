#include "agents/effects/chat_reply.h"

#include <optional>
#include <utility>
#include <variant>

#include "agents/effects/chat_blocks.h"
#include "core/json_read.h"

namespace assistiv::agents {
namespace {

using core::Json;
using inference::Part;
using inference::ThinkingPart;
using inference::ToolCallPart;

const char* finish_word(inference::Finish finish) {
  switch (finish) {
    case inference::Finish::Stop:
    case inference::Finish::StopSequence:
      return "stop";
    case inference::Finish::Length:
      return "length";
    case inference::Finish::ToolCalls:
      return "tool_calls";
    case inference::Finish::ContentFilter:
      return "content_filter";
    case inference::Finish::PauseTurn:
      return "pause_turn";
    case inference::Finish::Error:
      break;
  }
  return "error";
}

Json response_metadata(const inference::Reply& reply, const inference::TurnFacts& facts) {
  Json out = {{"model_name", reply.model.empty() ? facts.provider_model : reply.model},
              {"model_provider", facts.provider}};
  if (!reply.id.empty()) out["id"] = reply.id;
  if (!reply.choices.empty()) {
    const auto& choice = reply.choices.front();
    out["finish_reason"] = finish_word(choice.finish);
    if (!choice.stop_sequence.empty()) out["stop_sequence"] = choice.stop_sequence;
  }
  return out;
}

struct Content {
  std::string text;
  std::string refusal;
  Json blocks = Json::array();
  bool plain = true;

  void add(const Part& part) {
    if (const auto* said = std::get_if<inference::TextPart>(&part)) {
      text += said->text;
      plain = plain && said->citations.empty();
      blocks.push_back(text_block(*said));
    } else if (const auto* thought = std::get_if<ThinkingPart>(&part)) {
      plain = false;
      blocks.push_back(reasoning_block(*thought));
    } else if (const auto* refused = std::get_if<inference::RefusalPart>(&part)) {
      text += refused->text;
      refusal += refused->text;
      blocks.push_back({{"type", "text"}, {"text", refused->text}});
    }
  }
  Json json() && { return plain ? Json(std::move(text)) : std::move(blocks); }
};

void add_call(const ToolCallPart& call, const std::string& message_id, Json& valid, Json& invalid) {
  Json out = {{"name", call.name},
              {"id", call.id.empty() ? "call_" + message_id + "_" + std::to_string(valid.size()) : call.id}};
  if (!call.signature.empty()) out["signature"] = call.signature;
  auto arguments =
      call.arguments.empty() ? std::optional(Json::object()) : core::try_parse_json(call.arguments);
  if (arguments && arguments->is_object()) {
    out["args"] = std::move(*arguments);
    out["type"] = "tool_call";
    valid.push_back(std::move(out));
    return;
  }
  out["args"] = call.arguments;
  out["error"] = "The arguments are no JSON object.";
  out["type"] = "invalid_tool_call";
  invalid.push_back(std::move(out));
}

void add_detail(Json& details, const char* name, const std::optional<std::int64_t>& count) {
  if (count) details[name] = *count;
}

}  // namespace

Json usage_metadata(const core::Usage& usage) {
  Json out = {{"input_tokens", usage.input.value_or(0)},
              {"output_tokens", usage.output.value_or(0)},
              {"total_tokens", core::total_tokens(usage)}};
  auto input = Json::object();
  add_detail(input, "cache_read", usage.cache_read);
  if (usage.cache_write_5m || usage.cache_write_1h)
    input["cache_creation"] = usage.cache_write_5m.value_or(0) + usage.cache_write_1h.value_or(0);
  add_detail(input, "audio", usage.input_audio);
  if (!input.empty()) out["input_token_details"] = std::move(input);
  auto output = Json::object();
  add_detail(output, "reasoning", usage.reasoning);
  add_detail(output, "audio", usage.output_audio);
  if (!output.empty()) out["output_token_details"] = std::move(output);
  return out;
}

Json ai_message(const std::string& id, const inference::Reply& reply, const inference::TurnFacts& facts) {
  Content content;
  auto valid = Json::array();
  auto invalid = Json::array();
  if (!reply.choices.empty()) {
    for (const auto& part : reply.choices.front().message.parts) {
      if (const auto* call = std::get_if<ToolCallPart>(&part)) {
        add_call(*call, id, valid, invalid);
      } else {
        content.add(part);
      }
    }
  }
  auto kwargs = Json::object();
  if (!content.refusal.empty()) kwargs["refusal"] = content.refusal;
  return {{"id", id},
          {"type", "ai"},
          {"content", std::move(content).json()},
          {"tool_calls", std::move(valid)},
          {"invalid_tool_calls", std::move(invalid)},
          {"usage_metadata", usage_metadata(facts.usage)},
          {"response_metadata", response_metadata(reply, facts)},
          {"additional_kwargs", std::move(kwargs)}};
}

Json ReplyCollector::piece() const {
  return {{"id", id_},
          {"type", "AIMessageChunk"},
          {"content", ""},
          {"tool_calls", Json::array()},
          {"invalid_tool_calls", Json::array()},
          {"tool_call_chunks", Json::array()},
          {"additional_kwargs", Json::object()},
          {"response_metadata", Json::object()}};
}

Json ReplyCollector::text_piece(const Part& part, const std::string& text) const {
  if (text.empty()) return nullptr;
  auto out = piece();
  if (std::holds_alternative<ThinkingPart>(part)) {
    out["additional_kwargs"]["reasoning_content"] = text;
  } else {
    out["content"] = text;
  }
  return out;
}

Json ReplyCollector::call_piece(int index, Json name, Json id, std::string args) const {
  auto out = piece();
  out["tool_call_chunks"].push_back({{"type", "tool_call_chunk"},
                                     {"index", index},
                                     {"name", std::move(name)},
                                     {"id", std::move(id)},
                                     {"args", std::move(args)}});
  return out;
}

Json ReplyCollector::start(const inference::PartStart& event) {
  auto& part = parts_.insert_or_assign(event.index, event.part).first->second;
  if (auto* call = std::get_if<ToolCallPart>(&part)) {
    if (call->id.empty()) call->id = "call_" + id_ + "_" + std::to_string(event.index);
    return call_piece(event.index, call->name, call->id, call->arguments);
  }
  if (const auto* text = std::get_if<inference::TextPart>(&part)) return text_piece(part, text->text);
  if (const auto* thought = std::get_if<ThinkingPart>(&part)) return text_piece(part, thought->text);
  if (const auto* refusal = std::get_if<inference::RefusalPart>(&part))
    return text_piece(part, refusal->text);
  return nullptr;
}

Json ReplyCollector::add_text(const inference::TextDelta& delta) {
  const auto found = parts_.find(delta.index);
  if (found == parts_.end()) return nullptr;
  auto& part = found->second;
  if (auto* text = std::get_if<inference::TextPart>(&part)) text->text += delta.text;
  if (auto* thought = std::get_if<ThinkingPart>(&part)) thought->text += delta.text;
  if (auto* refusal = std::get_if<inference::RefusalPart>(&part)) refusal->text += delta.text;
  return text_piece(part, delta.text);
}

Json ReplyCollector::add_arguments(const inference::ArgumentsDelta& delta) {
  const auto found = parts_.find(delta.index);
  auto* call = found == parts_.end() ? nullptr : std::get_if<ToolCallPart>(&found->second);
  if (call == nullptr || delta.json.empty()) return nullptr;
  call->arguments += delta.json;
  return call_piece(delta.index, nullptr, nullptr, delta.json);
}

Json ReplyCollector::take(const inference::StreamEvent& event) {
  Json out;
  if (const auto* begin = std::get_if<inference::StreamStart>(&event)) {
    reply_.id = begin->id;
    reply_.model = begin->model;
    reply_.created = begin->created;
  } else if (const auto* part = std::get_if<inference::PartStart>(&event)) {
    out = start(*part);
  } else if (const auto* text = std::get_if<inference::TextDelta>(&event)) {
    out = add_text(*text);
  } else if (const auto* arguments = std::get_if<inference::ArgumentsDelta>(&event)) {
    out = add_arguments(*arguments);
  } else if (const auto* signature = std::get_if<inference::SignatureDelta>(&event)) {
    const auto found = parts_.find(signature->index);
    if (found != parts_.end()) {
      if (auto* thought = std::get_if<ThinkingPart>(&found->second))
        thought->signature += signature->signature;
      if (auto* call = std::get_if<ToolCallPart>(&found->second)) call->signature += signature->signature;
    }
  } else if (const auto* cited = std::get_if<inference::CitationEvent>(&event)) {
    const auto found = parts_.find(cited->index);
    auto* said = found == parts_.end() ? nullptr : std::get_if<inference::TextPart>(&found->second);
    if (said != nullptr) said->citations.push_back(cited->citation);
  } else if (const auto* finish = std::get_if<inference::FinishEvent>(&event)) {
    choice_.finish = finish->finish;
    choice_.stop_sequence = finish->stop_sequence;
    choice_.refusal_reason = finish->refusal_reason;
  }
  showed_ = showed_ || !out.is_null();
  return out;
}

inference::Reply ReplyCollector::reply() const {
  auto out = reply_;
  out.choices = {choice_};
  for (const auto& [index, part] : parts_) out.choices.front().message.parts.push_back(part);
  return out;
}

Json ReplyCollector::last_piece(const inference::TurnFacts& facts) const {
  auto out = piece();
  out["usage_metadata"] = usage_metadata(facts.usage);
  out["response_metadata"] = response_metadata(reply(), facts);
  return out;
}

}  // namespace assistiv::agents
