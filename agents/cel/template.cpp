#include "agents/cel/template.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/cel/ast.h"
#include "agents/cel/evaluator.h"
#include "agents/cel/json.h"
#include "agents/cel/memory.h"

namespace assistiv::agents::cel {

namespace {

using core::Json;

constexpr int kTemplateDepthMax = 64;
constexpr std::size_t kHolesMax = 1000;

// A piece of a string: text, or a hole.
struct Piece {
  std::string text;
  std::ptrdiff_t expression = -1;
};

// A value with what is to be done to render it.
struct Plan {
  enum class Kind { Constant, Text, Hole, Array, Object };
  Kind kind = Kind::Constant;
  Json constant;                   // no hole inside
  std::vector<Piece> pieces;       // of a string with holes
  std::vector<std::string> names;  // of an object's members
  std::vector<Plan> members;       // of an object or an array
};

}  // namespace

struct TemplateProgram {
  Plan root;
  std::vector<Expression> expressions;
  std::set<std::string> reads;
  Type type = Type::dyn();
};

namespace {

// Behind the brace that closes the hole whose content begins at `at`; braces and quotes of the expression are
// passed over.
std::size_t hole_end(std::string_view text, std::size_t at) {
  int depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      const std::string three(3, c);
      const std::string_view close =
          text.substr(at).starts_with(three) ? std::string_view(three) : text.substr(at, 1);
      const char before = at > 0 ? text[at - 1] : ' ';
      const bool is_raw = before == 'r' || before == 'R';
      for (at += close.size(); at < text.size() && !text.substr(at).starts_with(close); ++at) {
        if (text[at] == '\\' && !is_raw) ++at;
      }
      at += close.size();
      continue;
    }
    ++at;
    if (c == '{') ++depth;
    if (c == '}' && depth-- == 0) return at;
  }
  return std::string_view::npos;
}

class Planner {
 public:
  Planner(TemplateProgram& program, const Declarations& declarations)
      : program_(program), declarations_(declarations) {}

  Plan plan(const Json& value, const std::string& pointer, int depth) {
    if (depth > kTemplateDepthMax) throw TemplateError(pointer, {"The template is nested too deeply.", 0});
    if (value.is_string()) return plan_text(value, pointer);
    if (!value.is_structured()) return constant_plan(value);
    Plan out;
    out.kind = value.is_array() ? Plan::Kind::Array : Plan::Kind::Object;
    std::size_t index = 0;
    for (const auto& item : value.items()) {
      const std::string name = value.is_array() ? std::to_string(index++) : item.key();
      out.names.push_back(name);
      out.members.push_back(plan(item.value(), pointer + "/" + escaped(name), depth + 1));
    }
    const bool constant = std::all_of(out.members.begin(), out.members.end(),
                                      [](const auto& member) { return member.kind == Plan::Kind::Constant; });
    return constant ? constant_plan(value) : out;
  }

 private:
  static Plan constant_plan(Json value) {
    Plan out;
    out.constant = std::move(value);
    return out;
  }

  // RFC 6901: "~" and "/" in a name.
  static std::string escaped(const std::string& name) {
    std::string out;
    for (const char c : name) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    return out;
  }

  Plan plan_text(const Json& value, const std::string& pointer) {
    const std::string_view text = value.get_ref<const std::string&>();
    Plan out;
    out.kind = Plan::Kind::Text;
    out.pieces.emplace_back();
    for (std::size_t at = 0; at < text.size();) {
      if (text.substr(at).starts_with("$${")) {
        out.pieces.back().text += "${";
        at += 3;
      } else if (text.substr(at).starts_with("${")) {
        const std::size_t end = hole_end(text, at + 2);
        if (end == std::string_view::npos) throw TemplateError(pointer, {"This \"${\" has no \"}\".", at});
        out.pieces.push_back({"", compile(text.substr(at + 2, end - at - 3), pointer, at + 2)});
        out.pieces.emplace_back();
        at = end;
      } else {
        out.pieces.back().text += text[at++];
      }
    }
    if (out.pieces.size() == 1) return constant_plan(out.pieces[0].text);
    if (out.pieces.size() == 3 && out.pieces[0].text.empty() && out.pieces[2].text.empty())
      out.kind = Plan::Kind::Hole;
    return out;
  }

  std::ptrdiff_t compile(std::string_view text, const std::string& pointer, std::size_t offset) {
    auto& all = program_.expressions;
    if (all.size() >= kHolesMax)
      throw TemplateError(pointer, {"The template has more than 1,000 holes.", offset});
    try {
      all.push_back(Expression::compile(text, declarations_));
    } catch (const CompileError& error) {
      throw TemplateError(pointer, {error.fault().message, offset + error.fault().offset});
    }
    program_.reads.insert(all.back().reads().begin(), all.back().reads().end());
    return static_cast<std::ptrdiff_t>(all.size()) - 1;
  }

  TemplateProgram& program_;
  const Declarations& declarations_;
};

class Renderer {
 public:
  Renderer(const TemplateProgram& program, const Scope& scope, Budget& budget)
      : program_(program), scope_(scope), budget_(budget) {}

  Json render(const Plan& plan) const {
    switch (plan.kind) {
      case Plan::Kind::Constant: {
        Memory memory(budget_);
        return to_json(memory, Value::view(plan.constant));
      }
      case Plan::Kind::Hole:
        return expression(plan.pieces[1]).evaluate(scope_, budget_);
      case Plan::Kind::Text:
        return text(plan);
      default:
        break;
    }
    Json out = plan.kind == Plan::Kind::Array ? Json::array() : Json::object();
    for (std::size_t i = 0; i < plan.members.size(); ++i) {
      if (plan.kind == Plan::Kind::Array) {
        out.push_back(render(plan.members[i]));
      } else {
        out[plan.names[i]] = render(plan.members[i]);
      }
    }
    return out;
  }

 private:
  const Expression& expression(const Piece& piece) const {
    return program_.expressions[static_cast<std::size_t>(piece.expression)];
  }

  std::string text(const Plan& plan) const {
    Memory memory(budget_);
    TextBuilder out(memory);
    for (const auto& piece : plan.pieces) {
      if (piece.expression < 0) {
        out.add(piece.text);
        continue;
      }
      const Program& program = expression(piece).program();
      const Value value = evaluate_value(program, scope_, memory);
      if (value.is_error()) throw describe(program, value);
      write_text(out, memory, value);
    }
    return out.text();
  }

  const TemplateProgram& program_;
  const Scope& scope_;
  Budget& budget_;
};

}  // namespace

Template Template::compile(const Json& value, const Declarations& declarations) {
  auto program = std::make_shared<TemplateProgram>();
  program->root = Planner(*program, declarations).plan(value, "", 0);
  if (program->root.kind == Plan::Kind::Hole) program->type = program->expressions[0].type();
  if (program->root.kind == Plan::Kind::Text) program->type = Type::of(Kind::String);
  return Template(std::move(program));
}

Json Template::render(const Scope& scope, Budget& budget) const {
  return Renderer(*program_, scope, budget).render(program_->root);
}

const Type& Template::type() const {
  return program_->type;
}
bool Template::is_constant() const {
  return program_->root.kind == Plan::Kind::Constant;
}
const std::set<std::string>& Template::reads() const {
  return program_->reads;
}
const std::vector<Expression>& Template::expressions() const {
  return program_->expressions;
}

}  // namespace assistiv::agents::cel
