#include "agents/cel/macros.h"

#include <algorithm>
#include <utility>

#include "agents/cel/expression.h"
#include "agents/cel/fault.h"

namespace assistiv::agents::cel {

namespace {

struct Shape {
  std::string_view name;
  Macro macro;
  std::size_t variables;
  bool has_test;  // one more argument between the variables and the last
  bool has_result;
};

// By number of arguments, the range not counted.
constexpr Shape kShapes[] = {
    {"all", Macro::All, 1, true, false},
    {"all", Macro::All, 2, true, false},
    {"exists", Macro::Exists, 1, true, false},
    {"exists", Macro::Exists, 2, true, false},
    {"exists_one", Macro::ExistsOne, 1, true, false},
    {"exists_one", Macro::ExistsOne, 2, true, false},
    {"existsOne", Macro::ExistsOne, 1, true, false},
    {"existsOne", Macro::ExistsOne, 2, true, false},
    {"filter", Macro::Filter, 1, true, false},
    {"map", Macro::Map, 1, false, true},
    {"map", Macro::Map, 1, true, true},
    {"transformList", Macro::Map, 2, false, true},
    {"transformList", Macro::Map, 2, true, true},
    {"transformMap", Macro::TransformMap, 2, false, true},
    {"transformMap", Macro::TransformMap, 2, true, true},
};

std::string variable_name(const Node& node) {
  if (node.op != Op::Variable) refuse("A macro binds a plain name here.", node.offset);
  return node.text;
}

NodePtr has_node(NodePtr call) {
  auto& arg = call->args[0];
  if (arg->op != Op::Select) refuse("has() takes a member: has(state.category).", call->offset);
  arg->op = Op::Has;
  return std::move(arg);
}

NodePtr bind_node(NodePtr call) {
  call->op = Op::Bind;
  call->names = {variable_name(*call->args[1])};
  call->args.erase(call->args.begin(), call->args.begin() + 2);
  return call;
}

NodePtr comprehension(NodePtr call, const Shape& shape) {
  auto out = std::make_unique<Node>();
  out->op = Op::Comprehension;
  out->macro = shape.macro;
  out->variables = static_cast<std::uint8_t>(shape.variables);
  out->offset = call->offset;
  out->height = call->height;
  for (std::size_t i = 1; i <= shape.variables; ++i) out->names.push_back(variable_name(*call->args[i]));
  if (out->names.size() == 2 && out->names[0] == out->names[1]) {
    refuse("The two variables of a macro have different names.", call->offset);
  }
  std::size_t next = 1 + shape.variables;
  out->args.push_back(std::move(call->args[0]));
  out->args.push_back(shape.has_test ? std::move(call->args[next++]) : nullptr);
  out->args.push_back(shape.has_result ? std::move(call->args[next]) : nullptr);
  return out;
}

}  // namespace

NodePtr expand_macro(NodePtr call) {
  if (!call->is_member)
    return call->text == "has" && call->args.size() == 1 ? has_node(std::move(call)) : std::move(call);
  const Node& target = *call->args[0];
  if (call->text == "bind" && call->args.size() == 4 && target.op == Op::Variable && target.text == "cel") {
    return bind_node(std::move(call));
  }
  for (const auto& shape : kShapes) {
    const std::size_t size = 1 + shape.variables + (shape.has_test ? 1 : 0) + (shape.has_result ? 1 : 0);
    if (shape.name == call->text && size == call->args.size()) return comprehension(std::move(call), shape);
  }
  return call;
}

}  // namespace assistiv::agents::cel
