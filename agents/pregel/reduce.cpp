#include "agents/pregel/reduce.h"

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "agents/pregel/messages.h"
#include "core/error.h"

namespace assistiv::agents::pregel {
namespace {

using core::Json;

core::Error unfit(const StateKey& key, std::string why) {
  return core::Error(core::ErrorKind::Unprocessable, "key \"" + key.name + "\": " + std::move(why))
      .with_code("INVALID_GRAPH_UPDATE")
      .with_field("/" + key.name);
}

core::Error concurrent(const StateKey& key) {
  return core::Error(
             core::ErrorKind::Unprocessable,
             "key \"" + key.name + "\" takes one value per step; give it an x-reducer to take several")
      .with_code("INVALID_CONCURRENT_GRAPH_UPDATE")
      .with_field("/" + key.name);
}

// What replaces instead of being reduced; null: an ordinary write.
const Json* overwrite(const Json& value) {
  if (!value.is_object()) return nullptr;
  if (value.size() == 1 && value.contains("__overwrite__")) return &value["__overwrite__"];
  if (value.size() == 2 && value.contains("type") && value["type"] == "__overwrite__" &&
      value.contains("value")) {
    return &value["value"];
  }
  return nullptr;
}

Json sum(const StateKey& key, const Json& left, const Json& right) {
  if (!left.is_number() || !right.is_number()) throw unfit(key, "only numbers can be summed");
  if (left.is_number_float() || right.is_number_float()) return left.get<double>() + right.get<double>();
  std::int64_t out = 0;
  if (__builtin_add_overflow(left.get<std::int64_t>(), right.get<std::int64_t>(), &out)) {
    throw unfit(key, "the sum is out of range");
  }
  return out;
}

Json append(Json left, const Json& right) {
  if (!left.is_array()) left = Json::array();
  if (right.is_array()) {
    left.insert(left.end(), right.begin(), right.end());
  } else if (!right.is_null()) {
    left.push_back(right);
  }
  return left;
}

Json unite(const Json& left, const Json& right) {
  auto out = Json::array();
  std::set<Json> seen;
  for (const auto& item : append(left, right)) {
    if (seen.insert(item).second) out.push_back(item);
  }
  return out;
}

void merge_into(Json& left, const Json& right, bool deep) {
  for (const auto& [name, value] : right.items()) {
    auto& slot = left[name];
    if (deep && slot.is_object() && value.is_object()) {
      merge_into(slot, value, true);
    } else {
      slot = value;
    }
  }
}

Json merge(const StateKey& key, Json left, const Json& right, bool deep) {
  if (right.is_null()) return left;
  if (!right.is_object()) throw unfit(key, "only objects can be merged");
  if (!left.is_object()) left = Json::object();
  merge_into(left, right, deep);
  return left;
}

Json extreme(const StateKey& key, const Json& left, const Json& right, bool least) {
  const bool comparable = (left.is_number() && right.is_number()) || (left.is_string() && right.is_string());
  if (!comparable) throw unfit(key, "min and max compare two numbers or two texts");
  return (right < left) == least ? right : left;
}

Json junction(const StateKey& key, const Json& left, const Json& right, bool both) {
  if (!left.is_boolean() || !right.is_boolean()) throw unfit(key, "and and or take true or false");
  const bool a = left.get<bool>();
  const bool b = right.get<bool>();
  return both ? a && b : a || b;
}

// A first value stands as it is for those that have no empty value.
Json fold(const StateKey& key, Json left, const Json& right, bool first) {
  switch (key.reducer) {
    case Reducer::Messages:
      return add_messages(left.is_array() ? left : Json::array(), right);
    case Reducer::Append:
      return append(std::move(left), right);
    case Reducer::Union:
      return unite(left, right);
    case Reducer::Merge:
      return merge(key, std::move(left), right, false);
    case Reducer::DeepMerge:
      return merge(key, std::move(left), right, true);
    case Reducer::Sum:
      return sum(key, first ? Json(0) : left, right);
    case Reducer::Min:
    case Reducer::Max:
      return extreme(key, first ? right : left, right, key.reducer == Reducer::Min);
    case Reducer::And:
    case Reducer::Or:
      return junction(key, first ? right : left, right, key.reducer == Reducer::And);
    case Reducer::Last:
    case Reducer::Any:
      return right;
  }
  return right;
}

Value trimmed(const StateKey& key, Json list) {
  const auto max = static_cast<std::size_t>(key.max_items);
  if (key.max_items > 0 && list.is_array() && list.size() > max) {
    const auto cut = key.reducer == Reducer::Messages ? surplus_messages(list, max) : list.size() - max;
    list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(cut));
  }
  return Value(std::move(list));
}

}  // namespace

Value initial_value(const StateKey& key) {
  if (!key.initial.is_null()) return Value(key.initial);
  switch (key.reducer) {
    case Reducer::Messages:
    case Reducer::Append:
    case Reducer::Union:
      return Value(Json::array());
    case Reducer::Merge:
    case Reducer::DeepMerge:
      return Value(Json::object());
    case Reducer::Sum:
      return Value(Json(0));
    default:
      return {};
  }
}

Write prepare_write(const StateKey& key, Json value, core::Random& random) {
  if (key.reducer == Reducer::Messages) {
    if (const Json* whole = overwrite(value)) {
      value = {{"__overwrite__", coerce_messages(*whole, random)}};
    } else {
      value = coerce_messages(value, random);
    }
  }
  return {key.name, Value(std::move(value))};
}

Value reduce(const StateKey& key, const Value& current, std::span<const Value> writes) {
  if (key.reducer == Reducer::Last && writes.size() > 1) throw concurrent(key);
  if (key.reducer == Reducer::Last || key.reducer == Reducer::Any) {
    const auto& last = writes.back();
    const Json* whole = overwrite(last.json());
    return whole || key.max_items > 0 ? trimmed(key, whole ? *whole : last.json()) : last;
  }
  Json value = current.json();
  bool first = current.json().is_null();
  bool replaced = false;
  for (const auto& write : writes) {
    if (const Json* whole = overwrite(write.json())) {
      if (replaced) throw concurrent(key);
      value = *whole;
      replaced = true;
    } else if (!replaced) {
      value = fold(key, std::move(value), write.json(), first);
    }
    first = false;
  }
  return trimmed(key, std::move(value));
}

}  // namespace assistiv::agents::pregel
