#pragma once
// The names that the expressions of a node see (docs/cel.md). Internal to runtime/.
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "agents/cel/expression.h"
#include "agents/cel/template.h"
#include "agents/runtime/run_state.h"

namespace assistiv::agents {

class Bindings {
 public:
  explicit Bindings(const TaskRun& task);
  Bindings(const Bindings&) = delete;
  Bindings& operator=(const Bindings&) = delete;

  void set(const std::string& name, core::Json value);
  // Each throws Error{Unprocessable} with the code "expression_failed", also when the task's expressions have
  // used up what they have together. `field` is where the expression stands in the node ("write/log"): the
  // message names both.
  core::Json render(const cel::Template& form, std::string_view field) const;
  core::Json evaluate(const cel::Expression& expression, std::string_view field) const;
  bool test(const cel::Expression& expression, std::string_view field) const;
  // Rendered; what is no string as JSON.
  std::string text(const cel::Template& form, std::string_view field) const;

 private:
  template <class F>
  auto evaluated(std::string_view field, F act) const;

  std::shared_ptr<cel::Budget> budget_;
  const std::string node_;
  std::deque<core::Json> values_;  // bound by reference: they must not move
  cel::Scope scope_;
};

// The keys of `write`, or nothing when the node has none; and what it tells (`emit`).
void add_writes(const TaskRun& task, const Bindings& names, pregel::TaskResult& into);
void add_write(const TaskRun& task, const std::string& key, core::Json value, pregel::TaskResult& into);

}  // namespace assistiv::agents
