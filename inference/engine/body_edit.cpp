#include "inference/engine/body_edit.h"

#include <functional>

namespace assistiv::inference {

namespace {

std::size_t skip_space(std::string_view text, std::size_t at) {
  const auto next = text.find_first_not_of(" \t\r\n", at);
  return next == std::string_view::npos ? text.size() : next;
}

// Behind the string that begins at `at`.
std::size_t skip_string(std::string_view text, std::size_t at) {
  ++at;
  while (at < text.size()) {
    at = text.find_first_of("\"\\", at);
    if (at == std::string_view::npos) return text.size();
    if (text[at] == '"') return at + 1;
    at += 2;  // the backslash and what it escapes
  }
  return text.size();
}

std::size_t skip_value(std::string_view text, std::size_t at) {
  if (text[at] == '"') return skip_string(text, at);
  if (text[at] != '{' && text[at] != '[') {
    const auto end = text.find_first_of(",}] \t\r\n", at);
    return end == std::string_view::npos ? text.size() : end;
  }
  for (std::size_t depth = 0; at < text.size();) {
    at = text.find_first_of("\"{}[]", at);
    if (at == std::string_view::npos) return text.size();
    if (text[at] == '"') {
      at = skip_string(text, at);
      continue;
    }
    depth += text[at] == '{' || text[at] == '[' ? 1 : -1;
    ++at;
    if (depth == 0) return at;
  }
  return at;
}

struct Member {
  std::string_view name;
  std::size_t value_begin = 0;
  std::size_t value_end = 0;
};

// Calls `visit` for each member until it returns true. Gives the end of the last member, 0 without any.
std::size_t each_member(std::string_view text, const std::function<bool(const Member&)>& visit) {
  std::size_t last = 0;
  std::size_t at = skip_space(text, 0);
  if (at >= text.size() || text[at] != '{') return last;
  at = skip_space(text, at + 1);
  while (at < text.size() && text[at] == '"') {
    Member member;
    const std::size_t name_end = skip_string(text, at);
    member.name = text.substr(at + 1, name_end - at - 2);
    at = skip_space(text, name_end);  // the colon
    at = skip_space(text, at + 1);    // the value
    if (at >= text.size()) return last;
    member.value_begin = at;
    member.value_end = last = skip_value(text, at);
    if (visit(member)) return last;
    at = skip_space(text, last);
    if (at >= text.size() || text[at] != ',') return last;
    at = skip_space(text, at + 1);
  }
  return last;
}

}  // namespace

std::optional<std::string_view> json_member(std::string_view object, std::string_view name) {
  std::optional<std::string_view> found;
  each_member(object, [&](const Member& member) {
    if (member.name != name) return false;
    found = object.substr(member.value_begin, member.value_end - member.value_begin);
    return true;
  });
  return found;
}

std::string with_json_member(std::string_view object, std::string_view name, std::string_view value) {
  std::optional<Member> found;
  const std::size_t last = each_member(object, [&](const Member& member) {
    if (member.name == name) found = member;
    return found.has_value();
  });
  std::string out;
  out.reserve(object.size() + name.size() + value.size() + 4);
  if (found) {
    out.append(object.substr(0, found->value_begin)).append(value).append(object.substr(found->value_end));
    return out;
  }
  const std::size_t at = last > 0 ? last : skip_space(object, 0) + 1;
  out.append(object.substr(0, at)).append(last > 0 ? ",\"" : "\"").append(name).append("\":").append(value);
  out.append(object.substr(at));
  return out;
}

bool plain_member_names(std::string_view object) {
  bool plain = true;
  each_member(object, [&](const Member& member) {
    plain = member.name.find('\\') == std::string_view::npos;
    return !plain;
  });
  return plain;
}

}  // namespace assistiv::inference
