#include "inference/gemini/parts.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/json_read.h"
#include "inference/translate/content.h"
#include "inference/translate/fields.h"

namespace assistiv::inference::gemini {

namespace {

using core::Json;

constexpr std::size_t kIdMax = 40;
// base64 of "aig1.", as far as its bits are settled.
constexpr std::string_view kSealedPrefix = "YWlnMS";
constexpr std::string_view kMinted = "call_t";

bool is_plain_id(std::string_view id) {
  return !id.empty() && id.size() <= kIdMax && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

constexpr std::array<std::string_view, 12> kRefusals = {
    "SAFETY",       "RECITATION",  "LANGUAGE",
    "BLOCKLIST",    "SPII",        "PROHIBITED_CONTENT",
    "IMAGE_SAFETY", "IMAGE_OTHER", "IMAGE_PROHIBITED_CONTENT",
    "NO_IMAGE",     "MODEL_ARMOR", "JAILBREAK"};

bool is_refusal(std::string_view word) {
  return word.starts_with("IMAGE_") || std::find(kRefusals.begin(), kRefusals.end(), word) != kRefusals.end();
}

std::optional<std::int64_t> tokens_of(const Json& metadata, std::string_view list,
                                      std::string_view modality) {
  const Json* details = member_of(metadata, list);
  if (details == nullptr || !details->is_array()) return {};
  for (const auto& detail : *details)
    if (text_of(detail, "modality") == modality) return count_of(detail, "tokenCount");
  return {};
}

std::optional<std::int64_t> sum(std::optional<std::int64_t> a, std::optional<std::int64_t> b) {
  if (!a && !b) return {};
  return a.value_or(0) + b.value_or(0);
}

std::string signature_text(const Json& part) {
  auto text = text_of(part, "thoughtSignature");
  return text.empty() ? text_of(part, "thought_signature") : text;
}

Json modality_counts(std::int64_t total, std::optional<std::int64_t> audio,
                     std::optional<std::int64_t> image) {
  Json out = Json::array();
  const auto text = std::max<std::int64_t>(0, total - audio.value_or(0) - image.value_or(0));
  out.push_back({{"modality", "TEXT"}, {"tokenCount", text}});
  if (audio) out.push_back({{"modality", "AUDIO"}, {"tokenCount", *audio}});
  if (image) out.push_back({{"modality", "IMAGE"}, {"tokenCount", *image}});
  return out;
}

}  // namespace

core::Usage read_usage(const Json& metadata) {
  core::Usage out;
  out.input = sum(count_of(metadata, "promptTokenCount"), count_of(metadata, "toolUsePromptTokenCount"));
  out.reasoning = count_of(metadata, "thoughtsTokenCount");
  out.output = sum(count_of(metadata, "candidatesTokenCount"), out.reasoning);
  out.cache_read = count_of(metadata, "cachedContentTokenCount");
  out.input_audio = tokens_of(metadata, "promptTokensDetails", "AUDIO");
  out.input_image = tokens_of(metadata, "promptTokensDetails", "IMAGE");
  out.output_audio = tokens_of(metadata, "candidatesTokensDetails", "AUDIO");
  out.output_image = tokens_of(metadata, "candidatesTokensDetails", "IMAGE");
  // The proto mapping leaves zeros out, and some versions all of the counts but the total.
  const auto total = count_of(metadata, "totalTokenCount");
  if (!out.output && total && out.input) out.output = std::max<std::int64_t>(0, *total - *out.input);
  return out;
}

Json write_usage(const core::Usage& usage) {
  const auto input = usage.input.value_or(0);
  const auto thoughts = usage.reasoning.value_or(0);
  const auto answer = std::max<std::int64_t>(0, usage.output.value_or(0) - thoughts);
  Json out = {{"promptTokenCount", input},
              {"candidatesTokenCount", answer},
              {"totalTokenCount", input + answer + thoughts}};
  if (thoughts > 0) out["thoughtsTokenCount"] = thoughts;
  if (usage.cache_read) out["cachedContentTokenCount"] = *usage.cache_read;
  if (usage.input_audio || usage.input_image)
    out["promptTokensDetails"] = modality_counts(input, usage.input_audio, usage.input_image);
  if (usage.output_audio || usage.output_image)
    out["candidatesTokensDetails"] = modality_counts(answer, usage.output_audio, usage.output_image);
  return out;
}

std::string_view finish_word(Finish finish, std::string_view refusal_reason) {
  switch (finish) {
    case Finish::Stop:
    case Finish::StopSequence:
    case Finish::ToolCalls:
    case Finish::PauseTurn:
      return "STOP";
    case Finish::Length:
      return "MAX_TOKENS";
    case Finish::ContentFilter:
      return is_refusal(refusal_reason) ? refusal_reason : "SAFETY";
    case Finish::Error:
      return "OTHER";
  }
  return "OTHER";
}

Finish finish_of(std::string_view word, bool called) {
  if (word == "MAX_TOKENS") return Finish::Length;
  if (is_refusal(word)) return Finish::ContentFilter;
  if (word == "STOP" || word.empty() || word == "FINISH_REASON_UNSPECIFIED") {
    return called ? Finish::ToolCalls : Finish::Stop;
  }
  return Finish::Error;
}

CallIds::CallIds(std::string_view response_id) : prefix_("call_") {
  constexpr std::size_t kRoomForCount = 6;
  for (const char c : response_id) {
    if (prefix_.size() + kRoomForCount >= kIdMax) break;
    if (is_plain_id(std::string_view(&c, 1))) prefix_.push_back(c);
  }
  prefix_.push_back('_');
}

std::string CallIds::next(const Json& call) {
  auto given = text_of(call, "id");
  const int count = count_++;
  return is_plain_id(given) ? given : prefix_ + std::to_string(count);
}

std::string minted_id(std::size_t turn, std::size_t index) {
  return std::string(kMinted) + std::to_string(turn) + "_" + std::to_string(index);
}

bool is_minted(std::string_view id) {
  if (!id.starts_with(kMinted)) return false;
  const auto rest = id.substr(kMinted.size());
  return !rest.empty() &&
         std::all_of(rest.begin(), rest.end(), [](char c) { return c == '_' || (c >= '0' && c <= '9'); });
}

void read_signature(std::string_view text, ThinkingPart& into) {
  into.signed_by = DialectId::Gemini;
  into.signature = text;
  if (!text.starts_with(kSealedPrefix)) return;
  const auto sealed = core::base64_decode(text);
  if (sealed) open_thinking(*sealed, into);
}

std::string outer_signature(const ThinkingPart& part) {
  if (part.signed_by == DialectId::Gemini) return part.signature;
  const auto sealed = seal_thinking(part);
  return sealed.empty() ? sealed : core::base64_encode(sealed);
}

std::string code_text(const Json& part) {
  if (const Json* code = member_of(part, "executableCode")) {
    return "```" + std::string(text_of(*code, "language") == "PYTHON" ? "python" : "") + "\n" +
           text_of(*code, "code") + "\n```\n";
  }
  if (const Json* result = member_of(part, "codeExecutionResult"))
    return "```\n" + text_of(*result, "output") + "\n```\n";
  return {};
}

std::optional<Part> read_part(const Json& part, CallIds& ids) {
  if (const Json* text = member_of(part, "text"); text != nullptr && text->is_string()) {
    const Json* thought = member_of(part, "thought");
    if (thought == nullptr || *thought != Json(true))
      return TextPart{text->get_ref<const std::string&>(), {}};
    ThinkingPart out;
    out.text = text->get_ref<const std::string&>();
    read_signature(signature_text(part), out);
    return out;
  }
  if (const Json* call = member_of(part, "functionCall")) {
    ToolCallPart out;
    out.id = ids.next(*call);
    out.name = text_of(*call, "name");
    const Json* args = member_of(*call, "args");
    out.arguments = args == nullptr ? "{}" : core::dump_json(*args);
    out.signature = signature_text(part);
    return out;
  }
  const Json* blob = member_of(part, "inlineData");
  if (blob == nullptr) blob = member_of(part, "inline_data");
  const Json* file = member_of(part, "fileData");
  if (file == nullptr) file = member_of(part, "file_data");
  if (blob == nullptr && file == nullptr) return {};
  const Json& source = blob != nullptr ? *blob : *file;
  MediaPart out;
  out.media_type = text_of(source, "mimeType");
  if (out.media_type.empty()) out.media_type = text_of(source, "mime_type");
  out.kind = kind_of_media_type(out.media_type);
  out.filename = text_of(source, "displayName");
  out.data = text_of(source, "data");
  out.url = text_of(source, "fileUri");
  if (out.url.empty()) out.url = text_of(source, "file_uri");
  return out;
}

std::optional<ThinkingPart> signature_after(const Json& part) {
  const Json* thought = member_of(part, "thought");
  if (member_of(part, "text") == nullptr || (thought != nullptr && *thought == Json(true))) return {};
  const auto text = signature_text(part);
  if (text.empty()) return {};
  ThinkingPart out;
  read_signature(text, out);
  return out;
}

Json media_part(const MediaPart& media) {
  MediaPart own;
  const MediaPart* from = &media;
  if (media.data.empty() && read_data_url(media.url, own)) from = &own;
  std::string type = from->media_type;
  if (type.empty()) type = media_type_of_url(from->url);
  if (type.empty()) {
    constexpr std::array<std::string_view, 4> kUsual = {"image/jpeg", "application/pdf", "audio/wav",
                                                        "video/mp4"};
    type = kUsual[static_cast<std::size_t>(media.kind)];
  }
  if (!from->data.empty()) return {{"inlineData", {{"mimeType", std::move(type)}, {"data", from->data}}}};
  return {{"fileData", {{"mimeType", std::move(type)}, {"fileUri", from->url}}}};
}

std::string snake_name(std::string_view camel) {
  std::string out;
  for (const char c : camel) {
    if (c >= 'A' && c <= 'Z') {
      out.push_back('_');
      out.push_back(static_cast<char>(c + 32));
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace assistiv::inference::gemini
