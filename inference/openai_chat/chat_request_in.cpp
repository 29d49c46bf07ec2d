// A chat client's body into the canonical request.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "inference/openai_chat/chat.h"
#include "inference/translate/content.h"
#include "inference/translate/fields.h"

namespace assistiv::inference::openai_chat {

namespace {

constexpr std::size_t kNameMax = 512;
constexpr std::size_t kToolsMax = 2048;
constexpr std::int64_t kTokensMax = 100'000'000;

// The parts of a message or of a tool's result that may be text or media.
struct ContentSink {
  Request& request;
  std::vector<Part>& parts;
};

bool read_image(Fields& part, const Path& path, Request& request, MediaPart& media) {
  const auto* image = part.any("image_url");
  if (image == nullptr) part.fail("image_url", "is required");
  media.kind = MediaPart::Kind::Image;
  std::string url;
  if (image->is_string()) {
    url = image->get<std::string>();
  } else {
    const Path inner(path, "image_url");
    Fields fields(*image, inner, request);
    url = fields.string("url");
    media.detail = fields.optional_string("detail", kNameMax).value_or("");
    fields.keep_rest();
  }
  if (!read_data_url(url, media)) media.url = std::move(url);
  return true;
}

bool read_audio(Fields& part, const Path& path, Request& request, MediaPart& media) {
  const auto* audio = part.object("input_audio");
  if (audio == nullptr) part.fail("input_audio", "is required");
  const Path inner(path, "input_audio");
  Fields fields(*audio, inner, request);
  media.kind = MediaPart::Kind::Audio;
  media.data = fields.string("data");
  const auto format = fields.string("format", kNameMax);
  media.media_type = format == "mp3" ? "audio/mpeg" : "audio/" + format;
  fields.keep_rest();
  return true;
}

bool read_file(Fields& part, const Path& path, Request& request, MediaPart& media) {
  const auto* file = part.object("file");
  if (file == nullptr) part.fail("file", "is required");
  const Path inner(path, "file");
  Fields fields(*file, inner, request);
  media.kind = MediaPart::Kind::Document;
  media.filename = fields.optional_string("filename", kNameMax).value_or("");
  media.file_id = fields.optional_string("file_id", kNameMax).value_or("");
  if (auto data = fields.optional_string("file_data")) {
    if (!read_data_url(*data, media)) {
      const bool remote = data->starts_with("http://") || data->starts_with("https://");
      (remote ? media.url : media.data) = std::move(*data);
      media.media_type = media_type_of_url(media.filename);
    }
    media.kind = kind_of_media_type(media.media_type);
  }
  fields.keep_rest();
  return true;
}

// False when the type is none of ours: the part is kept as it is.
bool read_part(const core::Json& value, const Path& path, ContentSink& sink) {
  const auto type = text_of(value, "type");
  if (type != "text" && type != "refusal" && type != "image_url" && type != "input_audio" && type != "file") {
    return false;
  }
  Fields fields(value, path, sink.request);
  fields.known("type");
  if (type == "text") {
    TextPart text;
    text.text = fields.string("text");
    text.cache_control = fields.copy("cache_control");
    sink.parts.emplace_back(std::move(text));
  } else if (type == "refusal") {
    sink.parts.emplace_back(RefusalPart{fields.string("refusal")});
  } else {
    MediaPart media;
    if (type == "image_url") read_image(fields, path, sink.request, media);
    if (type == "input_audio") read_audio(fields, path, sink.request, media);
    if (type == "file") read_file(fields, path, sink.request, media);
    media.cache_control = fields.copy("cache_control");
    sink.parts.emplace_back(std::move(media));
  }
  fields.keep_rest();
  return true;
}

void read_content(const core::Json* content, const Path& message, ContentSink sink) {
  if (content == nullptr) return;
  const Path path(message, "content");
  if (content->is_string()) {
    TextPart text;
    text.text = content->get_ref<const std::string&>();
    sink.parts.emplace_back(std::move(text));
    return;
  }
  if (!content->is_array()) fail_at(path, "must be a string or a list of parts");
  for (std::size_t i = 0; i < content->size(); ++i) {
    const Path item(path, i);
    if (!(*content)[i].is_object()) fail_at(item, "must be an object");
    if (!read_part((*content)[i], item, sink)) keep_extra(sink.request, item, (*content)[i]);
  }
}

void read_thinking(Fields& fields, const core::Json& value, Message& message) {
  auto details = read_reasoning_details(value);
  fields.known("reasoning_details");
  fields.known("thinking_blocks");
  auto text = fields.optional_string("reasoning_content");
  auto other = fields.optional_string("reasoning");
  if (!text) text = std::move(other);
  for (auto& part : details) message.parts.emplace_back(std::move(part));
  // The details hold the text too; the bare text proves nothing to anybody.
  if (!details.empty() || !text || text->empty()) return;
  ThinkingPart part;
  part.text = std::move(*text);
  part.signed_by = DialectId::OpenAiChat;
  message.parts.emplace_back(std::move(part));
}

void read_tool_call(const core::Json& value, const Path& path, Request& request, Message& message) {
  if (const auto type = text_of(value, "type"); !type.empty() && type != "function") {
    keep_extra(request, path, value);
    return;
  }
  Fields fields(value, path, request);
  fields.known("type");
  fields.known("index");
  ToolCallPart call;
  call.id = fields.string("id", kNameMax);
  const auto* function = fields.object("function");
  if (function == nullptr) fields.fail("function", "is required");
  const Path inner(path, "function");
  Fields named(*function, inner, request);
  call.name = named.string("name", kNameMax);
  call.arguments = named.optional_string("arguments").value_or("");
  named.keep_rest();
  if (const auto* extra = fields.object("extra_content")) {
    call.signature = signature_of_call(value);
    if (call.signature.empty()) keep_extra(request, Path(path, "extra_content"), *extra);
  }
  call.cache_control = fields.copy("cache_control");
  fields.keep_rest();
  message.parts.emplace_back(std::move(call));
}

void read_assistant(Fields& fields, const core::Json& value, const Path& path, Request& request,
                    Message& message) {
  message.role = Role::Assistant;
  read_thinking(fields, value, message);
  read_content(fields.any("content"), path, {request, message.parts});
  if (auto refusal = fields.optional_string("refusal")) {
    message.parts.emplace_back(RefusalPart{std::move(*refusal)});
  }
  if (const auto* calls = fields.array("tool_calls")) {
    const Path list(path, "tool_calls");
    for (std::size_t i = 0; i < calls->size(); ++i) {
      read_tool_call((*calls)[i], Path(list, i), request, message);
    }
  }
  if (const auto* call = fields.object("function_call")) {
    const Path inner(path, "function_call");
    Fields legacy(*call, inner, request);
    ToolCallPart part;
    part.name = legacy.string("name", kNameMax);
    part.id = "call_" + portable_tool_name(part.name);
    part.arguments = legacy.optional_string("arguments").value_or("");
    legacy.keep_rest();
    message.parts.emplace_back(std::move(part));
  }
  // Part of every reply, and empty unless the model cited the web.
  const auto* annotations = fields.array("annotations");
  if (annotations != nullptr && !annotations->empty()) {
    keep_extra(request, Path(path, "annotations"), *annotations);
  }
}

void read_tool_result(Fields& fields, const Path& path, bool legacy, Request& request, Message& message) {
  ToolResultPart result;
  result.name = fields.optional_string("name", kNameMax).value_or("");
  result.call_id =
      legacy ? "call_" + portable_tool_name(result.name) : fields.string("tool_call_id", kNameMax);
  std::vector<Part> parts;
  read_content(fields.any("content"), path, {request, parts});
  for (auto& part : parts) {
    if (auto* text = std::get_if<TextPart>(&part)) result.parts.emplace_back(std::move(*text));
    if (auto* media = std::get_if<MediaPart>(&part)) result.parts.emplace_back(std::move(*media));
  }
  result.cache_control = fields.copy("cache_control");
  message.parts.emplace_back(std::move(result));
}

Message read_message(const core::Json& value, const Path& path, Request& request) {
  Fields fields(value, path, request);
  Message message;
  message.origin = path.str();
  const auto role = fields.string("role", 32);
  if (role == "tool" || role == "function") {
    read_tool_result(fields, path, role == "function", request, message);
  } else if (role == "assistant") {
    message.name = fields.optional_string("name", kNameMax).value_or("");
    read_assistant(fields, value, path, request, message);
  } else if (role == "system" || role == "developer" || role == "user") {
    message.role = role == "user" ? Role::User : Role::System;
    message.developer = role == "developer";
    message.name = fields.optional_string("name", kNameMax).value_or("");
    const auto* content = fields.any("content");
    if (content == nullptr) fields.fail("content", "is required");
    read_content(content, path, {request, message.parts});
  } else {
    fields.fail("role", "must be one of: developer, system, user, assistant, tool");
  }
  fields.keep_rest();
  return message;
}

void read_function(const core::Json& value, const Path& path, Request& request, ToolDefinition& tool) {
  Fields fields(value, path, request);
  tool.name = fields.string("name", kNameMax);
  if (tool.name.empty()) fields.fail("name", "must not be empty");
  tool.description = fields.optional_string("description").value_or("");
  if (const auto* parameters = fields.object("parameters")) tool.parameters = *parameters;
  tool.strict = fields.boolean("strict");
  fields.keep_rest();
}

void read_tools(Fields& fields, Request& request) {
  const Path tools_path(fields.path(), "tools");
  if (const auto* tools = fields.array("tools")) {
    if (tools->size() > kToolsMax) fail_at(tools_path, "has too many tools");
    for (std::size_t i = 0; i < tools->size(); ++i) {
      const Path path(tools_path, i);
      if (const auto type = text_of((*tools)[i], "type"); !type.empty() && type != "function") {
        keep_extra(request, path, (*tools)[i]);
        continue;
      }
      Fields item((*tools)[i], path, request);
      item.known("type");
      const auto* function = item.object("function");
      if (function == nullptr) item.fail("function", "is required");
      ToolDefinition tool;
      read_function(*function, Path(path, "function"), request, tool);
      tool.cache_control = item.copy("cache_control");
      item.keep_rest();
      request.tools.push_back(std::move(tool));
    }
  }
  if (const auto* functions = fields.array("functions")) {
    const Path path(fields.path(), "functions");
    for (std::size_t i = 0; i < functions->size(); ++i) {
      read_function((*functions)[i], Path(path, i), request, request.tools.emplace_back());
    }
  }
}

void read_allowed(const core::Json& value, const Path& path, Request& request, ToolChoice& choice) {
  Fields fields(value, path, request);
  const auto mode = fields.optional_string("mode", 32).value_or("auto");
  choice.mode = mode == "required" ? ToolChoice::Mode::Required : ToolChoice::Mode::Auto;
  const auto* tools = fields.array("tools");
  if (tools == nullptr) fields.fail("tools", "is required");
  for (const auto& tool : *tools) {
    const auto* function = member_of(tool, "function");
    auto name = text_of(function != nullptr ? *function : tool, "name");
    if (!name.empty()) choice.allowed.push_back(std::move(name));
  }
  fields.keep_rest();
}

void read_tool_choice(Fields& fields, std::string_view name, Request& request) {
  const auto* value = fields.any(name);
  if (value == nullptr) return;
  ToolChoice choice;
  if (value->is_string()) {
    const auto& word = value->get_ref<const std::string&>();
    if (word != "auto" && word != "none" && word != "required") {
      fields.fail(name, "must be auto, none, required or an object");
    }
    choice.mode = word == "none"       ? ToolChoice::Mode::None
                  : word == "required" ? ToolChoice::Mode::Required
                                       : ToolChoice::Mode::Auto;
    request.tool_choice = std::move(choice);
    return;
  }
  const Path path(fields.path(), name);
  if (!value->is_object()) fail_at(path, "must be auto, none, required or an object");
  const auto type = text_of(*value, "type");
  if (type == "allowed_tools") {
    const auto* inner = member_of(*value, "allowed_tools");
    read_allowed(inner != nullptr ? *inner : *value, path, request, choice);
  } else if (type.empty() || type == "function") {
    const auto* function = member_of(*value, "function");
    choice.mode = ToolChoice::Mode::Named;
    choice.name = text_of(function != nullptr ? *function : *value, "name");
    if (choice.name.empty()) fail_at(path, "must name a function");
  } else {
    keep_extra(request, path, *value);
    return;
  }
  request.tool_choice = std::move(choice);
}

void read_response_format(Fields& fields, Request& request) {
  const auto* value = fields.object("response_format");
  if (value == nullptr) return;
  const Path path(fields.path(), "response_format");
  Fields format(*value, path, request);
  const auto type = format.string("type", 64);
  ResponseFormat out;
  if (type == "json_schema") {
    out.kind = ResponseFormat::Kind::JsonSchema;
    const auto* schema = format.object("json_schema");
    if (schema == nullptr) format.fail("json_schema", "is required");
    const Path inner(path, "json_schema");
    Fields named(*schema, inner, request);
    out.name = named.optional_string("name", kNameMax).value_or("");
    out.description = named.optional_string("description").value_or("");
    if (const auto* object = named.object("schema")) out.schema = *object;
    out.strict = named.boolean("strict");
    named.keep_rest();
  } else if (type == "json_object") {
    out.kind = ResponseFormat::Kind::JsonObject;
  } else if (type != "text") {
    keep_extra(request, path, *value);
    return;
  }
  format.keep_rest();
  request.response_format = std::move(out);
}

// reasoning_effort is OpenAI's; `reasoning` is OpenRouter's and `thinking` is Anthropic's, both in common use
// with chat clients.
void read_reasoning(Fields& fields, Request& request) {
  Reasoning out;
  bool said = false;
  if (auto effort = fields.optional_string("reasoning_effort", 32)) {
    out.effort = std::move(*effort);
    out.origin = "/reasoning_effort";
    said = true;
  }
  if (const auto* reasoning = fields.object("reasoning")) {
    const Path path(fields.path(), "reasoning");
    Fields inner(*reasoning, path, request);
    out.origin = path.str();
    if (auto effort = inner.optional_string("effort", 32)) out.effort = std::move(*effort);
    out.budget_tokens = inner.integer("max_tokens", 0, kTokensMax);
    out.enabled = inner.boolean("enabled");
    out.include = !inner.boolean("exclude").value_or(false);
    inner.keep_rest();
    said = true;
  }
  if (const auto* thinking = fields.object("thinking")) {
    const Path path(fields.path(), "thinking");
    Fields inner(*thinking, path, request);
    out.origin = path.str();
    const auto type = inner.optional_string("type", 32).value_or("enabled");
    out.enabled = type != "disabled";
    out.adaptive = type == "adaptive";
    out.budget_tokens = inner.integer("budget_tokens", 0, kTokensMax);
    inner.keep_rest();
    said = true;
  }
  if (said) request.reasoning = std::move(out);
}

void read_sampling(Fields& fields, Request& request) {
  const auto newer = fields.integer("max_completion_tokens", 1, kTokensMax);
  const auto older = fields.integer("max_tokens", 1, kTokensMax);
  // Servers differ in which of the two they obey: the hold is for the larger.
  request.max_output_tokens = newer && older ? std::max(newer, older) : newer ? newer : older;
  request.temperature = fields.number("temperature", 0, 2);
  request.top_p = fields.number("top_p", 0, 1);
  request.top_k = fields.integer("top_k", -1, 1'000'000);
  request.frequency_penalty = fields.number("frequency_penalty", -2, 2);
  request.presence_penalty = fields.number("presence_penalty", -2, 2);
  request.seed = fields.integer("seed", INT64_MIN, INT64_MAX);
  request.n = fields.integer("n", 1, 128);
  request.logprobs = fields.boolean("logprobs");
  request.top_logprobs = fields.integer("top_logprobs", 0, 20);
  const auto* stop = fields.any("stop");
  if (stop != nullptr && stop->is_string()) {
    request.stop.push_back(stop->get<std::string>());
  } else if (stop != nullptr) {
    request.stop = fields.strings("stop", 64, 4096);
  }
}

}  // namespace

Request decode_request(const core::Json& body) {
  Request request;
  request.dialect = DialectId::OpenAiChat;
  const Path root;
  Fields fields(body, root, request);
  request.model = fields.string("model", kNameMax);
  if (request.model.empty()) fields.fail("model", "must not be empty");
  const auto* messages = fields.array("messages");
  if (messages == nullptr || messages->empty()) fields.fail("messages", "must hold at least one message");
  const Path list(root, "messages");
  request.messages.reserve(messages->size());
  for (std::size_t i = 0; i < messages->size(); ++i) {
    request.messages.push_back(read_message((*messages)[i], Path(list, i), request));
  }
  read_tools(fields, request);
  read_tool_choice(fields, fields.any("tool_choice") != nullptr ? "tool_choice" : "function_call", request);
  fields.known("function_call");
  request.parallel_tool_calls = fields.boolean("parallel_tool_calls");
  read_sampling(fields, request);
  read_response_format(fields, request);
  read_reasoning(fields, request);
  request.user = fields.optional_string("safety_identifier", 4096).value_or("");
  const auto user = fields.optional_string("user", 4096);
  if (request.user.empty()) {
    request.user = user.value_or("");
  } else {
    request.user_origin = "/safety_identifier";
  }
  if (user && request.user != *user) {
    keep_extra(request, Path(root, "user"), *user);
  }
  request.stream = fields.boolean("stream").value_or(false);
  if (const auto* options = fields.object("stream_options")) {
    const Path path(root, "stream_options");
    Fields inner(*options, path, request);
    request.include_usage = inner.boolean("include_usage").value_or(false);
    inner.keep_rest();
  }
  fields.keep_rest();
  return request;
}

}  // namespace assistiv::inference::openai_chat
