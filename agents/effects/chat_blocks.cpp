#include "agents/effects/chat_blocks.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace assistiv::agents {
namespace {

using core::Json;
using inference::DialectId;
using inference::MediaPart;
using inference::Part;
using inference::TextPart;
using inference::ThinkingPart;

std::string text_at(const Json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string first_text(const Json& object, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (auto text = text_at(object, name); !text.empty()) return text;
  }
  return {};
}

// data:image/png;base64,...
bool take_data_url(const std::string& url, MediaPart& media) {
  constexpr std::string_view kMark = ";base64,";
  const auto at = url.find(kMark);
  if (!url.starts_with("data:") || at == std::string::npos) return false;
  media.media_type = url.substr(5, at - 5);
  media.data = url.substr(at + kMark.size());
  return true;
}

void set_url(MediaPart& media, std::string url) {
  if (!take_data_url(url, media)) media.url = std::move(url);
}

bool has_bytes(const MediaPart& media) {
  return !media.data.empty() || !media.url.empty() || !media.file_id.empty();
}

MediaPart::Kind kind_of(std::string_view type) {
  if (type.starts_with("image")) return MediaPart::Kind::Image;
  if (type.starts_with("audio") || type == "input_audio") return MediaPart::Kind::Audio;
  if (type.starts_with("video")) return MediaPart::Kind::Video;
  return MediaPart::Kind::Document;
}

// OpenAI's image_url, input_audio and file; Anthropic's source; LangChain's own of version 0 (source_type,
// data, mime_type) and 1 (base64 or url, mime_type).
std::optional<MediaPart> media_of(const Json& block, const std::string& type) {
  static constexpr std::array<std::string_view, 9> kTypes = {
      "image_url", "image", "audio", "input_audio", "video", "file", "document", "text-plain", "media"};
  bool known = false;
  for (const auto one : kTypes) known = known || one == type;
  if (!known) return {};
  MediaPart out;
  out.kind = kind_of(type);
  const Json* from = &block;
  for (const char* inner : {"image_url", "input_audio", "file", "source"}) {
    const auto found = block.find(inner);
    if (found == block.end()) continue;
    if (found->is_string()) set_url(out, found->get<std::string>());
    if (found->is_object()) from = &*found;
  }
  if (auto said = first_text(*from, {"mime_type", "media_type", "mimeType"}); !said.empty())
    out.media_type = std::move(said);
  out.detail = text_at(*from, "detail");
  out.filename = first_text(*from, {"filename", "name"});
  out.file_id = first_text(*from, {"file_id", "fileId"});
  if (const auto url = first_text(*from, {"url", "file_data"}); !url.empty()) set_url(out, url);
  if (const auto data = first_text(*from, {"base64", "data"}); !data.empty()) out.data = data;
  if (type == "input_audio" && out.media_type.empty()) {
    const auto format = text_at(*from, "format");
    out.media_type = format == "mp3" ? "audio/mpeg" : "audio/" + format;
  }
  if (!has_bytes(out)) return {};
  return out;
}

ThinkingPart thinking_of(const Json& block) {
  ThinkingPart out;
  out.text = first_text(block, {"reasoning", "thinking"});
  const auto extras = block.find("extras");
  const Json& proof = extras != block.end() && extras->is_object() ? *extras : block;
  out.signature = text_at(proof, "signature");
  out.redacted = first_text(proof, {"redacted", "data"});
  out.id = text_at(proof, "reasoning_id");
  const auto by = text_at(proof, "signed_by");
  for (const auto id : {DialectId::OpenAiChat, DialectId::OpenAiResponses, DialectId::Gemini}) {
    if (by == inference::to_string(id)) out.signed_by = id;
  }
  return out;
}

// Of a model's message.
bool is_told_elsewhere(const std::string& type) {
  return type == "tool_use" || type == "tool_call" || type == "tool_call_chunk" || type == "function_call" ||
         type == "invalid_tool_call";
}

void add_block(const Json& block, ContentOf whose, std::vector<Part>& out) {
  if (block.is_string()) {
    out.emplace_back(TextPart{block.get<std::string>(), nullptr});
    return;
  }
  const auto type = text_at(block, "type");
  if (type == "text" || type == "input_text" || type == "output_text") {
    auto text = text_at(block, "text");
    const auto cache = block.find("cache_control");
    if (!text.empty()) out.emplace_back(TextPart{std::move(text), cache == block.end() ? Json() : *cache});
    return;
  }
  const bool thought = type == "reasoning" || type == "thinking" || type == "redacted_thinking";
  if (thought && whose == ContentOf::Model) {
    out.emplace_back(thinking_of(block));
    return;
  }
  if (auto media = media_of(block, type)) {
    out.emplace_back(std::move(*media));
    return;
  }
  if (whose == ContentOf::Person && !is_told_elsewhere(type))
    throw core::bad_request("a message has a block of content of the type \"" + type.substr(0, 40) +
                            "\" that cannot be sent to a model");
}

}  // namespace

std::vector<Part> content_parts(const Json& content, ContentOf whose) {
  std::vector<Part> out;
  if (content.is_string()) {
    const auto& text = content.get_ref<const std::string&>();
    if (!text.empty() || whose != ContentOf::Model) out.emplace_back(TextPart{text, nullptr});
  } else if (content.is_array()) {
    for (const auto& block : content) add_block(block, whose, out);
  } else if (content.is_object()) {
    add_block(content, whose, out);
  }
  return out;
}

Json reasoning_block(const ThinkingPart& part) {
  Json extras = {{"signed_by", std::string(inference::to_string(part.signed_by))}};
  if (!part.signature.empty()) extras["signature"] = part.signature;
  if (!part.redacted.empty()) extras["redacted"] = part.redacted;
  if (!part.id.empty()) extras["reasoning_id"] = part.id;
  return {{"type", "reasoning"}, {"reasoning", part.text}, {"extras", std::move(extras)}};
}

Json text_block(const TextPart& part) {
  Json out = {{"type", "text"}, {"text", part.text}};
  for (const auto& citation : part.citations) {
    out["annotations"].push_back({{"type", "citation"},
                                  {"url", citation.url},
                                  {"title", citation.title},
                                  {"start_index", citation.start},
                                  {"end_index", citation.end}});
  }
  return out;
}

}  // namespace assistiv::agents
