#include "mcp/schema/json_order.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace assistiv::mcp {

namespace {

using core::Json;

template <class T>
int three_way(const T& a, const T& b) {
  return a < b ? -1 : (b < a ? 1 : 0);
}

int type_rank(const Json& value) {
  return value.is_number() ? 100 : static_cast<int>(value.type());
}

int compare_numbers(const Json& a, const Json& b) {
  if (a.is_number_integer() && b.is_number_integer()) {
    const bool big_a = a.is_number_unsigned() && a.get<std::uint64_t>() > INT64_MAX;
    const bool big_b = b.is_number_unsigned() && b.get<std::uint64_t>() > INT64_MAX;
    if (big_a || big_b) {
      return big_a && big_b ? three_way(a.get<std::uint64_t>(), b.get<std::uint64_t>()) : (big_a ? 1 : -1);
    }
    return three_way(a.get<std::int64_t>(), b.get<std::int64_t>());
  }
  // A long double holds every 64-bit integer and every double exactly.
  static_assert(std::numeric_limits<long double>::digits >= 64);
  return three_way(a.get<long double>(), b.get<long double>());
}

int compare_arrays(const Json& a, const Json& b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (const int order = compare_json(a[i], b[i]); order != 0) return order;
  }
  return three_way(a.size(), b.size());
}

int compare_objects(const Json& a, const Json& b) {
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end(); ++i, ++j) {
    if (const int order = i.key().compare(j.key()); order != 0) return order;
    if (const int order = compare_json(*i, *j); order != 0) return order;
  }
  return three_way(a.size(), b.size());
}

}  // namespace

int compare_json(const Json& a, const Json& b) {
  if (const int order = three_way(type_rank(a), type_rank(b)); order != 0) return order;
  if (a.is_number()) return compare_numbers(a, b);
  switch (a.type()) {
    case Json::value_t::string:
      return a.get_ref<const std::string&>().compare(b.get_ref<const std::string&>());
    case Json::value_t::boolean:
      return three_way(a.get<bool>(), b.get<bool>());
    case Json::value_t::array:
      return compare_arrays(a, b);
    case Json::value_t::object:
      return compare_objects(a, b);
    default:
      return 0;
  }
}

bool is_integral(const Json& number) {
  if (number.is_number_integer()) return true;
  if (!number.is_number_float()) return false;
  const double value = number.get<double>();
  return std::isfinite(value) && std::trunc(value) == value;
}

bool is_multiple_of(const Json& number, const Json& divisor) {
  if (number.is_number_integer() && divisor.is_number_integer() &&
      compare_numbers(divisor, Json(INT64_MAX)) <= 0) {
    const auto by = divisor.get<std::int64_t>();
    return number.is_number_unsigned() ? number.get<std::uint64_t>() % static_cast<std::uint64_t>(by) == 0
                                       : number.get<std::int64_t>() % by == 0;
  }
  const auto value = number.get<long double>();
  const auto by = divisor.get<long double>();
  // Every integer is a multiple of 1/n; the quotient of a big one may be past all precision.
  const long double inverse = 1 / by;
  if (is_integral(number) && inverse >= 1 &&
      std::fabs(inverse - std::nearbyint(inverse)) <= 1e-12L * inverse) {
    return true;
  }
  const long double quotient = value / by;
  // Past the precision of a double the quotient's fraction is gone: only the exact remainder tells.
  if (std::fabs(quotient) > 9007199254740992.0L) return std::fmod(value, by) == 0;
  return std::fabs(quotient - std::nearbyint(quotient)) <= 1e-12L * std::max(1.0L, std::fabs(quotient));
}

}  // namespace assistiv::mcp
