#include "mcp/connectors/draft/draft_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "mcp/connectors/clean_text.h"

namespace assistiv::mcp {

namespace {

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
char lowered(char c) {
  return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

std::string snake_name(std::string_view text, std::size_t max) {
  std::string out;
  for (std::size_t i = 0; i < text.size() && out.size() < 200; ++i) {
    const char c = text[i];
    if (!is_lower(c) && !is_upper(c) && !is_digit(c)) {
      if (!out.empty() && out.back() != '_') out += '_';
      continue;
    }
    // A new word: "userId", and the last capital of "HTMLUrl".
    const bool after_word = i > 0 && (is_lower(text[i - 1]) || is_digit(text[i - 1]));
    const bool before_word = i > 0 && is_upper(text[i - 1]) && i + 1 < text.size() && is_lower(text[i + 1]);
    if (is_upper(c) && (after_word || before_word) && !out.empty() && out.back() != '_') out += '_';
    out += lowered(c);
  }
  if (!out.empty() && is_digit(out.front())) out.insert(0, "n_");
  if (out.size() > max) {
    const auto cut = out.rfind('_', max);
    out.resize(cut == std::string::npos || cut < max / 2 ? max : cut);
  }
  while (!out.empty() && out.back() == '_') out.pop_back();
  return out;
}

std::string words_of_name(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '_', ' ');
  if (!out.empty() && is_lower(out[0])) out[0] = static_cast<char>(out[0] - 'a' + 'A');
  return out;
}

std::string plain_line(std::string_view text, std::size_t max) {
  // Far more than is kept, so that a giant text costs nothing.
  const auto clean = clean_text(text.substr(0, max * 8));
  std::string out;
  for (const char c : clean) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  if (out.size() > max) {
    const auto cut = out.rfind(' ', max - 3);
    out.resize(cut == std::string::npos || cut < max / 2 ? max - 3 : cut);
    while (!core::is_valid_utf8(out)) out.pop_back();
    out += "...";
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

bool matches_glob(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.size() && lowered(pattern[p]) == lowered(text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string text_member(const core::Json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

const core::Json& structured_member(const core::Json& object, const char* name) {
  static const core::Json empty = core::Json::object();
  if (!object.is_object()) return empty;
  const auto it = object.find(name);
  return it != object.end() && it->is_structured() ? *it : empty;
}

}  // namespace assistiv::mcp
