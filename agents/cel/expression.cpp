#include "agents/cel/expression.h"

#include <nlohmann/json.hpp>

#include "agents/cel/ast.h"
#include "agents/cel/checker.h"
#include "agents/cel/evaluator.h"
#include "agents/cel/json.h"
#include "agents/cel/memory.h"
#include "agents/cel/parser.h"

namespace assistiv::agents::cel {

Scope& Scope::bind(std::string name, const core::Json& value) {
  values_.emplace_back(std::move(name), &value);
  return *this;
}

const core::Json* Scope::find(std::string_view name) const {
  for (auto it = values_.rbegin(); it != values_.rend(); ++it) {
    if (it->first == name) return it->second;
  }
  return parent_ == nullptr ? nullptr : parent_->find(name);
}

Expression Expression::compile(std::string_view text, const Declarations& declarations) {
  auto program = std::make_shared<Program>();
  program->text = text;
  program->root = parse(text);
  check(*program, declarations);
  return Expression(std::move(program));
}

const Type& Expression::type() const {
  return program_->type;
}
const std::string& Expression::text() const {
  return program_->text;
}
const std::set<std::string>& Expression::reads() const {
  return program_->reads;
}

core::Json Expression::evaluate(const Scope& scope, Budget& budget) const {
  Memory memory(budget);
  const Value value = evaluate_value(*program_, scope, memory);
  if (value.is_error()) throw describe(*program_, value);
  return to_json(memory, value);
}

bool Expression::test(const Scope& scope, Budget& budget) const {
  Memory memory(budget);
  const Value value = evaluate_value(*program_, scope, memory);
  if (value.is_error()) throw describe(*program_, value);
  if (!value.is(Kind::Bool)) {
    throw EvaluationError("not_a_bool", "A condition must be true or false, and this is a " +
                                            std::string(kind_name(value.kind)) + ": \"" + program_->text +
                                            "\"");
  }
  return value.truth;
}

}  // namespace assistiv::agents::cel
