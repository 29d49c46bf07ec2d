#pragma once
// Reading JSON from outside: bounded parsing, and typed reads that name the faulty place.
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace assistiv::core {

// Parses one JSON text: valid UTF-8, at most `depth_max` levels, no duplicate keys within an object, no
// trailing bytes. Throws Error{InvalidArgument} with the byte position.
Json parse_json(std::string_view text, int depth_max = 64);
// Without an exception: null on any fault.
std::optional<Json> try_parse_json(std::string_view text, int depth_max = 64);

// Compact text; invalid UTF-8 in strings is replaced instead of thrown.
std::string dump_json(const Json& value);

// Reads members of one object. Faults throw Error{InvalidArgument} with the JSON pointer of the member as
// field. The reader keeps references: it must not outlive the object.
class JsonReader {
 public:
  // `path` is the JSON pointer of `object` in the whole document ("" for the root).
  explicit JsonReader(const Json& object, std::string path = {});

  bool has(std::string_view name) const;  // present and not null
  std::string string(std::string_view name, std::size_t min = 0, std::size_t max = 4096) const;
  std::optional<std::string> optional_string(std::string_view name, std::size_t min = 0,
                                             std::size_t max = 4096) const;
  std::optional<std::int64_t> optional_integer(std::string_view name, std::int64_t min,
                                               std::int64_t max) const;
  std::optional<bool> optional_bool(std::string_view name) const;
  // One of `allowed`.
  std::string choice(std::string_view name, std::initializer_list<std::string_view> allowed) const;
  // An array of strings; absent gives an empty vector.
  std::vector<std::string> strings(std::string_view name, std::size_t items_max = 256,
                                   std::size_t length_max = 2048) const;
  // The member itself, of the named type; nullptr when absent or null.
  const Json* object(std::string_view name) const;
  const Json* array(std::string_view name) const;
  // Throws when the object has a member that is not listed.
  void only(std::initializer_list<std::string_view> allowed) const;

  std::string pointer(std::string_view name) const;

 private:
  const Json* find(std::string_view name) const;
  [[noreturn]] void fail(std::string_view name, const std::string& message) const;
  const Json& object_;
  std::string path_;
};

}  // namespace assistiv::core
