// Blocks, words and usage that requests, replies and streams share.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "inference/anthropic/messages.h"
#include "inference/translate/content.h"
#include "inference/translate/fields.h"

namespace assistiv::inference::anthropic {

Finish finish_of(std::string_view stop_reason) {
  if (stop_reason == "stop_sequence") return Finish::StopSequence;
  if (stop_reason == "max_tokens" || stop_reason == "model_context_window_exceeded") return Finish::Length;
  if (stop_reason == "tool_use") return Finish::ToolCalls;
  if (stop_reason == "refusal") return Finish::ContentFilter;
  if (stop_reason == "pause_turn") return Finish::PauseTurn;
  return Finish::Stop;
}

std::string_view stop_reason_of(Finish finish) {
  switch (finish) {
    case Finish::Stop:
    case Finish::Error:
      return "end_turn";
    case Finish::StopSequence:
      return "stop_sequence";
    case Finish::Length:
      return "max_tokens";
    case Finish::ToolCalls:
      return "tool_use";
    case Finish::ContentFilter:
      return "refusal";
    case Finish::PauseTurn:
      return "pause_turn";
  }
  return "end_turn";
}

bool read_citation(const core::Json& citation, Citation& into) {
  into.url = text_of(citation, "url");
  if (into.url.empty()) into.url = text_of(citation, "source");  // search_result_location
  into.title = text_of(citation, "title");
  return !into.url.empty();
}

bool read_reply_block(const core::Json& block, Part& part) {
  const auto type = text_of(block, "type");
  if (type == "text") {
    TextPart text;
    text.text = text_of(block, "text");
    if (const auto* list = member_of(block, "citations"); list != nullptr && list->is_array()) {
      for (const auto& entry : *list) {
        Citation citation;
        if (read_citation(entry, citation)) text.citations.push_back(std::move(citation));
      }
    }
    part = std::move(text);
    return true;
  }
  if (type == "thinking" || type == "redacted_thinking") {
    ThinkingPart thinking;
    thinking.text = text_of(block, "thinking");
    thinking.signature = text_of(block, "signature");
    thinking.redacted = text_of(block, "data");
    part = std::move(thinking);
    return true;
  }
  if (type != "tool_use") return false;
  const auto* input = member_of(block, "input");
  const bool filled = input != nullptr && input->is_object() && !input->empty();
  std::string arguments = filled ? core::dump_json(*input) : std::string();
  if (text_of(block, "name") == kAnswerTool) {
    TextPart answer;
    answer.text = std::move(arguments);
    part = std::move(answer);
    return true;
  }
  ToolCallPart call;
  call.id = text_of(block, "id");
  call.name = text_of(block, "name");
  call.arguments = std::move(arguments);
  call.signature = signature_of_call(block);
  part = std::move(call);
  return true;
}

core::Json thinking_block(const ThinkingPart& part) {
  const bool own = part.signed_by == DialectId::Anthropic;
  const bool redacted = part.signature.empty() && !part.redacted.empty();
  if (redacted && part.text.empty()) {
    return {{"type", "redacted_thinking"}, {"data", own ? part.redacted : seal_thinking(part)}};
  }
  return {{"type", "thinking"},
          {"thinking", part.text},
          {"signature", own && !redacted ? part.signature : seal_thinking(part)}};
}

core::Json tool_use_block(const ToolCallPart& call, core::Json input) {
  core::Json out = {{"type", "tool_use"}, {"id", call.id}, {"name", call.name}};
  out["input"] = std::move(input);
  if (!call.signature.empty()) out["extra_content"] = call_signature(call.signature);
  return out;
}

core::Usage read_usage(const core::Json& usage) {
  core::Usage out;
  const auto fresh = count_of(usage, "input_tokens");
  out.cache_read = count_of(usage, "cache_read_input_tokens");
  const auto written = count_of(usage, "cache_creation_input_tokens");
  if (const auto* split = member_of(usage, "cache_creation")) {
    out.cache_write_5m = count_of(*split, "ephemeral_5m_input_tokens");
    out.cache_write_1h = count_of(*split, "ephemeral_1h_input_tokens");
  }
  const auto known = out.cache_write_5m.value_or(0) + out.cache_write_1h.value_or(0);
  if (written && *written > known) out.cache_write_5m = *written - out.cache_write_1h.value_or(0);
  if (fresh) {
    out.input =
        *fresh + out.cache_read.value_or(0) + out.cache_write_5m.value_or(0) + out.cache_write_1h.value_or(0);
  }
  out.output = count_of(usage, "output_tokens");
  if (const auto* details = member_of(usage, "output_tokens_details")) {
    out.reasoning = count_of(*details, "thinking_tokens");
  }
  return out;
}

core::Usage decode_usage(const core::Json& body) {
  if (const auto* message = member_of(body, "message")) return decode_usage(*message);
  const auto* usage = member_of(body, "usage");
  return usage == nullptr ? core::Usage() : read_usage(*usage);
}

core::Json encode_usage(const core::Usage& usage) {
  const auto read = usage.cache_read.value_or(0);
  const auto short_lived = usage.cache_write_5m.value_or(0);
  const auto long_lived = usage.cache_write_1h.value_or(0);
  const auto fresh = usage.input.value_or(0) - read - short_lived - long_lived;
  return {{"input_tokens", std::max<std::int64_t>(0, fresh)},
          {"cache_read_input_tokens", read},
          {"cache_creation_input_tokens", short_lived + long_lived},
          {"cache_creation",
           {{"ephemeral_5m_input_tokens", short_lived}, {"ephemeral_1h_input_tokens", long_lived}}},
          {"output_tokens", usage.output.value_or(0)}};
}

std::string merge_betas(std::string_view client, const std::vector<std::string>& ours) {
  std::vector<std::string_view> all;
  const auto add = [&](std::string_view name) {
    while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
    while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
    if (!name.empty() && std::find(all.begin(), all.end(), name) == all.end()) all.push_back(name);
  };
  while (!client.empty()) {
    const auto end = std::min(client.find(','), client.size());
    add(client.substr(0, end));
    client.remove_prefix(std::min(end + 1, client.size()));
  }
  for (const auto& name : ours) add(name);
  std::string out;
  for (const auto name : all) out.append(out.empty() ? "" : ",").append(name);
  return out;
}

}  // namespace assistiv::inference::anthropic
