#include "inference/translate/drops.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.h"
#include "inference/translate/fields.h"

namespace assistiv::inference {

namespace {

constexpr std::size_t kNamesMax = 100;

std::vector<std::string> pointer_tokens(std::string_view pointer) {
  std::vector<std::string> out;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const auto end = std::min(pointer.find('/'), pointer.size());
    std::string token;
    for (std::size_t i = 0; i < end; ++i) {
      if (pointer[i] == '~' && i + 1 < end) {
        token.push_back(pointer[++i] == '1' ? '/' : '~');
      } else {
        token.push_back(pointer[i]);
      }
    }
    out.push_back(std::move(token));
    pointer.remove_prefix(end);
  }
  return out;
}

std::optional<std::size_t> index_of(const std::string& token) {
  std::size_t index = 0;
  const auto [end, fault] = std::from_chars(token.data(), token.data() + token.size(), index);
  if (fault != std::errc() || end != token.data() + token.size()) return {};
  return index;
}

// Text that stands for a list of one text part, where the pointer goes on into the list.
void open_text(core::Json& value) {
  if (!value.is_string()) return;
  core::Json part = {{"type", "text"}};
  part["text"] = std::move(value.get_ref<std::string&>());
  value = core::Json::array({std::move(part)});
}

// False when the place is gone.
bool put_back(core::Json& body, const Extra& extra) {
  auto tokens = pointer_tokens(extra.path);
  core::Json* at = &body;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    const auto index = index_of(tokens[i + 1]);
    if (at->is_object()) {
      const auto it = at->find(tokens[i]);
      const bool first = index == std::size_t{0} && i + 2 == tokens.size();
      if (it == at->end() && !first) return false;
      at = &(*at)[tokens[i]];
      if (first && at->is_null()) *at = core::Json::array();  // a list of nothing but extras
      if (index) open_text(*at);
    } else if (const auto here = index_of(tokens[i]); at->is_array() && here && *here < at->size()) {
      at = &(*at)[*here];
    } else {
      return false;
    }
  }
  if (tokens.empty()) return false;
  if (at->is_object()) {
    (*at)[tokens.back()] = extra.value;
    return true;
  }
  const auto index = index_of(tokens.back());
  if (!at->is_array() || !index || *index > at->size()) return false;
  at->insert(at->begin() + static_cast<std::ptrdiff_t>(*index), extra.value);
  return true;
}

// Tools are named apart: to leave one out changes what the caller asked for.
void refuse_server_tool(const Extra& extra) {
  const auto tokens = pointer_tokens(extra.path);
  if (tokens.size() == 1 && tokens[0] == "mcp_servers") {
    throw core::bad_request(
        "\"mcp_servers\" is run by Anthropic itself and cannot be carried to the provider of this model.",
        extra.path);
  }
  const bool whole_tool = tokens.size() == 2 && tokens[0] == "tools";
  const bool gemini_tool = extra.dialect == DialectId::Gemini && tokens.size() == 3 && tokens[0] == "tools" &&
                           !index_of(tokens[2]);
  if (!whole_tool && !gemini_tool) return;
  std::string name = gemini_tool ? tokens[2] : text_of(extra.value, "type");
  if (name.empty()) name = text_of(extra.value, "name");
  throw core::bad_request("The tool \"" + name +
                              "\" is run by the provider that defined it and cannot be "
                              "carried to the provider of this model.",
                          extra.path);
}

// Members of Request by their name on chat completions, and what each client calls them. Empty: the same, or
// the dialect has none.
struct OptionName {
  std::string_view chat;
  std::string_view responses;
  std::string_view anthropic;
  std::string_view gemini;
};
constexpr std::array kOptionNames = {
    OptionName{"temperature", {}, {}, "generationConfig/temperature"},
    OptionName{"top_p", {}, {}, "generationConfig/topP"},
    OptionName{"top_k", {}, {}, "generationConfig/topK"},
    OptionName{"n", {}, {}, "generationConfig/candidateCount"},
    OptionName{"seed", {}, {}, "generationConfig/seed"},
    OptionName{"stop", {}, "stop_sequences", "generationConfig/stopSequences"},
    OptionName{"logprobs", "include", {}, "generationConfig/responseLogprobs"},
    OptionName{"top_logprobs", {}, {}, "generationConfig/logprobs"},
    OptionName{"frequency_penalty", {}, {}, "generationConfig/frequencyPenalty"},
    OptionName{"presence_penalty", {}, {}, "generationConfig/presencePenalty"},
    OptionName{"parallel_tool_calls", {}, "tool_choice/disable_parallel_tool_use", {}},
    OptionName{"response_format", "text/format", "output_config/format", "generationConfig/responseMimeType"},
    OptionName{"response_format/json_schema", "text/format", "output_config/format",
               "generationConfig/responseJsonSchema"},
};

std::string_view name_for(DialectId client, const OptionName& option) {
  std::string_view own;
  if (client == DialectId::OpenAiResponses) own = option.responses;
  if (client == DialectId::Anthropic) own = option.anthropic;
  if (client == DialectId::Gemini) own = option.gemini;
  return own.empty() ? option.chat : own;
}

// The name up to its index, if it ends in one ("stop/4").
std::string_view without_index(std::string_view name) {
  const auto last = name.find_last_not_of("0123456789");
  const bool indexed = last != std::string_view::npos && last + 1 < name.size() && name[last] == '/';
  return indexed ? name.substr(0, last) : name;
}

}  // namespace

std::string part_pointer(DialectId client, const Message& message, std::size_t index) {
  const auto number = [&](auto same_list) {
    const auto end = message.parts.begin() + static_cast<std::ptrdiff_t>(index);
    return "/" + std::to_string(std::count_if(message.parts.begin(), end, same_list));
  };
  const auto& part = message.parts[index];
  switch (client) {
    case DialectId::Anthropic:
      return message.origin + (message.origin == "/system" ? "/" : "/content/") + std::to_string(index);
    case DialectId::Gemini:
      return message.origin + "/parts/" + std::to_string(index);
    case DialectId::OpenAiResponses:
      // Items of the assistant, and results, were gathered into turns.
      if (message.role == Role::Assistant || std::holds_alternative<ToolResultPart>(part))
        return message.origin;
      return message.origin + "/content/" + std::to_string(index);
    case DialectId::OpenAiChat:
      break;
  }
  if (std::holds_alternative<ToolResultPart>(part)) return message.origin;
  if (const auto* thinking = std::get_if<ThinkingPart>(&part)) {
    const bool bare = thinking->signature.empty() && thinking->redacted.empty();
    return message.origin + (bare ? "/reasoning_content" : "/reasoning_details");
  }
  if (std::holds_alternative<ToolCallPart>(part)) {
    return message.origin + "/tool_calls" +
           number([](const Part& one) { return std::holds_alternative<ToolCallPart>(one); });
  }
  return message.origin + "/content" + number([](const Part& one) {
           return std::holds_alternative<TextPart>(one) || std::holds_alternative<MediaPart>(one);
         });
}

std::string signature_pointer(DialectId client, const Message& message, std::size_t index) {
  const auto part = part_pointer(client, message, index);
  if (client == DialectId::OpenAiResponses) return part;
  return part + (client == DialectId::Gemini ? "/thoughtSignature" : "/extra_content");
}

std::string detail_pointer(DialectId client, const std::string& part) {
  return part + (client == DialectId::OpenAiChat ? "/image_url/detail" : "/detail");
}

ChoiceOptions choice_options(const Request& request, DialectId target, Drops& drops) {
  ChoiceOptions out{request.n, request.logprobs, request.top_logprobs};
  if (!request.stream || request.dialect == target) return out;
  if (out.n.value_or(1) > 1) drops.option("n");
  if (out.logprobs.value_or(false)) drops.option("logprobs");
  if (out.top_logprobs.value_or(0) > 0) drops.option("top_logprobs");
  return {};
}

std::string field_name(std::string_view pointer) {
  std::string out;
  for (const auto& token : pointer_tokens(pointer)) {
    if (index_of(token)) {
      out.append("[").append(token).append("]");
    } else {
      if (!out.empty()) out.push_back('.');
      out += token;
    }
  }
  // Names of a caller's own go into a header.
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return out;
}

void Drops::add(std::string_view pointer) {
  if (mode_ == Unsupported::Strict) {
    throw core::bad_request(
        "\"" + field_name(pointer) + "\" cannot be carried to the provider of this model.",
        std::string(pointer));
  }
  note(pointer);
}

void Drops::option(std::string_view name) {
  const auto bare = without_index(name);
  const auto* known = std::find_if(kOptionNames.begin(), kOptionNames.end(),
                                   [&](const OptionName& one) { return one.chat == bare; });
  std::string pointer = "/";
  pointer.append(known == kOptionNames.end() ? bare : name_for(client_, *known));
  add(pointer.append(name.substr(bare.size())));
}

void Drops::summary_style(const Reasoning& reasoning) {
  if (!reasoning.summary.empty() && reasoning.summary != "auto") note(reasoning.origin + "/summary");
}

void Drops::note(std::string_view pointer) {
  std::string name = field_name(pointer);
  if (std::find(names_.begin(), names_.end(), name) != names_.end()) return;
  if (names_.size() < kNamesMax) {
    names_.push_back(std::move(name));
  } else {
    ++more_;
  }
}

std::vector<std::string> Drops::take() {
  if (more_ > 0) names_.push_back("(" + std::to_string(more_) + " more)");
  more_ = 0;
  return std::move(names_);
}

void restore_extras(core::Json& body, const Request& request, DialectId self, Drops& drops) {
  for (const auto& extra : request.extras) {
    if (extra.dialect == self) {
      if (!put_back(body, extra)) drops.add(extra.path);
      continue;
    }
    refuse_server_tool(extra);
    drops.add(extra.path);
  }
}

}  // namespace assistiv::inference
