#include "agents/cel/parser.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "agents/cel/expression.h"
#include "agents/cel/fault.h"
#include "agents/cel/lexer.h"
#include "agents/cel/macros.h"
#include "core/encoding.h"

namespace assistiv::agents::cel {

namespace {

constexpr std::string_view kReserved[] = {"as",        "break",  "const",  "continue", "else", "for",
                                          "function",  "if",     "import", "let",      "loop", "package",
                                          "namespace", "return", "var",    "void",     "while"};
constexpr std::string_view kKeywords[] = {"true", "false", "null", "in"};

struct Operator {
  std::string_view sign;
  int level;  // a higher one binds tighter
  Op op;      // Call: an arithmetic function of the name `function`
  std::string_view function;
};
constexpr Operator kOperators[] = {
    {"||", 1, Op::Or, ""},       {"&&", 2, Op::And, ""},          {"==", 3, Op::Equal, ""},
    {"!=", 3, Op::NotEqual, ""}, {"<", 3, Op::Less, ""},          {"<=", 3, Op::LessEqual, ""},
    {">", 3, Op::Greater, ""},   {">=", 3, Op::GreaterEqual, ""}, {"in", 3, Op::In, ""},
    {"+", 4, Op::Call, "_+_"},   {"-", 4, Op::Call, "_-_"},       {"*", 5, Op::Call, "_*_"},
    {"/", 5, Op::Call, "_/_"},   {"%", 5, Op::Call, "_%_"},
};

template <typename List>
bool is_one_of(const List& list, std::string_view text) {
  return std::find(std::begin(list), std::end(list), text) != std::end(list);
}

class Parser {
 public:
  explicit Parser(std::string_view text) : tokens_(tokenize(text)) {}

  NodePtr run() {
    if (token().word == Word::End) refuse("The expression is empty.", 0);
    NodePtr out = expression();
    if (token().word != Word::End) unexpected();
    return out;
  }

 private:
  const Token& token() const { return tokens_[at_]; }
  const Token& next() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool sees(std::string_view sign) const { return token().word == Word::Sign && token().text == sign; }
  bool accept(std::string_view sign) {
    if (!sees(sign)) return false;
    next();
    return true;
  }
  void expect(std::string_view sign) {
    if (!accept(sign)) unexpected("\"" + std::string(sign) + "\"");
  }
  [[noreturn]] void unexpected(const std::string& wanted = "") const {
    const std::string what = wanted.empty() ? "This was not expected here" : "Expected " + wanted + " here";
    const std::string seen = token().word == Word::End ? ", at the end of the expression." : ".";
    refuse(what + seen, token().offset);
  }

  static NodePtr make(Op op, std::size_t offset) {
    auto out = std::make_unique<Node>();
    out->op = op;
    out->offset = static_cast<std::uint32_t>(offset);
    return out;
  }
  static void add(Node& node, NodePtr child) {
    if (child->height + 1 > kHeightMax) refuse("The expression is nested too deeply.", child->offset);
    node.height = std::max<std::uint16_t>(node.height, static_cast<std::uint16_t>(child->height + 1));
    node.args.push_back(std::move(child));
  }

  // Inside of brackets.
  NodePtr nested() {
    if (++depth_ > kDepthMax) refuse("The expression is nested more than 32 levels deep.", token().offset);
    NodePtr out = expression();
    --depth_;
    return out;
  }

  NodePtr expression() {
    NodePtr condition = binary(1);
    if (!sees("?")) return condition;
    NodePtr out = make(Op::Conditional, next().offset);
    add(*out, std::move(condition));
    add(*out, binary(1));
    expect(":");
    add(*out, expression());
    return out;
  }

  const Operator* operator_here() const {
    const bool is_in = token().word == Word::Name && token().text == "in";
    if (token().word != Word::Sign && !is_in) return nullptr;
    for (const auto& candidate : kOperators) {
      if (candidate.sign == token().text) return &candidate;
    }
    return nullptr;
  }

  // Precedence climbing; all operators go from left to right.
  NodePtr binary(int level) {
    NodePtr left = unary();
    while (const Operator* found = operator_here()) {
      if (found->level < level) break;
      const std::size_t offset = next().offset;
      NodePtr right = binary(found->level + 1);
      const bool is_chain = found->op == Op::And || found->op == Op::Or;
      if (is_chain && left->op == found->op) {
        add(*left, std::move(right));
        continue;
      }
      NodePtr out = make(found->op, offset);
      out->text = found->function;
      add(*out, std::move(left));
      add(*out, std::move(right));
      left = std::move(out);
    }
    return left;
  }

  NodePtr unary() {
    if (!sees("!") && !sees("-")) return member();
    const std::string sign = token().text;
    std::vector<std::size_t> offsets;
    while (sees(sign)) offsets.push_back(next().offset);
    if (sign == "-" && is_number(token().word)) {
      offsets.pop_back();
      is_negative_ = true;
    }
    NodePtr out = member();
    for (; !offsets.empty(); offsets.pop_back()) {
      NodePtr call = make(Op::Call, offsets.back());
      call->text = sign == "!" ? "!_" : "-_";
      add(*call, std::move(out));
      out = std::move(call);
    }
    return out;
  }
  static bool is_number(Word word) { return word == Word::Int || word == Word::Double || word == Word::Uint; }

  NodePtr member() {
    NodePtr out = primary();
    for (;;) {
      if (accept(".")) {
        out = after_dot(std::move(out));
      } else if (sees("[")) {
        NodePtr index = make(Op::Index, next().offset);
        add(*index, std::move(out));
        add(*index, nested());
        expect("]");
        out = std::move(index);
      } else if (sees("{")) {
        refuse("Messages cannot be made here.", token().offset);
      } else {
        return out;
      }
    }
  }

  NodePtr after_dot(NodePtr target) {
    const Token& name = next();
    const bool quoted = name.word == Word::QuotedName;
    if (name.word != Word::Name && !quoted) refuse("Expected a name after the dot.", name.offset);
    if (!quoted && is_one_of(kKeywords, name.text))
      refuse("\"" + name.text + "\" is no name of a member.", name.offset);
    if (quoted || !sees("(")) {
      NodePtr out = make(Op::Select, name.offset);
      out->text = name.text;
      add(*out, std::move(target));
      return out;
    }
    NodePtr call = make(Op::Call, name.offset);
    call->text = name.text;
    call->is_member = true;
    add(*call, std::move(target));
    next();
    arguments(*call, ")");
    return expand_macro(std::move(call));
  }

  // Up to the closing bracket, a comma before it allowed where the grammar has one.
  void arguments(Node& node, std::string_view close) {
    while (!accept(close)) {
      add(node, nested());
      if (accept(close)) return;
      expect(",");
      if (close == ")" && sees(")")) unexpected();
    }
  }

  NodePtr primary() {
    const Token& first = token();
    switch (first.word) {
      case Word::Int:
      case Word::Uint:
      case Word::Double:
        return number();
      case Word::String:
      case Word::Bytes: {
        NodePtr out = make(Op::Constant, next().offset);
        out->text = first.text;
        out->constant = first.word == Word::String ? Value::string(out->text) : Value::bytes(out->text);
        return out;
      }
      case Word::Name:
        return name();
      case Word::Sign:
        return bracket();
      default:
        unexpected("a value");
    }
  }

  NodePtr number() {
    const Token& literal = next();
    const bool negative = std::exchange(is_negative_, false);
    NodePtr out = make(Op::Constant, literal.offset);
    if (literal.word == Word::Double) {
      out->constant = Value::of_double(negative ? -literal.number : literal.number);
    } else if (literal.word == Word::Uint) {
      if (negative) refuse("A uint has no sign.", literal.offset);
      out->constant = Value::of_uint(literal.integer);
    } else {
      const auto max = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
      if (literal.integer > max + (negative ? 1 : 0))
        refuse("This number is too large for an int.", literal.offset);
      out->constant =
          Value::of_int(static_cast<std::int64_t>(negative ? 0 - literal.integer : literal.integer));
    }
    return out;
  }

  NodePtr name() {
    const Token& word = next();
    if (word.text == "true" || word.text == "false" || word.text == "null") {
      NodePtr out = make(Op::Constant, word.offset);
      out->constant = word.text == "null" ? Value::null() : Value::boolean(word.text == "true");
      return out;
    }
    if (is_one_of(kReserved, word.text) || word.text == "in") {
      refuse("\"" + word.text + "\" is a reserved word.", word.offset);
    }
    NodePtr out = make(sees("(") ? Op::Call : Op::Variable, word.offset);
    out->text = word.text;
    if (!accept("(")) return out;
    arguments(*out, ")");
    return expand_macro(std::move(out));
  }

  NodePtr bracket() {
    const std::size_t offset = token().offset;
    if (accept("(")) {
      NodePtr out = nested();
      expect(")");
      return out;
    }
    if (accept("[")) {
      NodePtr out = make(Op::List, offset);
      arguments(*out, "]");
      return out;
    }
    if (accept("{")) return map(offset);
    if (accept(".")) {
      if (token().word != Word::Name) unexpected("a name");
      return name();
    }
    unexpected("a value");
  }

  NodePtr map(std::size_t offset) {
    NodePtr out = make(Op::Map, offset);
    while (!accept("}")) {
      add(*out, nested());
      expect(":");
      add(*out, nested());
      if (accept("}")) break;
      expect(",");
    }
    return out;
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool is_negative_ = false;
};

}  // namespace

NodePtr parse(std::string_view text) {
  const auto points = static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
  if (points > kTextMax || text.size() > 4 * kTextMax)
    refuse("The expression has more than 2,000 characters.", kTextMax);
  if (!core::is_valid_utf8(text)) refuse("The expression is not valid UTF-8.", 0);
  return Parser(text).run();
}

}  // namespace assistiv::agents::cel
