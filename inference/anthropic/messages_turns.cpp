#include "inference/anthropic/messages_turns.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/encoding.h"
#include "core/error.h"
#include "inference/anthropic/messages.h"
#include "inference/translate/content.h"

namespace assistiv::inference::anthropic {

namespace {

bool is_blank(const std::string& text) {
  return text.find_first_not_of(" \t\r\n") == std::string::npos;
}

struct Call {
  std::string id;
  std::string pointer;
};

struct Result {
  std::string call_id;
  core::Json block;
  std::size_t at = 0;  // so many blocks of its turn came before it
};

// One turn while it is gathered.
struct Turn {
  Role role = Role::User;
  std::vector<core::Json> thinking;  // Assistant: these go first
  std::vector<core::Json> blocks;
  std::vector<Result> results;  // User
  std::vector<Call> calls;      // Assistant
  std::string only_text;        // same dialect: the content was a string
  bool plain = false;
};

class TurnBuilder {
 public:
  TurnBuilder(const Request& request, const EncodeOptions& options, Drops& drops)
      : request_(request), options_(options), drops_(drops), same_(request.dialect == DialectId::Anthropic) {}
  Turns run();

 private:
  void system(const Message& message);
  void reminder(const Message& message);
  void turn(const Message& message);
  void part(const Message& message, std::size_t index, Turn& turn);
  void thinking(const ThinkingPart& part, const std::string& pointer, Turn& turn);
  void call(const ToolCallPart& call, const std::string& pointer, Turn& turn);
  void result(const ToolResultPart& result, const std::string& pointer, Turn& turn);
  std::optional<core::Json> text(const TextPart& part);
  core::Json media(const MediaPart& media, const std::string& pointer);
  core::Json source(const MediaPart& media);
  Turn& turn_of(Role role);
  void alternate();
  void pair_results();
  void orphan(Turn& turn, Result result);
  core::Json content_of(Turn& turn);
  std::string id_of(const std::string& id) const { return same_ ? id : portable_call_id(id); }

  const Request& request_;
  const EncodeOptions& options_;
  Drops& drops_;
  bool same_;
  Turns out_;
  core::Json system_ = core::Json::array();
  std::vector<Turn> turns_;
};

std::optional<core::Json> TurnBuilder::text(const TextPart& part) {
  if (!same_ && is_blank(part.text)) return {};
  core::Json block = {{"type", "text"}, {"text", part.text}};
  if (!part.cache_control.is_null()) block["cache_control"] = part.cache_control;
  return block;
}

core::Json TurnBuilder::source(const MediaPart& media) {
  if (!media.file_id.empty()) {
    if (!same_) return {};
    out_.uses_files = true;
    return {{"type", "file"}, {"file_id", media.file_id}};
  }
  if (media.data.empty()) {
    return media.url.empty() ? core::Json() : core::Json{{"type", "url"}, {"url", media.url}};
  }
  if (media.media_type.starts_with("text/")) {
    auto decoded = core::base64_decode(media.data);
    if (!decoded || !core::is_valid_utf8(*decoded)) return {};
    return {{"type", "text"}, {"media_type", "text/plain"}, {"data", std::move(*decoded)}};
  }
  const bool known = media.media_type == "image/jpeg" || media.media_type == "image/png" ||
                     media.media_type == "image/gif" || media.media_type == "image/webp" ||
                     media.media_type == "application/pdf";
  if (!known && !same_) return {};
  return {{"type", "base64"}, {"media_type", media.media_type}, {"data", media.data}};
}

// Rule A12.
core::Json TurnBuilder::media(const MediaPart& media, const std::string& pointer) {
  const bool readable = media.kind == MediaPart::Kind::Image || media.kind == MediaPart::Kind::Document;
  core::Json from = readable ? source(media) : core::Json();
  if (from.is_null()) {
    drops_.add(pointer);
    return {};
  }
  const bool pdf = media.kind == MediaPart::Kind::Document || media.media_type == "application/pdf" ||
                   (!media.url.empty() && media_type_of_url(media.url) == "application/pdf");
  core::Json block = {{"type", pdf ? "document" : "image"}, {"source", std::move(from)}};
  if (pdf && !media.filename.empty()) block["title"] = media.filename;
  if (!media.detail.empty() && media.detail != "auto") drops_.add(detail_pointer(request_.dialect, pointer));
  if (!media.cache_control.is_null()) block["cache_control"] = media.cache_control;
  return block;
}

Turn& TurnBuilder::turn_of(Role role) {
  // Within the dialect the client's turns stay as they are; the API merges them itself.
  if (same_ || turns_.empty() || turns_.back().role != role) turns_.emplace_back().role = role;
  return turns_.back();
}

// Rule A15: only what Anthropic signed goes back to it.
void TurnBuilder::thinking(const ThinkingPart& part, const std::string& pointer, Turn& turn) {
  const bool proven =
      part.signed_by == DialectId::Anthropic && !(part.signature.empty() && part.redacted.empty());
  if (!proven) return drops_.note(pointer);
  (same_ ? turn.blocks : turn.thinking).push_back(thinking_block(part));
}

void TurnBuilder::call(const ToolCallPart& call, const std::string& pointer, Turn& turn) {
  core::Json input = arguments_object(
      call.arguments,
      pointer + (request_.dialect == DialectId::OpenAiChat ? "/function/arguments" : "/arguments"),
      drops_.mode());
  ToolCallPart named;
  named.id = id_of(call.id);
  named.name = call.name;
  auto block = tool_use_block(named, std::move(input));
  if (!call.cache_control.is_null()) block["cache_control"] = call.cache_control;
  turn.blocks.push_back(std::move(block));
  turn.calls.push_back({named.id, pointer});
  auto& names = out_.tool_names;
  if (std::find(names.begin(), names.end(), call.name) == names.end()) names.push_back(call.name);
}

void TurnBuilder::result(const ToolResultPart& result, const std::string& pointer, Turn& turn) {
  core::Json content = core::Json::array();
  for (std::size_t i = 0; i < result.parts.size(); ++i) {
    if (const auto* said = std::get_if<TextPart>(&result.parts[i])) {
      if (auto block = text(*said)) content.push_back(std::move(*block));
    } else {
      auto block = media(std::get<MediaPart>(result.parts[i]), pointer + "/content/" + std::to_string(i));
      if (!block.is_null()) content.push_back(std::move(block));
    }
  }
  core::Json block = {{"type", "tool_result"}, {"tool_use_id", id_of(result.call_id)}};
  if (!content.empty()) block["content"] = std::move(content);
  if (result.is_error) block["is_error"] = true;
  if (!result.cache_control.is_null()) block["cache_control"] = result.cache_control;
  if (same_) {
    turn.blocks.push_back(std::move(block));
  } else {
    turn.results.push_back({id_of(result.call_id), std::move(block), turn.blocks.size()});
  }
}

void TurnBuilder::part(const Message& message, std::size_t index, Turn& turn) {
  const auto& part = message.parts[index];
  const auto pointer = part_pointer(request_.dialect, message, index);
  if (const auto* said = std::get_if<TextPart>(&part)) {
    if (auto block = text(*said)) turn.blocks.push_back(std::move(*block));
  } else if (const auto* refusal = std::get_if<RefusalPart>(&part)) {
    if (!is_blank(refusal->text)) turn.blocks.push_back({{"type", "text"}, {"text", refusal->text}});
  } else if (const auto* medium = std::get_if<MediaPart>(&part)) {
    auto block = media(*medium, pointer);
    if (!block.is_null()) turn.blocks.push_back(std::move(block));
  } else if (const auto* thought = std::get_if<ThinkingPart>(&part)) {
    thinking(*thought, pointer, turn);
  } else if (const auto* called = std::get_if<ToolCallPart>(&part)) {
    call(*called, pointer, turn);
    if (!called->signature.empty()) drops_.note(signature_pointer(request_.dialect, message, index));
  } else if (const auto* answered = std::get_if<ToolResultPart>(&part)) {
    result(*answered, pointer, turn);
  }
}

void TurnBuilder::turn(const Message& message) {
  auto& turn = turn_of(message.role);
  if (!message.name.empty()) drops_.add(message.origin + "/name");
  const std::size_t before = turn.blocks.size();
  for (std::size_t i = 0; i < message.parts.size(); ++i) {
    part(message, i, turn);
  }
  turn.plain = same_ && turn.blocks.size() == before + 1 && turn.blocks.back().size() == 2 &&
               turn.blocks.back()["type"] == "text";
}

// Rule A1: one block for each piece, so that cache marks stay where they are.
void TurnBuilder::system(const Message& message) {
  if (!message.name.empty()) drops_.add(message.origin + "/name");
  for (std::size_t i = 0; i < message.parts.size(); ++i) {
    const auto* said = std::get_if<TextPart>(&message.parts[i]);
    if (said == nullptr) {
      drops_.add(part_pointer(request_.dialect, message, i));
    } else if (auto block = text(*said)) {
      system_.push_back(std::move(*block));
    }
  }
}

// Rule A2.
void TurnBuilder::reminder(const Message& message) {
  std::string said;
  for (const auto& part : message.parts) {
    if (const auto* text = std::get_if<TextPart>(&part)) said += (said.empty() ? "" : "\n") + text->text;
  }
  if (is_blank(said)) return;
  turn_of(Role::User)
      .blocks.push_back({{"type", "text"}, {"text", "<system-reminder>\n" + said + "\n</system-reminder>"}});
}

// Rule A6: what nobody asked for is said as text.
void TurnBuilder::orphan(Turn& turn, Result result) {
  if (!result.block.contains("content")) return;
  auto at = result.at;
  for (auto& block : result.block["content"]) {
    if (block["type"] == "text") block["text"] = "Tool result: " + block["text"].get<std::string>();
    turn.blocks.insert(turn.blocks.begin() + static_cast<std::ptrdiff_t>(at++), std::move(block));
  }
}

// Rules A5 and A6: each call's result first thing in the turn after it, in the order of the calls.
void TurnBuilder::pair_results() {
  for (std::size_t i = 0; i < turns_.size(); ++i) {
    std::vector<Call> calls;
    if (turns_[i].role == Role::User && i > 0) calls = turns_[i - 1].calls;
    auto results = std::move(turns_[i].results);
    std::vector<core::Json> ordered;
    for (const auto& call : calls) {
      const auto hit = std::find_if(results.begin(), results.end(),
                                    [&](const Result& result) { return result.call_id == call.id; });
      if (hit == results.end()) continue;
      ordered.push_back(std::move(hit->block));
      results.erase(hit);
    }
    // The last one first, so that the places of the others hold.
    for (auto it = results.rbegin(); it != results.rend(); ++it) orphan(turns_[i], std::move(*it));
    auto& blocks = turns_[i].blocks;
    blocks.insert(blocks.begin(), std::make_move_iterator(ordered.begin()),
                  std::make_move_iterator(ordered.end()));
    if (i > 0 && ordered.size() < calls.size()) {
      const auto unanswered = std::find_if(calls.begin(), calls.end(), [&](const Call& call) {
        return std::none_of(blocks.begin(), blocks.end(), [&](const core::Json& block) {
          return block["type"] == "tool_result" && block["tool_use_id"] == call.id;
        });
      });
      throw core::bad_request(
          "The tool call \"" + unanswered->id + "\" has no result in the messages after it.",
          unanswered->pointer);
    }
  }
  if (!turns_.empty() && !turns_.back().calls.empty()) {
    const auto& call = turns_.back().calls.front();
    throw core::bad_request("The tool call \"" + call.id + "\" has no result in the messages after it.",
                            call.pointer);
  }
}

core::Json TurnBuilder::content_of(Turn& turn) {
  if (turn.plain) return std::move(turn.blocks.front()["text"]);
  core::Json content = core::Json::array();
  for (auto* list : {&turn.thinking, &turn.blocks}) {
    for (auto& block : *list) content.push_back(std::move(block));
  }
  return content;
}

// Turns that came to nothing go, those of one role that then stand together are one, and each call gets its
// result.
void TurnBuilder::alternate() {
  std::erase_if(turns_, [](const Turn& turn) {
    return turn.thinking.empty() && turn.blocks.empty() && turn.results.empty();
  });
  std::vector<Turn> merged;
  for (auto& turn : turns_) {
    if (merged.empty() || merged.back().role != turn.role) {
      merged.push_back(std::move(turn));
      continue;
    }
    auto& into = merged.back();
    std::move(turn.thinking.begin(), turn.thinking.end(), std::back_inserter(into.thinking));
    for (auto& result : turn.results) result.at += into.blocks.size();
    std::move(turn.blocks.begin(), turn.blocks.end(), std::back_inserter(into.blocks));
    std::move(turn.results.begin(), turn.results.end(), std::back_inserter(into.results));
    std::move(turn.calls.begin(), turn.calls.end(), std::back_inserter(into.calls));
  }
  turns_ = std::move(merged);
  pair_results();
  std::erase_if(turns_, [](const Turn& turn) { return turn.thinking.empty() && turn.blocks.empty(); });
  const auto size = turns_.size();
  out_.loop_without_thinking =
      size >= 2 && !turns_[size - 2].calls.empty() && turns_[size - 2].thinking.empty();
}

Turns TurnBuilder::run() {
  bool spoken = false;
  for (const auto& message : request_.messages) {
    if (message.role != Role::System) {
      spoken = true;
      turn(message);
    } else if (same_ && message.origin != "/system") {
      turn(message);
    } else if (spoken && options_.keep_system_in_place) {
      reminder(message);
    } else {
      system(message);
    }
  }
  if (!same_) alternate();
  out_.messages = core::Json::array();
  for (auto& turn : turns_) {
    const char* role = turn.role == Role::User ? "user" : turn.role == Role::System ? "system" : "assistant";
    out_.messages.push_back({{"role", role}, {"content", content_of(turn)}});
  }
  if (system_.size() == 1 && same_ && system_[0].size() == 2) {
    out_.system = std::move(system_[0]["text"]);
  } else if (!system_.empty()) {
    out_.system = std::move(system_);
  }
  return std::move(out_);
}

}  // namespace

Turns encode_turns(const Request& request, const EncodeOptions& options, Drops& drops) {
  return TurnBuilder(request, options, drops).run();
}

}  // namespace assistiv::inference::anthropic
