#include "agents/cel/lexer.h"

#include <charconv>
#include <cmath>
#include <system_error>

#include "agents/cel/expression.h"
#include "agents/cel/fault.h"

namespace assistiv::agents::cel {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<Token> run() {
    std::vector<Token> out;
    for (skip(); at_ < text_.size(); skip()) out.push_back(next());
    out.push_back({Word::End, text_.size(), "", 0, 0});
    return out;
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  void skip() {
    while (at_ < text_.size()) {
      if (is_space(text_[at_])) {
        ++at_;
      } else if (text_.substr(at_).starts_with("//")) {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else {
        return;
      }
    }
  }

  Token next() {
    const char c = peek();
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
    if (const std::size_t prefix = string_prefix(); prefix < 3) return string(prefix);
    if (is_letter(c)) return name();
    if (c == '`') return quoted_name();
    return sign();
  }

  // How many letters stand before a quote: 0 to 2, or 3 when no string begins here.
  std::size_t string_prefix() const {
    bool raw = false, bytes = false;
    for (std::size_t i = 0; i < 3; ++i) {
      const char c = peek(i);
      if (c == '"' || c == '\'') return i;
      bool& seen = c == 'r' || c == 'R' ? raw : bytes;
      if ((c != 'r' && c != 'R' && c != 'b' && c != 'B') || seen) return 3;
      seen = true;
    }
    return 3;
  }

  Token string(std::size_t prefix) {
    Token out{Word::String, at_, "", 0, 0};
    bool raw = false;
    for (; prefix > 0; --prefix, ++at_) {
      if (peek() == 'b' || peek() == 'B') out.word = Word::Bytes;
      if (peek() == 'r' || peek() == 'R') raw = true;
    }
    out.text = read_quoted(text_, at_, raw, out.word == Word::Bytes);
    return out;
  }

  Token name() {
    const std::size_t begin = at_;
    while (is_letter(peek()) || is_digit(peek())) ++at_;
    return {Word::Name, begin, std::string(text_.substr(begin, at_ - begin)), 0, 0};
  }

  Token quoted_name() {
    const std::size_t begin = at_++;
    const auto allowed = [](char c) {
      return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '/' || c == ' ';
    };
    while (allowed(peek())) ++at_;
    if (peek() != '`' || at_ == begin + 1)
      refuse("A name in ` ` has letters, digits, _ . - / and spaces.", begin);
    ++at_;
    return {Word::QuotedName, begin, std::string(text_.substr(begin + 1, at_ - begin - 2)), 0, 0};
  }

  Token number() {
    const std::size_t begin = at_;
    int base = 10;
    bool real = false;
    if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'X')) {
      base = 16;
      at_ += 2;
      while (is_hex(peek())) ++at_;
    } else {
      real = decimal();
    }
    const auto digits = text_.substr(begin + (base == 16 ? 2 : 0), at_ - begin - (base == 16 ? 2 : 0));
    Token out{real ? Word::Double : Word::Int, begin, "", 0, 0};
    if (real) {
      out.number = read_double(digits, begin);
    } else {
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), out.integer, base);
      if (error != std::errc() || end != digits.data() + digits.size())
        refuse("This number is too large.", begin);
      if (peek() == 'u' || peek() == 'U') {
        ++at_;
        out.word = Word::Uint;
      }
    }
    if (is_letter(peek()) || is_digit(peek()))
      refuse("A number ends here and something follows it at once.", at_);
    return out;
  }

  // Moves behind the digits; whether they have a fraction or an exponent.
  bool decimal() {
    bool real = false;
    while (is_digit(peek())) ++at_;
    if (peek() == '.' && is_digit(peek(1))) {
      real = true;
      for (++at_; is_digit(peek());) ++at_;
    }
    const std::size_t sign = peek(1) == '+' || peek(1) == '-' ? 1 : 0;
    if ((peek() == 'e' || peek() == 'E') && is_digit(peek(1 + sign))) {
      real = true;
      for (at_ += 1 + sign; is_digit(peek());) ++at_;
    }
    return real;
  }

  static double read_double(std::string_view digits, std::size_t offset) {
    double out = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    if (error == std::errc::result_out_of_range &&
        digits.find_first_of("123456789") != std::string_view::npos &&
        digits.find("e-") == std::string_view::npos && digits.find("E-") == std::string_view::npos) {
      refuse("This number is too large.", offset);
    }
    return error == std::errc() ? out : 0;
  }

  Token sign() {
    for (const std::string_view two : {"&&", "||", "==", "!=", "<=", ">="}) {
      if (text_.substr(at_).starts_with(two)) return take(2);
    }
    if (std::string_view("+-*/%!?:.,()[]{}<>").find(peek()) != std::string_view::npos) return take(1);
    if (peek() == '&' || peek() == '|' || peek() == '=') refuse("Use &&, || and ==.", at_);
    refuse("This character begins nothing.", at_);
  }

  Token take(std::size_t length) {
    Token out{Word::Sign, at_, std::string(text_.substr(at_, length)), 0, 0};
    at_ += length;
    return out;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

void append_code_point(std::string& out, std::uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

std::uint32_t read_digits(std::string_view text, std::size_t begin, std::size_t count, int base,
                          std::size_t offset) {
  std::uint32_t out = 0;
  if (begin + count > text.size()) refuse("This escape is too short.", offset);
  const char* end = text.data() + begin + count;
  const auto [stop, error] = std::from_chars(text.data() + begin, end, out, base);
  if (error != std::errc() || stop != end) refuse("This escape needs more digits.", offset);
  return out;
}

// The escape whose backslash is at `at`; moves behind it.
void read_escape(std::string_view text, std::size_t& at, bool is_bytes, std::string& out) {
  const std::size_t offset = at++;
  const char c = at < text.size() ? text[at] : '\0';
  constexpr std::string_view kShort = "abfnrtv\\?\"'`";
  constexpr std::string_view kMeans = "\a\b\f\n\r\t\v\\?\"'`";
  if (const auto i = kShort.find(c); c != '\0' && i != std::string_view::npos) {
    out += kMeans[i];
    ++at;
    return;
  }
  std::size_t count = 0;
  if (c == 'x' || c == 'X') count = 2;
  if (c == 'u') count = 4;
  if (c == 'U') count = 8;
  const bool octal = c >= '0' && c <= '3';
  if ((count == 0 && !octal) || (is_bytes && count > 2)) refuse("This escape is not known here.", offset);
  const std::uint32_t point =
      octal ? read_digits(text, at, 3, 8, offset) : read_digits(text, at + 1, count, 16, offset);
  at += octal ? 3 : 1 + count;
  if (point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
    refuse("This is no character of Unicode.", offset);
  if (is_bytes) {
    out += static_cast<char>(point);
  } else {
    append_code_point(out, point);
  }
}

}  // namespace

std::string read_quoted(std::string_view text, std::size_t& at, bool is_raw, bool is_bytes) {
  const std::size_t begin = at;
  const char mark = text[at];
  const std::string three(3, mark);
  const bool is_long = text.substr(at).starts_with(three);
  const std::string_view close = is_long ? std::string_view(three) : text.substr(at, 1);
  std::string out;
  for (at += close.size(); at < text.size();) {
    if (text.substr(at).starts_with(close)) {
      at += close.size();
      return out;
    }
    const char c = text[at];
    if (!is_long && (c == '\n' || c == '\r')) break;
    if (c == '\\' && !is_raw) {
      read_escape(text, at, is_bytes, out);
      continue;
    }
    // A raw string keeps backslashes; one before a quote does not end it in CEL's grammar.
    out += c;
    ++at;
  }
  refuse("This string has no end.", begin);
}

std::vector<Token> tokenize(std::string_view text) {
  return Lexer(text).run();
}

}  // namespace assistiv::agents::cel
