#pragma once
// Reading a manifest without stopping at the first fault: every read that fails adds a fault with its JSON
// pointer and gives a harmless value instead.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "mcp/connectors/catalog.h"
#include "mcp/connectors/pointer.h"

namespace assistiv::mcp {

class ManifestNode {
 public:
  // Keeps references to all three.
  ManifestNode(const core::Json& value, const std::string& file, std::vector<ManifestFault>& faults)
      : ManifestNode(&value, "", &file, &faults) {}

  const core::Json& json() const { return *value_; }
  const std::string& pointer() const { return pointer_; }
  void fault(std::string message) const;
  // The same for something inside this value.
  void fault_at(const std::string& pointer_below, std::string message) const;

  // A member; null JSON when it is absent.
  ManifestNode operator[](std::string_view name) const;
  bool has(std::string_view name) const;
  explicit operator bool() const;  // it is there

  // Members must be of these names; this must be an object.
  void only(std::initializer_list<std::string_view> names) const;
  // Calls back for each member or item in order. Faults when it is there and not an object / not an array.
  void each_member(const std::function<void(const std::string&, const ManifestNode&)>& visit) const;
  void each_item(const std::function<void(const ManifestNode&)>& visit) const;

  std::string text(std::size_t min, std::size_t max) const;  // required
  std::string optional_text(std::size_t max, std::string otherwise = {}) const;
  Pointer pointer_value() const;  // the whole document when absent
  std::optional<Pointer> optional_pointer() const;
  std::vector<Pointer> pointers() const;  // one, or a list of them
  std::string choice(std::initializer_list<std::string_view> names, std::string_view otherwise = {}) const;
  std::int64_t integer(std::int64_t min, std::int64_t max, std::int64_t otherwise) const;
  bool boolean(std::optional<bool> otherwise = {}) const;
  std::vector<std::string> texts(std::size_t items_max = 64, std::size_t length_max = 200) const;
  std::vector<int> statuses() const;

  // Runs `read` and turns what it throws into a fault here.
  void guard(const std::function<void()>& read) const;

 private:
  ManifestNode(const core::Json* value, std::string pointer, const std::string* file,
               std::vector<ManifestFault>* faults)
      : value_(value), pointer_(std::move(pointer)), file_(file), faults_(faults) {}
  ManifestNode at(const core::Json& value, std::string_view name) const;

  const core::Json* value_;
  std::string pointer_;
  const std::string* file_;
  std::vector<ManifestFault>* faults_;
};

}  // namespace assistiv::mcp
