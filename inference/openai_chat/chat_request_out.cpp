// The canonical request into a chat provider's body.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "inference/openai_chat/chat.h"
#include "inference/openai_chat/flavor.h"
#include "inference/translate/content.h"
#include "inference/translate/drops.h"

namespace assistiv::inference::openai_chat {

namespace {

constexpr std::size_t kStopMax = 4;

class RequestEncoder {
 public:
  RequestEncoder(const Request& request, const EncodeOptions& options)
      : request_(request),
        target_(options.target),
        flavor_(flavor_of(options.target.flavor)),
        same_(request.dialect == DialectId::OpenAiChat),
        drops_(request.dialect, options.unsupported) {}

  EncodedRequest run();

 private:
  void message(const Message& message);
  void user(const Message& message);
  void assistant(const Message& message);
  void tool_message(const ToolResultPart& result, const std::string& pointer, core::Json& later);
  bool thinking(const std::vector<const ThinkingPart*>& parts, bool calls, core::Json& out);
  std::string at(const Message& message, std::size_t index) const {
    return part_pointer(request_.dialect, message, index);
  }
  // One content part; null when the dialect has no form for it.
  core::Json content_part(const Part& part, const std::string& pointer);
  core::Json media_part(const MediaPart& media);
  core::Json file_part(const MediaPart& media);
  void cache_mark(core::Json& into, const core::Json& mark, const std::string& pointer);
  void put_content(core::Json& message, core::Json parts);
  core::Json tool_call(const ToolCallPart& call, const std::string& pointer, const std::string& signature);
  std::string call_id(const std::string& id) const { return same_ ? id : portable_call_id(id); }
  void tools();
  void tool_choice();
  void sampling();
  void limits();
  void response_format();
  void reasoning();
  template <class T>
  void put(const char* name, const std::optional<T>& value) {
    if (value) body_[name] = *value;
  }

  const Request& request_;
  const TargetModel& target_;
  Flavor flavor_;
  bool same_;
  Drops drops_;
  core::Json body_ = core::Json::object();
  core::Json messages_ = core::Json::array();
};

void RequestEncoder::cache_mark(core::Json& into, const core::Json& mark, const std::string& pointer) {
  if (mark.is_null()) return;
  if (same_ || flavor_ == Flavor::Compatible) {
    into["cache_control"] = mark;
  } else {
    drops_.add(pointer + "/cache_control");
  }
}

core::Json RequestEncoder::file_part(const MediaPart& media) {
  core::Json file = core::Json::object();
  if (!media.file_id.empty()) {
    if (request_.dialect != DialectId::OpenAiChat && request_.dialect != DialectId::OpenAiResponses)
      return {};
    file["file_id"] = media.file_id;
  } else if (media.data.empty()) {
    return {};
  } else if (media.media_type.starts_with("text/")) {
    auto text = core::base64_decode(media.data);
    if (!text || !core::is_valid_utf8(*text)) return {};
    return {{"type", "text"}, {"text", std::move(*text)}};
  } else {
    file["file_data"] = data_url(media);
  }
  if (!media.filename.empty()) file["filename"] = media.filename;
  // OpenAI refuses file data without a name.
  if (media.filename.empty() && media.file_id.empty()) file["filename"] = "document";
  return {{"type", "file"}, {"file", std::move(file)}};
}

core::Json RequestEncoder::media_part(const MediaPart& media) {
  if (media.kind == MediaPart::Kind::Document) return file_part(media);
  if (media.kind == MediaPart::Kind::Audio) {
    const bool mp3 = media.media_type == "audio/mpeg" || media.media_type == "audio/mp3";
    const auto format = mp3 ? std::string("mp3") : media.media_type.substr(media.media_type.find('/') + 1);
    if (media.data.empty() || (!same_ && format != "mp3" && format != "wav")) return {};
    return {{"type", "input_audio"}, {"input_audio", {{"data", media.data}, {"format", format}}}};
  }
  if (media.kind != MediaPart::Kind::Image || (media.data.empty() && media.url.empty())) {
    return media.file_id.empty() || !same_ ? core::Json() : file_part(media);
  }
  core::Json image = {{"url", media.data.empty() ? media.url : data_url(media)}};
  if (!media.detail.empty()) image["detail"] = media.detail;
  return {{"type", "image_url"}, {"image_url", std::move(image)}};
}

core::Json RequestEncoder::content_part(const Part& part, const std::string& pointer) {
  core::Json out;
  if (const auto* text = std::get_if<TextPart>(&part)) {
    out = {{"type", "text"}, {"text", text->text}};
    cache_mark(out, text->cache_control, pointer);
  } else if (const auto* media = std::get_if<MediaPart>(&part)) {
    out = media_part(*media);
    if (!out.is_null()) cache_mark(out, media->cache_control, pointer);
  }
  if (out.is_null()) drops_.add(pointer);
  return out;
}

// Text alone stays a string; local servers often take nothing else.
void RequestEncoder::put_content(core::Json& message, core::Json parts) {
  const auto plain = [](const core::Json& part) { return part.size() == 2 && part.contains("text"); };
  const bool join = !same_ && flavor_ == Flavor::Compatible;
  if (parts.size() == 1 ? !plain(parts[0]) : !join || !std::all_of(parts.begin(), parts.end(), plain)) {
    message["content"] = std::move(parts);
    return;
  }
  std::string text;
  for (auto& part : parts) {
    if (!text.empty()) text += "\n\n";
    text += part["text"].get_ref<const std::string&>();
  }
  message["content"] = std::move(text);
}

// Images cannot stand in a tool message: they follow in a user message.
void RequestEncoder::tool_message(const ToolResultPart& result, const std::string& pointer,
                                  core::Json& later) {
  core::Json out = {{"role", "tool"}, {"tool_call_id", call_id(result.call_id)}};
  core::Json parts = core::Json::array();
  for (std::size_t i = 0; i < result.parts.size(); ++i) {
    const auto at = pointer + "/content/" + std::to_string(i);
    core::Json part =
        std::visit([&](const auto& value) { return content_part(Part(value), at); }, result.parts[i]);
    if (part.is_null()) continue;
    (part["type"] == "text" ? parts : later).push_back(std::move(part));
  }
  if (result.is_error) {
    if (parts.empty()) parts.push_back({{"type", "text"}, {"text", ""}});
    auto& text = parts[0]["text"].get_ref<std::string&>();
    if (!text.starts_with("Error")) text.insert(0, "Error: ");
  }
  if (parts.empty()) {
    out["content"] = "";
  } else {
    put_content(out, std::move(parts));
  }
  cache_mark(out, result.cache_control, pointer);
  messages_.push_back(std::move(out));
}

// Rule 5.5: results come right after the calls, before the rest of their turn.
void RequestEncoder::user(const Message& message) {
  core::Json parts = core::Json::array();
  core::Json images = core::Json::array();
  bool results = false;
  for (std::size_t i = 0; i < message.parts.size(); ++i) {
    const auto* result = std::get_if<ToolResultPart>(&message.parts[i]);
    if (result == nullptr) continue;
    results = true;
    tool_message(*result, at(message, i), images);
  }
  for (std::size_t i = 0; i < message.parts.size(); ++i) {
    if (std::holds_alternative<ToolResultPart>(message.parts[i])) continue;
    auto part = content_part(message.parts[i], at(message, i));
    if (!part.is_null()) parts.push_back(std::move(part));
  }
  parts.insert(parts.begin(), images.begin(), images.end());
  if (parts.empty() && (results || !same_)) return;
  core::Json out = {{"role", "user"}};
  if (!message.name.empty()) out["name"] = message.name;
  put_content(out, std::move(parts));
  messages_.push_back(std::move(out));
}

core::Json RequestEncoder::tool_call(const ToolCallPart& call, const std::string& pointer,
                                     const std::string& signature) {
  const bool bare = call.arguments.empty() && !same_;
  core::Json out = {{"id", call_id(call.id)},
                    {"type", "function"},
                    {"function", {{"name", call.name}, {"arguments", bare ? "{}" : call.arguments}}}};
  if (!call.signature.empty()) {
    if (flavor_ == Flavor::Compatible) {
      out["extra_content"] = call_signature(call.signature);
    } else {
      drops_.note(signature);
    }
  }
  cache_mark(out, call.cache_control, pointer);
  return out;
}

// Chat has no slot for thinking. Servers that reason in tool loops (DeepSeek, Kimi, MiniMax) want their own
// bare text back with the calls that it led to.
// False when none of it is sent.
bool RequestEncoder::thinking(const std::vector<const ThinkingPart*>& parts, bool calls, core::Json& out) {
  std::string text;
  for (const auto* part : parts) {
    if (part->signed_by == DialectId::OpenAiChat) text += part->text;
  }
  if (flavor_ != Flavor::Compatible || !calls || text.empty()) return false;
  out["reasoning_content"] = std::move(text);
  return true;
}

void RequestEncoder::assistant(const Message& message) {
  core::Json out = {{"role", "assistant"}};
  core::Json parts = core::Json::array();
  core::Json calls = core::Json::array();
  std::vector<const ThinkingPart*> thoughts;
  std::vector<std::string> thought_pointers;
  for (std::size_t i = 0; i < message.parts.size(); ++i) {
    const auto& part = message.parts[i];
    const auto pointer = at(message, i);
    if (const auto* thought = std::get_if<ThinkingPart>(&part)) {
      thoughts.push_back(thought);
      thought_pointers.push_back(pointer);
    } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
      calls.push_back(tool_call(*call, pointer, signature_pointer(request_.dialect, message, i)));
    } else if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
      out["refusal"] = refusal->text;
    } else if (std::holds_alternative<TextPart>(part)) {
      parts.push_back(content_part(part, pointer));
    } else {
      drops_.add(pointer);
    }
  }
  if (!thinking(thoughts, !calls.empty(), out)) {
    for (const auto& pointer : thought_pointers) drops_.note(pointer);
  }
  if (!message.name.empty()) out["name"] = message.name;
  if (parts.empty() && calls.empty() && !out.contains("refusal") && !same_) return;
  if (parts.empty()) {
    out["content"] = nullptr;
  } else {
    put_content(out, std::move(parts));
  }
  if (!calls.empty()) out["tool_calls"] = std::move(calls);
  messages_.push_back(std::move(out));
}

void RequestEncoder::message(const Message& message) {
  if (message.role == Role::User) return user(message);
  if (message.role == Role::Assistant) return assistant(message);
  core::Json parts = core::Json::array();
  for (std::size_t i = 0; i < message.parts.size(); ++i) {
    auto part = content_part(message.parts[i], at(message, i));
    if (!part.is_null()) parts.push_back(std::move(part));
  }
  if (parts.empty() && !same_) return;
  core::Json out = {{"role", message.developer && flavor_ == Flavor::OpenAi ? "developer" : "system"}};
  if (!message.name.empty()) out["name"] = message.name;
  put_content(out, std::move(parts));
  messages_.push_back(std::move(out));
}

void RequestEncoder::tools() {
  const bool native = flavor_ == Flavor::OpenAi;
  core::Json tools = core::Json::array();
  std::vector<const ToolDefinition*> chosen;
  if (native) {
    for (const auto& tool : request_.tools) chosen.push_back(&tool);
  } else {
    chosen = allowed_tools(request_);
  }
  for (const auto* tool : chosen) {
    core::Json function = {{"name", tool->name}};
    if (!tool->description.empty()) function["description"] = tool->description;
    if (!tool->parameters.is_null()) function["parameters"] = tool->parameters;
    if (tool->strict) function["strict"] = *tool->strict;
    core::Json out = {{"type", "function"}, {"function", std::move(function)}};
    cache_mark(out, tool->cache_control, "/tools/" + std::to_string(tool - request_.tools.data()));
    tools.push_back(std::move(out));
  }
  if (!tools.empty()) body_["tools"] = std::move(tools);
}

void RequestEncoder::tool_choice() {
  if (request_.tools.empty() && !same_) return;
  put("parallel_tool_calls", request_.parallel_tool_calls);
  if (!request_.tool_choice) return;
  const auto& choice = *request_.tool_choice;
  static constexpr const char* kWords[] = {"auto", "none", "required"};
  if (choice.mode == ToolChoice::Mode::Named) {
    body_["tool_choice"] = {{"type", "function"}, {"function", {{"name", choice.name}}}};
    return;
  }
  const char* word = kWords[static_cast<std::size_t>(choice.mode)];
  if (choice.allowed.empty() || flavor_ != Flavor::OpenAi) {
    body_["tool_choice"] = word;
    return;
  }
  core::Json names = core::Json::array();
  for (const auto& name : choice.allowed) {
    names.push_back({{"type", "function"}, {"function", {{"name", name}}}});
  }
  body_["tool_choice"] = {{"type", "allowed_tools"},
                          {"allowed_tools", {{"mode", word}, {"tools", std::move(names)}}}};
}

// OpenAI's reasoning models refuse sampling; a caller of another dialect cannot know that.
void RequestEncoder::sampling() {
  const bool fixed = !same_ && flavor_ == Flavor::OpenAi && target_.reasoning;
  if (fixed) {
    if (request_.temperature && *request_.temperature != 1) drops_.option("temperature");
    if (request_.top_p && *request_.top_p != 1) drops_.option("top_p");
  } else {
    put("temperature", request_.temperature);
    put("top_p", request_.top_p);
  }
  put("frequency_penalty", request_.frequency_penalty);
  put("presence_penalty", request_.presence_penalty);
  put("seed", request_.seed);
  const auto choices = choice_options(request_, DialectId::OpenAiChat, drops_);
  put("n", choices.n);
  put("logprobs", choices.logprobs);
  put("top_logprobs", choices.top_logprobs);
  if (request_.top_k) {
    if (flavor_ == Flavor::Compatible) {
      put("top_k", request_.top_k);
    } else {
      drops_.option("top_k");
    }
  }
  if (!request_.user.empty()) body_["user"] = request_.user;
}

void RequestEncoder::limits() {
  const char* name = flavor_ == Flavor::Compatible ? "max_tokens" : "max_completion_tokens";
  put(name, request_.max_output_tokens);
  if (request_.stop.empty()) return;
  if (!same_ && flavor_ == Flavor::OpenAi && target_.reasoning) return drops_.option("stop");
  core::Json stop = core::Json::array();
  for (std::size_t i = 0; i < request_.stop.size(); ++i) {
    if (i < kStopMax || flavor_ == Flavor::Compatible || same_) {
      stop.push_back(request_.stop[i]);
    } else {
      drops_.option("stop/" + std::to_string(i));
    }
  }
  body_["stop"] = std::move(stop);
}

void RequestEncoder::response_format() {
  if (!request_.response_format) return;
  const auto& format = *request_.response_format;
  if (format.kind == ResponseFormat::Kind::Text) {
    if (same_) body_["response_format"] = {{"type", "text"}};
    return;
  }
  if (format.kind == ResponseFormat::Kind::JsonObject || !target_.structured_output) {
    if (format.kind == ResponseFormat::Kind::JsonSchema) drops_.option("response_format/json_schema");
    body_["response_format"] = {{"type", "json_object"}};
    return;
  }
  core::Json schema = {{"name", format.name.empty() ? "response" : portable_tool_name(format.name)}};
  if (!format.description.empty()) schema["description"] = format.description;
  if (!format.schema.is_null()) schema["schema"] = format.schema;
  if (format.strict) schema["strict"] = *format.strict;
  body_["response_format"] = {{"type", "json_schema"}, {"json_schema", std::move(schema)}};
}

void RequestEncoder::reasoning() {
  if (!request_.reasoning) return;
  const auto& wish = *request_.reasoning;
  drops_.summary_style(wish);
  if (same_ && !wish.effort.empty()) {
    body_["reasoning_effort"] = wish.effort;
    return;
  }
  const auto word = effort_for(wish, target_);
  if (!word.empty() && target_.effort) {
    body_["reasoning_effort"] = word;
  } else if (wants_reasoning(wish) && !(target_.reasoning && word.empty())) {
    drops_.add(wish.origin);
  }
}

EncodedRequest RequestEncoder::run() {
  body_["model"] = target_.name.empty() ? request_.model : target_.name;
  for (const auto& entry : request_.messages) message(entry);
  body_["messages"] = std::move(messages_);
  tools();
  tool_choice();
  limits();
  sampling();
  response_format();
  reasoning();
  if (request_.stream) {
    body_["stream"] = true;
    body_["stream_options"] = {{"include_usage", true}};
  }
  restore_extras(body_, request_, DialectId::OpenAiChat, drops_);
  apply_flavor(body_, target_, drops_);
  EncodedRequest out;
  out.path = "/chat/completions";
  out.body = std::move(body_);
  out.dropped = drops_.take();
  return out;
}

}  // namespace

EncodedRequest encode_request(const Request& request, const EncodeOptions& options) {
  return RequestEncoder(request, options).run();
}

}  // namespace assistiv::inference::openai_chat
