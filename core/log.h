#pragma once
// Structured log events: a stable name and fields, one JSON object per line on standard error. No format
// strings, so there is one place that redacts: a field whose name says it is a secret, and any text that
// looks like one of our keys or a bearer token, is replaced before it is written.
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace assistiv::core::log {

enum class Level { Debug, Info, Warn, Error, Off };

struct Field {
  using Value = std::variant<std::string, std::int64_t, double, bool>;
  Field(std::string_view n, std::string v) : name(n), value(std::move(v)) {}
  Field(std::string_view n, std::string_view v) : name(n), value(std::string(v)) {}
  Field(std::string_view n, const char* v) : name(n), value(std::string(v)) {}
  Field(std::string_view n, bool v) : name(n), value(v) {}
  Field(std::string_view n, double v) : name(n), value(v) {}
  template <class T>
    requires std::is_integral_v<T> && (!std::is_same_v<T, bool>)
  Field(std::string_view n, T v) : name(n), value(static_cast<std::int64_t>(v)) {}
  std::string name;
  Value value;
};
using Fields = std::vector<Field>;

// Thread-safe. Call once at start; before that events go to standard error at Info.
void set_level(Level level);
// Tests read events through a listener; an empty function removes it.
void set_listener(std::function<void(Level, std::string_view line)> listener);

void event(Level level, std::string_view name, Fields fields);
inline void debug(std::string_view name, Fields fields = {}) {
  event(Level::Debug, name, std::move(fields));
}
inline void info(std::string_view name, Fields fields = {}) {
  event(Level::Info, name, std::move(fields));
}
inline void warn(std::string_view name, Fields fields = {}) {
  event(Level::Warn, name, std::move(fields));
}
inline void error(std::string_view name, Fields fields = {}) {
  event(Level::Error, name, std::move(fields));
}

// What the log does to free text; also for messages that quote an upstream.
std::string redact(std::string_view text);

}  // namespace assistiv::core::log
