#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "inference/openai_responses/items.h"
#include "inference/translate/content.h"
#include "inference/translate/drops.h"

namespace assistiv::inference::responses {

namespace {

using core::Json;

class InputWriter {
 public:
  InputWriter(const Request& request, Drops& drops)
      : request_(request), drops_(drops), same_(request.dialect == DialectId::OpenAiResponses) {}

  void write(Json& body) {
    for (std::size_t i = 0; i < request_.messages.size(); ++i) {
      const auto& message = request_.messages[i];
      if (!message.name.empty()) drops_.add(message.origin + "/name");
      if (i == 0 && message.role == Role::System && only_text(message)) {
        body["instructions"] = joined(message);
      } else {
        write_message(message);
      }
    }
    body["input"] = std::move(input_);
  }

 private:
  static bool only_text(const Message& message) {
    return std::all_of(message.parts.begin(), message.parts.end(),
                       [](const Part& part) { return std::holds_alternative<TextPart>(part); });
  }

  std::string joined(const Message& message) {
    std::string out;
    for (std::size_t i = 0; i < message.parts.size(); ++i) {
      const auto& text = std::get<TextPart>(message.parts[i]);
      at_ = part_pointer(request_.dialect, message, i);
      drop_mark(text.cache_control);
      if (!out.empty()) out += "\n\n";
      out += text.text;
    }
    return out;
  }

  void write_message(const Message& message) {
    const char* role = message.role == Role::User     ? "user"
                       : message.developer            ? "developer"
                       : message.role == Role::System ? "system"
                                                      : "assistant";
    Json content = Json::array();
    const auto flush = [&] {
      if (content.empty()) return;
      input_.push_back({{"type", "message"}, {"role", role}, {"content", std::move(content)}});
      content = Json::array();
    };
    for (std::size_t i = 0; i < message.parts.size(); ++i) {
      const auto& part = message.parts[i];
      at_ = part_pointer(request_.dialect, message, i);
      if (const auto* text = std::get_if<TextPart>(&part)) {
        drop_mark(text->cache_control);
        if (text->text.empty() && !same_) continue;
        const bool output = message.role == Role::Assistant;
        content.push_back({{"type", output ? "output_text" : "input_text"}, {"text", text->text}});
      } else if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
        content.push_back({{"type", "refusal"}, {"refusal", refusal->text}});
      } else if (const auto* media = std::get_if<MediaPart>(&part)) {
        write_media(content, *media, message.role);
      } else {
        flush();
        write_item(part);
        const auto* call = std::get_if<ToolCallPart>(&part);
        if (call != nullptr && !call->signature.empty())
          drops_.note(signature_pointer(request_.dialect, message, i));
      }
    }
    flush();
  }

  void write_media(Json& content, const MediaPart& media, Role role) {
    if (role == Role::Assistant) {  // its own pictures cannot be told again
      drops_.add(at_);
      return;
    }
    content.push_back(media_content(media));
  }

  Json media_content(const MediaPart& media) {
    drop_mark(media.cache_control);
    Json out;
    if (media.kind == MediaPart::Kind::Image) {
      out = {{"type", "input_image"}, {"detail", media.detail.empty() ? "auto" : media.detail}};
      if (!media.file_id.empty()) {
        out["file_id"] = media.file_id;
      } else {
        out["image_url"] = media.data.empty() ? media.url : data_url(media);
      }
      return out;
    }
    if (media.kind == MediaPart::Kind::Video) throw core::bad_request("This provider takes no video.", at_);
    if (media.kind == MediaPart::Kind::Audio) return audio_content(media);
    out = {{"type", "input_file"}};
    if (!media.file_id.empty()) {
      out["file_id"] = media.file_id;
    } else if (media.data.empty()) {
      out["file_url"] = media.url;
    } else {
      out["file_data"] = data_url(media);
      out["filename"] = media.filename.empty() ? "file.pdf" : media.filename;
    }
    return out;
  }

  Json audio_content(const MediaPart& media) {
    if (media.data.empty())
      throw core::bad_request("Audio must be sent as base64 data for this provider.", at_);
    std::string format =
        media.media_type.substr(std::min(media.media_type.find('/') + 1, media.media_type.size()));
    if (format == "mpeg") format = "mp3";
    return {{"type", "input_audio"},
            {"input_audio", {{"data", media.data}, {"format", format.empty() ? "wav" : format}}}};
  }

  void write_item(const Part& part) {
    if (const auto* call = std::get_if<ToolCallPart>(&part)) {
      drop_mark(call->cache_control);
      input_.push_back({{"type", "function_call"},
                        {"call_id", portable_id(call->id)},
                        {"name", call->name},
                        {"arguments", call->arguments.empty() ? "{}" : call->arguments}});
    } else if (const auto* result = std::get_if<ToolResultPart>(&part)) {
      write_result(*result);
    } else if (const auto* thinking = std::get_if<ThinkingPart>(&part)) {
      write_thinking(*thinking);
    }
  }

  std::string portable_id(const std::string& id) const { return same_ ? id : portable_call_id(id); }

  void write_result(const ToolResultPart& result) {
    drop_mark(result.cache_control);
    Json item = {{"type", "function_call_output"}, {"call_id", portable_id(result.call_id)}};
    Json parts = Json::array();
    std::string text;
    bool media = false;
    for (const auto& piece : result.parts) {
      if (const auto* words = std::get_if<TextPart>(&piece)) {
        if (!text.empty()) text += "\n";
        text += words->text;
        parts.push_back({{"type", "input_text"}, {"text", words->text}});
      } else if (const auto* picture = std::get_if<MediaPart>(&piece)) {
        media = true;
        parts.push_back(media_content(*picture));
      }
    }
    // There is no member for it.
    if (result.is_error && !media) text = "Error: " + text;
    if (result.is_error && media)
      parts.insert(parts.begin(), Json{{"type", "input_text"}, {"text", "Error:"}});
    item["output"] = media ? std::move(parts) : Json(std::move(text));
    input_.push_back(std::move(item));
  }

  void write_thinking(const ThinkingPart& thinking) {
    const auto& encrypted = thinking.redacted.empty() ? thinking.signature : thinking.redacted;
    if (thinking.signed_by != DialectId::OpenAiResponses || (encrypted.empty() && !same_)) {
      drops_.note(at_);
      return;
    }
    Json item = {{"type", "reasoning"}, {"summary", Json::array()}};
    if (!thinking.id.empty()) item["id"] = thinking.id;
    if (!thinking.text.empty())
      item["summary"].push_back({{"type", "summary_text"}, {"text", thinking.text}});
    if (!encrypted.empty()) item["encrypted_content"] = encrypted;
    input_.push_back(std::move(item));
  }

  void drop_mark(const Json& cache_control) {
    if (!cache_control.is_null()) drops_.add(at_ + "/cache_control");
  }

  const Request& request_;
  Drops& drops_;
  const bool same_;
  std::string at_;
  Json input_ = Json::array();
};

void write_tools(Json& body, const Request& request, Drops& drops) {
  if (request.tools.empty()) return;
  Json tools = Json::array();
  for (std::size_t i = 0; i < request.tools.size(); ++i) {
    const auto& tool = request.tools[i];
    Json one = {{"type", "function"}, {"name", tool.name}};
    if (!tool.description.empty()) one["description"] = tool.description;
    one["parameters"] = tool.parameters.is_null() ? Json(nullptr) : object_schema(tool.parameters);
    // Responses is strict when nothing is said, chat is not.
    if (tool.strict || request.dialect != DialectId::OpenAiResponses)
      one["strict"] = tool.strict.value_or(false);
    if (!tool.cache_control.is_null()) drops.add("/tools/" + std::to_string(i) + "/cache_control");
    tools.push_back(std::move(one));
  }
  body["tools"] = std::move(tools);
}

void write_tool_choice(Json& body, const ToolChoice& choice) {
  const bool required = choice.mode == ToolChoice::Mode::Required;
  if (choice.mode == ToolChoice::Mode::Named) {
    body["tool_choice"] = {{"type", "function"}, {"name", choice.name}};
  } else if (!choice.allowed.empty()) {
    Json tools = Json::array();
    for (const auto& name : choice.allowed) tools.push_back({{"type", "function"}, {"name", name}});
    body["tool_choice"] = {
        {"type", "allowed_tools"}, {"mode", required ? "required" : "auto"}, {"tools", std::move(tools)}};
  } else if (choice.mode == ToolChoice::Mode::None) {
    body["tool_choice"] = "none";
  } else {
    body["tool_choice"] = required ? "required" : "auto";
  }
}

void write_format(Json& body, const ResponseFormat& format) {
  Json out = {{"type", "text"}};
  if (format.kind == ResponseFormat::Kind::JsonObject) out = {{"type", "json_object"}};
  if (format.kind == ResponseFormat::Kind::JsonSchema) {
    out = {{"type", "json_schema"},
           {"name", format.name.empty() ? "response" : format.name},
           {"schema", format.schema}};
    if (!format.description.empty()) out["description"] = format.description;
    if (format.strict) out["strict"] = *format.strict;
  }
  body["text"] = {{"format", std::move(out)}};
}

void write_reasoning(Json& body, const Request& request, const TargetModel& target, bool logprobs,
                     Drops& drops) {
  const bool same = request.dialect == DialectId::OpenAiResponses;
  if (request.reasoning && (same || target.reasoning || target.effort)) {
    Json out = Json::object();
    const auto& reasoning = *request.reasoning;
    auto effort = same ? reasoning.effort : effort_for(reasoning, target);
    // The least that every reasoning model takes; not every one can do without.
    if (effort.empty() && !same && !wants_reasoning(reasoning)) effort = "low";
    if (!effort.empty()) out["effort"] = std::move(effort);
    if (!reasoning.summary.empty()) {
      out["summary"] = reasoning.summary;
    } else if (reasoning.include && !same && wants_reasoning(reasoning)) {
      out["summary"] = "auto";
    }
    body["reasoning"] = std::move(out);
  } else if (request.reasoning && wants_reasoning(*request.reasoning)) {
    drops.add(request.reasoning->origin);
  }
  Json include = Json::array();
  // Its own state is not used (store is false), so thinking must come back with us.
  if (target.reasoning || body.contains("reasoning")) include.push_back("reasoning.encrypted_content");
  if (logprobs) include.push_back("message.output_text.logprobs");
  if (!include.empty()) body["include"] = std::move(include);
}

void drop_sampling(const Request& request, Drops& drops) {
  if (request.top_k) drops.option("top_k");
  if (request.frequency_penalty.value_or(0) != 0) drops.option("frequency_penalty");
  if (request.presence_penalty.value_or(0) != 0) drops.option("presence_penalty");
  if (request.seed) drops.option("seed");
  if (request.n.value_or(1) > 1) drops.option("n");
  if (!request.stop.empty()) drops.option("stop");
}

// Items and tools go back to their index, or to the end when others were taken out before them.
void put_items_back(Json& body, Request& extras) {
  std::vector<Extra> rest;
  for (auto& extra : extras.extras) {
    std::string_view path = extra.path;
    const bool own = extra.dialect == DialectId::OpenAiResponses;
    if (own && path.starts_with("/text/") && !body.contains("text")) body["text"] = Json::object();
    if (own && path.starts_with("/reasoning/") && !body.contains("reasoning"))
      body["reasoning"] = Json::object();
    if (own && path.starts_with("/include/") && !body.contains("include")) body["include"] = Json::array();
    bool done = false;
    for (const std::string_view list : {"/input/", "/tools/", "/include/"}) {
      if (!own || !path.starts_with(list)) continue;
      const auto number = path.substr(list.size());
      std::size_t index = 0;
      const auto [end, fault] = std::from_chars(number.data(), number.data() + number.size(), index);
      if (fault != std::errc() || end != number.data() + number.size()) continue;
      auto& items = body[std::string(list.substr(1, list.size() - 2))];
      if (!items.is_array()) items = Json::array();
      items.insert(items.begin() + static_cast<std::ptrdiff_t>(std::min(index, items.size())), extra.value);
      done = true;
    }
    if (!done) rest.push_back(std::move(extra));
  }
  extras.extras = std::move(rest);
}

}  // namespace

EncodedRequest encode_request(const Request& request, const EncodeOptions& options) {
  Drops drops(request.dialect, options.unsupported);
  EncodedRequest out;
  out.path = "/responses";
  out.body = Json::object();
  auto& body = out.body;
  body["model"] = options.target.name;
  InputWriter(request, drops).write(body);
  const auto put = [&](const char* name, const auto& value) {
    if (value) body[name] = *value;
  };
  put("max_output_tokens", request.max_output_tokens);
  put("temperature", request.temperature);
  put("top_p", request.top_p);
  const auto choices = choice_options(request, DialectId::OpenAiResponses, drops);
  put("top_logprobs", choices.top_logprobs);
  put("parallel_tool_calls", request.parallel_tool_calls);
  if (!request.user.empty()) body["user"] = request.user;
  if (request.stream) body["stream"] = true;
  body["store"] = false;  // the gateway keeps the state
  drop_sampling(request, drops);
  write_tools(body, request, drops);
  if (request.tool_choice && (!request.tools.empty() || request.dialect == DialectId::OpenAiResponses))
    write_tool_choice(body, *request.tool_choice);
  if (request.response_format) write_format(body, *request.response_format);
  write_reasoning(body, request, options.target, choices.logprobs.value_or(false), drops);
  Request extras;
  extras.extras = request.extras;
  put_items_back(body, extras);
  restore_extras(body, extras, DialectId::OpenAiResponses, drops);
  out.dropped = drops.take();
  return out;
}

}  // namespace assistiv::inference::responses
