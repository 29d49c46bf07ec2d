#pragma once
// What the fuzz targets of the dialects share. Input: a mode byte, then a client's request (q, Q), a
// provider's reply (r), a stream (s) or an error body (f) in the subject's form. Nothing may crash, hang or
// throw anything but core::Error, and what was decoded must be told again in every dialect, in words that the
// dialect reads itself.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/json_read.h"
#include "core/sse_decoder.h"
#include "inference/dialect.h"
#include "inference/gemini/gemini.h"
#include "inference/translate/citations.h"

namespace assistiv::inference::dialect_fuzz {

inline constexpr std::array kDialects = {DialectId::OpenAiChat, DialectId::OpenAiResponses,
                                         DialectId::Anthropic, DialectId::Gemini};

inline ReplyContext reply_context() {
  return {"id", "model", 1, true, true, 0, {}};
}

// The two ends of what a target may be: everything new and dropped, everything old and strict.
inline EncodeOptions target(DialectId id, bool strict) {
  EncodeOptions options;
  options.target.name = id == DialectId::Gemini ? "gemini-3-flash" : "model";
  options.target.flavor = strict ? "xai" : id == DialectId::OpenAiChat ? "compatible" : "openai";
  options.target.reasoning = true;
  options.target.effort = !strict;
  options.target.structured_output = !strict;
  options.target.json_schema_fields = !strict;
  options.target.thinking = strict ? "budget" : "";
  options.unsupported = strict ? Unsupported::Strict : Unsupported::Drop;
  options.keep_system_in_place = strict;
  return options;
}

inline void fuzz_request(const Dialect& subject, std::string_view text, bool strict) {
  const auto body = core::try_parse_json(text);
  if (!body) return;
  auto request = subject.decode_request(*body);
  remote_media(request);
  for (const auto id : kDialects) {
    try {
      const auto encoded = dialect(id).encode_request(request, target(id, strict));
      if (!core::try_parse_json(core::dump_json(encoded.body))) __builtin_trap();
      dialect(id).decode_request(encoded.body);
    } catch (const core::Error&) {
      // The target cannot take it.
    }
  }
}

inline void fuzz_reply(const Dialect& subject, std::string_view text) {
  const auto body = core::try_parse_json(text);
  if (!body) return;
  subject.decode_usage(*body);
  const auto reply = subject.decode_reply(*body);
  for (const auto id : kDialects) {
    left_out_for(id, reply);
    const auto told = dialect(id).encode_reply(reply, reply_context());
    if (!core::try_parse_json(core::dump_json(told))) __builtin_trap();
    try {
      dialect(id).decode_reply(told);
    } catch (const core::Error&) {
      // A reply that tells of a failure.
    }
  }
}

// Parts are opened once and closed, deltas come between, and one end comes last.
class StreamJudge {
 public:
  void saw(const StreamEvent& event) {
    if (ended_) __builtin_trap();
    if (const auto* start = std::get_if<PartStart>(&event)) {
      if (start->index != next_++ || !open_.insert(start->index).second) __builtin_trap();
    } else if (const auto* end = std::get_if<PartEnd>(&event)) {
      if (open_.erase(end->index) != 1) __builtin_trap();
    } else if (std::holds_alternative<StreamEnd>(event) || std::holds_alternative<FaultEvent>(event)) {
      ended_ = true;
    }
    if (const auto* delta = std::get_if<TextDelta>(&event)) check(delta->index);
    if (const auto* delta = std::get_if<ArgumentsDelta>(&event)) check(delta->index);
    if (const auto* delta = std::get_if<SignatureDelta>(&event)) check(delta->index);
    if (const auto* cited = std::get_if<CitationEvent>(&event)) check(cited->index);
  }
  void over() const {
    if (!ended_ || !open_.empty()) __builtin_trap();
  }

 private:
  void check(int index) const {
    if (!open_.contains(index)) __builtin_trap();
  }
  std::set<int> open_;
  int next_ = 0;
  bool ended_ = false;
};

template <class Take>
void decode_stream(const Dialect& subject, std::string_view text, Take take) {
  core::SseDecoder sse;
  const auto decoder = subject.stream_decoder();
  const auto pass = [&](const std::vector<StreamEvent>& events) {
    for (const auto& event : events) take(event);
  };
  for (const auto& event : sse.feed(text)) pass(decoder->feed(event.type, event.data));
  for (const auto& event : sse.finish()) pass(decoder->feed(event.type, event.data));
  pass(decoder->finish());
}

inline void fuzz_stream(const Dialect& subject, std::string_view text) {
  std::vector<std::unique_ptr<StreamEncoder>> encoders;
  for (const auto id : kDialects) encoders.push_back(dialect(id).stream_encoder(reply_context()));
  const auto array = gemini_array_encoder(reply_context());
  std::array<std::string, kDialects.size()> told;
  std::string elements;
  StreamJudge judge;
  decode_stream(subject, text, [&](const StreamEvent& event) {
    judge.saw(event);
    for (std::size_t i = 0; i < encoders.size(); ++i) told[i] += encoders[i]->encode(event);
    elements += array->encode(event);
  });
  judge.over();
  if (!core::try_parse_json(elements, 256)) __builtin_trap();
  for (std::size_t i = 0; i < told.size(); ++i) {
    StreamJudge again;
    decode_stream(dialect(kDialects[i]), told[i], [&](const StreamEvent& event) { again.saw(event); });
    again.over();
  }
}

inline void fuzz(const Dialect& subject, const std::uint8_t* data, std::size_t size) {
  if (size == 0) return;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    if (data[0] == 'q' || data[0] == 'Q') fuzz_request(subject, text, data[0] == 'Q');
    if (data[0] == 'r') fuzz_reply(subject, text);
    if (data[0] == 's') fuzz_stream(subject, text);
    if (data[0] == 'f') {
      const auto fault = subject.decode_fault(500, text);
      for (const auto id : kDialects) core::dump_json(dialect(id).encode_fault(fault).body);
    }
  } catch (const core::Error&) {
    // Bad input is refused.
  }
}

}  // namespace assistiv::inference::dialect_fuzz
