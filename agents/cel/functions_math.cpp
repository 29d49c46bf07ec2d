// The mathematical functions: math.*.
#include <cmath>
#include <cstdint>
#include <limits>

#include "agents/cel/compare.h"
#include "agents/cel/functions.h"

namespace assistiv::agents::cel {

namespace {

Value no_number() {
  return Value::error(Code::NoSuchOverload, "This takes numbers or one list of numbers.");
}

// The least or the greatest of the arguments, or of the elements of one list.
template <bool greatest>
Value extreme(Memory& memory, Arguments args) {
  const bool is_list = args.size() == 1 && args[0].is(Kind::List);
  const std::size_t size = is_list ? args[0].size : args.size();
  if (size == 0) return Value::error(Code::InvalidArgument, "The list has no elements.");
  Value out = is_list ? args[0].at(0) : args[0];
  for (std::size_t i = 0; i < size; ++i) {
    memory.charge(1);
    const Value value = is_list ? args[0].at(i) : args[i];
    if (!value.is_number()) return no_number();
    if (i == 0) continue;
    const auto found = order(memory, value, out);
    if (greatest ? *found > 0 : *found < 0) out = value;
  }
  return out;
}

template <double (*function)(double)>
Value rounded(Memory&, Arguments args) {
  return Value::of_double(function(args[0].number));
}
double sign_of(double value) {
  return std::isnan(value) ? value : value > 0 ? 1 : value < 0 ? -1 : 0;
}
double square_root(double value) {
  return std::sqrt(value);
}
double up(double value) {
  return std::ceil(value);
}
double down(double value) {
  return std::floor(value);
}
double half_away(double value) {
  return std::round(value);
}
double towards_zero(double value) {
  return std::trunc(value);
}
double size_of(double value) {
  return std::abs(value);
}

Value abs_int(Memory&, Arguments args) {
  if (args[0].integer == std::numeric_limits<std::int64_t>::min()) return Value::error(Code::Overflow);
  return Value::of_int(args[0].integer < 0 ? -args[0].integer : args[0].integer);
}
Value same_number(Memory&, Arguments args) {
  return args[0];
}
Value sign_int(Memory&, Arguments args) {
  return Value::of_int((args[0].integer > 0) - (args[0].integer < 0));
}
Value sign_uint(Memory&, Arguments args) {
  return Value::of_uint(args[0].unsigned_integer > 0 ? 1 : 0);
}
Value sqrt_int(Memory&, Arguments args) {
  return Value::of_double(std::sqrt(static_cast<double>(args[0].integer)));
}
Value sqrt_uint(Memory&, Arguments args) {
  return Value::of_double(std::sqrt(static_cast<double>(args[0].unsigned_integer)));
}
Value is_nan(Memory&, Arguments args) {
  return Value::boolean(std::isnan(args[0].number));
}
Value is_inf(Memory&, Arguments args) {
  return Value::boolean(std::isinf(args[0].number));
}
Value is_finite(Memory&, Arguments args) {
  return Value::boolean(std::isfinite(args[0].number));
}

// Bits: ints as their two's complement.
std::uint64_t bits_of(const Value& value) {
  return value.is(Kind::Int) ? static_cast<std::uint64_t>(value.integer) : value.unsigned_integer;
}
Value from_bits(std::uint64_t bits, Kind kind) {
  return kind == Kind::Int ? Value::of_int(static_cast<std::int64_t>(bits)) : Value::of_uint(bits);
}
template <char sign>
Value bits(Memory&, Arguments args) {
  const std::uint64_t a = bits_of(args[0]), b = bits_of(args[1]);
  return from_bits(sign == '&' ? a & b : sign == '|' ? a | b : a ^ b, args[0].kind);
}
Value bits_not(Memory&, Arguments args) {
  return from_bits(~bits_of(args[0]), args[0].kind);
}
template <bool left>
Value shift(Memory&, Arguments args) {
  const std::int64_t count = args[1].integer;
  if (count < 0) return Value::error(Code::InvalidArgument, "A shift is not negative.");
  const std::uint64_t a = bits_of(args[0]);
  return from_bits(count > 63 ? 0 : left ? a << count : a >> count, args[0].kind);
}

constexpr Overload kMathFunctions[] = {
    {"math.greatest", false, "...", '*', extreme<true>},
    {"math.least", false, "...", '*', extreme<false>},
    {"math.ceil", false, "d", 'd', rounded<up>},
    {"math.floor", false, "d", 'd', rounded<down>},
    {"math.round", false, "d", 'd', rounded<half_away>},
    {"math.trunc", false, "d", 'd', rounded<towards_zero>},
    {"math.abs", false, "d", 'd', rounded<size_of>},
    {"math.abs", false, "i", 'i', abs_int},
    {"math.abs", false, "u", 'u', same_number},
    {"math.sign", false, "d", 'd', rounded<sign_of>},
    {"math.sign", false, "i", 'i', sign_int},
    {"math.sign", false, "u", 'u', sign_uint},
    {"math.sqrt", false, "d", 'd', rounded<square_root>},
    {"math.sqrt", false, "i", 'd', sqrt_int},
    {"math.sqrt", false, "u", 'd', sqrt_uint},
    {"math.isNaN", false, "d", 'b', is_nan},
    {"math.isInf", false, "d", 'b', is_inf},
    {"math.isFinite", false, "d", 'b', is_finite},
    {"math.bitAnd", false, "ii", 'i', bits<'&'>},
    {"math.bitAnd", false, "uu", 'u', bits<'&'>},
    {"math.bitOr", false, "ii", 'i', bits<'|'>},
    {"math.bitOr", false, "uu", 'u', bits<'|'>},
    {"math.bitXor", false, "ii", 'i', bits<'^'>},
    {"math.bitXor", false, "uu", 'u', bits<'^'>},
    {"math.bitNot", false, "i", 'i', bits_not},
    {"math.bitNot", false, "u", 'u', bits_not},
    {"math.bitShiftLeft", false, "ii", 'i', shift<true>},
    {"math.bitShiftLeft", false, "ui", 'u', shift<true>},
    {"math.bitShiftRight", false, "ii", 'i', shift<false>},
    {"math.bitShiftRight", false, "ui", 'u', shift<false>},
};

}  // namespace

std::span<const Overload> math_functions() {
  return kMathFunctions;
}

}  // namespace assistiv::agents::cel
