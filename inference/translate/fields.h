#pragma once
// Reading a client's body so that nothing of it is lost without a word: what a decoder does not take becomes
// an Extra of the request.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "inference/canonical.h"

namespace assistiv::inference {

// A JSON pointer that is only written out when somebody needs it. Lives on the stack of the decoder; a child
// must not outlive its parent.
class Path {
 public:
  Path() = default;
  Path(const Path& parent, std::string_view name) : parent_(&parent), name_(name) {}
  Path(const Path& parent, std::size_t index) : parent_(&parent), index_(index) {}
  Path(Path&&) = delete;
  std::string str() const;  // "/messages/3/content", "" for the root

 private:
  void append(std::string& out) const;
  const Path* parent_ = nullptr;
  std::string_view name_;
  std::optional<std::size_t> index_;
};

// One object of a client's body. Each read marks the member as known; keep_rest() moves the others to the
// extras. Null counts as absent. Faults throw Error{InvalidArgument} with the member's pointer as field.
class Fields {
 public:
  static constexpr std::size_t kAnyLength = SIZE_MAX;

  Fields(const core::Json& object, const Path& path, Request& request);

  const core::Json* any(std::string_view name);  // nullptr when absent
  const core::Json* object(std::string_view name);
  const core::Json* array(std::string_view name);
  std::string string(std::string_view name, std::size_t max = kAnyLength);  // required
  std::optional<std::string> optional_string(std::string_view name, std::size_t max = kAnyLength);
  // Whole numbers may be written as 4096.0.
  std::optional<std::int64_t> integer(std::string_view name, std::int64_t min, std::int64_t max);
  std::optional<double> number(std::string_view name, double min, double max);
  std::optional<bool> boolean(std::string_view name);
  std::vector<std::string> strings(std::string_view name, std::size_t items_max, std::size_t length_max);
  core::Json copy(std::string_view name);  // null when absent
  void known(std::string_view name) { any(name); }
  // Every member that was not asked for becomes an Extra. Call once, last.
  void keep_rest();

  const Path& path() const { return path_; }
  [[noreturn]] void fail(std::string_view name, std::string_view message) const;

 private:
  const core::Json& object_;
  const Path& path_;
  Request& request_;
  std::vector<std::string_view> taken_;
};

[[noreturn]] void fail_at(const Path& path, std::string_view message);
void keep_extra(Request& request, const Path& path, const core::Json& value);

// A count out of a provider's usage object: absent, null or no number is nullopt, negative is 0.
std::optional<std::int64_t> count_of(const core::Json& object, std::string_view name);
// A member of a provider's object that should be a string: "" when absent or anything else.
std::string text_of(const core::Json& object, std::string_view name);
// The member, or nullptr when it is absent, null, or `object` is no object.
const core::Json* member_of(const core::Json& object, std::string_view name);

}  // namespace assistiv::inference
