#include "core/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

#include "core/async.h"
#include "core/clock.h"

namespace assistiv::core::log {

namespace {

std::atomic<Level> g_level{Level::Info};
std::atomic<bool> g_has_listener{false};
std::mutex g_listener_mutex;
std::function<void(Level, std::string_view)> g_listener;

constexpr std::size_t kGatherBytes = 64 * 1024;
constexpr std::chrono::milliseconds kGatherTime{200};

// Standard error, written in pieces: a system call for each line would cost more than the line. What is
// gathered goes out after 200 ms at the latest, at once with a warning, and when the program ends.
class GatheringSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  ~GatheringSink() override {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    writer_.reset();
    const std::lock_guard lock(mutex_);
    flush_();
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& line) override {
    const bool first = text_.empty();
    text_.append(line.payload.data(), line.payload.size()).push_back('\n');
    if (text_.size() >= kGatherBytes) return flush_();
    if (line.level >= spdlog::level::warn) return;  // the logger flushes
    if (!writer_) {
      writer_ = std::make_unique<BlockingPool>("log", 1, 1);
      writer_->post([this] { write_from_time_to_time(); });
    }
    // The writer waits for the first line only; waking it for each would cost more than the line.
    if (first) changed_.notify_one();
  }
  void flush_() override {
    std::string_view rest = text_;
    while (!rest.empty()) {
      const auto written = ::write(STDERR_FILENO, rest.data(), rest.size());
      if (written < 0 && errno != EINTR) break;  // nobody reads: there is no place to say so
      if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
    }
    text_.clear();
  }

 private:
  void write_from_time_to_time() {
    std::unique_lock lock(mutex_);
    while (!ended_) {
      changed_.wait(lock, [this] { return ended_ || !text_.empty(); });
      changed_.wait_for(lock, kGatherTime, [this] { return ended_; });
      flush_();
    }
  }

  std::string text_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::unique_ptr<BlockingPool> writer_;  // one thread, from the first line that may wait
};

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("assistiv", std::make_shared<GatheringSink>());
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::warn);
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

namespace {

void append_text(std::string& out, std::string_view text) {
  const bool plain = std::ranges::all_of(text, [](char c) {
    return c >= 0x20 && static_cast<unsigned char>(c) < 0x7f && c != '"' && c != '\\';
  });
  if (plain) {
    out.append(1, '"').append(text).push_back('"');
  } else {
    out += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
  out.push_back(out.empty() ? '{' : ',');
  append_text(out, name);
  out.push_back(':');
  append_text(out, text);
}

void append_member(std::string& out, const Field& field) {
  if (const auto* text = std::get_if<std::string>(&field.value)) {
    if (!text->empty())
      append_member(out, field.name, names_a_secret(field.name) ? std::string(kRedacted) : redact(*text));
    return;
  }
  out.push_back(',');
  append_text(out, field.name);
  out.push_back(':');
  if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
    out += std::to_string(*number);
  } else if (const auto* flag = std::get_if<bool>(&field.value)) {
    out += *flag ? "true" : "false";
  } else {
    out += nlohmann::json(std::get<double>(field.value)).dump();
  }
}

}  // namespace

void set_level(Level level) {
  g_level = level;
}

void set_listener(std::function<void(Level, std::string_view)> listener) {
  std::lock_guard lock(g_listener_mutex);
  g_has_listener = listener != nullptr;
  g_listener = std::move(listener);
}

namespace {

// The first letters of the prefixes in redact().
bool may_begin_credential(char c) {
  return c == 's' || c == 'g' || c == 'x' || c == '1' || c == 'e' || c == 'B' || c == 'b' || c == 'w';
}

}  // namespace

std::string redact(std::string_view text) {
  // Prefixes of credentials: ours, GitHub's, Slack's, Zoho's, OpenAI-like keys, JWTs, and what follows
  // "Bearer ".
  constexpr std::array<std::string_view, 18> prefixes = {
      "sk-",  "gho_",  "ghu_",  "ghr_", "ghp_",    "ghs_",    "github_pat_", "xoxb-",  "xoxp-",
      "xoxe", "xapp-", "1000.", "eyJ",  "Bearer ", "bearer ", "Basic ",      "basic ", "whsec_"};
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    if (!may_begin_credential(text[i])) {
      out.push_back(text[i++]);
      continue;
    }
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
  std::string text;
  text.reserve(256);
  append_member(text, "time", format_time(SystemClock().now()));
  append_member(text, "level", level_name(level));
  append_member(text, "event", name);
  for (const auto& field : fields) append_member(text, field);
  text.push_back('}');
  if (g_has_listener) {
    std::lock_guard lock(g_listener_mutex);
    if (g_listener) g_listener(level, text);
  }
  logger().log(level == Level::Error  ? spdlog::level::err
               : level == Level::Warn ? spdlog::level::warn
                                      : spdlog::level::info,
               text);
}

}  // namespace assistiv::core::log
