#include "core/json_parser.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/encoding.h"

namespace assistiv::core {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

void append_utf8(std::string& out, std::uint32_t point) {
  const auto tail = [&](int shift) { out.push_back(static_cast<char>(0x80 | ((point >> shift) & 0x3F))); };
  if (point < 0x80) {
    out.push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (point >> 6)));
    tail(0);
  } else if (point < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (point >> 12)));
    tail(6);
    tail(0);
  } else {
    out.push_back(static_cast<char>(0xF0 | (point >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

// Recursive: `depth_max_` bounds it. Every reader returns false after a fault, with `fault` set.
class JsonParser {
 public:
  JsonParser(std::string_view text, int depth_max) : text_(text), depth_max_(depth_max) {
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
  }

  bool document(Json& out) {
    skip_space();
    if (!value(out, 0)) return false;
    skip_space();
    return at_ == text_.size() || broken();
  }

  std::string fault;

 private:
  // '\0' stands for the end, and is nothing that JSON could go on with.
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
      ++at_;
  }

  bool broken() { return refuse("it is not valid JSON near byte " + std::to_string(at_ + 1)); }

  bool refuse(std::string why) {
    fault = std::move(why);
    return false;
  }

  bool value(Json& out, int depth) {
    switch (peek()) {
      case '{':
        return enter(depth) && object(out, depth + 1);
      case '[':
        return enter(depth) && array(out, depth + 1);
      case '"':
        out = Json::value_t::string;
        return string(out.get_ref<std::string&>());
      case 't':
        return word("true", out, true);
      case 'f':
        return word("false", out, false);
      case 'n':
        return word("null", out, nullptr);
      default:
        return number(out);
    }
  }

  bool enter(int depth) {
    ++at_;
    return depth < depth_max_ || refuse("it is nested deeper than " + std::to_string(depth_max_));
  }

  bool object(Json& out, int depth) {
    out = Json::value_t::object;
    auto& members = out.get_ref<Json::object_t&>();
    skip_space();
    if (peek() == '}') return ++at_, true;
    for (std::string name;; name.clear()) {
      if (peek() != '"') return broken();
      if (!string(name)) return false;
      const auto [member, fresh] = members.try_emplace(std::move(name));
      if (!fresh) return refuse("the key \"" + member->first.substr(0, 100) + "\" occurs twice");
      skip_space();
      if (peek() != ':') return broken();
      ++at_;
      skip_space();
      if (!value(member->second, depth)) return false;
      skip_space();
      if (peek() == '}') return ++at_, true;
      if (peek() != ',') return broken();
      ++at_;
      skip_space();
    }
  }

  bool array(Json& out, int depth) {
    out = Json::value_t::array;
    auto& items = out.get_ref<Json::array_t&>();
    skip_space();
    if (peek() == ']') return ++at_, true;
    for (;;) {
      if (!value(items.emplace_back(), depth)) return false;
      skip_space();
      if (peek() == ']') return ++at_, true;
      if (peek() != ',') return broken();
      ++at_;
      skip_space();
    }
  }

  // Appends the string that begins here.
  bool string(std::string& out) {
    ++at_;
    for (;;) {
      const std::size_t begin = at_;
      bool ascii = true;
      while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\') {
        const auto byte = static_cast<unsigned char>(text_[at_]);
        if (byte < 0x20) return broken();
        ascii = ascii && byte < 0x80;
        ++at_;
      }
      const auto plain = text_.substr(begin, at_ - begin);
      if (!ascii && !is_valid_utf8(plain)) return broken();
      out.append(plain);
      if (at_ == text_.size()) return broken();
      if (text_[at_++] == '"') return true;
      if (!escape(out)) return false;
    }
  }

  // What follows a backslash.
  bool escape(std::string& out) {
    constexpr std::string_view kNames = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
    const char name = peek();
    if (name == 'u') return ++at_, escaped_point(out);
    const auto place = kNames.find(name);
    if (place == std::string_view::npos || at_ == text_.size()) return broken();
    out.push_back(kMeant[place]);
    ++at_;
    return true;
  }

  bool escaped_point(std::string& out) {
    const auto unit = four_digits();
    if (!unit || (*unit >= 0xDC00 && *unit <= 0xDFFF)) return broken();
    if (*unit < 0xD800 || *unit > 0xDBFF) return append_utf8(out, *unit), true;
    if (text_.substr(at_, 2) != "\\u") return broken();
    at_ += 2;
    const auto low = four_digits();
    if (!low || *low < 0xDC00 || *low > 0xDFFF) return broken();
    append_utf8(out, 0x10000 + ((*unit - 0xD800) << 10) + (*low - 0xDC00));
    return true;
  }

  std::optional<std::uint32_t> four_digits() {
    std::uint32_t unit = 0;
    const auto digits = text_.substr(at_, 4);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), unit, 16);
    if (digits.size() < 4 || error != std::errc() || end != digits.data() + 4) return {};
    at_ += 4;
    return unit;
  }

  template <class Value>
  bool word(std::string_view expected, Json& out, Value value) {
    for (const char c : expected) {
      if (peek() != c) return broken();
      ++at_;
    }
    out = value;
    return true;
  }

  bool digits() {
    if (!is_digit(peek())) return broken();
    while (is_digit(peek())) ++at_;
    return true;
  }

  bool number(Json& out) {
    const std::size_t begin = at_;
    bool whole = true;
    if (peek() == '-') ++at_;
    if (peek() == '0') {
      ++at_;
    } else if (!digits()) {
      return false;
    }
    if (peek() == '.') {
      whole = false;
      ++at_;
      if (!digits()) return false;
    }
    if (peek() == 'e' || peek() == 'E') {
      whole = false;
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!digits()) return false;
    }
    const auto text = text_.substr(begin, at_ - begin);
    return (whole && integer(out, text)) || floating(out, text);
  }

  static bool integer(Json& out, std::string_view text) {
    const char* end = text.data() + text.size();
    if (std::uint64_t natural = 0; text[0] != '-') {
      if (std::from_chars(text.data(), end, natural).ec != std::errc()) return false;
      out = natural;
    } else {
      std::int64_t negative = 0;
      if (std::from_chars(text.data(), end, negative).ec != std::errc()) return false;
      out = negative;
    }
    return true;
  }

  bool floating(Json& out, std::string_view text) {
    double number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    // Too large, which is a fault, or too small, which is 0 or nearly so: strtod tells.
    if (read.ec != std::errc()) number = std::strtod(std::string(text).c_str(), nullptr);
    if (!std::isfinite(number)) return broken();
    out = number;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_max_;
};

}  // namespace

std::string parse_json_into(Json& out, std::string_view text, int depth_max) {
  JsonParser parser(text, depth_max);
  return parser.document(out) ? std::string() : std::move(parser.fault);
}

}  // namespace assistiv::core
