#include "inference/translate/content.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/http.h"
#include "core/json_read.h"
#include "inference/translate/fields.h"

namespace assistiv::inference {

namespace {

constexpr std::size_t kPortableMax = 64;
constexpr std::size_t kCallIdMax = 40;  // OpenAI's limit
constexpr int kArgumentsDepthMax = 64;

std::string portable(std::string_view text) {
  std::string out(text.substr(0, kPortableMax));
  for (char& c : out) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!plain) c = '_';
  }
  if (out.empty()) out = "_";
  return out;
}

// Effort words in order; Anthropic's budgets by agentgateway's scale.
struct Effort {
  std::string_view word;
  std::int64_t budget;
};
constexpr std::array kEfforts = {Effort{"minimal", 1024}, Effort{"low", 1024},   Effort{"medium", 2048},
                                 Effort{"high", 4096},    Effort{"xhigh", 8192}, Effort{"max", 16384}};

std::size_t rank_of(std::string_view word) {
  const auto* hit = std::find_if(kEfforts.begin(), kEfforts.end(),
                                 [&](const Effort& effort) { return effort.word == word; });
  return hit == kEfforts.end() ? 2 : static_cast<std::size_t>(hit - kEfforts.begin());
}

bool takes(const TargetModel& target, std::string_view word) {
  if (target.efforts.empty()) return word == "low" || word == "medium" || word == "high";
  return std::find(target.efforts.begin(), target.efforts.end(), word) != target.efforts.end();
}

// Short names of the dialects within a sealed signature.
constexpr std::array<std::string_view, 4> kSealNames = {"c", "r", "a", "g"};
constexpr std::string_view kSealPrefix = "aig1.";

}  // namespace

bool read_data_url(std::string_view url, MediaPart& into) {
  if (!url.starts_with("data:")) return false;
  url.remove_prefix(5);
  const auto comma = url.find(',');
  if (comma == std::string_view::npos) return false;
  const auto head = url.substr(0, comma);
  if (!head.ends_with(";base64")) return false;
  into.media_type = head.substr(0, head.find(';'));
  into.data = url.substr(comma + 1);
  return true;
}

std::string data_url(const MediaPart& media) {
  std::string out;
  out.reserve(media.data.size() + media.media_type.size() + 16);
  out.append("data:").append(media.media_type.empty() ? "application/octet-stream" : media.media_type);
  out.append(";base64,").append(media.data);
  return out;
}

MediaPart::Kind kind_of_media_type(std::string_view media_type) {
  if (media_type.starts_with("image/")) return MediaPart::Kind::Image;
  if (media_type.starts_with("audio/")) return MediaPart::Kind::Audio;
  if (media_type.starts_with("video/")) return MediaPart::Kind::Video;
  return MediaPart::Kind::Document;
}

std::string_view media_type_of_url(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const auto dot = url.rfind('.');
  if (dot == std::string_view::npos) return {};
  const auto ending = url.substr(dot + 1);
  for (const auto& [name, type] : {std::pair{"pdf", "application/pdf"},
                                   {"png", "image/png"},
                                   {"jpg", "image/jpeg"},
                                   {"jpeg", "image/jpeg"},
                                   {"gif", "image/gif"},
                                   {"webp", "image/webp"},
                                   {"mp3", "audio/mpeg"},
                                   {"wav", "audio/wav"},
                                   {"mp4", "video/mp4"}}) {
    if (core::equals_ignore_case(ending, name)) return type;
  }
  return {};
}

core::Json arguments_object(const std::string& arguments, const std::string& pointer, Unsupported mode) {
  if (arguments.find_first_not_of(" \t\r\n") == std::string::npos) return core::Json::object();
  auto value = core::try_parse_json(arguments, kArgumentsDepthMax);
  if (value && value->is_object()) return std::move(*value);
  if (mode == Unsupported::Strict) {
    throw core::bad_request("The arguments of this tool call are not a JSON object.", pointer);
  }
  core::Json out = core::Json::object();
  out["_raw"] = arguments;
  return out;
}

std::string portable_call_id(std::string_view id) {
  if (id.size() <= kCallIdMax) return portable(id);
  return portable(id.substr(0, kCallIdMax - 17)) + "_" + core::sha256_hex(id).substr(0, 16);
}

std::string portable_tool_name(std::string_view name) {
  return portable(name);
}

core::Json object_schema(const core::Json& parameters) {
  core::Json out = parameters.is_object() ? parameters : core::Json::object();
  if (!out.contains("type")) out["type"] = "object";
  if (out["type"] == "object" && !out.contains("properties")) out["properties"] = core::Json::object();
  return out;
}

std::vector<const ToolDefinition*> allowed_tools(const Request& request) {
  std::vector<const ToolDefinition*> out;
  if (request.tool_choice && !request.tool_choice->allowed.empty()) {
    const auto& names = request.tool_choice->allowed;
    for (const auto& tool : request.tools) {
      if (std::find(names.begin(), names.end(), tool.name) != names.end()) out.push_back(&tool);
    }
  }
  if (out.empty()) {
    for (const auto& tool : request.tools) out.push_back(&tool);
  }
  return out;
}

void ArgumentsScanner::feed(std::string_view piece) {
  for (const char c : piece) {
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
      seen_ = true;
    } else if ((c == '}' || c == ']') && depth_ > 0) {
      --depth_;
    }
  }
}

std::string signature_of_call(const core::Json& call) {
  const auto* extra = member_of(call, "extra_content");
  const auto* google = extra == nullptr ? nullptr : member_of(*extra, "google");
  return google == nullptr ? std::string() : text_of(*google, "thought_signature");
}

core::Json call_signature(const std::string& signature) {
  return {{"google", {{"thought_signature", signature}}}};
}

std::int64_t budget_of_effort(std::string_view effort) {
  if (effort == "none") return 0;
  return kEfforts[rank_of(effort)].budget;
}

std::string_view effort_of_budget(std::int64_t budget) {
  if (budget <= 0) return {};
  if (budget <= 1024) return "low";
  if (budget <= 4095) return "medium";
  if (budget <= 8191) return "high";
  return budget <= 16383 ? "xhigh" : "max";
}

bool wants_reasoning(const Reasoning& reasoning) {
  if (reasoning.enabled) return *reasoning.enabled;
  if (reasoning.effort == "none") return false;
  return reasoning.adaptive || !reasoning.effort.empty() || reasoning.budget_tokens.value_or(0) != 0;
}

std::string effort_for(const Reasoning& reasoning, const TargetModel& target) {
  if (!wants_reasoning(reasoning)) return {};
  std::string_view wish = reasoning.effort;
  if (wish.empty() && reasoning.budget_tokens) wish = effort_of_budget(*reasoning.budget_tokens);
  if (wish.empty()) return {};
  if (takes(target, wish)) return std::string(wish);
  const auto rank = rank_of(wish);
  for (std::size_t i = rank; i-- > 0;) {
    if (takes(target, kEfforts[i].word)) return std::string(kEfforts[i].word);
  }
  for (std::size_t i = rank; i < kEfforts.size(); ++i) {
    if (takes(target, kEfforts[i].word)) return std::string(kEfforts[i].word);
  }
  return {};
}

std::string seal_thinking(const ThinkingPart& part) {
  const bool redacted = part.signature.empty();
  const auto& payload = redacted ? part.redacted : part.signature;
  if (payload.empty()) return {};
  std::string out(kSealPrefix);
  out.append(kSealNames[static_cast<std::size_t>(part.signed_by)]).append(redacted ? ".e." : ".s.");
  out.append(part.id).append(".").append(payload);
  return out;
}

bool open_thinking(std::string_view text, ThinkingPart& into) {
  if (!text.starts_with(kSealPrefix)) return false;
  text.remove_prefix(kSealPrefix.size());
  const auto name = std::find(kSealNames.begin(), kSealNames.end(), text.substr(0, 1));
  const bool redacted = text.substr(1).starts_with(".e.");
  if (name == kSealNames.end() || (!redacted && !text.substr(1).starts_with(".s."))) return false;
  text.remove_prefix(4);
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return false;
  into.signed_by = static_cast<DialectId>(name - kSealNames.begin());
  into.id = text.substr(0, dot);
  (redacted ? into.redacted : into.signature) = text.substr(dot + 1);
  (redacted ? into.signature : into.redacted).clear();
  return true;
}

core::Usage read_openai_usage(const core::Json& usage) {
  core::Usage out;
  const bool chat =
      usage.is_object() && (usage.contains("prompt_tokens") || usage.contains("completion_tokens"));
  out.input = count_of(usage, chat ? "prompt_tokens" : "input_tokens");
  out.output = count_of(usage, chat ? "completion_tokens" : "output_tokens");
  if (const auto* details = member_of(usage, chat ? "prompt_tokens_details" : "input_tokens_details")) {
    out.cache_read = count_of(*details, "cached_tokens");
    out.cache_write_5m = count_of(*details, "cache_write_tokens");
    out.input_audio = count_of(*details, "audio_tokens");
    out.input_image = count_of(*details, "image_tokens");
  }
  if (!out.cache_read) out.cache_read = count_of(usage, "prompt_cache_hit_tokens");  // DeepSeek
  if (const auto* details = member_of(usage, chat ? "completion_tokens_details" : "output_tokens_details")) {
    out.reasoning = count_of(*details, "reasoning_tokens");
    out.output_audio = count_of(*details, "audio_tokens");
    out.output_image = count_of(*details, "image_tokens");
  }
  const auto total = count_of(usage, "total_tokens");
  if (total && out.input && *total - *out.input > out.output.value_or(0)) out.output = *total - *out.input;
  return out;
}

}  // namespace assistiv::inference
