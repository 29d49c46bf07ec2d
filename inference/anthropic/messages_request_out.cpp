// The canonical request into Anthropic's body.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "inference/anthropic/messages.h"
#include "inference/anthropic/messages_turns.h"
#include "inference/translate/content.h"

namespace assistiv::inference::anthropic {

namespace {

constexpr std::int64_t kBudgetMin = 1024;
constexpr double kTopPWithThinking = 0.95;
constexpr const char* kVersion = "2023-06-01";
constexpr const char* kFilesBeta = "files-api-2025-04-14";

class MessagesRequestEncoder {
 public:
  MessagesRequestEncoder(const Request& request, const EncodeOptions& options)
      : request_(request),
        options_(options),
        target_(options.target),
        same_(request.dialect == DialectId::Anthropic),
        drops_(request.dialect, options.unsupported) {}
  EncodedRequest run();

 private:
  void limits();
  void tools();
  core::Json tool(const ToolDefinition& definition);
  void tool_choice();
  void response_format();
  void answer_tool(const ResponseFormat& format);
  void reasoning();
  void same_reasoning(const Reasoning& wish);
  bool enable_thinking(const Reasoning& wish);
  void sampling();
  void unsupported();
  bool forces_tool() const;

  const Request& request_;
  const EncodeOptions& options_;
  const TargetModel& target_;
  bool same_;
  Drops drops_;
  Turns turns_;
  core::Json body_ = core::Json::object();
  std::int64_t max_tokens_ = 0;
};

// Rule A3. The value is also what the hold is made of, so it is in the body always.
void MessagesRequestEncoder::limits() {
  max_tokens_ = request_.max_output_tokens.value_or(
      target_.max_output_tokens.value_or(std::max<std::int64_t>(1, options_.default_max_tokens)));
  body_["max_tokens"] = max_tokens_;
  if (request_.stop.empty()) return;
  core::Json stop = core::Json::array();
  for (std::size_t i = 0; i < request_.stop.size(); ++i) {
    // Anthropic refuses a stop sequence of white space.
    if (!same_ && request_.stop[i].find_first_not_of(" \t\r\n") == std::string::npos) {
      drops_.option("stop/" + std::to_string(i));
    } else {
      stop.push_back(request_.stop[i]);
    }
  }
  if (!stop.empty()) body_["stop_sequences"] = std::move(stop);
}

core::Json MessagesRequestEncoder::tool(const ToolDefinition& definition) {
  core::Json out = {{"name", definition.name}};
  if (!definition.description.empty()) out["description"] = definition.description;
  out["input_schema"] = same_ ? definition.parameters : object_schema(definition.parameters);
  if (definition.strict) {
    if (same_ || (*definition.strict && target_.structured_output)) {
      out["strict"] = *definition.strict;
      if (!same_) out["input_schema"] = structured_schema(out["input_schema"]);
    } else if (*definition.strict) {
      const auto index = std::to_string(&definition - request_.tools.data());
      const bool chat = request_.dialect == DialectId::OpenAiChat;
      drops_.add("/tools/" + index + (chat ? "/function/strict" : "/strict"));
    }
  }
  if (!definition.cache_control.is_null()) out["cache_control"] = definition.cache_control;
  return out;
}

void MessagesRequestEncoder::tools() {
  core::Json tools = core::Json::array();
  if (same_) {
    for (const auto& definition : request_.tools) tools.push_back(tool(definition));
  } else {
    for (const auto* definition : allowed_tools(request_)) tools.push_back(tool(*definition));
    if (tools.empty()) {  // rule A11
      for (const auto& name : turns_.tool_names) {
        tools.push_back({{"name", name}, {"input_schema", object_schema({})}});
      }
    }
  }
  if (!tools.empty()) body_["tools"] = std::move(tools);
}

// Rule A9.
void MessagesRequestEncoder::tool_choice() {
  if (request_.tools.empty() && !same_) return;
  core::Json choice;
  if (request_.tool_choice) {
    switch (request_.tool_choice->mode) {
      case ToolChoice::Mode::Auto:
        choice = {{"type", "auto"}};
        break;
      case ToolChoice::Mode::None:
        choice = {{"type", "none"}};
        break;
      case ToolChoice::Mode::Required:
        choice = {{"type", "any"}};
        break;
      case ToolChoice::Mode::Named:
        choice = {{"type", "tool"}, {"name", request_.tool_choice->name}};
        break;
    }
  }
  const bool none = !choice.is_null() && choice["type"] == "none";
  if (request_.parallel_tool_calls && !none && (same_ || !*request_.parallel_tool_calls)) {
    if (choice.is_null()) choice = {{"type", "auto"}};
    choice["disable_parallel_tool_use"] = !*request_.parallel_tool_calls;
  }
  if (!choice.is_null()) body_["tool_choice"] = std::move(choice);
}

// Rule A16 for models without output_config.format: the answer is the arguments of a tool.
void MessagesRequestEncoder::answer_tool(const ResponseFormat& format) {
  core::Json out = {{"name", kAnswerTool}, {"input_schema", object_schema(format.schema)}};
  out["description"] =
      format.description.empty() ? "Gives the answer in the form that was asked for." : format.description;
  const bool alone = !body_.contains("tools");
  if (alone) body_["tools"] = core::Json::array();
  body_["tools"].push_back(std::move(out));
  if (alone) {
    body_["tool_choice"] = {{"type", "tool"}, {"name", kAnswerTool}};
  } else if (!body_.contains("tool_choice") || body_["tool_choice"]["type"] == "auto") {
    body_["tool_choice"]["type"] = "any";
  } else if (body_["tool_choice"]["type"] == "none") {
    body_["tool_choice"] = {{"type", "tool"}, {"name", kAnswerTool}};
  }
}

void MessagesRequestEncoder::response_format() {
  if (!request_.response_format || request_.response_format->kind == ResponseFormat::Kind::Text) return;
  const auto& format = *request_.response_format;
  if (format.kind == ResponseFormat::Kind::JsonObject) return drops_.option("response_format");
  if (!target_.structured_output && !same_) return answer_tool(format);
  body_["output_config"]["format"] = {{"type", "json_schema"},
                                      {"schema", same_ ? format.schema : structured_schema(format.schema)}};
}

bool MessagesRequestEncoder::forces_tool() const {
  const auto it = body_.find("tool_choice");
  return it != body_.end() && ((*it)["type"] == "any" || (*it)["type"] == "tool");
}

void MessagesRequestEncoder::same_reasoning(const Reasoning& wish) {
  if (!wish.effort.empty()) body_["output_config"]["effort"] = wish.effort;
  if (!wish.enabled) return;
  const char* type = !*wish.enabled ? "disabled" : wish.adaptive ? "adaptive" : "enabled";
  body_["thinking"] = {{"type", type}};
  if (wish.budget_tokens) body_["thinking"]["budget_tokens"] = *wish.budget_tokens;
}

// False when the request leaves no room for thinking.
bool MessagesRequestEncoder::enable_thinking(const Reasoning& wish) {
  if (forces_tool() || turns_.loop_without_thinking) return false;
  if (target_.thinking == "adaptive") {
    body_["thinking"] = {{"type", "adaptive"}};
    return true;
  }
  if (max_tokens_ <= kBudgetMin) return false;
  const auto asked = wish.budget_tokens.value_or(0);
  const auto word = wish.effort.empty() ? std::string_view("medium") : std::string_view(wish.effort);
  const auto budget = asked > 0 ? asked : budget_of_effort(word);
  body_["thinking"] = {{"type", "enabled"},
                       {"budget_tokens", std::min(std::max(budget, kBudgetMin), max_tokens_ - 1)}};
  return true;
}

// Rule A14.
void MessagesRequestEncoder::reasoning() {
  if (!request_.reasoning) return;
  const auto& wish = *request_.reasoning;
  if (same_) return same_reasoning(wish);
  drops_.summary_style(wish);
  if (!wants_reasoning(wish)) return;
  const auto word = target_.effort ? effort_for(wish, target_) : std::string();
  if (!word.empty()) body_["output_config"]["effort"] = word;
  const bool effort_alone = !word.empty() && target_.thinking != "adaptive" && !wish.budget_tokens;
  if (effort_alone) return;
  if (!target_.reasoning || !enable_thinking(wish)) drops_.add(wish.origin);
}

// Rule A13.
void MessagesRequestEncoder::sampling() {
  const auto put = [&](const char* name, const auto& value) {
    if (value) body_[name] = *value;
  };
  if (same_) {
    put("temperature", request_.temperature);
    put("top_p", request_.top_p);
    put("top_k", request_.top_k);
    return;
  }
  const bool thinks = body_.contains("thinking");
  if (request_.temperature) {
    if (thinks && *request_.temperature != 1) {
      drops_.option("temperature");
    } else if (!thinks) {
      if (*request_.temperature > 1) drops_.option("temperature");
      body_["temperature"] = std::min(1.0, *request_.temperature);
    }
  }
  if (request_.top_p && *request_.top_p < 1) {
    // Current models take one of temperature and top_p.
    if (body_.contains("temperature") || (thinks && *request_.top_p < kTopPWithThinking)) {
      drops_.option("top_p");
    } else {
      body_["top_p"] = *request_.top_p;
    }
  }
  if (request_.top_k && *request_.top_k > 0) {
    if (thinks) {
      drops_.option("top_k");
    } else {
      body_["top_k"] = *request_.top_k;
    }
  }
}

// Rule A17. What asks for nothing is no loss.
void MessagesRequestEncoder::unsupported() {
  if (request_.n.value_or(1) > 1) drops_.option("n");
  if (request_.logprobs.value_or(false)) drops_.option("logprobs");
  if (request_.top_logprobs.value_or(0) > 0) drops_.option("top_logprobs");
  if (request_.seed) drops_.option("seed");
  if (request_.frequency_penalty.value_or(0) != 0) drops_.option("frequency_penalty");
  if (request_.presence_penalty.value_or(0) != 0) drops_.option("presence_penalty");
}

EncodedRequest MessagesRequestEncoder::run() {
  body_["model"] = target_.name.empty() ? request_.model : target_.name;
  turns_ = encode_turns(request_, options_, drops_);
  if (!turns_.system.is_null()) body_["system"] = std::move(turns_.system);
  if (turns_.messages.empty() && !same_) {
    throw core::bad_request("The messages hold nothing but system text: add a user message.", "/messages");
  }
  body_["messages"] = std::move(turns_.messages);
  limits();
  tools();
  tool_choice();
  response_format();
  reasoning();
  sampling();
  unsupported();
  if (!request_.user.empty()) body_["metadata"] = {{"user_id", request_.user}};
  if (request_.stream) body_["stream"] = true;
  restore_extras(body_, request_, DialectId::Anthropic, drops_);
  EncodedRequest out;
  out.path = "/messages";
  out.headers.add("anthropic-version", kVersion);
  std::vector<std::string> betas;
  if (turns_.uses_files) betas.emplace_back(kFilesBeta);
  if (auto merged = merge_betas(options_.anthropic_beta, betas); !merged.empty()) {
    out.headers.add("anthropic-beta", std::move(merged));
  }
  out.body = std::move(body_);
  out.dropped = drops_.take();
  return out;
}

}  // namespace

EncodedRequest encode_request(const Request& request, const EncodeOptions& options) {
  return MessagesRequestEncoder(request, options).run();
}

}  // namespace assistiv::inference::anthropic
