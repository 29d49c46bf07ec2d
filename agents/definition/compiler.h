#pragma once
// Expressions and templates of a document, with faults instead of exceptions. Internal to agents/definition.
#include <optional>
#include <string>

#include "agents/cel/expression.h"
#include "agents/cel/template.h"
#include "agents/definition/draft.h"
#include "core/json.h"

namespace assistiv::agents {

// `at` is the JSON pointer of the text or value. What is returned on a fault is empty.
class Compiler {
 public:
  explicit Compiler(Faults& faults) : faults_(faults) {}

  std::optional<cel::Expression> any(const std::string& text, const std::string& at,
                                     const cel::Declarations& variables);
  std::optional<cel::Expression> condition(const std::string& text, const std::string& at,
                                           const cel::Declarations& variables);
  std::optional<cel::Expression> list(const std::string& text, const std::string& at,
                                      const cel::Declarations& variables);
  std::optional<cel::Template> value(const core::Json& value, const std::string& at,
                                     const cel::Declarations& variables);

 private:
  Faults& faults_;
};

}  // namespace assistiv::agents
