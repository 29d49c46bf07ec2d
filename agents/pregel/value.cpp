#include "agents/pregel/value.h"

#include <utility>

#include "core/error.h"

namespace assistiv::agents::pregel {
namespace {

std::size_t bytes_within(const core::Json& json, int depth) {
  if (depth > kMaxNesting) {
    throw core::Error(core::ErrorKind::Unprocessable, "a value is nested too deep")
        .with_code("INVALID_GRAPH_UPDATE");
  }
  switch (json.type()) {
    case core::Json::value_t::string:
      return json.get_ref<const std::string&>().size() + 2;
    case core::Json::value_t::array: {
      std::size_t sum = 2;
      for (const auto& item : json) sum += bytes_within(item, depth + 1) + 1;
      return sum;
    }
    case core::Json::value_t::object: {
      std::size_t sum = 2;
      for (const auto& [key, item] : json.items()) sum += key.size() + 4 + bytes_within(item, depth + 1);
      return sum;
    }
    case core::Json::value_t::number_integer:
    case core::Json::value_t::number_unsigned:
    case core::Json::value_t::number_float:
      return 8;
    default:
      return 4;
  }
}

}  // namespace

std::size_t json_bytes(const core::Json& json) {
  return bytes_within(json, 0);
}

Value::Value(core::Json json) {
  const auto bytes = json_bytes(json);
  box_ = std::make_shared<const Box>(Box{std::move(json), bytes});
}

const core::Json& Value::json() const {
  static const core::Json null;
  return box_ ? box_->json : null;
}

core::Json to_json(const Values& values) {
  auto out = core::Json::object();
  for (const auto& [key, value] : values) out[key] = value.json();
  return out;
}

}  // namespace assistiv::agents::pregel
