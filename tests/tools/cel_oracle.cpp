// Evaluates expressions for a test that compares the values with another program's. Each line of standard
// input is
// {"expr", "bindings": {name: JSON}}; each line of output {"value": ...} with the value as the conformance
// cases of CEL write it ({"int64Value": "1"}), {"fault": message} when it does not compile, or {"error":
// code, "message"}.
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "agents/cel/ast.h"
#include "agents/cel/evaluator.h"
#include "agents/cel/expression.h"
#include "agents/cel/memory.h"
#include "agents/cel/numbers.h"
#include "agents/cel/time_text.h"
#include "core/encoding.h"

namespace {

namespace cel = assistiv::agents::cel;
namespace core = assistiv::core;
using core::Json;

Json typed(const cel::Value& value) {
  switch (value.kind) {
    case cel::Kind::Null:
      return {{"nullValue", nullptr}};
    case cel::Kind::Bool:
      return {{"boolValue", value.truth}};
    case cel::Kind::Int:
      return {{"int64Value", std::to_string(value.integer)}};
    case cel::Kind::Uint:
      return {{"uint64Value", std::to_string(value.unsigned_integer)}};
    case cel::Kind::Double:
      if (!std::isfinite(value.number)) return {{"doubleValue", cel::format_double(value.number)}};
      return {{"doubleValue", value.number}};
    case cel::Kind::String:
      return {{"stringValue", std::string(value.str())}};
    case cel::Kind::Bytes:
      return {{"bytesValue", core::base64_encode(value.str())}};
    case cel::Kind::Timestamp:
      return {{"timestamp", cel::format_timestamp(value)}};
    case cel::Kind::Duration:
      return {{"duration", cel::format_duration(value)}};
    case cel::Kind::Type:
      return {{"typeValue", std::string(cel::kind_name(value.type))}};
    default:
      break;
  }
  Json items = Json::array();
  if (value.is(cel::Kind::List)) {
    for (std::size_t i = 0; i < value.size; ++i) items.push_back(typed(value.at(i)));
    return {{"listValue", {{"values", items}}}};
  }
  cel::MapReader members(value);
  while (const auto member = members.next()) {
    items.push_back({{"key", typed(member->key)}, {"value", typed(member->value)}});
  }
  return {{"mapValue", {{"entries", items}}}};
}

Json answer(const Json& ask) {
  cel::Declarations declarations;
  cel::Scope scope;
  const Json bindings = ask.value("bindings", Json::object());
  for (const auto& [name, value] : bindings.items()) {
    declarations.add(name, cel::Type::dyn());
    scope.bind(name, value);
  }
  try {
    const auto expression = cel::Expression::compile(ask["expr"].get<std::string>(), declarations);
    cel::Budget budget;
    cel::Memory memory(budget);
    const cel::Value value = cel::evaluate_value(expression.program(), scope, memory);
    if (!value.is_error()) return {{"value", typed(value)}};
    throw cel::describe(expression.program(), value);
  } catch (const cel::CompileError& error) {
    return {{"fault", error.fault().message}, {"offset", error.fault().offset}};
  } catch (const cel::EvaluationError& error) {
    return {{"error", error.code()}, {"message", error.what()}};
  }
}

}  // namespace

int main() {
  std::string line;
  while (std::getline(std::cin, line)) std::cout << answer(Json::parse(line)).dump() << "\n";
  return 0;
}
