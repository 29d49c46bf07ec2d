// matches(): RE2, so no pattern takes more than linear time, with bounded memory.
#include <re2/re2.h>

#include <algorithm>
#include <string>

#include "agents/cel/functions.h"

namespace assistiv::agents::cel {

namespace {

constexpr std::int64_t kPatternMemory = 512 << 10;
constexpr std::size_t kPatternSteps = 5000;  // of a pattern that is only known when it is used
constexpr std::size_t kPatternMax = 1000;

re2::RE2::Options pattern_options() {
  re2::RE2::Options options(re2::RE2::Quiet);
  options.set_max_mem(kPatternMemory);
  return options;
}

re2::StringPiece piece(std::string_view text) {
  return {text.data(), text.size()};
}

Value matches(Memory& memory, Arguments args) {
  const auto pattern = args[1].str();
  if (pattern.size() > kPatternMax) return Value::error(Code::InvalidArgument, "The pattern is too long.");
  memory.charge(kPatternSteps);
  const re2::RE2 compiled(piece(pattern), pattern_options());
  if (!compiled.ok()) return Value::error(Code::InvalidArgument, "This is no pattern of RE2.");
  return match_pattern(memory, compiled, args[0].str());
}

constexpr Overload kPatternFunctions[] = {
    {"matches", true, "ss", 'b', matches},
    {"matches", false, "ss", 'b', matches},
};

}  // namespace

std::shared_ptr<const re2::RE2> compile_pattern(std::string_view pattern, std::string& error) {
  auto out = std::make_shared<const re2::RE2>(piece(pattern), pattern_options());
  if (out->ok()) return out;
  error = out->error();
  return nullptr;
}

Value match_pattern(Memory& memory, const re2::RE2& pattern, std::string_view text) {
  // Without its automaton RE2 walks through the whole program for each byte: that is what a step pays for.
  constexpr std::size_t kWorkPerStep = 64;
  const auto program = static_cast<std::size_t>(std::max(pattern.ProgramSize(), 1));
  memory.charge(1 + text.size() * program / kWorkPerStep);
  return Value::boolean(re2::RE2::PartialMatch(piece(text), pattern));
}

std::span<const Overload> pattern_functions() {
  return kPatternFunctions;
}

}  // namespace assistiv::agents::cel
