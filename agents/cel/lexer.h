#pragma once
// The words of an expression.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace assistiv::agents::cel {

enum class Word : std::uint8_t {
  Name,        // an identifier, a keyword or a reserved word
  QuotedName,  // `content-type`: only after a dot
  Int,
  Uint,
  Double,
  String,
  Bytes,
  Sign,  // an operator or a bracket: `text`
  End,
};

struct Token {
  Word word = Word::End;
  std::size_t offset = 0;
  std::string text;           // the name, the sign, the content of a string
  std::uint64_t integer = 0;  // Int, Uint: without a sign
  double number = 0;
};

// The last one is End. Throws CompileError: a character that begins nothing, a string without end, a bad
// escape, a number that is too large.
std::vector<Token> tokenize(std::string_view text);

// The content of a quoted literal from its opening quote, `at` is set behind the closing one.
std::string read_quoted(std::string_view text, std::size_t& at, bool is_raw, bool is_bytes);

}  // namespace assistiv::agents::cel
