// Any bytes as a client's body, a provider's reply, an error and a stream: an answer or a core::Error, and
// what was decoded can be encoded again.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/error.h"
#include "core/json_read.h"
#include "core/sse_decoder.h"
#include "inference/dialect.h"

namespace {

using assistiv::core::Error;

void feed_stream(const assistiv::inference::Dialect& dialect, std::string_view bytes) {
  assistiv::core::SseDecoder sse(4096);
  const auto decoder = dialect.stream_decoder();
  const auto same = dialect.stream_encoder({});
  const auto other = assistiv::inference::anthropic_dialect().stream_encoder({});
  const auto write = [&](const std::vector<assistiv::inference::StreamEvent>& events) {
    for (const auto& event : events) {
      same->encode(event);
      other->encode(event);
    }
  };
  for (const auto& event : sse.feed(bytes)) write(decoder->feed(event.type, event.data));
  for (const auto& event : sse.finish()) write(decoder->feed(event.type, event.data));
  write(decoder->finish());
}

void translate(const assistiv::inference::Dialect& dialect, const assistiv::core::Json& body) {
  try {
    const auto request = dialect.decode_request(body);
    dialect.encode_request(request, {});
    assistiv::inference::anthropic_dialect().encode_request(request, {});
  } catch (const Error&) {
  }
  try {
    const auto reply = dialect.decode_reply(body);
    dialect.encode_reply(reply, {});
    assistiv::inference::anthropic_dialect().encode_reply(reply, {});
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto& dialect = assistiv::inference::openai_chat_dialect();
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  feed_stream(dialect, bytes);
  dialect.encode_fault(dialect.decode_fault(500, bytes));
  if (const auto body = assistiv::core::try_parse_json(bytes)) translate(dialect, *body);
  return 0;
}
