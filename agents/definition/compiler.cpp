#include "agents/definition/compiler.h"

#include <nlohmann/json.hpp>

namespace assistiv::agents {

namespace {

std::string told(const cel::Fault& fault) {
  return fault.message + " (at byte " + std::to_string(fault.offset) + ")";
}

}  // namespace

std::optional<cel::Expression> Compiler::any(const std::string& text, const std::string& at,
                                             const cel::Declarations& variables) {
  try {
    return cel::Expression::compile(text, variables);
  } catch (const cel::CompileError& error) {
    faults_.add(at, "expression", told(error.fault()));
    return {};
  }
}

std::optional<cel::Expression> Compiler::condition(const std::string& text, const std::string& at,
                                                   const cel::Declarations& variables) {
  auto out = any(text, at, variables);
  if (!out || out->type().is_dyn() || out->type().kind() == cel::Kind::Bool) return out;
  faults_.add(at, "expression", "must be a condition, and gives " + out->type().name());
  return {};
}

std::optional<cel::Expression> Compiler::list(const std::string& text, const std::string& at,
                                              const cel::Declarations& variables) {
  auto out = any(text, at, variables);
  if (!out || out->type().is_dyn() || out->type().kind() == cel::Kind::List) return out;
  faults_.add(at, "expression", "must give a list, and gives " + out->type().name());
  return {};
}

std::optional<cel::Template> Compiler::value(const core::Json& value, const std::string& at,
                                             const cel::Declarations& variables) {
  try {
    return cel::Template::compile(value, variables);
  } catch (const cel::TemplateError& error) {
    faults_.add(at + error.pointer(), "template", told(error.fault()));
    return {};
  }
}

}  // namespace assistiv::agents
