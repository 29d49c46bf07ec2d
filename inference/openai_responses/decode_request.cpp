#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "inference/openai_responses/items.h"
#include "inference/translate/content.h"
#include "inference/translate/fields.h"

namespace assistiv::inference::responses {

namespace {

using core::Json;

constexpr std::int64_t kTokensMax = 100'000'000;

class RequestReader {
 public:
  explicit RequestReader(const Json& body) : body_(body) { request_.dialect = DialectId::OpenAiResponses; }

  Request read() {
    const Path root;
    Fields fields(body_, root, request_);
    request_.model = fields.string("model", 256);
    if (const Json* instructions = fields.any("instructions")) {
      if (!instructions->is_string()) fields.fail("instructions", "must be a string");
      add_text(Role::System, instructions->get_ref<const std::string&>(), "/instructions");
    }
    read_input(fields, root);
    read_sampling(fields);
    read_tools(fields, root);
    read_tool_choice(fields, root);
    read_format(fields, root);
    read_reasoning(fields, root);
    read_include(fields, root);
    fields.keep_rest();
    return std::move(request_);
  }

 private:
  void add_text(Role role, const std::string& text, std::string origin) {
    Message message;
    message.role = role;
    message.origin = std::move(origin);
    message.parts.push_back(TextPart{text, {}});
    request_.messages.push_back(std::move(message));
  }

  void read_input(Fields& fields, const Path& root) {
    const Json* input = fields.any("input");
    if (input == nullptr) {
      if (!body_.contains("previous_response_id") && !body_.contains("prompt"))
        fields.fail("input", "is required");
      return;
    }
    if (input->is_string()) {
      add_text(Role::User, input->get_ref<const std::string&>(), "/input");
      return;
    }
    if (!input->is_array()) fields.fail("input", "must be a string or a list of items");
    const Path path(root, "input");
    for (std::size_t i = 0; i < input->size(); ++i) read_item((*input)[i], Path(path, i));
  }

  void read_item(const Json& item, const Path& path) {
    if (!item.is_object()) fail_at(path, "must be an object");
    const auto type = text_of(item, "type");
    if (type == "message" || (type.empty() && item.contains("role"))) {
      read_message(item, path);
    } else if (type == "function_call") {
      read_call(item, path);
    } else if (type == "function_call_output") {
      read_result(item, path);
    } else if (type == "reasoning") {
      read_thinking(item, path);
    } else if (type.empty() && !item.contains("id")) {
      fail_at(path, "must have a \"type\" or a \"role\"");
    } else {
      keep_extra(request_, path, item);
    }
  }

  // The turn of the assistant that the item belongs to.
  Message& assistant(const Path& path) {
    if (request_.messages.empty() || request_.messages.back().role != Role::Assistant) {
      request_.messages.emplace_back();
      request_.messages.back().role = Role::Assistant;
      request_.messages.back().origin = path.str();
    }
    return request_.messages.back();
  }

  void read_message(const Json& item, const Path& path) {
    Fields fields(item, path, request_);
    fields.known("type");
    fields.known("status");
    fields.known("id");
    const auto role = fields.string("role", 32);
    Message own;
    own.origin = path.str();
    Message* message = &own;
    if (role == "assistant") {
      message = &assistant(path);
    } else if (role == "system" || role == "developer") {
      own.role = Role::System;
      own.developer = role == "developer";
    } else if (role != "user") {
      fields.fail("role", "must be one of: user, system, developer, assistant");
    }
    const Json* content = fields.any("content");
    if (content == nullptr) fields.fail("content", "is required");
    if (content->is_string()) {
      message->parts.push_back(TextPart{content->get_ref<const std::string&>(), {}});
    } else if (content->is_array()) {
      const Path content_path(path, "content");
      for (std::size_t i = 0; i < content->size(); ++i) {
        auto part = read_content_part((*content)[i], Path(content_path, i));
        if (part) message->parts.push_back(std::move(*part));
      }
    } else {
      fields.fail("content", "must be a string or a list of parts");
    }
    fields.keep_rest();
    if (message == &own) request_.messages.push_back(std::move(own));
  }

  std::optional<Part> read_content_part(const Json& value, const Path& path) {
    Fields fields(value, path, request_);
    const auto type = fields.string("type", 64);
    std::optional<Part> out;
    if (type == "input_text" || type == "output_text" || type == "text") {
      out = TextPart{fields.string("text"), {}};
      // Part of every reply, and empty unless the model cited the web.
      for (const auto* name : {"annotations", "logprobs"}) {
        const Json* list = fields.any(name);
        if (list != nullptr && !(list->is_array() && list->empty())) {
          keep_extra(request_, Path(path, name), *list);
        }
      }
    } else if (type == "refusal") {
      out = RefusalPart{fields.string("refusal")};
    } else if (type == "input_image" || type == "image_url") {
      out = read_image(fields, path);
    } else if (type == "input_file") {
      out = read_file(fields);
    } else if (type == "input_audio") {
      out = read_audio(fields, path);
    } else {
      keep_extra(request_, path, value);
      return {};
    }
    fields.keep_rest();
    return out;
  }

  Part read_image(Fields& fields, const Path& path) {
    MediaPart out;
    std::string url;
    const Json* source = fields.any("image_url");
    if (source != nullptr && source->is_object()) {  // the chat form
      url = text_of(*source, "url");
      out.detail = text_of(*source, "detail");
    } else if (source != nullptr && source->is_string()) {
      url = source->get_ref<const std::string&>();
    }
    out.file_id = fields.optional_string("file_id", 256).value_or("");
    if (auto detail = fields.optional_string("detail", 32)) out.detail = std::move(*detail);
    if (url.empty() && out.file_id.empty()) fail_at(path, "must have an image_url or a file_id");
    if (url.starts_with("data:")) {
      if (!read_data_url(url, out)) fields.fail("image_url", "must be a base64 data URL or an http URL");
    } else {
      out.url = std::move(url);
    }
    return out;
  }

  static Part read_file(Fields& fields) {
    MediaPart out;
    out.kind = MediaPart::Kind::Document;
    out.filename = fields.optional_string("filename", 1024).value_or("");
    out.file_id = fields.optional_string("file_id", 256).value_or("");
    out.url = fields.optional_string("file_url").value_or("");
    out.detail = fields.optional_string("detail", 32).value_or("");
    const Json* data = fields.any("file_data");
    if (data != nullptr && data->is_string()) {
      const auto& text = data->get_ref<const std::string&>();
      if (!read_data_url(text, out)) out.data = text;
      if (out.media_type.empty()) out.media_type = media_type_of_url(out.filename);
      if (out.media_type.empty()) out.media_type = "application/pdf";
      out.kind = kind_of_media_type(out.media_type);
    }
    if (out.data.empty() && out.url.empty() && out.file_id.empty())
      fields.fail("file_data", "or \"file_id\" or \"file_url\" is required");
    return out;
  }

  Part read_audio(Fields& fields, const Path& path) {
    const Json* audio = fields.object("input_audio");
    if (audio == nullptr) fields.fail("input_audio", "is required");
    const Path audio_path(path, "input_audio");
    Fields inner(*audio, audio_path, request_);
    MediaPart out;
    out.kind = MediaPart::Kind::Audio;
    out.data = inner.string("data");
    out.media_type = "audio/" + inner.string("format", 16);
    if (out.media_type == "audio/mp3") out.media_type = "audio/mpeg";
    inner.keep_rest();
    return out;
  }

  void read_call(const Json& item, const Path& path) {
    Fields fields(item, path, request_);
    for (const auto* name : {"type", "id", "status"}) fields.known(name);
    ToolCallPart call;
    call.id = fields.string("call_id", 512);
    call.name = fields.string("name", 256);
    call.arguments = fields.optional_string("arguments").value_or("");
    call.signature = std::move(call_signature_);
    call_signature_.clear();
    fields.keep_rest();
    assistant(path).parts.push_back(std::move(call));
  }

  void read_result(const Json& item, const Path& path) {
    Fields fields(item, path, request_);
    for (const auto* name : {"type", "id", "status"}) fields.known(name);
    ToolResultPart result;
    result.call_id = fields.string("call_id", 512);
    const Json* output = fields.any("output");
    if (output == nullptr) fields.fail("output", "is required");
    if (output->is_string()) {
      result.parts.push_back(TextPart{output->get_ref<const std::string&>(), {}});
    } else if (output->is_array()) {
      const Path output_path(path, "output");
      for (std::size_t i = 0; i < output->size(); ++i) {
        auto part = read_content_part((*output)[i], Path(output_path, i));
        if (!part) continue;
        if (auto* text = std::get_if<TextPart>(&*part)) result.parts.push_back(std::move(*text));
        if (auto* media = std::get_if<MediaPart>(&*part)) result.parts.push_back(std::move(*media));
      }
    } else {
      fields.fail("output", "must be a string or a list of parts");
    }
    fields.keep_rest();
    add_result(std::move(result), path);
  }

  // Results that follow one another are one turn of the user.
  void add_result(ToolResultPart result, const Path& path) {
    auto& messages = request_.messages;
    const bool follows = !messages.empty() && messages.back().role == Role::User &&
                         !messages.back().parts.empty() &&
                         std::holds_alternative<ToolResultPart>(messages.back().parts.back());
    if (!follows) messages.emplace_back().origin = path.str();
    messages.back().parts.push_back(std::move(result));
  }

  void read_thinking(const Json& item, const Path& path) {
    Fields fields(item, path, request_);
    for (const auto* name : {"type", "id", "status", "summary", "content", "encrypted_content"})
      fields.known(name);
    auto thinking = responses::read_reasoning(item);
    if (is_call_signature(thinking)) {
      call_signature_ = std::move(thinking.signature);
    } else {
      assistant(path).parts.push_back(std::move(thinking));
    }
    fields.keep_rest();
  }

  void read_sampling(Fields& fields) {
    request_.max_output_tokens = fields.integer("max_output_tokens", 1, kTokensMax);
    request_.temperature = fields.number("temperature", 0, 2);
    request_.top_p = fields.number("top_p", 0, 1);
    request_.top_logprobs = fields.integer("top_logprobs", 0, 20);
    request_.parallel_tool_calls = fields.boolean("parallel_tool_calls");
    request_.stream = fields.boolean("stream").value_or(false);
    if (auto user = fields.optional_string("user", 512)) request_.user = std::move(*user);
    if (request_.user.empty()) {
      if (auto user = fields.optional_string("safety_identifier", 512)) request_.user = std::move(*user);
      request_.user_origin = "/safety_identifier";
    }
  }

  void read_tools(Fields& body, const Path& root) {
    const Json* tools = body.array("tools");
    if (tools == nullptr) return;
    const Path path(root, "tools");
    for (std::size_t i = 0; i < tools->size(); ++i) {
      const Path tool_path(path, i);
      const Json& tool = (*tools)[i];
      if (!tool.is_object()) fail_at(tool_path, "must be an object");
      if (text_of(tool, "type") != "function") {
        keep_extra(request_, tool_path, tool);
        continue;
      }
      Fields fields(tool, tool_path, request_);
      fields.known("type");
      if (const Json* function = fields.object("function")) {  // the chat form
        const Path function_path(tool_path, "function");
        Fields inner(*function, function_path, request_);
        read_function(inner);
      } else {
        read_function(fields);
        continue;
      }
      fields.keep_rest();
    }
  }

  void read_function(Fields& fields) {
    ToolDefinition tool;
    tool.name = fields.string("name", 256);
    tool.description = fields.optional_string("description").value_or("");
    if (const Json* parameters = fields.object("parameters")) tool.parameters = *parameters;
    tool.strict = fields.boolean("strict");
    fields.keep_rest();
    request_.tools.push_back(std::move(tool));
  }

  void read_tool_choice(Fields& fields, const Path& root) {
    const Json* choice = fields.any("tool_choice");
    if (choice == nullptr) return;
    const Path path(root, "tool_choice");
    ToolChoice out;
    if (choice->is_string()) {
      const auto& word = choice->get_ref<const std::string&>();
      if (word == "none") {
        out.mode = ToolChoice::Mode::None;
      } else if (word == "required") {
        out.mode = ToolChoice::Mode::Required;
      } else if (word != "auto") {
        fail_at(path, "must be auto, none, required or an object");
      }
      request_.tool_choice = std::move(out);
      return;
    }
    const auto type = text_of(*choice, "type");
    if (type == "allowed_tools") {
      read_allowed(*choice, path);
    } else if (type == "function") {
      const Json* inner = member_of(*choice, "function");
      out.mode = ToolChoice::Mode::Named;
      out.name = text_of(inner == nullptr ? *choice : *inner, "name");
      if (out.name.empty()) fail_at(path, "must name a function");
      request_.tool_choice = std::move(out);
    } else if (type.empty()) {
      fail_at(path, "must be auto, none, required or an object with a type");
    } else {
      keep_extra(request_, path, *choice);
    }
  }

  void read_allowed(const Json& choice, const Path& path) {
    Fields outer(choice, path, request_);
    outer.known("type");
    const Json* nested = outer.object("allowed_tools");  // the chat form
    const Path nested_path(path, "allowed_tools");
    Fields fields(nested == nullptr ? choice : *nested, nested == nullptr ? path : nested_path, request_);
    fields.known("type");
    ToolChoice out;
    if (fields.optional_string("mode", 32) == "required") out.mode = ToolChoice::Mode::Required;
    const Json* tools = fields.array("tools");
    if (tools == nullptr) fields.fail("tools", "is required");
    const Path tools_path(fields.path(), "tools");
    for (std::size_t i = 0; i < tools->size(); ++i) {
      const Json& tool = (*tools)[i];
      const Json* inner = member_of(tool, "function");
      auto name = text_of(inner == nullptr ? tool : *inner, "name");
      if (text_of(tool, "type") == "function" && !name.empty()) {
        out.allowed.push_back(std::move(name));
      } else {
        keep_extra(request_, Path(tools_path, i), tool);
      }
    }
    fields.keep_rest();
    if (nested != nullptr) outer.keep_rest();
    request_.tool_choice = std::move(out);
  }

  void read_format(Fields& body, const Path& root) {
    const Path text_path(root, "text");
    if (const Json* text = body.object("text")) {
      Fields fields(*text, text_path, request_);
      if (const Json* format = fields.object("format")) {
        const Path path(text_path, "format");
        read_one_format(*format, path);
      }
      fields.keep_rest();
    }
    const Path path(root, "response_format");
    if (const Json* format = body.object("response_format")) read_one_format(*format, path);
  }

  void read_one_format(const Json& value, const Path& path) {
    Fields fields(value, path, request_);
    ResponseFormat format;
    const auto type = fields.string("type", 64);
    if (type == "json_object") {
      format.kind = ResponseFormat::Kind::JsonObject;
    } else if (type == "json_schema") {
      format.kind = ResponseFormat::Kind::JsonSchema;
      const Json* nested = fields.object("json_schema");  // the chat form
      const Path nested_path(path, "json_schema");
      Fields inner(nested == nullptr ? value : *nested, nested == nullptr ? path : nested_path, request_);
      inner.known("type");
      format.name = inner.string("name", 256);
      format.description = inner.optional_string("description").value_or("");
      const Json* schema = inner.object("schema");
      if (schema == nullptr) inner.fail("schema", "is required");
      format.schema = *schema;
      format.strict = inner.boolean("strict");
      inner.keep_rest();
      if (nested != nullptr) fields.keep_rest();
      request_.response_format = std::move(format);
      return;
    } else if (type != "text") {
      fields.fail("type", "must be one of: text, json_object, json_schema");
    }
    fields.keep_rest();
    request_.response_format = std::move(format);
  }

  void read_reasoning(Fields& body, const Path& root) {
    const Json* reasoning = body.object("reasoning");
    if (reasoning == nullptr) return;
    const Path path(root, "reasoning");
    Fields fields(*reasoning, path, request_);
    Reasoning out;
    out.origin = path.str();
    out.effort = fields.optional_string("effort", 32).value_or("");
    out.summary = fields.optional_string("summary", 32).value_or("");
    if (out.summary.empty()) out.summary = fields.optional_string("generate_summary", 32).value_or("");
    out.include = !out.summary.empty();
    fields.keep_rest();
    request_.reasoning = std::move(out);
  }

  // encrypted_content is always given (sealed for other providers), so only the rest is left to be carried.
  void read_include(Fields& fields, const Path& root) {
    const Json* include = fields.array("include");
    if (include == nullptr) return;
    const Path path(root, "include");
    for (std::size_t i = 0; i < include->size(); ++i) {
      const Json& entry = (*include)[i];
      if (entry == "message.output_text.logprobs") {
        request_.logprobs = true;
      } else if (entry != "reasoning.encrypted_content") {
        keep_extra(request_, Path(path, i), entry);
      }
    }
  }

  const Json& body_;
  Request request_;
  std::string call_signature_;
};

}  // namespace

Request decode_request(const Json& body) {
  return RequestReader(body).read();
}

}  // namespace assistiv::inference::responses
