#include "agents/cel/evaluator.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "agents/cel/compare.h"
#include "agents/cel/functions.h"

namespace assistiv::agents::cel {

namespace {

class Evaluator {
 public:
  Evaluator(const Scope& scope, Memory& memory) : scope_(scope), memory_(memory) {}

  Value run(const Node& node) {
    const Value out = value_of(node);
    return node.numeric == Kind::Dyn || out.kind == node.numeric || !out.is_number() ? out
                                                                                     : as(node.numeric, out);
  }

 private:
  // What a schema calls a number is a double and what it calls an integer an int, however JSON writes them.
  static Value as(Kind kind, const Value& value) {
    if (kind == Kind::Double) {
      return Value::of_double(value.is(Kind::Int) ? static_cast<double>(value.integer)
                                                  : static_cast<double>(value.unsigned_integer));
    }
    const auto whole = kind == Kind::Int ? whole_number(value) : std::nullopt;
    return whole ? Value::of_int(*whole) : value;
  }

  Value value_of(const Node& node) {
    memory_.charge(1);
    switch (node.op) {
      case Op::Constant:
        return node.constant;
      case Op::Slot:
        return slots_[node.slot];
      case Op::Variable:
        return variable(node);
      case Op::Select:
      case Op::Has:
        return select(node);
      case Op::List:
        return list(node);
      case Op::Map:
        return map(node);
      case Op::Call:
        return call(node);
      case Op::And:
      case Op::Or:
        return logic(node, node.op == Op::Or);
      case Op::Conditional:
        return conditional(node);
      case Op::Comprehension:
        return comprehension(node);
      case Op::Bind:
        return bind(node);
      default:
        return binary(node);
    }
  }

 private:
  static Value fault(const Node& node, Code code, const char* text = nullptr) {
    Value out = Value::error(code, text);
    out.size = node.offset;
    return out;
  }
  // Names the kinds of (at most two) arguments beside the offset, which has 16 bits.
  static Value no_overload(const Node& node, Arguments args) {
    Value out = fault(node, Code::NoSuchOverload);
    const auto kind = [args](std::size_t i) {
      return static_cast<std::uint32_t>(i < args.size() ? args[i].kind : Kind::Error);
    };
    out.size |= kind(0) << 16 | kind(1) << 24;
    return out;
  }

  Value variable(const Node& node) {
    const core::Json* found = scope_.find(node.text);
    return found == nullptr ? fault(node, Code::NoSuchVariable) : Value::view(*found);
  }

  Value select(const Node& node) {
    const Value target = run(*node.args[0]);
    if (target.is_error()) return target;
    // What has no members at all, null for one, does not have this one.
    if (!target.is(Kind::Map))
      return node.op == Op::Has ? Value::boolean(false) : no_overload(node, {&target, 1});
    const auto found = find_member(memory_, target, Value::string(node.text));
    if (node.op == Op::Has) return Value::boolean(found.has_value());
    return found ? *found : fault(node, Code::NoSuchKey);
  }

  Value binary(const Node& node) {
    const Value args[] = {run(*node.args[0]), run(*node.args[1])};
    for (const auto& arg : args) {
      if (arg.is_error()) return arg;
    }
    if (node.op == Op::Equal) return Value::boolean(equal(memory_, args[0], args[1]));
    if (node.op == Op::NotEqual) return Value::boolean(!equal(memory_, args[0], args[1]));
    if (node.op == Op::Index) return index(node, args[0], args[1]);
    if (node.op == Op::In) return contained(node, args[0], args[1]);
    const auto found = order(memory_, args[0], args[1]);
    if (!found) return no_overload(node, args);
    if (node.op == Op::Less) return Value::boolean(*found < 0);
    if (node.op == Op::LessEqual) return Value::boolean(*found <= 0);
    return Value::boolean(node.op == Op::Greater ? *found > 0 : *found >= 0);
  }

  Value index(const Node& node, const Value& target, const Value& key) {
    if (target.is(Kind::Map)) {
      if (!is_key(key) && !key.is(Kind::Double)) return no_overload(node, std::array{target, key});
      const auto found = find_member(memory_, target, key);
      return found ? *found : fault(node, Code::NoSuchKey);
    }
    if (!target.is(Kind::List) || !key.is_number()) return no_overload(node, std::array{target, key});
    const auto at = whole_number(key);
    if (!at) return fault(node, Code::InvalidArgument, "An index must be a whole number.");
    if (*at < 0 || *at >= target.size) return fault(node, Code::OutOfRange, "The list has no element there.");
    return target.at(static_cast<std::size_t>(*at));
  }

  Value contained(const Node& node, const Value& item, const Value& target) {
    if (target.is(Kind::Map)) return Value::boolean(find_member(memory_, target, item).has_value());
    if (!target.is(Kind::List)) return no_overload(node, std::array{item, target});
    for (std::size_t i = 0; i < target.size; ++i) {
      if (equal(memory_, item, target.at(i))) return Value::boolean(true);
    }
    return Value::boolean(false);
  }

  Value list(const Node& node) {
    std::vector<Value> items;
    for (const auto& arg : node.args) {
      items.push_back(run(*arg));
      if (items.back().is_error()) return items.back();
    }
    return memory_.list(items);
  }

  static bool is_key(const Value& value) {
    return value.is(Kind::String) || value.is(Kind::Int) || value.is(Kind::Uint) || value.is(Kind::Bool);
  }

  Value map(const Node& node) {
    std::vector<Entry> entries;
    for (std::size_t i = 0; i < node.args.size(); i += 2) {
      const Entry entry{run(*node.args[i]), run(*node.args[i + 1])};
      if (entry.key.is_error()) return entry.key;
      if (entry.value.is_error()) return entry.value;
      if (!is_key(entry.key)) {
        return fault(*node.args[i], Code::NoSuchOverload, "A key is a string, an int, a uint or a bool.");
      }
      for (const auto& other : entries) {
        if (equal(memory_, other.key, entry.key)) {
          return fault(*node.args[i], Code::InvalidArgument, "The map has this key twice.");
        }
      }
      entries.push_back(entry);
    }
    return memory_.map(entries);
  }

  Value call(const Node& node) {
    // Arguments of most calls fit here; only math.least and math.greatest take more.
    std::array<Value, 4> few;
    std::vector<Value> many;
    if (node.args.size() > few.size()) many.resize(node.args.size());
    const std::span<Value> args = many.empty() ? std::span(few).first(node.args.size()) : std::span(many);
    for (std::size_t i = 0; i < args.size(); ++i) {
      args[i] = run(*node.args[i]);
      if (args[i].is_error()) return args[i];
    }
    if (node.pattern && args[0].is(Kind::String)) return match_pattern(memory_, *node.pattern, args[0].str());
    for (const auto& overload : node.overloads) {
      if (!accepts(overload, args)) continue;
      Value out = overload.call(memory_, args);
      if (out.is_error() && out.code == Code::NoSuchOverload && out.text == nullptr)
        return no_overload(node, args);
      if (out.is_error()) out.size = node.offset;
      return out;
    }
    return no_overload(node, args);
  }

  // An operand that decides beats one that failed, wherever it stands.
  Value logic(const Node& node, bool decides) {
    std::optional<Value> failed;
    for (const auto& arg : node.args) {
      const Value value = run(*arg);
      if (value.is(Kind::Bool)) {
        if (value.truth == decides) return value;
      } else if (!failed) {
        failed = value.is_error() ? value : no_overload(node, {&value, 1});
      }
    }
    return failed.value_or(Value::boolean(!decides));
  }

  Value conditional(const Node& node) {
    const Value condition = run(*node.args[0]);
    if (condition.is_error()) return condition;
    if (!condition.is(Kind::Bool)) return no_overload(node, {&condition, 1});
    return run(*node.args[condition.truth ? 1 : 2]);
  }

  Value bind(const Node& node) {
    const Value value = run(*node.args[0]);
    if (value.is_error()) return value;
    slots_[node.slot] = value;
    return run(*node.args[1]);
  }

  Value comprehension(const Node& node);

  const Scope& scope_;
  Memory& memory_;
  std::array<Value, kSlotsMax> slots_;
};

// What a macro has gathered so far.
struct Gathered {
  std::vector<Value> items;
  std::vector<Entry> entries;
  std::optional<Value> failed;
  int matches = 0;
};

Value finish(const Node& node, Memory& memory, const Gathered& all) {
  switch (node.macro) {
    case Macro::All:
      return all.failed.value_or(Value::boolean(true));
    case Macro::Exists:
      return all.failed.value_or(Value::boolean(false));
    case Macro::ExistsOne:
      return Value::boolean(all.matches == 1);
    case Macro::TransformMap:
      return memory.map(all.entries);
    default:
      return memory.list(all.items);
  }
}

Value Evaluator::comprehension(const Node& node) {
  const Value range = run(*node.args[0]);
  if (range.is_error()) return range;
  if (!range.is(Kind::List) && !range.is(Kind::Map)) return no_overload(node, {&range, 1});
  std::optional<MapReader> members;
  if (range.is(Kind::Map)) members.emplace(range);
  const bool quantifies = node.macro == Macro::All || node.macro == Macro::Exists;
  Gathered all;
  for (std::size_t i = 0; i < range.size; ++i) {
    memory_.charge(1);
    const Entry entry =
        members ? *members->next() : Entry{Value::of_int(static_cast<std::int64_t>(i)), range.at(i)};
    slots_[node.slot] = members || node.variables == 2 ? entry.key : entry.value;
    if (node.variables == 2) slots_[node.slot + 1U] = entry.value;
    const Value element = slots_[node.slot];
    Value test = node.args[1] ? run(*node.args[1]) : Value::boolean(true);
    if (!test.is(Kind::Bool) && !test.is_error()) test = no_overload(*node.args[1], {&test, 1});
    if (test.is_error()) {
      if (!quantifies) return test;
      if (!all.failed) all.failed = test;
      continue;
    }
    if (quantifies && test.truth == (node.macro == Macro::Exists)) return test;
    if (quantifies || !test.truth) continue;
    ++all.matches;
    if (node.macro == Macro::Filter) all.items.push_back(element);
    if (!node.args[2]) continue;
    const Value result = run(*node.args[2]);
    if (result.is_error()) return result;
    if (node.macro == Macro::TransformMap) all.entries.push_back({entry.key, result});
    if (node.macro == Macro::Map) all.items.push_back(result);
  }
  return finish(node, memory_, all);
}

std::string base_message(const Program& program, const Value& error, std::size_t offset) {
  if (error.text != nullptr) return error.text;
  switch (error.code) {
    case Code::NoSuchKey:
      return "There is no such key";
    case Code::NoSuchVariable:
      return "There is no such variable";
    case Code::Overflow:
      return "The number is too large";
    case Code::DivideByZero:
      return "Division by zero";
    case Code::NoSuchOverload: {
      const auto first = static_cast<Kind>(error.size >> 16 & 0xFF);
      const auto second = static_cast<Kind>(error.size >> 24);
      std::string out = "This does not take " + std::string(kind_name(first));
      if (second != Kind::Error) out += " and " + std::string(kind_name(second));
      return out;
    }
    default:
      return "An argument is wrong at " + std::to_string(offset) + " of " +
             std::to_string(program.text.size());
  }
}

std::string_view code_name(Code code) {
  switch (code) {
    case Code::NoSuchKey:
      return "no_such_key";
    case Code::NoSuchOverload:
      return "no_such_overload";
    case Code::NoSuchVariable:
      return "no_such_variable";
    case Code::Overflow:
      return "overflow";
    case Code::DivideByZero:
      return "divide_by_zero";
    case Code::OutOfRange:
      return "out_of_range";
    case Code::InvalidArgument:
      return "invalid_argument";
  }
  return "invalid_argument";
}

}  // namespace

Value evaluate_value(const Program& program, const Scope& scope, Memory& memory) {
  return Evaluator(scope, memory).run(*program.root);
}

EvaluationError describe(const Program& program, const Value& error) {
  constexpr std::size_t kQuoteMax = 40;
  const std::size_t offset = std::min<std::size_t>(error.size & 0xFFFF, program.text.size());
  std::string message = base_message(program, error, offset);
  if (message.ends_with('.')) message.pop_back();
  std::size_t length = std::min(kQuoteMax, program.text.size() - offset);
  const auto continues = [&](std::size_t i) {
    return i < program.text.size() && (static_cast<unsigned char>(program.text[i]) & 0xC0) == 0x80;
  };
  while (continues(offset + length)) ++length;
  message +=
      ": \"" + program.text.substr(offset, length) + (offset + length < program.text.size() ? "...\"" : "\"");
  return {std::string(code_name(error.code)), message};
}

}  // namespace assistiv::agents::cel
