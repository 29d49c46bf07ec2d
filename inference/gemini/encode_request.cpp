#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "inference/gemini/gemini.h"
#include "inference/gemini/parts.h"
#include "inference/gemini/schema.h"
#include "inference/translate/content.h"
#include "inference/translate/drops.h"

namespace assistiv::inference {

namespace gemini {

namespace {

using core::Json;

bool speaks_levels(const TargetModel& target) {
  return target.thinking.empty() ? target.name.find("gemini-3") != std::string::npos
                                 : target.thinking == "level";
}

bool speaks_budgets(const TargetModel& target) {
  return target.thinking.empty() ? target.name.find("gemini-2.5") != std::string::npos
                                 : target.thinking == "budget";
}

// ---- contents ----

class ContentsWriter {
 public:
  ContentsWriter(const Request& request, const EncodeOptions& options, Drops& drops)
      : request_(request), options_(options), drops_(drops), same_(request.dialect == DialectId::Gemini) {}

  void write(Json& body) {
    for (std::size_t i = 0; i < request_.messages.size(); ++i) {
      const auto& message = request_.messages[i];
      if (!message.name.empty()) drops_.add(message.origin + "/name");
      if (message.role == Role::System) {
        write_system(message);
      } else if (message.role == Role::Assistant) {
        write_assistant(message);
      } else {
        write_user(message);
      }
    }
    close_results();
    if (!system_.empty()) body["systemInstruction"] = {{"parts", std::move(system_)}};
    body["contents"] = std::move(contents_);
  }

 private:
  struct Called {
    std::string name;
    std::size_t turn;
    std::size_t index;
  };
  struct Result {
    std::size_t index;
    Json part;
  };

  // Parts of one turn; same-dialect turns stay as the client cut them, others alternate (rule G1).
  void add_turn(std::string_view role, Json parts) {
    if (!same_ && parts.empty()) return;
    if (!same_ && !contents_.empty() && mergeable_ && contents_.back()["role"] == role) {
      for (auto& part : parts) contents_.back()["parts"].push_back(std::move(part));
      return;
    }
    contents_.push_back({{"role", role}, {"parts", std::move(parts)}});
    mergeable_ = true;
  }

  std::string pointer(const Message& message, std::size_t index) const {
    return part_pointer(request_.dialect, message, index);
  }

  void write_system(const Message& message) {
    Json parts = Json::array();
    for (std::size_t i = 0; i < message.parts.size(); ++i) {
      const auto at = pointer(message, i);
      const auto* text = std::get_if<TextPart>(&message.parts[i]);
      if (text == nullptr) throw core::bad_request("A system message may hold text only.", at);
      drop_mark(text->cache_control, at);
      if (same_ || !text->text.empty()) parts.push_back({{"text", text->text}});
    }
    if (options_.keep_system_in_place && !contents_.empty()) {
      close_results();
      for (auto& part : parts) {
        const auto text = part["text"].get<std::string>();
        part["text"] = "<system-reminder>\n" + text + "\n</system-reminder>";
      }
      add_turn("user", std::move(parts));
      return;
    }
    for (auto& part : parts) system_.push_back(std::move(part));
  }

  void write_assistant(const Message& message) {
    close_results();
    calls_of_turn_ = 0;
    ++turn_;
    Json parts = Json::array();
    for (std::size_t i = 0; i < message.parts.size(); ++i) {
      const auto at = pointer(message, i);
      if (const auto* text = std::get_if<TextPart>(&message.parts[i])) {
        drop_mark(text->cache_control, at);
        if (same_ || !text->text.empty()) parts.push_back({{"text", text->text}});
      } else if (const auto* refusal = std::get_if<RefusalPart>(&message.parts[i])) {
        if (!refusal->text.empty()) parts.push_back({{"text", refusal->text}});
      } else if (const auto* thinking = std::get_if<ThinkingPart>(&message.parts[i])) {
        write_thinking(parts, *thinking, at);
      } else if (const auto* call = std::get_if<ToolCallPart>(&message.parts[i])) {
        write_call(parts, *call, at);
      } else if (const auto* media = std::get_if<MediaPart>(&message.parts[i])) {
        write_media(parts, *media, at);
      }
    }
    add_turn("model", std::move(parts));
  }

  void write_thinking(Json& parts, const ThinkingPart& thinking, const std::string& at) {
    if (thinking.signed_by != DialectId::Gemini) {
      drops_.note(at);
      return;
    }
    if (thinking.text.empty() && thinking.signature.empty()) return;
    // A signature without a thought belongs to the text before it.
    if (thinking.text.empty() && !parts.empty() && parts.back().contains("text") &&
        !parts.back().contains("thoughtSignature") && !parts.back().contains("thought")) {
      parts.back()["thoughtSignature"] = thinking.signature;
      return;
    }
    Json part = {{"text", thinking.text}};
    if (!thinking.text.empty()) part["thought"] = true;
    if (!thinking.signature.empty()) part["thoughtSignature"] = thinking.signature;
    parts.push_back(std::move(part));
  }

  void write_call(Json& parts, const ToolCallPart& call, const std::string& at) {
    drop_mark(call.cache_control, at);
    Json function = {{"name", call.name}};
    function["args"] = arguments_object(call.arguments, at, drops_.mode());
    if (tells_ids(call.id)) function["id"] = call.id;
    Json part = {{"functionCall", std::move(function)}};
    const bool first = calls_of_turn_ == 0;
    if (!call.signature.empty()) {
      part["thoughtSignature"] = call.signature;
    } else if (first && speaks_levels(options_.target)) {
      part["thoughtSignature"] = kSkipSignature;
    }
    parts.push_back(std::move(part));
    called_[call.id] = {call.name, turn_, calls_of_turn_++};
  }

  // Ids are told only to who gave them: Vertex refuses the member (rule G4).
  bool tells_ids(const std::string& id) const {
    return same_ && options_.target.flavor != "vertex" && !id.empty() && !is_minted(id);
  }

  void write_user(const Message& message) {
    Json parts = Json::array();
    bool has_text = false;
    bool has_result = false;
    for (std::size_t i = 0; i < message.parts.size(); ++i) {
      const auto& part = message.parts[i];
      const auto at = pointer(message, i);
      if (const auto* text = std::get_if<TextPart>(&part)) {
        drop_mark(text->cache_control, at);
        if (!same_ && text->text.empty()) continue;
        has_text = true;
        parts.push_back({{"text", text->text}});
      } else if (const auto* media = std::get_if<MediaPart>(&part)) {
        write_media(parts, *media, at);
      } else if (const auto* result = std::get_if<ToolResultPart>(&part)) {
        has_result = true;
        write_result(parts, *result, at);
      }
    }
    if (same_) {
      for (auto& result : results_) parts.push_back(std::move(result.part));
      results_.clear();
      add_turn("user", std::move(parts));
      return;
    }
    if (parts.empty()) return;
    // Results stand alone in their turn (rule G2); what else the message says follows it.
    if (has_result || !results_.empty()) close_results();
    if (!has_text) parts.push_back({{"text", " "}});
    add_turn("user", std::move(parts));
  }

  void write_media(Json& parts, const MediaPart& media, const std::string& at) {
    drop_media_details(media, at);
    if (media.data.empty() && media.url.empty()) {
      throw core::bad_request(
          "A file that is stored at another provider cannot be carried to Gemini: send its bytes.", at);
    }
    parts.push_back(media_part(media));
  }

  void drop_media_details(const MediaPart& media, const std::string& at) {
    drop_mark(media.cache_control, at);
    if (!media.detail.empty() && media.detail != "auto") drops_.add(detail_pointer(request_.dialect, at));
    if (!media.filename.empty() && !same_) drops_.note(at + "/filename");
  }

  // Rule G3: by name and in the order of the calls. Media go along where the model takes them, else they
  // follow in the next turn of the user (`parts`).
  void write_result(Json& parts, const ToolResultPart& result, const std::string& at) {
    drop_mark(result.cache_control, at);
    const auto called = called_.find(result.call_id);
    const std::string& name = called == called_.end() ? result.name : called->second.name;
    if (name.empty()) {
      throw core::bad_request("The tool result \"" + result.call_id +
                                  "\" answers no call of this conversation and names no tool.",
                              at);
    }
    Json function = {{"name", name}};
    if (tells_ids(result.call_id)) function["id"] = result.call_id;
    std::string text;
    Json media_parts = Json::array();
    for (const auto& piece : result.parts) {
      if (const auto* words = std::get_if<TextPart>(&piece)) {
        if (!text.empty()) text += "\n";
        text += words->text;
      } else if (const auto* media = std::get_if<MediaPart>(&piece)) {
        const bool along = same_ || speaks_levels(options_.target);
        write_media(along ? media_parts : parts, *media, at);
      }
    }
    function["response"] = response_object(std::move(text), result.is_error);
    if (!media_parts.empty()) function["parts"] = std::move(media_parts);
    const std::size_t order = called == called_.end() ? SIZE_MAX : called->second.index;
    results_.push_back({order, {{"functionResponse", std::move(function)}}});
  }

  Json response_object(std::string text, bool is_error) const {
    if (is_error) return {{"error", std::move(text)}};
    // What a Gemini client sent as an object goes back as one.
    if (same_ && text.starts_with('{')) {
      Json object = Json::parse(text, nullptr, false);
      if (object.is_object()) return object;
    }
    return {{"output", std::move(text)}};
  }

  void close_results() {
    if (results_.empty()) return;
    std::stable_sort(results_.begin(), results_.end(),
                     [](const Result& a, const Result& b) { return a.index < b.index; });
    Json parts = Json::array();
    for (auto& result : results_) parts.push_back(std::move(result.part));
    results_.clear();
    mergeable_ = false;
    add_turn("user", std::move(parts));
    mergeable_ = false;
  }

  void drop_mark(const Json& mark, const std::string& at) {
    if (!mark.is_null()) drops_.add(at + "/cache_control");
  }

  const Request& request_;
  const EncodeOptions& options_;
  Drops& drops_;
  const bool same_;
  Json system_ = Json::array();
  Json contents_ = Json::array();
  std::map<std::string, Called, std::less<>> called_;
  std::vector<Result> results_;
  std::size_t turn_ = 0;
  std::size_t calls_of_turn_ = 0;
  bool mergeable_ = true;
};

// ---- generationConfig ----

std::string_view level_of(std::string_view effort, const TargetModel& target) {
  const bool pro = target.name.find("-pro") != std::string::npos;
  if (effort == "none" || effort == "minimal") return pro ? "low" : "minimal";
  if (effort == "low") return "low";
  // Gemini 3 Pro knows low and high only.
  if (effort == "medium") return target.name.find("gemini-3-pro") != std::string::npos ? "high" : "medium";
  return "high";
}

// The budgets that Google's own OpenAI endpoint takes for the words.
std::int64_t budget_of(std::string_view effort, const TargetModel& target) {
  const bool pro = target.name.find("-pro") != std::string::npos;
  if (effort == "none") return pro ? 128 : 0;
  if (effort == "minimal" || effort == "low") return 1024;
  if (effort == "medium") return 8192;
  return pro && (effort == "xhigh" || effort == "max") ? 32768 : 24576;
}

void write_thinking_config(Json& config, const Request& request, const TargetModel& target, Drops& drops) {
  if (!request.reasoning) return;
  const auto& reasoning = *request.reasoning;
  drops.summary_style(reasoning);
  const bool levels = speaks_levels(target);
  const bool same = request.dialect == DialectId::Gemini;
  if (!levels && !speaks_budgets(target) && !same) {
    if (wants_reasoning(reasoning)) drops.add(reasoning.origin);
    return;
  }
  const bool off = reasoning.enabled == false || reasoning.effort == "none" || reasoning.budget_tokens == 0;
  std::string effort = off ? "none" : reasoning.effort;
  Json thinking = Json::object();
  if (levels || (same && !reasoning.effort.empty())) {
    if (effort.empty() && reasoning.budget_tokens) effort = effort_of_budget(*reasoning.budget_tokens);
    if (!effort.empty()) thinking["thinkingLevel"] = level_of(effort, target);
  } else if (off) {
    thinking["thinkingBudget"] = budget_of("none", target);
  } else if (reasoning.budget_tokens) {
    thinking["thinkingBudget"] = *reasoning.budget_tokens;
  } else if (!effort.empty()) {
    thinking["thinkingBudget"] = budget_of(effort, target);
  } else if (reasoning.adaptive) {
    thinking["thinkingBudget"] = -1;
  }
  if (reasoning.include && !off) thinking["includeThoughts"] = true;
  if (!thinking.empty()) config["thinkingConfig"] = std::move(thinking);
}

void write_format(Json& config, const ResponseFormat& format, const TargetModel& target, Drops& drops) {
  if (format.kind == ResponseFormat::Kind::Text) return;
  config["responseMimeType"] = "application/json";
  if (format.kind != ResponseFormat::Kind::JsonSchema) return;
  if (!target.structured_output) {
    drops.option("response_format/json_schema");
  } else if (target.json_schema_fields) {
    config["responseJsonSchema"] = format.schema;
  } else {
    config["responseSchema"] = gemini_schema(format.schema);
  }
}

Json generation_config(const Request& request, const EncodeOptions& options, Drops& drops) {
  Json config = Json::object();
  const auto put = [&](const char* name, const auto& value) {
    if (value) config[name] = *value;
  };
  put("temperature", request.temperature);
  put("topP", request.top_p);
  put("topK", request.top_k);
  put("maxOutputTokens", request.max_output_tokens);
  put("seed", request.seed);
  put("presencePenalty", request.presence_penalty);
  put("frequencyPenalty", request.frequency_penalty);
  const auto choices = choice_options(request, DialectId::Gemini, drops);
  put("responseLogprobs", choices.logprobs);
  put("logprobs", choices.top_logprobs);
  if (choices.n && (*choices.n > 1 || request.dialect == DialectId::Gemini))
    config["candidateCount"] = *choices.n;
  if (!request.stop.empty()) config["stopSequences"] = request.stop;
  if (request.response_format) write_format(config, *request.response_format, options.target, drops);
  write_thinking_config(config, request, options.target, drops);
  return config;
}

// ---- tools ----

// Rule G6: one entry for all functions.
void write_tools(Json& body, const Request& request, const EncodeOptions& options, Drops& drops) {
  if (request.tools.empty()) return;
  Json functions = Json::array();
  for (std::size_t i = 0; i < request.tools.size(); ++i) {
    const auto& tool = request.tools[i];
    Json function = {{"name", tool.name}};
    if (!tool.description.empty()) function["description"] = tool.description;
    if (tool.parameters.is_object() && options.target.json_schema_fields) {
      function["parametersJsonSchema"] = object_schema(tool.parameters);
    } else if (tool.parameters.is_object()) {
      Json reduced = gemini_schema(object_schema(tool.parameters));
      // An object without members is refused; a function without parameters is not.
      if (reduced.contains("properties") || reduced.contains("anyOf"))
        function["parameters"] = std::move(reduced);
    }
    const std::string at = "/tools/" + std::to_string(i);
    const bool chat = request.dialect == DialectId::OpenAiChat;
    if (tool.strict == true) drops.add(at + (chat ? "/function/strict" : "/strict"));
    if (!tool.cache_control.is_null()) drops.add(at + "/cache_control");
    functions.push_back(std::move(function));
  }
  body["tools"] = Json::array({{{"functionDeclarations", std::move(functions)}}});
}

void write_tool_choice(Json& body, const ToolChoice& choice) {
  Json calling = Json::object();
  switch (choice.mode) {
    case ToolChoice::Mode::Auto:
      // Names narrow the choice only where a call is forced or checked.
      calling["mode"] = choice.allowed.empty() ? "AUTO" : "VALIDATED";
      break;
    case ToolChoice::Mode::None:
      calling["mode"] = "NONE";
      break;
    case ToolChoice::Mode::Required:
      calling["mode"] = "ANY";
      break;
    case ToolChoice::Mode::Named:
      calling["mode"] = "ANY";
      calling["allowedFunctionNames"] = Json::array({choice.name});
      break;
  }
  if (!choice.allowed.empty()) calling["allowedFunctionNames"] = choice.allowed;
  body["toolConfig"] = {{"functionCallingConfig", std::move(calling)}};
}

std::string model_path(const Request& request, const TargetModel& target) {
  std::string path = "/";
  if (target.name.find('/') == std::string::npos) path += "models/";
  std::string_view rest = target.name;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('/'), rest.size());
    path += core::percent_encode(rest.substr(0, end));
    if (end < rest.size()) path.push_back('/');
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return path + (request.stream ? ":streamGenerateContent?alt=sse" : ":generateContent");
}

// Members that the client wrote in another spelling, and lists that were put into one, must find their place.
Request with_own_paths(const Request& request) {
  Request out;
  out.dialect = request.dialect;
  for (const auto& extra : request.extras) {
    out.extras.push_back(extra);
    if (extra.dialect != DialectId::Gemini) continue;
    auto& path = out.extras.back().path;
    for (const auto* camel : {"generationConfig", "systemInstruction", "toolConfig", "thinkingConfig",
                              "functionCallingConfig", "functionDeclarations"}) {
      const std::string snake = "/" + snake_name(camel) + "/";
      if (const auto at = path.find(snake); at != std::string::npos)
        path.replace(at, snake.size(), "/" + std::string(camel) + "/");
    }
  }
  return out;
}

// Objects that hold nothing but members we do not know, and entries of tools[] that are no functions.
void make_places(Json& body, Request& extras) {
  std::vector<Extra> rest;
  for (auto& extra : extras.extras) {
    const auto& path = extra.path;
    if (extra.dialect != DialectId::Gemini) {
      rest.push_back(std::move(extra));
      continue;
    }
    for (const auto* name : {"/generationConfig", "/toolConfig", "/systemInstruction"}) {
      if (path.starts_with(std::string(name) + "/"))
        body[name + 1].is_null() ? void(body[name + 1] = Json::object()) : void();
    }
    if (path.starts_with("/generationConfig/thinkingConfig/") &&
        !body["generationConfig"].contains("thinkingConfig"))
      body["generationConfig"]["thinkingConfig"] = Json::object();
    if (path.starts_with("/toolConfig/functionCallingConfig/") &&
        !body["toolConfig"].contains("functionCallingConfig"))
      body["toolConfig"]["functionCallingConfig"] = Json::object();
    const bool tool = path.starts_with("/tools/") && path.find("/functionDeclarations/") == std::string::npos;
    const auto name = tool ? path.find('/', 7) : std::string::npos;
    if (name != std::string::npos) {
      if (!body["tools"].is_array()) body["tools"] = Json::array();
      body["tools"].push_back({{path.substr(name + 1), std::move(extra.value)}});
    } else {
      rest.push_back(std::move(extra));
    }
  }
  extras.extras = std::move(rest);
}

}  // namespace

EncodedRequest encode_request(const Request& request, const EncodeOptions& options) {
  Drops drops(request.dialect, options.unsupported);
  EncodedRequest out;
  out.path = model_path(request, options.target);
  out.body = Json::object();
  ContentsWriter(request, options, drops).write(out.body);
  write_tools(out.body, request, options, drops);
  if (request.tool_choice && (!request.tools.empty() || request.dialect == DialectId::Gemini))
    write_tool_choice(out.body, *request.tool_choice);
  if (request.parallel_tool_calls == false) drops.option("parallel_tool_calls");
  if (!request.user.empty()) drops.add(request.user_origin);
  Json config = generation_config(request, options, drops);
  if (!config.empty()) out.body["generationConfig"] = std::move(config);
  Request extras = with_own_paths(request);
  make_places(out.body, extras);
  restore_extras(out.body, extras, DialectId::Gemini, drops);
  out.dropped = drops.take();
  return out;
}

}  // namespace gemini

std::vector<MediaPart*> remote_media(Request& request) {
  std::vector<MediaPart*> out;
  const auto look = [&](MediaPart& media) {
    const std::string_view url = media.url;
    const bool remote = media.data.empty() && (url.starts_with("http://") || url.starts_with("https://"));
    const bool googles = url.starts_with("https://generativelanguage.googleapis.com/") ||
                         url.starts_with("https://www.youtube.com/") || url.starts_with("https://youtu.be/");
    if (remote && !googles) out.push_back(&media);
  };
  for (auto& message : request.messages) {
    for (auto& part : message.parts) {
      if (auto* media = std::get_if<MediaPart>(&part)) look(*media);
      if (auto* result = std::get_if<ToolResultPart>(&part)) {
        for (auto& piece : result->parts)
          if (auto* media = std::get_if<MediaPart>(&piece)) look(*media);
      }
    }
  }
  return out;
}

}  // namespace assistiv::inference
