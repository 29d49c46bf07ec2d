#pragma once
// The tree of an expression: made by the parser, resolved by the checker, walked by the evaluator.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "agents/cel/types.h"
#include "agents/cel/value.h"

namespace re2 {
class RE2;
}

namespace assistiv::agents::cel {

struct Overload;

enum class Op : std::uint8_t {
  Constant,
  Variable,  // `text`; the checker makes it a Slot where a macro binds it
  Slot,
  Select,  // args[0].text
  Has,     // has(args[0].text)
  Index,   // args[0][args[1]]
  In,
  List,
  Map,   // key, value, key, value, ...
  Call,  // text(args...) or args[0].text(args[1]...)
  And,   // of two or more
  Or,
  Conditional,
  Equal,
  NotEqual,
  Less,
  LessEqual,
  Greater,
  GreaterEqual,
  Comprehension,
  Bind,  // cel.bind(slot, args[0], args[1])
};

enum class Macro : std::uint8_t { All, Exists, ExistsOne, Filter, Map, TransformMap };

struct Node {
  Op op = Op::Constant;
  bool is_member = false;      // Call: the first argument is before the dot
  Macro macro{};               // Comprehension
  std::uint8_t variables = 0;  // Comprehension: 1 (element or key) or 2 (index or key, and value)
  std::uint8_t slot = 0;       // Slot, Bind, Comprehension: where the (first) variable is
  Kind numeric = Kind::Dyn;  // the type when it is a number: JSON may write 3.0 for an int and 3 for a double
  std::uint16_t height = 1;
  std::uint32_t offset = 0;        // of what an error is about: the name, the operator, the bracket
  Value constant;                  // strings point into `text`
  std::string text;                // name, member, text of a string constant
  std::vector<std::string> names;  // Comprehension, Bind: of the variables
  // Comprehension: the range, the test or null, the result or null.
  std::vector<std::unique_ptr<Node>> args;
  std::span<const Overload> overloads;      // Call: those with its name
  std::shared_ptr<const re2::RE2> pattern;  // of matches() with a constant
};
using NodePtr = std::unique_ptr<Node>;

// A compiled expression. The text is kept for messages.
struct Program {
  std::string text;
  NodePtr root;
  std::size_t slots = 0;
  Type type = Type::dyn();
  std::set<std::string> reads;
};

}  // namespace assistiv::agents::cel
