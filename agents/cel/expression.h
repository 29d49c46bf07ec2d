#pragma once
// Expressions of agent graphs: our own subset of CEL (docs/cel.md). No I/O, no clock, no randomness: the same
// text over the same values gives the same answer, so a replay decides as the run did. Every evaluation ends:
// comprehensions run over lists that exist, and steps and bytes are charged before the work.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agents/cel/types.h"
#include "core/json.h"

namespace assistiv::agents::cel {

inline constexpr std::size_t kTextMax = 2000;  // code points of one expression
inline constexpr int kDepthMax = 32;           // levels of brackets, calls and nested operators
inline constexpr int kComprehensionsMax = 2;   // one within the other

// What is wrong with a text, and where: a byte offset into it.
struct Fault {
  std::string message;
  std::size_t offset = 0;
};

// Thrown by compile. `what()` is for the author of the graph.
class CompileError : public std::runtime_error {
 public:
  explicit CompileError(Fault fault) : std::runtime_error(fault.message), fault_(std::move(fault)) {}
  const Fault& fault() const { return fault_; }

 private:
  Fault fault_;
};

// Thrown by evaluate and test. Codes: "no_such_key", "no_such_overload", "no_such_variable", "overflow",
// "divide_by_zero", "out_of_range", "invalid_argument", "not_a_bool", "budget_exceeded". The message quotes
// the expression, never a value.
class EvaluationError : public std::runtime_error {
 public:
  EvaluationError(std::string code, const std::string& message)
      : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

// What evaluations may still use; each takes from it. A step is a node, an element, or 64 bytes looked at.
// Bytes are those of every value that is built, in between or as the result; values that are only looked at
// cost none.
struct Budget {
  std::int64_t steps = 100'000;
  std::int64_t bytes = 1 << 20;
};

// Names and the values they have, by reference: the values must outlive the evaluation. Names of the parent
// are seen unless they are bound here too.
class Scope {
 public:
  explicit Scope(const Scope* parent = nullptr) : parent_(parent) {}
  Scope& bind(std::string name, const core::Json& value);
  Scope& bind(std::string name, core::Json&& value) = delete;
  const core::Json* find(std::string_view name) const;

 private:
  const Scope* parent_;
  std::vector<std::pair<std::string, const core::Json*>> values_;
};

struct Program;

// Immutable; may be evaluated by several threads at once. One that was made by no compile() must not be used.
class Expression {
 public:
  Expression() = default;
  // Throws CompileError: syntax, unknown variables, keys and functions, types that do not fit, or too large.
  static Expression compile(std::string_view text, const Declarations& declarations);

  const Type& type() const;
  const std::string& text() const;
  // The paths that it reads, as far as they are static: "state.category", "run.id". A path ends where an
  // index, a call or a comprehension begins.
  const std::set<std::string>& reads() const;

  // The value as JSON: bytes in base64, timestamps in RFC 3339, durations as "1.5s", types as their names,
  // keys of maps as text. Throws EvaluationError.
  core::Json evaluate(const Scope& scope, Budget& budget) const;
  // The value of a condition. Throws EvaluationError, also when it is no bool: an error is never taken for
  // false.
  bool test(const Scope& scope, Budget& budget) const;

  const Program& program() const { return *program_; }

 private:
  explicit Expression(std::shared_ptr<const Program> program) : program_(std::move(program)) {}
  std::shared_ptr<const Program> program_;
};

}  // namespace assistiv::agents::cel
