#pragma once
// Values with expressions in their strings: {"title": "Fix ${state.title}", "labels": "${state.labels}"}.
// "${ cel }" is a hole; a string that is one hole and nothing else becomes the hole's value with its type; in
// longer strings a hole gives text (strings as they are, anything else as JSON). "$${" is the text "${". Keys
// of objects are not templates.
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agents/cel/expression.h"
#include "core/json.h"

namespace assistiv::agents::cel {

struct TemplateProgram;

// Thrown by Template::compile. The fault's offset is that in the string that is wrong.
class TemplateError : public CompileError {
 public:
  TemplateError(std::string pointer, Fault fault)
      : CompileError(std::move(fault)), pointer_(std::move(pointer)) {}
  const std::string& pointer() const { return pointer_; }  // of that string: a JSON pointer into the value

 private:
  std::string pointer_;
};

// Immutable; may be rendered by several threads at once. One that was made by no compile() must not be used.
class Template {
 public:
  Template() = default;
  // Throws TemplateError. At most 64 levels and 1,000 holes.
  static Template compile(const core::Json& value, const Declarations& declarations);

  // Throws EvaluationError. The text around the holes is charged too.
  core::Json render(const Scope& scope, Budget& budget) const;

  // The type of the whole where it is one hole; string for text with holes; dyn for anything else.
  const Type& type() const;
  // No hole anywhere: it always renders the same.
  bool is_constant() const;
  const std::set<std::string>& reads() const;  // of all holes
  const std::vector<Expression>& expressions() const;

 private:
  explicit Template(std::shared_ptr<const TemplateProgram> program) : program_(std::move(program)) {}
  std::shared_ptr<const TemplateProgram> program_;
};

}  // namespace assistiv::agents::cel
