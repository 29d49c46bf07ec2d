#include "agents/cel/checker.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "agents/cel/compare.h"
#include "agents/cel/evaluator.h"
#include "agents/cel/expression.h"
#include "agents/cel/fault.h"
#include "agents/cel/functions.h"

namespace assistiv::agents::cel {

namespace {

[[noreturn]] void fail(const Node& node, std::string message) {
  refuse(std::move(message), node.offset);
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size() && i < 12; ++i) out += (i == 0 ? "" : ", ") + names[i];
  return names.size() > 12 ? out + ", ..." : out;
}

// "a.b.c" of nested Selects over a variable; empty for anything else.
std::string dotted(const Node& node) {
  if (node.op == Op::Variable) return node.text;
  if (node.op != Op::Select) return {};
  const std::string front = dotted(*node.args[0]);
  return front.empty() ? front : front + "." + node.text;
}

bool is_numeric(Kind kind) {
  return kind == Kind::Int || kind == Kind::Uint || kind == Kind::Double;
}

bool may_equal(const Type& a, const Type& b) {
  if (a.is_dyn() || b.is_dyn() || a.kind() == Kind::Null || b.kind() == Kind::Null) return true;
  if (is_numeric(a.kind()) && is_numeric(b.kind())) return true;
  return (a.is_map() && b.is_map()) || a.kind() == b.kind();
}

class Checker {
 public:
  Checker(Program& program, const Declarations& declarations)
      : program_(program), declarations_(declarations) {}

  Type visit(Node& node) {
    const Type out = resolve(node);
    node.numeric = is_numeric(out.kind()) ? out.kind() : Kind::Dyn;
    return out;
  }

 private:
  Type resolve(Node& node) {
    switch (node.op) {
      case Op::Constant:
        return Type::of(node.constant.kind);
      case Op::Variable:
        return variable(node);
      case Op::Slot:
        return Type::dyn();
      case Op::Select:
      case Op::Has:
        return select(node);
      case Op::Index:
        return index(node);
      case Op::In:
        return contained(node);
      case Op::List:
        return list(node);
      case Op::Map:
        return map(node);
      case Op::Call:
        return call(node);
      case Op::And:
      case Op::Or:
        for (const auto& arg : node.args) expect(*arg, Kind::Bool, "&& and || take");
        return Type::of(Kind::Bool);
      case Op::Conditional: {
        expect(*node.args[0], Kind::Bool, "A condition is");
        const Type first = visit(*node.args[1]);
        return join(first, visit(*node.args[2]));
      }
      case Op::Equal:
      case Op::NotEqual:
        return equality(node);
      case Op::Comprehension:
        return comprehension(node);
      case Op::Bind:
        return bind(node);
      default:
        return ordering(node);
    }
  }

 private:
  struct Local {
    std::string name;
    std::uint8_t slot;
    Type type;
  };

  const Local* local(std::string_view name) const {
    const auto it =
        std::find_if(locals_.rbegin(), locals_.rend(), [&](const Local& l) { return l.name == name; });
    return it == locals_.rend() ? nullptr : &*it;
  }

  void expect(Node& node, Kind kind, const std::string& what) {
    const Type type = visit(node);
    if (!type.is_dyn() && type.kind() != kind) {
      fail(node, what + " a " + std::string(kind_name(kind)) + ", not " + type.name() + ".");
    }
  }

  Type variable(Node& node) {
    if (const Local* found = local(node.text)) {
      node.op = Op::Slot;
      node.slot = found->slot;
      return found->type;
    }
    if (const Type* declared = declarations_.find(node.text)) {
      record(node.text);
      return *declared;
    }
    if (const auto kind = kind_named(node.text)) return type_constant(node, *kind);
    fail(node,
         "There is no variable \"" + node.text + "\". There are: " + listed(declarations_.names()) + ".");
  }

  static Type type_constant(Node& node, Kind kind) {
    node.op = Op::Constant;
    node.constant = Value::of_type(kind);
    node.args.clear();
    return Type::of(Kind::Type);
  }

  void record(const std::string& path) {
    if (recording_) program_.reads.insert(path);
  }

  // The path of a member of a declared variable: "state.category" for state.category and state["category"].
  std::optional<std::string> path_of(const Node& node) const {
    if (node.op == Op::Variable) {
      return local(node.text) || !declarations_.find(node.text) ? std::nullopt : std::optional(node.text);
    }
    const bool selects = node.op == Op::Select || node.op == Op::Has;
    const bool named =
        node.op == Op::Index && node.args[1]->op == Op::Constant && node.args[1]->constant.is(Kind::String);
    if (!selects && !named) return std::nullopt;
    auto front = path_of(*node.args[0]);
    if (front) *front += "." + (selects ? node.text : node.args[1]->text);
    return front;
  }

  // Visits what a member is taken from; of a whole path only the longest is recorded.
  Type visit_target(const Node& node) {
    const auto path = path_of(node);
    if (path) record(*path);
    const bool before = std::exchange(recording_, recording_ && !path);
    Type out = visit(*node.args[0]);
    recording_ = before;
    return out;
  }

  Type select(Node& node) {
    const std::string name = dotted(node);
    if (!name.empty() && !local(name.substr(0, name.find('.'))) &&
        !declarations_.find(name.substr(0, name.find('.')))) {
      if (const auto kind = kind_named(name)) return type_constant(node, *kind);
    }
    const Type member = member_of(node, visit_target(node), node.text);
    return node.op == Op::Has ? Type::of(Kind::Bool) : member;
  }

  static Type member_of(const Node& node, const Type& target, const std::string& name) {
    if (!target.is_dyn() && !target.is_map()) {
      fail(node, "A " + target.name() + " has no members, so none that is called \"" + name + "\".");
    }
    const auto member = target.member(name);
    if (!member) {
      const auto names = target.member_names();
      fail(node, "There is no \"" + name + "\" here. " +
                     (names.empty() ? "The object has no members." : "There are: " + listed(names) + "."));
    }
    return *member;
  }

  Type index(Node& node) {
    const Type target = visit_target(node);
    const Type key = visit(*node.args[1]);
    if (target.is_dyn()) return target;
    if (target.kind() == Kind::List) {
      if (!key.is_dyn() && !is_numeric(key.kind())) fail(node, "The index of a list is an int.");
      return target.element();
    }
    if (!target.is_map()) fail(node, "A " + target.name() + " has no elements.");
    if (!may_equal(target.key(), key)) fail(node, "The keys here are " + target.key().name() + ".");
    const bool named = node.args[1]->op == Op::Constant && node.args[1]->constant.is(Kind::String);
    if (named) return member_of(node, target, node.args[1]->text);
    return target.kind() == Kind::Map ? target.element() : Type::dyn();
  }

  Type contained(Node& node) {
    const Type item = visit(*node.args[0]);
    const Type target = visit(*node.args[1]);
    if (!target.is_dyn() && target.kind() != Kind::List && !target.is_map()) {
      fail(node, "What is right of \"in\" is a list or a map, not " + target.name() + ".");
    }
    const Type inside = target.is_map() ? target.key() : target.element();
    if (!may_equal(item, inside)) fail(node, "A " + item.name() + " is never in a " + target.name() + ".");
    return Type::of(Kind::Bool);
  }

  Type joined(Node& node, std::size_t first, std::size_t step) {
    std::optional<Type> out;
    for (std::size_t i = first; i < node.args.size(); i += step) {
      const Type type = visit(*node.args[i]);
      out = out ? join(*out, type) : type;
    }
    return out.value_or(Type::dyn());
  }
  Type list(Node& node) { return Type::list(joined(node, 0, 1)); }
  Type map(Node& node) {
    const Type key = joined(node, 0, 2);
    return Type::map(key, joined(node, 1, 2));
  }

  Type equality(Node& node) {
    const Type a = visit(*node.args[0]);
    const Type b = visit(*node.args[1]);
    if (!may_equal(a, b)) fail(node, "A " + a.name() + " is never equal to a " + b.name() + ".");
    return Type::of(Kind::Bool);
  }

  Type ordering(Node& node) {
    const Type a = visit(*node.args[0]);
    const Type b = visit(*node.args[1]);
    if (!a.is_dyn() && !b.is_dyn() && !have_order(a.kind(), b.kind())) {
      fail(node, "There is no order between a " + a.name() + " and a " + b.name() + ".");
    }
    return Type::of(Kind::Bool);
  }

  // math.abs(x): the name before the dot is part of the function's, not a variable.
  void resolve_function(Node& node) {
    if (node.is_member && node.args[0]->op == Op::Variable && !local(node.args[0]->text)) {
      const std::string whole = node.args[0]->text + "." + node.text;
      if (!find_overloads(whole, false).empty()) {
        node.text = whole;
        node.is_member = false;
        node.args.erase(node.args.begin());
      }
    }
    node.overloads = find_overloads(node.text, node.is_member);
    if (node.overloads.empty()) fail(node, "There is no function \"" + node.text + "\" in this form.");
  }

  Type call(Node& node) {
    resolve_function(node);
    std::vector<Type> args;
    for (const auto& arg : node.args) args.push_back(visit(*arg));
    std::optional<Type> out;
    for (const auto& overload : node.overloads) {
      if (!fits(overload, args)) continue;
      const Type result = result_of(overload, args);
      out = out && !(*out == result) ? Type::dyn() : result;
    }
    if (!out) fail(node, signature_fault(node, args));
    check_constants(node);
    return *out;
  }

  static bool fits(const Overload& overload, const std::vector<Type>& args) {
    if (overload.parameters == "...") return !args.empty();
    if (overload.parameters.size() != args.size()) return false;
    for (std::size_t i = 0; i < args.size(); ++i) {
      if (!args[i].is_dyn() && !accepts(overload.parameters[i], args[i].kind())) return false;
    }
    return true;
  }

  static Type result_of(const Overload& overload, const std::vector<Type>& args) {
    if (overload.result == 'S') return Type::list(Type::of(Kind::String));
    if (overload.result == '=') return args.size() > 1 ? join(args[0], args[1]) : args[0];
    if (overload.result == 'e') return args[0].element();
    return Type::of(kind_of_letter(overload.result));
  }

  static std::string signature_fault(const Node& node, const std::vector<Type>& args) {
    std::string given;
    for (const auto& arg : args) given += (given.empty() ? "" : ", ") + arg.name();
    std::string name = node.text;
    if (name.ends_with('_')) std::erase(name, '_');  // operators: "_+_", "!_"
    const bool mixed = args.size() == 2 && is_numeric(args[0].kind()) && is_numeric(args[1].kind());
    return "\"" + name + "\" does not take (" + given + ")." +
           (mixed ? " Convert one of them, with double() or int()." : "");
  }

  // Patterns and time zones that are written in the expression are looked at once, here.
  static void check_constants(Node& node) {
    if (node.args.empty() || node.args.back()->op != Op::Constant ||
        !node.args.back()->constant.is(Kind::String))
      return;
    const Node& last = *node.args.back();
    if (node.text == "matches" && node.args.size() == 2) {
      std::string error;
      node.pattern = compile_pattern(last.text, error);
      if (!node.pattern) fail(last, "This is no pattern of RE2: " + error + ".");
    }
    if (node.is_member && node.text.starts_with("get") && node.args.size() == 2 && !is_time_zone(last.text)) {
      fail(last, "There is no time zone \"" + last.text + "\".");
    }
  }

  std::uint8_t take_slots(const Node& node, std::size_t count) {
    if (locals_.size() + count > kSlotsMax) fail(node, "The expression binds too many variables.");
    program_.slots = std::max(program_.slots, locals_.size() + count);
    return static_cast<std::uint8_t>(locals_.size());
  }

  Type comprehension(Node& node) {
    const Type range = visit(*node.args[0]);
    if (!range.is_dyn() && range.kind() != Kind::List && !range.is_map()) {
      fail(node, "This goes over a list or a map, not over a " + range.name() + ".");
    }
    if (++comprehensions_ > kComprehensionsMax)
      fail(node, "At most 2 macros may go over lists within each other.");
    node.slot = take_slots(node, node.variables);
    const Type key = range.is_map() ? range.key() : range.is_dyn() ? range : Type::of(Kind::Int);
    const Type value = range.kind() == Kind::Object ? Type::dyn() : range.element();
    const bool first_is_key = node.variables == 2 || range.is_map();
    const Type first = range.is_dyn() ? range : first_is_key ? key : value;
    locals_.push_back({node.names[0], node.slot, first});
    if (node.variables == 2)
      locals_.push_back({node.names[1], static_cast<std::uint8_t>(node.slot + 1), value});
    if (node.args[1]) expect(*node.args[1], Kind::Bool, "The test of a macro is");
    const Type result = node.args[2] ? visit(*node.args[2]) : first;
    locals_.resize(locals_.size() - node.variables, locals_.front());
    --comprehensions_;
    if (node.macro == Macro::Map || node.macro == Macro::Filter) return Type::list(result);
    return node.macro == Macro::TransformMap ? Type::map(key, result) : Type::of(Kind::Bool);
  }

  Type bind(Node& node) {
    const Type value = visit(*node.args[0]);
    node.slot = take_slots(node, 1);
    locals_.push_back({node.names[0], node.slot, value});
    const Type out = visit(*node.args[1]);
    locals_.pop_back();
    return out;
  }

  Program& program_;
  const Declarations& declarations_;
  std::vector<Local> locals_;
  int comprehensions_ = 0;
  bool recording_ = true;
};

}  // namespace

void check(Program& program, const Declarations& declarations) {
  program.type = Checker(program, declarations).visit(*program.root);
}

}  // namespace assistiv::agents::cel
