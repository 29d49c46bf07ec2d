// Input: a mode byte, then a client's request, a provider's reply, a stream or an error body in the form of
// the Responses API. Nothing may crash or hang; what was decoded must be told again, and streams end
// properly.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/error.h"
#include "core/json_read.h"
#include "core/sse_decoder.h"
#include "inference/dialect.h"
#include "inference/openai_responses/response_object.h"

namespace {

namespace core = assistiv::core;
namespace inference = assistiv::inference;

const inference::Dialect& subject() {
  return inference::openai_responses_dialect();
}

void fuzz_request(std::string_view text) {
  const auto body = core::try_parse_json(text);
  if (!body) return;
  core::dump_json(inference::response_echo(*body));
  const auto request = subject().decode_request(*body);
  for (const auto id : {inference::DialectId::OpenAiResponses, inference::DialectId::Gemini}) {
    inference::EncodeOptions options;
    options.target.name = "gpt-5";
    core::dump_json(inference::dialect(id).encode_request(request, options).body);
  }
}

void fuzz_reply(std::string_view text) {
  const auto body = core::try_parse_json(text);
  if (!body) return;
  subject().decode_usage(*body);
  const auto reply = subject().decode_reply(*body);
  core::dump_json(subject().encode_reply(reply, {}));
  core::dump_json(inference::gemini_dialect().encode_reply(reply, {}));
}

void fuzz_stream(std::string_view text) {
  core::SseDecoder sse;
  const auto decoder = subject().stream_decoder();
  const auto encoder = subject().stream_encoder({});
  const auto other = inference::gemini_dialect().stream_encoder({});
  int open = 0;
  int ends = 0;
  const auto take = [&](const std::vector<inference::StreamEvent>& events) {
    for (const auto& event : events) {
      if (std::holds_alternative<inference::PartStart>(event)) ++open;
      if (std::holds_alternative<inference::PartEnd>(event)) --open;
      if (std::holds_alternative<inference::StreamEnd>(event)) ++ends;
      if (std::holds_alternative<inference::FaultEvent>(event)) ++ends;
      for (auto* one : {encoder.get(), other.get()}) one->encode(event);
    }
  };
  for (const auto& event : sse.feed(text)) take(decoder->feed(event.type, event.data));
  take(decoder->finish());
  if (open != 0 || ends != 1) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    if (data[0] == 'q') fuzz_request(text);
    if (data[0] == 'r') fuzz_reply(text);
    if (data[0] == 's') fuzz_stream(text);
    if (data[0] == 'f') subject().encode_fault(subject().decode_fault(500, text));
  } catch (const core::Error&) {
    // Bad input is refused.
  }
  return 0;
}
