#include "agents/cel/value.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace assistiv::agents::cel {

using core::Json;

Value Value::view(const Json& json) {
  switch (json.type()) {
    case Json::value_t::boolean:
      return boolean(json.get<bool>());
    case Json::value_t::number_integer:
      return of_int(json.get<std::int64_t>());
    case Json::value_t::number_unsigned: {
      const auto value = json.get<std::uint64_t>();
      const bool fits = value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
      return fits ? of_int(static_cast<std::int64_t>(value)) : of_uint(value);
    }
    case Json::value_t::number_float:
      return of_double(json.get<double>());
    case Json::value_t::string:
      return string(json.get_ref<const std::string&>());
    case Json::value_t::array:
    case Json::value_t::object: {
      Value out(json.is_array() ? Kind::List : Kind::Map);
      out.is_view = true;
      out.size = static_cast<std::uint32_t>(json.size());
      out.json = &json;
      return out;
    }
    default:
      return null();
  }
}

Value Value::at(std::size_t index) const {
  return is_view ? view((*json)[index]) : items[index];
}

MapReader::MapReader(const Value& map) : map_(map) {
  if (map.is_view) at_ = map.json->cbegin();
}

std::optional<Entry> MapReader::next() {
  if (index_ == map_.size) return std::nullopt;
  if (!map_.is_view) return map_.entries[index_++];
  ++index_;
  const Entry out{Value::string(at_.key()), Value::view(*at_)};
  ++at_;
  return out;
}

}  // namespace assistiv::agents::cel
