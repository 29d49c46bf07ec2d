#include "inference/translate/drops.h"

#include <algorithm>
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

}  // namespace

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
