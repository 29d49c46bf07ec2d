#include "mcp/connectors/manifest_node.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_pointer.h"

namespace assistiv::mcp {

namespace {

const core::Json kAbsent;

}  // namespace

void ManifestNode::fault(std::string message) const {
  faults_->push_back({*file_, pointer_, std::move(message)});
}

void ManifestNode::fault_at(const std::string& pointer_below, std::string message) const {
  faults_->push_back({*file_, pointer_ + pointer_below, std::move(message)});
}

ManifestNode ManifestNode::at(const core::Json& value, std::string_view name) const {
  return {&value, pointer_ + "/" + core::pointer_token(name), file_, faults_};
}

ManifestNode ManifestNode::operator[](std::string_view name) const {
  if (!value_->is_object()) return at(kAbsent, name);
  const auto it = value_->find(name);
  return at(it == value_->end() ? kAbsent : *it, name);
}

bool ManifestNode::has(std::string_view name) const {
  return value_->is_object() && value_->contains(name);
}

ManifestNode::operator bool() const {
  return !value_->is_null();
}

void ManifestNode::only(std::initializer_list<std::string_view> names) const {
  if (!value_->is_object()) return fault("must be an object");
  for (const auto& [name, value] : value_->items()) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      at(value, name).fault("is not a known member");
  }
}

void ManifestNode::each_member(
    const std::function<void(const std::string&, const ManifestNode&)>& visit) const {
  if (value_->is_null()) return;
  if (!value_->is_object()) return fault("must be an object");
  for (const auto& [name, value] : value_->items()) visit(name, at(value, name));
}

void ManifestNode::each_item(const std::function<void(const ManifestNode&)>& visit) const {
  if (value_->is_null()) return;
  if (!value_->is_array()) return fault("must be an array");
  for (std::size_t i = 0; i < value_->size(); ++i) visit(at((*value_)[i], std::to_string(i)));
}

std::string ManifestNode::text(std::size_t min, std::size_t max) const {
  if (value_->is_string()) {
    auto out = value_->get<std::string>();
    if (out.size() >= min && out.size() <= max) return out;
  }
  fault(value_->is_null()
            ? "is required"
            : "must be a string of " + std::to_string(min) + " to " + std::to_string(max) + " bytes");
  return {};
}

std::string ManifestNode::optional_text(std::size_t max, std::string otherwise) const {
  return value_->is_null() ? std::move(otherwise) : text(0, max);
}

Pointer ManifestNode::pointer_value() const {
  return optional_pointer().value_or(Pointer());
}

std::optional<Pointer> ManifestNode::optional_pointer() const {
  if (value_->is_null()) return {};
  auto out = Pointer::parse(text(0, 200));
  if (!out) fault("must be a JSON pointer: empty, or beginning with \"/\"");
  return out;
}

std::vector<Pointer> ManifestNode::pointers() const {
  std::vector<Pointer> out;
  if (!*this) return out;
  if (json().is_array()) {
    each_item([&out](const ManifestNode& item) { out.push_back(item.pointer_value()); });
  } else {
    out.push_back(pointer_value());
  }
  return out;
}

std::string ManifestNode::choice(std::initializer_list<std::string_view> names,
                                 std::string_view otherwise) const {
  if (value_->is_null() && !otherwise.empty()) return std::string(otherwise);
  if (value_->is_string()) {
    const auto& out = value_->get_ref<const std::string&>();
    if (std::find(names.begin(), names.end(), out) != names.end()) return out;
  }
  std::string list;
  for (const auto name : names) list += (list.empty() ? "" : ", ") + std::string(name);
  fault("must be one of: " + list);
  return std::string(otherwise.empty() ? *names.begin() : otherwise);
}

std::int64_t ManifestNode::integer(std::int64_t min, std::int64_t max, std::int64_t otherwise) const {
  if (value_->is_null()) return otherwise;
  if (value_->is_number_integer()) {
    const auto out = value_->get<std::int64_t>();
    if (out >= min && out <= max) return out;
  }
  fault("must be an integer from " + std::to_string(min) + " to " + std::to_string(max));
  return otherwise;
}

bool ManifestNode::boolean(std::optional<bool> otherwise) const {
  if (value_->is_boolean()) return value_->get<bool>();
  if (!value_->is_null() || !otherwise) fault("must be true or false");
  return otherwise.value_or(false);
}

std::vector<std::string> ManifestNode::texts(std::size_t items_max, std::size_t length_max) const {
  std::vector<std::string> out;
  each_item([&](const ManifestNode& item) { out.push_back(item.text(1, length_max)); });
  if (out.size() > items_max) fault("must have at most " + std::to_string(items_max) + " items");
  return out;
}

std::vector<int> ManifestNode::statuses() const {
  std::vector<int> out;
  each_item([&](const ManifestNode& item) {
    if (!item.json().is_number_integer()) return item.fault("must be an HTTP status");
    out.push_back(static_cast<int>(item.integer(100, 599, 500)));
  });
  return out;
}

void ManifestNode::guard(const std::function<void()>& read) const {
  try {
    read();
  } catch (const core::Error& error) {
    fault(error.message());
  }
}

}  // namespace assistiv::mcp
