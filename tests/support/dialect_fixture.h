#pragma once
// What the dialect tests share: reading wire files, running a stream through a decoder and an encoder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/json_read.h"
#include "core/sse_decoder.h"
#include "inference/dialect.h"

namespace assistiv::inference::dialect_test {

using core::Json;

inline std::string golden(const std::string& name) {
  std::ifstream in(std::string(ASSISTIV_SOURCE_DIR) + "/tests/golden/inference/" + name, std::ios::binary);
  EXPECT_TRUE(in) << name;
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// The bytes cut into pieces of `piece`, so that a cut falls everywhere.
inline std::vector<core::SseEvent> sse_events(const std::string& bytes, std::size_t piece = 7) {
  core::SseDecoder decoder;
  std::vector<core::SseEvent> out;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    for (auto& event : decoder.feed(std::string_view(bytes).substr(at, piece)))
      out.push_back(std::move(event));
  }
  for (auto& event : decoder.finish()) out.push_back(std::move(event));
  return out;
}

inline std::vector<StreamEvent> decode_stream(const Dialect& dialect, const std::string& bytes) {
  const auto decoder = dialect.stream_decoder();
  std::vector<StreamEvent> out;
  for (const auto& event : sse_events(bytes)) {
    for (auto& part : decoder->feed(event.type, event.data)) out.push_back(std::move(part));
  }
  for (auto& part : decoder->finish()) out.push_back(std::move(part));
  return out;
}

inline ReplyContext context_for_test() {
  ReplyContext context;
  context.id = "id-1";
  context.model = "asked-model";
  context.created = 1700000000;
  context.include_usage = true;
  context.input_estimate = 11;
  return context;
}

inline std::string encode_stream(const Dialect& dialect, const std::vector<StreamEvent>& events,
                                 ReplyContext context = context_for_test()) {
  const auto encoder = dialect.stream_encoder(std::move(context));
  std::string out;
  for (const auto& event : events) out += encoder->encode(event);
  return out;
}

// The data of each frame as JSON; "[DONE]" as a string.
inline std::vector<Json> frames(const std::string& bytes) {
  std::vector<Json> out;
  for (const auto& event : sse_events(bytes, bytes.size() + 1)) {
    out.push_back(event.data == "[DONE]" ? Json("[DONE]") : Json::parse(event.data));
  }
  return out;
}

// What a stream amounts to.
struct Gathered {
  std::string text;
  std::string thinking;
  std::string signature;
  std::string refusal;
  std::vector<ToolCallPart> calls;
  std::vector<std::string> kinds;  // of the parts, in order
  core::Usage usage;
  std::optional<Finish> finish;
  std::optional<Fault> fault;
  int starts = 0;
  int open = 0;
  bool ended = false;
};

inline Gathered gather(const std::vector<StreamEvent>& events) {
  Gathered out;
  std::vector<Part> parts;
  std::vector<int> call_of;
  const auto begin = [&](const PartStart& start) {
    EXPECT_EQ(start.index, static_cast<int>(parts.size())) << "parts are numbered in order";
    static const char* kNames[] = {"text", "media", "thinking", "refusal", "call", "result"};
    out.kinds.emplace_back(kNames[start.part.index()]);
    call_of.push_back(-1);
    if (const auto* call = std::get_if<ToolCallPart>(&start.part)) {
      call_of.back() = static_cast<int>(out.calls.size());
      out.calls.push_back(*call);
    }
    if (const auto* thought = std::get_if<ThinkingPart>(&start.part)) {
      out.signature += thought->signature + thought->redacted;
    }
    parts.push_back(start.part);
    ++out.open;
  };
  for (const auto& event : events) {
    if (const auto* start = std::get_if<StreamStart>(&event)) {
      ++out.starts;
      core::merge_usage(out.usage, start->usage);
    } else if (const auto* opened = std::get_if<PartStart>(&event)) {
      begin(*opened);
    } else if (const auto* text = std::get_if<TextDelta>(&event)) {
      const auto& part = parts.at(static_cast<std::size_t>(text->index));
      (std::holds_alternative<ThinkingPart>(part)  ? out.thinking
       : std::holds_alternative<RefusalPart>(part) ? out.refusal
                                                   : out.text) += text->text;
    } else if (const auto* piece = std::get_if<ArgumentsDelta>(&event)) {
      const auto call = static_cast<std::size_t>(call_of.at(static_cast<std::size_t>(piece->index)));
      out.calls.at(call).arguments += piece->json;
    } else if (const auto* proof = std::get_if<SignatureDelta>(&event)) {
      const int call = call_of.at(static_cast<std::size_t>(proof->index));
      (call < 0 ? out.signature : out.calls.at(static_cast<std::size_t>(call)).signature) += proof->signature;
    } else if (std::holds_alternative<PartEnd>(event)) {
      --out.open;
    } else if (const auto* finish = std::get_if<FinishEvent>(&event)) {
      EXPECT_FALSE(out.finish) << "one finish";
      out.finish = finish->finish;
    } else if (const auto* usage = std::get_if<UsageEvent>(&event)) {
      core::merge_usage(out.usage, usage->usage);
    } else if (const auto* fault = std::get_if<FaultEvent>(&event)) {
      out.fault = fault->fault;
    } else {
      out.ended = true;
    }
  }
  EXPECT_EQ(out.open, 0) << "every part is closed";
  return out;
}

inline EncodeOptions options_for(std::string flavor, Unsupported mode = Unsupported::Drop) {
  EncodeOptions options;
  options.target.name = "target-model";
  options.target.flavor = std::move(flavor);
  options.unsupported = mode;
  return options;
}

// The field of the refusal, "" when there was none.
template <class F>
std::string refused_field(F call) {
  try {
    call();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::InvalidArgument);
    return error.field();
  }
  return {};
}

}  // namespace assistiv::inference::dialect_test
