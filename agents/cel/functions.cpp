#include "agents/cel/functions.h"

#include <algorithm>
#include <tuple>
#include <vector>

namespace assistiv::agents::cel {

namespace {

constexpr std::string_view kLetters = "nbiudsytrlmT";  // in the order of Kind

auto key_of(const Overload& overload) {
  return std::tuple(overload.is_member, overload.name);
}

std::vector<Overload> all_functions() {
  std::vector<Overload> out;
  for (const auto table :
       {operator_functions(), conversion_functions(), string_functions(), text_list_functions(),
        format_functions(), math_functions(), time_functions(), json_functions(), pattern_functions()}) {
    out.insert(out.end(), table.begin(), table.end());
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return key_of(a) < key_of(b); });
  return out;
}

}  // namespace

std::span<const Overload> find_overloads(std::string_view name, bool is_member) {
  static const std::vector<Overload> all = all_functions();
  const Overload wanted{name, is_member, "", 0, nullptr};
  const auto [begin, end] = std::equal_range(
      all.begin(), all.end(), wanted, [](const auto& a, const auto& b) { return key_of(a) < key_of(b); });
  return {begin, end};
}

Kind kind_of_letter(char letter) {
  if (letter == 'S') return Kind::List;
  const auto at = kLetters.find(letter);
  return at == std::string_view::npos ? Kind::Dyn : static_cast<Kind>(at);
}

bool accepts(char letter, Kind kind) {
  const Kind wanted = kind_of_letter(letter);
  return wanted == Kind::Dyn || wanted == kind || (wanted == Kind::Map && kind == Kind::Object);
}

bool accepts(const Overload& overload, Arguments args) {
  if (overload.parameters == "...") return !args.empty();
  if (overload.parameters.size() != args.size()) return false;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (!accepts(overload.parameters[i], args[i].kind)) return false;
  }
  return true;
}

}  // namespace assistiv::agents::cel
