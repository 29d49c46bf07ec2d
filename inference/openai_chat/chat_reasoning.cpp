#include <array>
#include <nlohmann/json.hpp>

#include "inference/openai_chat/chat.h"
#include "inference/translate/content.h"
#include "inference/translate/fields.h"

namespace assistiv::inference::openai_chat {

namespace {

struct Format {
  std::string_view word;
  DialectId dialect;
};
constexpr std::array kFormats = {
    Format{"anthropic-claude-v1", DialectId::Anthropic},
    Format{"openai-responses-v1", DialectId::OpenAiResponses},
    Format{"google-gemini-v1", DialectId::Gemini},
    Format{"xai-responses-v1", DialectId::OpenAiResponses},
};

DialectId signer_of(std::string_view word) {
  for (const auto& format : kFormats) {
    if (format.word == word) return format.dialect;
  }
  return DialectId::OpenAiChat;
}

std::string_view format_of(DialectId dialect) {
  for (const auto& format : kFormats) {
    if (format.dialect == dialect) return format.word;
  }
  return "unknown";
}

bool read_detail(const core::Json& entry, ThinkingPart& part) {
  const auto type = text_of(entry, "type");
  part.signed_by = signer_of(text_of(entry, "format"));
  part.id = text_of(entry, "id");
  if (type == "reasoning.text") {
    part.text = text_of(entry, "text");
    part.signature = text_of(entry, "signature");
    return true;
  }
  if (type == "reasoning.summary") {
    part.text = text_of(entry, "summary");
    return true;
  }
  if (type != "reasoning.encrypted") return false;
  part.redacted = text_of(entry, "data");
  return true;
}

}  // namespace

std::vector<ThinkingPart> read_reasoning_details(const core::Json& message) {
  std::vector<ThinkingPart> out;
  if (const auto* details = member_of(message, "reasoning_details");
      details != nullptr && details->is_array()) {
    for (const auto& entry : *details) {
      ThinkingPart part;
      if (read_detail(entry, part)) out.push_back(std::move(part));
    }
    if (!out.empty()) return out;
  }
  const auto* blocks = member_of(message, "thinking_blocks");
  if (blocks == nullptr || !blocks->is_array()) return out;
  for (const auto& block : *blocks) {
    ThinkingPart part;
    part.text = text_of(block, "thinking");
    part.signature = text_of(block, "signature");
    part.redacted = text_of(block, "data");
    out.push_back(std::move(part));
  }
  return out;
}

core::Json reasoning_detail(const ThinkingPart& part, int index) {
  if (part.signature.empty() && part.redacted.empty()) return nullptr;
  core::Json out = {{"index", index}, {"format", format_of(part.signed_by)}};
  if (!part.id.empty()) out["id"] = part.id;
  if (part.signature.empty()) {
    out["type"] = "reasoning.encrypted";
    out["data"] = part.redacted;
  } else {
    out["type"] = "reasoning.text";
    out["text"] = part.text;
    out["signature"] = part.signature;
  }
  return out;
}

}  // namespace assistiv::inference::openai_chat
