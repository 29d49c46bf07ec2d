// Any bytes as an expression and as a template, over a small state: each compiles and ends, or is refused.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "agents/cel/expression.h"
#include "agents/cel/template.h"

namespace {

namespace cel = assistiv::agents::cel;
using assistiv::core::Json;

const Json& state() {
  static const Json out =
      Json::parse(R"({"a": 1, "f": 2.5, "s": "größe, x", "l": [1, "b", null, [2]], "m": {"k": true}})");
  return out;
}

void evaluate(std::string_view text, const cel::Declarations& declarations, const cel::Scope& scope) {
  try {
    cel::Budget budget{20'000, 1 << 18};
    const auto expression = cel::Expression::compile(text, declarations);
    expression.evaluate(scope, budget);
  } catch (const cel::CompileError& error) {
    if (error.fault().offset > text.size()) __builtin_trap();
  } catch (const cel::EvaluationError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto declarations =
      cel::Declarations().add("state", cel::Type::dyn()).add("x", cel::Type::dyn());
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const cel::Scope scope = cel::Scope().bind("state", state()).bind("x", state()["l"]);
  evaluate(text, declarations, scope);
  try {
    cel::Budget budget{20'000, 1 << 18};
    cel::Template::compile(Json(std::string(text)), declarations).render(scope, budget);
  } catch (const cel::CompileError&) {
  } catch (const cel::EvaluationError&) {
  }
  return 0;
}
