#pragma once
// Values while an expression is evaluated. A value is 16 bytes and owns nothing: its text, elements and
// members lie in the expression, in the Memory of the evaluation, or in the JSON that a scope binds, which is
// viewed and never copied.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "agents/cel/types.h"
#include "core/json.h"

namespace assistiv::agents::cel {

// Why an evaluation has no value. Errors are values until the end: && and || may do without an operand that
// failed.
enum class Code : std::uint8_t {
  NoSuchKey,
  NoSuchOverload,
  NoSuchVariable,
  Overflow,
  DivideByZero,
  OutOfRange,
  InvalidArgument,
};

struct Entry;

struct Value {
  Kind kind = Kind::Null;
  bool is_view = false;  // List, Map: `json` instead of `items` and `entries`
  Code code{};           // Error
  std::uint8_t reserved = 0;
  std::uint32_t size = 0;  // String, Bytes: bytes; List, Map: elements; Error: offset in the expression
  union {
    bool truth;
    std::int64_t integer = 0;  // Int; Timestamp and Duration: whole seconds
    std::uint64_t unsigned_integer;
    double number;
    const char* text;  // String, Bytes; Error: what is wrong, or null
    const Value* items;
    const Entry* entries;
    const core::Json* json;
    Kind type;
  };

  static Value null() { return {}; }
  static Value boolean(bool value) {
    Value out(Kind::Bool);
    out.truth = value;
    return out;
  }
  static Value of_int(std::int64_t value) {
    Value out(Kind::Int);
    out.integer = value;
    return out;
  }
  static Value of_uint(std::uint64_t value) {
    Value out(Kind::Uint);
    out.unsigned_integer = value;
    return out;
  }
  static Value of_double(double value) {
    Value out(Kind::Double);
    out.number = value;
    return out;
  }
  static Value of_type(Kind kind) {
    Value out(Kind::Type);
    out.type = kind;
    return out;
  }
  // At most 4 GiB: callers hold less.
  static Value string(std::string_view text) { return of_text(Kind::String, text); }
  static Value bytes(std::string_view text) { return of_text(Kind::Bytes, text); }
  static Value list(const Value* items, std::size_t size) {
    Value out(Kind::List);
    out.size = static_cast<std::uint32_t>(size);
    out.items = items;
    return out;
  }
  static Value map(const Entry* entries, std::size_t size) {
    Value out(Kind::Map);
    out.size = static_cast<std::uint32_t>(size);
    out.entries = entries;
    return out;
  }
  // `nanos` is 0..999999999 for a timestamp; of a duration it has the sign of the seconds.
  static Value time(Kind kind, std::int64_t seconds, std::int32_t nanos) {
    Value out(kind);
    out.integer = seconds;
    std::memcpy(&out.size, &nanos, sizeof nanos);
    return out;
  }
  // `text` must outlive the evaluation: it is a literal.
  static Value error(Code code, const char* text = nullptr) {
    Value out(Kind::Error);
    out.code = code;
    out.text = text;
    return out;
  }
  // Looks at JSON without copying it.
  static Value view(const core::Json& json);

  bool is(Kind other) const { return kind == other; }
  bool is_error() const { return kind == Kind::Error; }
  bool is_true() const { return kind == Kind::Bool && truth; }
  bool is_number() const { return kind == Kind::Int || kind == Kind::Uint || kind == Kind::Double; }
  std::string_view str() const { return {text, size}; }  // String, Bytes
  std::int32_t nanos() const {
    std::int32_t out;
    std::memcpy(&out, &size, sizeof out);
    return out;
  }
  Value at(std::size_t index) const;  // List: index < size

  Value() = default;

 private:
  explicit Value(Kind which) : kind(which) {}
  static Value of_text(Kind kind, std::string_view text) {
    Value out(kind);
    out.size = static_cast<std::uint32_t>(text.size());
    out.text = text.data();
    return out;
  }
};
static_assert(sizeof(Value) == 16);

struct Entry {
  Value key, value;
};

// The members of a map one after the other, for both of its forms.
class MapReader {
 public:
  explicit MapReader(const Value& map);
  std::optional<Entry> next();

 private:
  const Value& map_;
  std::size_t index_ = 0;
  core::Json::const_iterator at_;
};

}  // namespace assistiv::agents::cel
