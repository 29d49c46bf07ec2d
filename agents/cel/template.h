#pragma once
// JSON whose strings have ${ CEL } holes. A string that is one hole and nothing else keeps the value's type;
// $${ is a literal ${.
#include <memory>
#include <set>
#include <string>

#include "agents/cel/expression.h"
#include "core/json.h"

namespace assistiv::agents::cel {

struct TemplateNode;

class Template {
 public:
  // Throws CompileError; the fault's offset is that in the string that is wrong.
  static Template compile(const core::Json& value, const Declarations& declarations);

  const std::set<std::string>& reads() const;
  core::Json render(const Scope& scope, Budget& budget) const;  // throws EvaluationError

 private:
  std::shared_ptr<const TemplateNode> root_;
};

}  // namespace assistiv::agents::cel
