#include "core/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>

#include "core/clock.h"

namespace assistiv::core::log {

namespace {

std::atomic<Level> g_level{Level::Info};
std::mutex g_listener_mutex;
std::function<void(Level, std::string_view)> g_listener;

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made =
        std::make_shared<spdlog::logger>("assistiv", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *instance;
}

constexpr std::string_view kRedacted = "[redacted]";

bool names_a_secret(std::string_view name) {
  constexpr std::array<std::string_view, 6> words = {"secret",        "password", "token",
                                                     "authorization", "api_key",  "cookie"};
  if (name == "code") return true;  // an authorization code; others have names like "error_code"
  return std::any_of(words.begin(), words.end(), [name](std::string_view word) {
    if (!name.ends_with(word)) return false;
    return name.size() == word.size() || name[name.size() - word.size() - 1] == '_';
  });
}

bool token_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
         c == '.' || c == '+' || c == '/' || c == '=' || c == '~';
}

std::string_view level_name(Level level) {
  switch (level) {
    case Level::Debug:
      return "debug";
    case Level::Info:
      return "info";
    case Level::Warn:
      return "warn";
    case Level::Error:
      return "error";
    case Level::Off:
      break;
  }
  return "off";
}

}  // namespace

void set_level(Level level) {
  g_level = level;
}

void set_listener(std::function<void(Level, std::string_view)> listener) {
  std::lock_guard lock(g_listener_mutex);
  g_listener = std::move(listener);
}

std::string redact(std::string_view text) {
  // Prefixes of credentials: ours, GitHub's, Slack's, Zoho's, OpenAI-like keys, JWTs, and what follows
  // "Bearer ".
  constexpr std::array<std::string_view, 18> prefixes = {
      "sk-",  "gho_",  "ghu_",  "ghr_", "ghp_",    "ghs_",    "github_pat_", "xoxb-",  "xoxp-",
      "xoxe", "xapp-", "1000.", "eyJ",  "Bearer ", "bearer ", "Basic ",      "basic ", "whsec_"};
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const bool at_word = i == 0 || !token_char(text[i - 1]) || text[i - 1] == '=' || text[i - 1] == '/';
    const auto hit =
        !at_word ? prefixes.end() : std::find_if(prefixes.begin(), prefixes.end(), [&](auto prefix) {
          return text.substr(i, prefix.size()) == prefix;
        });
    if (hit == prefixes.end()) {
      out.push_back(text[i++]);
      continue;
    }
    std::size_t end = i + hit->size();
    while (end < text.size() && token_char(text[end])) ++end;
    if (end - i < hit->size() + 8) {  // too short to be a credential
      out.append(text.substr(i, end - i));
    } else {
      out.append(*hit).append(kRedacted);
    }
    i = end;
  }
  return out;
}

void event(Level level, std::string_view name, Fields fields) {
  if (level < g_level.load()) return;
  nlohmann::ordered_json line;
  line["time"] = format_time(SystemClock().now());
  line["level"] = level_name(level);
  line["event"] = name;
  for (auto& field : fields) {
    if (const auto* text = std::get_if<std::string>(&field.value)) {
      if (text->empty()) continue;
      line[field.name] = names_a_secret(field.name) ? std::string(kRedacted) : redact(*text);
    } else {
      std::visit([&](const auto& value) { line[field.name] = value; }, field.value);
    }
  }
  const std::string text = line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  {
    std::lock_guard lock(g_listener_mutex);
    if (g_listener) g_listener(level, text);
  }
  logger().log(level == Level::Error  ? spdlog::level::err
               : level == Level::Warn ? spdlog::level::warn
                                      : spdlog::level::info,
               text);
}

}  // namespace assistiv::core::log
