// + - * / % and the two unary operators, with checked overflow.
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "agents/cel/functions.h"
#include "agents/cel/time_text.h"

namespace assistiv::agents::cel {

namespace {

Value overflow() {
  return Value::error(Code::Overflow);
}

template <typename Int>
Value whole(Int value) {
  if constexpr (std::is_signed_v<Int>) {
    return Value::of_int(value);
  } else {
    return Value::of_uint(value);
  }
}

template <typename Int>
Int read(const Value& value) {
  if constexpr (std::is_signed_v<Int>) {
    return value.integer;
  } else {
    return value.unsigned_integer;
  }
}

template <typename Int, char sign>
Value arithmetic(Memory&, Arguments args) {
  const Int a = read<Int>(args[0]), b = read<Int>(args[1]);
  Int out{};
  bool wrong = false;
  if constexpr (sign == '+') wrong = __builtin_add_overflow(a, b, &out);
  if constexpr (sign == '-') wrong = __builtin_sub_overflow(a, b, &out);
  if constexpr (sign == '*') wrong = __builtin_mul_overflow(a, b, &out);
  if constexpr (sign == '/' || sign == '%') {
    if (b == 0) return Value::error(Code::DivideByZero);
    if constexpr (std::is_signed_v<Int>) {
      if (a == std::numeric_limits<Int>::min() && b == -1) return overflow();
    }
    out = sign == '/' ? a / b : a % b;
  }
  return wrong ? overflow() : whole(out);
}

template <char sign>
Value real(Memory&, Arguments args) {
  const double a = args[0].number, b = args[1].number;
  if constexpr (sign == '+') return Value::of_double(a + b);
  if constexpr (sign == '-') return Value::of_double(a - b);
  if constexpr (sign == '*') return Value::of_double(a * b);
  return Value::of_double(a / b);  // by zero: infinite or NaN, as IEEE 754 has it
}

Value concatenate(Memory& memory, Arguments args) {
  const auto a = args[0].str(), b = args[1].str();
  char* out = memory.allocate_text(a.size() + b.size());
  std::copy(a.begin(), a.end(), out);
  std::copy(b.begin(), b.end(), out + a.size());
  Value value = Value::string({out, a.size() + b.size()});
  value.kind = args[0].kind;
  return value;
}

Value add_lists(Memory& memory, Arguments args) {
  const std::size_t size = std::size_t{args[0].size} + args[1].size;
  memory.charge(1 + size / 4);
  memory.charge_bytes(size * sizeof(Value));
  auto* out = static_cast<Value*>(memory.allocate_charged(size * sizeof(Value), alignof(Value)));
  Value* at = out;
  for (const Value& list : args) {
    for (std::size_t i = 0; i < list.size; ++i) *at++ = list.at(i);
  }
  return Value::list(out, size);
}

Value plus_duration(Memory&, Arguments args) {
  const bool first = args[0].is(Kind::Timestamp);
  return timestamp_of(nanos_of(args[first ? 0 : 1]) + nanos_of(args[first ? 1 : 0]));
}
Value add_durations(Memory&, Arguments args) {
  return duration_of(nanos_of(args[0]) + nanos_of(args[1]));
}
Value minus_duration(Memory&, Arguments args) {
  return timestamp_of(nanos_of(args[0]) - nanos_of(args[1]));
}
Value difference(Memory&, Arguments args) {
  return duration_of(nanos_of(args[0]) - nanos_of(args[1]));
}

Value negate_int(Memory&, Arguments args) {
  if (args[0].integer == std::numeric_limits<std::int64_t>::min()) return overflow();
  return Value::of_int(-args[0].integer);
}
Value negate_double(Memory&, Arguments args) {
  return Value::of_double(-args[0].number);
}
Value invert(Memory&, Arguments args) {
  return Value::boolean(!args[0].truth);
}

constexpr Overload kOperatorFunctions[] = {
    {"_+_", false, "ii", 'i', arithmetic<std::int64_t, '+'>},
    {"_+_", false, "uu", 'u', arithmetic<std::uint64_t, '+'>},
    {"_+_", false, "dd", 'd', real<'+'>},
    {"_+_", false, "ss", 's', concatenate},
    {"_+_", false, "yy", 'y', concatenate},
    {"_+_", false, "ll", '=', add_lists},
    {"_+_", false, "tr", 't', plus_duration},
    {"_+_", false, "rt", 't', plus_duration},
    {"_+_", false, "rr", 'r', add_durations},
    {"_-_", false, "ii", 'i', arithmetic<std::int64_t, '-'>},
    {"_-_", false, "uu", 'u', arithmetic<std::uint64_t, '-'>},
    {"_-_", false, "dd", 'd', real<'-'>},
    {"_-_", false, "tr", 't', minus_duration},
    {"_-_", false, "tt", 'r', difference},
    {"_-_", false, "rr", 'r', difference},
    {"_*_", false, "ii", 'i', arithmetic<std::int64_t, '*'>},
    {"_*_", false, "uu", 'u', arithmetic<std::uint64_t, '*'>},
    {"_*_", false, "dd", 'd', real<'*'>},
    {"_/_", false, "ii", 'i', arithmetic<std::int64_t, '/'>},
    {"_/_", false, "uu", 'u', arithmetic<std::uint64_t, '/'>},
    {"_/_", false, "dd", 'd', real<'/'>},
    {"_%_", false, "ii", 'i', arithmetic<std::int64_t, '%'>},
    {"_%_", false, "uu", 'u', arithmetic<std::uint64_t, '%'>},
    {"-_", false, "i", 'i', negate_int},
    {"-_", false, "d", 'd', negate_double},
    {"!_", false, "b", 'b', invert},
};

}  // namespace

std::span<const Overload> operator_functions() {
  return kOperatorFunctions;
}

}  // namespace assistiv::agents::cel
