#pragma once
// The functions of CEL and ours: one table for the checker and the evaluator.
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "agents/cel/memory.h"
#include "agents/cel/value.h"

namespace re2 {
class RE2;
}

namespace assistiv::agents::cel {

using Arguments = std::span<const Value>;
// Gets arguments of the kinds of its overload, never an error. Charges before it works.
using Function = Value (*)(Memory& memory, Arguments args);

// One letter for each type: n null, b bool, i int, u uint, d double, s string, y bytes, t timestamp, r
// duration, l list, m map, T type, * any. "..." as parameters: one or more of any type.
struct Overload {
  std::string_view name;  // "contains", "math.greatest", "_+_"
  bool is_member;         // target.name(...): the target is the first parameter
  std::string_view parameters;
  char result;  // as above; also S list of strings, = the type of the first argument, e that of its elements
  Function call;
};

// Empty for a name that is not known in this form.
std::span<const Overload> find_overloads(std::string_view name, bool is_member);
bool accepts(char letter, Kind kind);
bool accepts(const Overload& overload, Arguments args);
Kind kind_of_letter(char letter);  // Dyn for *, = and e; List for S

// Looking for a needle compares it at every place of the text, in the worst case nearly whole.
void charge_search(Memory& memory, std::size_t text, std::size_t needle);

// The tables, by file.
std::span<const Overload> operator_functions();
std::span<const Overload> conversion_functions();
std::span<const Overload> string_functions();
std::span<const Overload> text_list_functions();
std::span<const Overload> format_functions();
std::span<const Overload> math_functions();
std::span<const Overload> time_functions();
std::span<const Overload> json_functions();
std::span<const Overload> pattern_functions();

// A pattern that is known when the expression is compiled; null and `error` when RE2 does not take it.
std::shared_ptr<const re2::RE2> compile_pattern(std::string_view pattern, std::string& error);
Value match_pattern(Memory& memory, const re2::RE2& pattern, std::string_view text);

// Whether there is such a time zone: an offset like "+05:30" or a name like "Europe/Berlin".
bool is_time_zone(std::string_view name);

}  // namespace assistiv::agents::cel
