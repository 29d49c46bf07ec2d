#include "inference/translate/fields.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_pointer.h"

namespace assistiv::inference {

namespace {
constexpr double kExactInteger = 9007199254740992.0;  // 2^53

}  // namespace

std::string Path::str() const {
  std::string out;
  append(out);
  return out;
}

void Path::append(std::string& out) const {
  if (parent_ == nullptr) return;
  parent_->append(out);
  out.push_back('/');
  if (index_) {
    out += std::to_string(*index_);
  } else {
    out += core::pointer_token(name_);
  }
}

void fail_at(const Path& path, std::string_view message) {
  std::string field = path.str();
  std::string said = field.empty() ? "The body " : "\"" + field + "\" ";
  said.append(message).append(".");
  throw core::bad_request(std::move(said), std::move(field));
}

void keep_extra(Request& request, const Path& path, const core::Json& value) {
  request.extras.push_back({request.dialect, path.str(), value});
}

Fields::Fields(const core::Json& object, const Path& path, Request& request)
    : object_(object), path_(path), request_(request) {
  if (!object_.is_object()) fail_at(path_, "must be an object");
  taken_.reserve(object_.size());
}

void Fields::fail(std::string_view name, std::string_view message) const {
  fail_at(Path(path_, name), message);
}

const core::Json* Fields::any(std::string_view name) {
  const auto it = object_.find(name);
  if (it == object_.end()) return nullptr;
  if (std::find(taken_.begin(), taken_.end(), it.key()) == taken_.end()) taken_.push_back(it.key());
  return it->is_null() ? nullptr : &*it;
}

const core::Json* Fields::object(std::string_view name) {
  const auto* value = any(name);
  if (value != nullptr && !value->is_object()) fail(name, "must be an object");
  return value;
}

const core::Json* Fields::array(std::string_view name) {
  const auto* value = any(name);
  if (value != nullptr && !value->is_array()) fail(name, "must be an array");
  return value;
}

std::optional<std::string> Fields::optional_string(std::string_view name, std::size_t max) {
  const auto* value = any(name);
  if (value == nullptr) return {};
  if (!value->is_string()) fail(name, "must be a string");
  const auto& text = value->get_ref<const std::string&>();
  if (text.size() > max) fail(name, "must have at most " + std::to_string(max) + " bytes");
  return text;
}

std::string Fields::string(std::string_view name, std::size_t max) {
  auto text = optional_string(name, max);
  if (!text) fail(name, "is required");
  return std::move(*text);
}

std::optional<std::int64_t> Fields::integer(std::string_view name, std::int64_t min, std::int64_t max) {
  const auto* value = any(name);
  if (value == nullptr) return {};
  std::int64_t number = 0;
  bool whole = value->is_number_integer();
  if (whole) {
    whole = !value->is_number_unsigned() || value->get<std::uint64_t>() <= INT64_MAX;
    if (whole) number = value->get<std::int64_t>();
  } else if (value->is_number_float()) {
    const double real = value->get<double>();
    whole = std::abs(real) < kExactInteger && std::trunc(real) == real;
    if (whole) number = static_cast<std::int64_t>(real);
  }
  if (!whole) fail(name, "must be an integer");
  if (number < min || number > max) {
    fail(name, "must be from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return number;
}

std::optional<double> Fields::number(std::string_view name, double min, double max) {
  const auto* value = any(name);
  if (value == nullptr) return {};
  if (!value->is_number()) fail(name, "must be a number");
  const auto number = value->get<double>();
  if (!(number >= min && number <= max)) {
    fail(name, "must be from " + core::Json(min).dump() + " to " + core::Json(max).dump());
  }
  return number;
}

std::optional<bool> Fields::boolean(std::string_view name) {
  const auto* value = any(name);
  if (value == nullptr) return {};
  if (!value->is_boolean()) fail(name, "must be true or false");
  return value->get<bool>();
}

std::vector<std::string> Fields::strings(std::string_view name, std::size_t items_max,
                                         std::size_t length_max) {
  std::vector<std::string> out;
  const auto* value = array(name);
  if (value == nullptr) return out;
  if (value->size() > items_max) fail(name, "must have at most " + std::to_string(items_max) + " items");
  for (const auto& item : *value) {
    if (!item.is_string() || item.get_ref<const std::string&>().size() > length_max) {
      fail(name, "must hold strings of at most " + std::to_string(length_max) + " bytes");
    }
    out.push_back(item.get_ref<const std::string&>());
  }
  return out;
}

core::Json Fields::copy(std::string_view name) {
  const auto* value = any(name);
  return value == nullptr ? core::Json() : *value;
}

void Fields::keep_rest() {
  if (taken_.size() == object_.size()) return;
  for (auto it = object_.begin(); it != object_.end(); ++it) {
    if (std::find(taken_.begin(), taken_.end(), it.key()) == taken_.end()) {
      keep_extra(request_, Path(path_, it.key()), it.value());
    }
  }
}

std::optional<std::int64_t> count_of(const core::Json& object, std::string_view name) {
  const auto* value = member_of(object, name);
  if (value == nullptr || !value->is_number()) return {};
  if (value->is_number_float()) {
    const auto real = value->get<double>();
    if (!(real > 0)) return 0;
    return real < kExactInteger ? static_cast<std::int64_t>(real) : INT64_MAX / 1024;
  }
  if (value->is_number_unsigned()) {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(value->get<std::uint64_t>(), INT64_MAX / 1024));
  }
  return std::max<std::int64_t>(0, value->get<std::int64_t>());
}

std::string text_of(const core::Json& object, std::string_view name) {
  const auto* value = member_of(object, name);
  return value != nullptr && value->is_string() ? value->get_ref<const std::string&>() : std::string();
}

const core::Json* member_of(const core::Json& object, std::string_view name) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(name);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

}  // namespace assistiv::inference
