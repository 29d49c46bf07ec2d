#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "inference/gemini/parts.h"
#include "inference/gemini/schema.h"
#include "inference/translate/content.h"
#include "inference/translate/fields.h"

namespace assistiv::inference::gemini {

namespace {

using core::Json;

constexpr std::int64_t kTokensMax = 100'000'000;

// Google reads both spellings of a member; the one that the client used.
// Both at once are refused: which of two limits holds would be the provider's secret.
std::string in(const Json& object, std::string_view camel) {
  if (!object.is_object()) return std::string(camel);
  auto snake = snake_name(camel);
  if (snake == camel || !object.contains(snake)) return std::string(camel);
  if (object.contains(camel))
    throw core::bad_request("\"" + std::string(camel) + "\" is given in two spellings.", std::string(camel));
  return snake;
}

// Ids for the calls of one turn and the results of the next, which pair by name and order (rule G3).
class CallPairing {
 public:
  std::string call(std::string id, const std::string& name, std::size_t turn) {
    if (id.empty()) id = minted_id(turn, calls_++);
    open_.push_back({id, name});
    return id;
  }
  std::string result(std::string id, const std::string& name, std::size_t turn) {
    const auto hit = std::find_if(open_.begin(), open_.end(), [&](const Call& call) {
      return id.empty() ? call.name == name : call.id == id;
    });
    if (hit != open_.end()) {
      id = hit->id;
      open_.erase(hit);
    }
    return id.empty() ? minted_id(turn, calls_++) : id;
  }

 private:
  struct Call {
    std::string id;
    std::string name;
  };
  std::vector<Call> open_;
  std::size_t calls_ = 0;
};

class RequestReader {
 public:
  explicit RequestReader(const Json& body) : body_(body) { request_.dialect = DialectId::Gemini; }

  Request read() {
    const Path root;
    Fields fields(body_, root, request_);
    if (auto model = fields.optional_string("model")) request_.model = std::move(*model);
    read_system(fields);
    const Json* contents = fields.array("contents");
    if (contents == nullptr || contents->empty())
      fields.fail("contents", "must be a list with at least one entry");
    const Path path(root, "contents");
    for (std::size_t i = 0; i < contents->size(); ++i) read_content((*contents)[i], Path(path, i), i);
    read_config(fields, root);
    read_tools(fields, root);
    read_tool_config(fields, root);
    fields.keep_rest();
    return std::move(request_);
  }

 private:
  void read_system(Fields& fields) {
    const auto name = in(body_, "systemInstruction");
    const Json* system = fields.any(name);
    if (system == nullptr) return;
    Message message;
    message.role = Role::System;
    message.origin = "/" + name;
    if (system->is_string()) {
      message.parts.push_back(TextPart{system->get<std::string>(), {}});
      request_.messages.push_back(std::move(message));
      return;
    }
    const Path path(fields.path(), name);
    Fields content(*system, path, request_);
    content.known("role");
    if (const Json* parts = content.any("parts")) {
      const Path parts_path(path, "parts");
      // Google takes one part without the list too.
      if (parts->is_object()) {
        read_one_part(message, *parts, parts_path, 0);
      } else {
        read_parts(message, *parts, parts_path, 0);
      }
    }
    content.keep_rest();
    request_.messages.push_back(std::move(message));
  }

  void read_content(const Json& value, const Path& path, std::size_t turn) {
    Fields fields(value, path, request_);
    Message message;
    message.origin = path.str();
    const auto role = fields.optional_string("role", 32).value_or("user");
    if (role == "model") {
      message.role = Role::Assistant;
    } else if (role != "user" && role != "function" && !role.empty()) {
      fields.fail("role", "must be \"user\" or \"model\"");
    }
    const Json* parts = fields.array("parts");
    if (parts == nullptr) fields.fail("parts", "is required");
    const Path parts_path(path, "parts");
    read_parts(message, *parts, parts_path, turn);
    fields.keep_rest();
    request_.messages.push_back(std::move(message));
  }

  void read_parts(Message& message, const Json& parts, const Path& path, std::size_t turn) {
    if (!parts.is_array()) fail_at(path, "must be an array");
    for (std::size_t i = 0; i < parts.size(); ++i) read_one_part(message, parts[i], Path(path, i), turn);
  }

  void read_one_part(Message& message, const Json& part, const Path& path, std::size_t turn) {
    Fields fields(part, path, request_);
    const auto response_name = in(part, "functionResponse");
    const auto call_name = in(part, "functionCall");
    if (const Json* response = fields.object(response_name)) {
      read_result(message, *response, Path(path, response_name), turn);
    } else if (const Json* call = fields.object(call_name)) {
      read_call(message, fields, *call, Path(path, call_name), turn);
    } else {
      CallIds unused("");
      auto read = read_part(part, unused);
      if (!read) {
        keep_extra(request_, path, part);
        return;
      }
      check_media(*read, path);
      message.parts.push_back(std::move(*read));
      if (auto signature = signature_after(part)) message.parts.push_back(std::move(*signature));
      for (const auto* name : {"text", "thought", "thoughtSignature", "thought_signature", "inlineData",
                               "inline_data", "fileData", "file_data"})
        fields.known(name);
    }
    fields.keep_rest();
  }

  static void check_media(const Part& part, const Path& path) {
    const auto* media = std::get_if<MediaPart>(&part);
    if (media == nullptr) return;
    if (media->data.empty() && media->url.empty()) fail_at(path, "must have data or a file URI");
    if (!media->data.empty() && media->media_type.empty()) fail_at(path, "must have a mimeType");
  }

  void read_call(Message& message, Fields& part, const Json& call, const Path& path, std::size_t turn) {
    Fields fields(call, path, request_);
    ToolCallPart out;
    out.name = fields.string("name", 256);
    const Json* args = fields.object("args");
    out.arguments = args == nullptr ? "{}" : core::dump_json(*args);
    out.id = calls_.call(fields.optional_string("id", 256).value_or(""), out.name, turn);
    if (auto signature = part.optional_string("thoughtSignature")) out.signature = std::move(*signature);
    if (auto signature = part.optional_string("thought_signature")) out.signature = std::move(*signature);
    fields.keep_rest();
    message.parts.push_back(std::move(out));
  }

  void read_result(Message& message, const Json& response, const Path& path, std::size_t turn) {
    Fields fields(response, path, request_);
    ToolResultPart out;
    out.name = fields.string("name", 256);
    out.call_id = calls_.result(fields.optional_string("id", 256).value_or(""), out.name, turn);
    read_response(out, fields.object("response"));
    if (const Json* parts = fields.array("parts")) {
      CallIds unused("");
      for (const auto& part : *parts) {
        auto read = read_part(part, unused);
        if (!read) continue;
        if (auto* media = std::get_if<MediaPart>(&*read)) out.parts.push_back(std::move(*media));
      }
    }
    fields.keep_rest();
    message.parts.push_back(std::move(out));
  }

  // {"output": x} and {"error": x} are Google's words for what the tool gave; anything else is the value.
  static void read_response(ToolResultPart& out, const Json* response) {
    if (response == nullptr) return;
    const Json* value = response;
    if (response->size() == 1) {
      const auto& key = response->begin().key();
      out.is_error = key == "error";
      if (key == "output" || key == "result" || key == "error") value = &response->front();
    }
    out.parts.push_back(
        TextPart{value->is_string() ? value->get_ref<const std::string&>() : core::dump_json(*value), {}});
  }

  void read_config(Fields& body, const Path& root) {
    const auto name = in(body_, "generationConfig");
    const Json* config = body.object(name);
    if (config == nullptr) return;
    const Path path(root, name);
    Fields fields(*config, path, request_);
    request_.temperature = fields.number(in(*config, "temperature"), 0, 2);
    request_.top_p = fields.number(in(*config, "topP"), 0, 1);
    request_.top_k = fields.integer(in(*config, "topK"), 0, 1'000'000);
    request_.n = fields.integer(in(*config, "candidateCount"), 1, 128);
    request_.max_output_tokens = fields.integer(in(*config, "maxOutputTokens"), 1, kTokensMax);
    request_.stop = fields.strings(in(*config, "stopSequences"), 16, 1024);
    request_.seed = fields.integer(in(*config, "seed"), INT64_MIN, INT64_MAX);
    request_.presence_penalty = fields.number(in(*config, "presencePenalty"), -2, 2);
    request_.frequency_penalty = fields.number(in(*config, "frequencyPenalty"), -2, 2);
    request_.logprobs = fields.boolean(in(*config, "responseLogprobs"));
    request_.top_logprobs = fields.integer(in(*config, "logprobs"), 0, 20);
    read_format(fields, *config);
    read_thinking(fields, *config, path);
    fields.keep_rest();
  }

  void read_format(Fields& fields, const Json& config) {
    const auto mime_name = in(config, "responseMimeType");
    const Json* mime = config.contains(mime_name) ? &config[mime_name] : nullptr;
    if (mime == nullptr || mime->is_null()) return;
    // text/x.enum stays an extra with its schema.
    if (*mime != Json("application/json") && *mime != Json("text/plain")) return;
    fields.known(mime_name);
    ResponseFormat format;
    format.kind =
        *mime == Json("application/json") ? ResponseFormat::Kind::JsonObject : ResponseFormat::Kind::Text;
    if (format.kind == ResponseFormat::Kind::JsonObject) {
      const Json* own = fields.object(in(config, "responseSchema"));
      const Json* plain = fields.any(in(config, "responseJsonSchema"));
      if (own != nullptr) format.schema = json_schema_of_gemini(*own);
      if (plain != nullptr) format.schema = *plain;
      if (!format.schema.is_null()) format.kind = ResponseFormat::Kind::JsonSchema;
    }
    request_.response_format = std::move(format);
  }

  void read_thinking(Fields& config_fields, const Json& config, const Path& path) {
    const auto name = in(config, "thinkingConfig");
    const Json* thinking = config_fields.object(name);
    if (thinking == nullptr) return;
    const Path thinking_path(path, name);
    Fields fields(*thinking, thinking_path, request_);
    Reasoning out;
    out.origin = thinking_path.str();
    out.include = fields.boolean(in(*thinking, "includeThoughts")).value_or(false);
    out.budget_tokens = fields.integer(in(*thinking, "thinkingBudget"), -1, kTokensMax);
    if (auto level = fields.optional_string(in(*thinking, "thinkingLevel"), 64)) {
      for (char& c : *level) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      if (*level != "thinking_level_unspecified") out.effort = std::move(*level);
    }
    if (out.budget_tokens == 0) out.enabled = false;
    if (out.budget_tokens == -1) out.adaptive = true;
    fields.keep_rest();
    request_.reasoning = std::move(out);
  }

  void read_tools(Fields& body, const Path& root) {
    const Json* tools = body.array("tools");
    if (tools == nullptr) return;
    const Path path(root, "tools");
    for (std::size_t i = 0; i < tools->size(); ++i) {
      const Path tool_path(path, i);
      Fields fields((*tools)[i], tool_path, request_);
      const auto name = in((*tools)[i], "functionDeclarations");
      if (const Json* functions = fields.array(name)) {
        const Path functions_path(tool_path, name);
        for (std::size_t j = 0; j < functions->size(); ++j)
          read_function((*functions)[j], Path(functions_path, j));
      }
      fields.keep_rest();
    }
  }

  void read_function(const Json& value, const Path& path) {
    Fields fields(value, path, request_);
    ToolDefinition tool;
    tool.name = fields.string("name", 256);
    tool.description = fields.optional_string("description").value_or("");
    const Json* own = fields.object("parameters");
    const Json* plain = fields.any(in(value, "parametersJsonSchema"));
    if (own != nullptr) tool.parameters = json_schema_of_gemini(*own);
    if (plain != nullptr) tool.parameters = *plain;
    fields.keep_rest();
    request_.tools.push_back(std::move(tool));
  }

  void read_tool_config(Fields& body, const Path& root) {
    const auto name = in(body_, "toolConfig");
    const Json* config = body.object(name);
    if (config == nullptr) return;
    const Path path(root, name);
    Fields fields(*config, path, request_);
    const auto calling_name = in(*config, "functionCallingConfig");
    if (const Json* calling = fields.object(calling_name)) read_calling(*calling, Path(path, calling_name));
    fields.keep_rest();
  }

  void read_calling(const Json& calling, const Path& path) {
    Fields fields(calling, path, request_);
    ToolChoice choice;
    const Json* mode = calling.contains("mode") ? &calling["mode"] : nullptr;
    // VALIDATED and what comes after it stay extras.
    const bool known = mode == nullptr || *mode == Json("AUTO") || *mode == Json("ANY") ||
                       *mode == Json("NONE") || *mode == Json("MODE_UNSPECIFIED");
    if (known) fields.known("mode");
    if (mode != nullptr && *mode == Json("NONE")) choice.mode = ToolChoice::Mode::None;
    if (mode != nullptr && *mode == Json("ANY")) choice.mode = ToolChoice::Mode::Required;
    choice.allowed = fields.strings(in(calling, "allowedFunctionNames"), 512, 256);
    if (choice.mode == ToolChoice::Mode::Required && choice.allowed.size() == 1) {
      choice.mode = ToolChoice::Mode::Named;
      choice.name = std::move(choice.allowed.front());
      choice.allowed.clear();
    }
    fields.keep_rest();
    request_.tool_choice = std::move(choice);
  }

  const Json& body_;
  Request request_;
  CallPairing calls_;
};

}  // namespace

Request decode_request(const Json& body) {
  return RequestReader(body).read();
}

}  // namespace assistiv::inference::gemini
