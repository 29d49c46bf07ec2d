#pragma once
// CEL, the expression language of graphs (docs/cel.md): conditions and templates. An expression is compiled
// once for a version of a graph, is immutable and shared between threads.
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/json.h"

namespace assistiv::agents::cel {

struct Program;

// What is wrong with the text of an expression, and where (bytes from its beginning).
struct Fault {
  std::string message;
  std::size_t offset = 0;
};

class CompileError : public std::runtime_error {
 public:
  explicit CompileError(Fault fault) : std::runtime_error(fault.message), fault_(std::move(fault)) {}
  const Fault& fault() const { return fault_; }

 private:
  Fault fault_;
};

// The expression was right and its values were not: an overflow, a key that is not there, a spent budget.
class EvaluationError : public std::runtime_error {
 public:
  EvaluationError(std::string code, const std::string& message)
      : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

class Declarations;
class Scope;
struct Budget;

class Expression {
 public:
  // Throws CompileError.
  static Expression compile(std::string_view text, const Declarations& declarations);

  const std::string& text() const;
  // What it reads as far as that is static: "state.category".
  const std::set<std::string>& reads() const;

  // Both throw EvaluationError; test also when the value is no bool.
  core::Json evaluate(const Scope& scope, Budget& budget) const;
  bool test(const Scope& scope, Budget& budget) const;

 private:
  std::shared_ptr<const Program> program_;
};

}  // namespace assistiv::agents::cel
