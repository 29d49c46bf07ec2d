// A Messages client's body into the canonical request.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/json_read.h"
#include "inference/anthropic/messages.h"
#include "inference/translate/content.h"
#include "inference/translate/fields.h"

namespace assistiv::inference::anthropic {

namespace {

constexpr std::size_t kWordMax = 512;
constexpr std::int64_t kTokenCountMax = 100'000'000;

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// image and document. False when the source is of a kind that only Anthropic has.
bool read_media(Fields& block, const core::Json& value, const Path& path, Request& request,
                MediaPart& media) {
  const auto* source = member_of(value, "source");
  const auto type = source == nullptr ? std::string() : text_of(*source, "type");
  if (!is_one_of(type, {"base64", "url", "file", "text"})) return false;
  media.kind = text_of(value, "type") == "image" ? MediaPart::Kind::Image : MediaPart::Kind::Document;
  block.known("source");
  const Path inner(path, "source");
  Fields fields(*source, inner, request);
  fields.known("type");
  if (type == "url") {
    media.url = fields.string("url");
    if (media.kind == MediaPart::Kind::Document) media.media_type = "application/pdf";
  } else if (type == "file") {
    media.file_id = fields.string("file_id", kWordMax);
  } else {
    media.media_type = fields.string("media_type", kWordMax);
    auto data = fields.string("data");
    media.data = type == "text" ? core::base64_encode(data) : std::move(data);
  }
  fields.keep_rest();
  return true;
}

using ResultPart = std::variant<TextPart, MediaPart>;

// text, image or document, as a message and a tool's result may hold.
std::optional<ResultPart> read_simple_block(const core::Json& value, const Path& path, Request& request) {
  const auto type = text_of(value, "type");
  if (!is_one_of(type, {"text", "image", "document"})) return {};
  Fields fields(value, path, request);
  fields.known("type");
  if (type == "text") {
    TextPart text;
    text.text = fields.string("text");
    text.cache_control = fields.copy("cache_control");
    fields.keep_rest();
    return text;
  }
  MediaPart media;
  if (!read_media(fields, value, path, request, media)) return {};
  media.cache_control = fields.copy("cache_control");
  if (type == "document") media.filename = fields.optional_string("title", kWordMax).value_or("");
  fields.keep_rest();
  return media;
}

ToolResultPart read_tool_result(const core::Json& value, const Path& path, Request& request) {
  Fields fields(value, path, request);
  fields.known("type");
  ToolResultPart out;
  out.call_id = fields.string("tool_use_id", kWordMax);
  out.is_error = fields.boolean("is_error").value_or(false);
  out.cache_control = fields.copy("cache_control");
  const auto* content = fields.any("content");
  if (content != nullptr && content->is_string()) {
    TextPart text;
    text.text = content->get<std::string>();
    out.parts.emplace_back(std::move(text));
  } else if (content != nullptr) {
    const Path list(path, "content");
    if (!content->is_array()) fail_at(list, "must be a string or a list of blocks");
    for (std::size_t i = 0; i < content->size(); ++i) {
      const Path item(list, i);
      if (auto part = read_simple_block((*content)[i], item, request)) {
        out.parts.push_back(std::move(*part));
      } else {
        keep_extra(request, item, (*content)[i]);
      }
    }
  }
  fields.keep_rest();
  return out;
}

ToolCallPart read_tool_use(const core::Json& value, const Path& path, Request& request) {
  Fields fields(value, path, request);
  fields.known("type");
  ToolCallPart call;
  call.id = fields.string("id", kWordMax);
  call.name = fields.string("name", kWordMax);
  if (const auto* input = fields.object("input"); input != nullptr && !input->empty()) {
    call.arguments = core::dump_json(*input);
  }
  call.cache_control = fields.copy("cache_control");
  if (const auto* extra = fields.object("extra_content")) {
    call.signature = signature_of_call(value);
    if (call.signature.empty()) keep_extra(request, Path(path, "extra_content"), *extra);
  }
  fields.keep_rest();
  return call;
}

ThinkingPart read_thinking(const core::Json& value, const Path& path, Request& request) {
  Fields fields(value, path, request);
  const bool redacted = fields.string("type") == "redacted_thinking";
  ThinkingPart out;
  out.signed_by = DialectId::Anthropic;
  const auto proof = fields.optional_string(redacted ? "data" : "signature").value_or("");
  if (!redacted) out.text = fields.optional_string("thinking").value_or("");
  if (!open_thinking(proof, out)) (redacted ? out.redacted : out.signature) = proof;
  fields.keep_rest();
  return out;
}

void read_block(const core::Json& value, const Path& path, Request& request, Message& message) {
  if (!value.is_object()) fail_at(path, "must be an object");
  const auto type = text_of(value, "type");
  if (type == "tool_use") {
    message.parts.emplace_back(read_tool_use(value, path, request));
  } else if (type == "tool_result") {
    message.parts.emplace_back(read_tool_result(value, path, request));
  } else if (type == "thinking" || type == "redacted_thinking") {
    message.parts.emplace_back(read_thinking(value, path, request));
  } else if (auto part = read_simple_block(value, path, request)) {
    std::visit([&](auto& simple) { message.parts.emplace_back(std::move(simple)); }, *part);
  } else {
    if (type.empty()) fail_at(Path(path, "type"), "is required");
    keep_extra(request, path, value);
  }
}

void read_blocks(const core::Json& content, const Path& path, Request& request, Message& message) {
  if (content.is_string()) {
    TextPart text;
    text.text = content.get_ref<const std::string&>();
    message.parts.emplace_back(std::move(text));
    return;
  }
  if (!content.is_array()) fail_at(path, "must be a string or a list of blocks");
  for (std::size_t i = 0; i < content.size(); ++i) read_block(content[i], Path(path, i), request, message);
}

void read_messages(Fields& fields, Request& request) {
  if (const auto* system = fields.any("system")) {
    Message message;
    message.role = Role::System;
    message.origin = "/system";
    read_blocks(*system, Path(fields.path(), "system"), request, message);
    request.messages.push_back(std::move(message));
  }
  const auto* messages = fields.array("messages");
  if (messages == nullptr || messages->empty()) fields.fail("messages", "must hold at least one message");
  const Path list(fields.path(), "messages");
  for (std::size_t i = 0; i < messages->size(); ++i) {
    const Path path(list, i);
    Fields item((*messages)[i], path, request);
    Message message;
    message.origin = path.str();
    const auto role = item.string("role", kWordMax);
    if (!is_one_of(role, {"user", "assistant", "system"})) item.fail("role", "must be user or assistant");
    message.role = role == "assistant" ? Role::Assistant : role == "system" ? Role::System : Role::User;
    const auto* content = item.any("content");
    if (content == nullptr) item.fail("content", "is required");
    read_blocks(*content, Path(path, "content"), request, message);
    item.keep_rest();
    request.messages.push_back(std::move(message));
  }
}

void read_tools(Fields& fields, Request& request) {
  const auto* tools = fields.array("tools");
  if (tools == nullptr) return;
  const Path list(fields.path(), "tools");
  for (std::size_t i = 0; i < tools->size(); ++i) {
    const Path path(list, i);
    const auto& value = (*tools)[i];
    if (const auto type = text_of(value, "type"); !type.empty() && type != "custom") {
      keep_extra(request, path, value);
      continue;
    }
    Fields item(value, path, request);
    item.known("type");
    ToolDefinition tool;
    tool.name = item.string("name", kWordMax);
    tool.description = item.optional_string("description").value_or("");
    if (const auto* schema = item.object("input_schema")) tool.parameters = *schema;
    tool.strict = item.boolean("strict");
    tool.cache_control = item.copy("cache_control");
    item.keep_rest();
    request.tools.push_back(std::move(tool));
  }
}

void read_tool_choice(Fields& fields, Request& request) {
  const auto* value = fields.object("tool_choice");
  if (value == nullptr) return;
  const Path path(fields.path(), "tool_choice");
  Fields choice(*value, path, request);
  const auto type = choice.string("type", kWordMax);
  ToolChoice out;
  if (type == "any") {
    out.mode = ToolChoice::Mode::Required;
  } else if (type == "none") {
    out.mode = ToolChoice::Mode::None;
  } else if (type == "tool") {
    out.mode = ToolChoice::Mode::Named;
    out.name = choice.string("name", kWordMax);
  } else if (type != "auto") {
    choice.fail("type", "must be auto, any, tool or none");
  }
  if (const auto off = choice.boolean("disable_parallel_tool_use")) request.parallel_tool_calls = !*off;
  choice.keep_rest();
  request.tool_choice = std::move(out);
}

void read_format(const core::Json& value, const Path& path, Request& request) {
  Fields format(value, path, request);
  format.known("type");
  ResponseFormat out;
  out.kind = ResponseFormat::Kind::JsonSchema;
  if (const auto* schema = format.object("schema")) out.schema = *schema;
  format.keep_rest();
  request.response_format = std::move(out);
}

void read_reasoning(Fields& fields, Request& request) {
  Reasoning out;
  bool said = false;
  if (const auto* thinking = fields.object("thinking")) {
    const Path path(fields.path(), "thinking");
    Fields inner(*thinking, path, request);
    out.origin = path.str();
    const auto type = inner.string("type", kWordMax);
    out.enabled = type != "disabled";
    out.adaptive = type == "adaptive";
    out.budget_tokens = inner.integer("budget_tokens", 0, kTokenCountMax);
    inner.keep_rest();
    said = true;
  }
  if (const auto* config = fields.object("output_config")) {
    const Path path(fields.path(), "output_config");
    Fields inner(*config, path, request);
    if (auto effort = inner.optional_string("effort", kWordMax)) {
      out.effort = std::move(*effort);
      if (!said) out.origin = path.str() + "/effort";
      said = true;
    }
    if (const auto* format = inner.object("format")) read_format(*format, Path(path, "format"), request);
    inner.keep_rest();
  }
  if (const auto* format = fields.object("output_format")) {
    read_format(*format, Path(fields.path(), "output_format"), request);
  }
  if (said) request.reasoning = std::move(out);
}

}  // namespace

Request decode_request(const core::Json& body) {
  Request request;
  request.dialect = DialectId::Anthropic;
  const Path root;
  Fields fields(body, root, request);
  request.model = fields.string("model", kWordMax);
  if (request.model.empty()) fields.fail("model", "must not be empty");
  read_messages(fields, request);
  read_tools(fields, request);
  read_tool_choice(fields, request);
  read_reasoning(fields, request);
  request.max_output_tokens = fields.integer("max_tokens", 1, kTokenCountMax);
  request.temperature = fields.number("temperature", 0, 1);
  request.top_p = fields.number("top_p", 0, 1);
  request.top_k = fields.integer("top_k", 0, 1'000'000);
  request.stop = fields.strings("stop_sequences", 8192, 4096);
  request.stream = fields.boolean("stream").value_or(false);
  request.include_usage = true;
  if (const auto* metadata = fields.object("metadata")) {
    const Path path(root, "metadata");
    Fields inner(*metadata, path, request);
    request.user = inner.optional_string("user_id", 4096).value_or("");
    request.user_origin = "/metadata/user_id";
    inner.keep_rest();
  }
  fields.keep_rest();
  return request;
}

}  // namespace assistiv::inference::anthropic
