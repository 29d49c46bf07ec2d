// What a provider sends, in every dialect: faults, whole replies, streams in any split. Nothing may crash,
// and a stream must end in an end or a fault.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "core/json_read.h"
#include "core/sse_decoder.h"
#include "inference/dialect.h"
#include "inference/engine/body_edit.h"
#include "inference/engine/meter.h"
#include "inference/routing/retry.h"

namespace {

namespace core = assistiv::core;
namespace inference = assistiv::inference;

bool ends(const std::vector<inference::StreamEvent>& events) {
  return std::any_of(events.begin(), events.end(), [](const inference::StreamEvent& event) {
    return std::holds_alternative<inference::StreamEnd>(event) ||
           std::holds_alternative<inference::FaultEvent>(event);
  });
}

void read_stream(const inference::Dialect& dialect, std::string_view bytes, std::size_t piece) {
  const auto decoder = dialect.stream_decoder();
  const auto encoder = dialect.stream_encoder({"id", "model", 1, true, true, 0, {}});
  inference::Meter meter(nullptr, nullptr, 1);
  meter.sent();
  core::SseDecoder sse(1 << 16, core::SseRaw::Keep);
  bool ended = false;
  const auto take = [&](const std::vector<inference::StreamEvent>& events) {
    for (const auto& event : events) {
      meter.saw(event);
      encoder->encode(event);
    }
    ended = ended || ends(events);
  };
  while (!bytes.empty() && !ended) {
    for (const auto& event : sse.feed(bytes.substr(0, piece)))
      if (!ended) take(decoder->feed(event.type == "message" ? "" : event.type, event.data));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  if (!ended) take(decoder->finish());
  if (!ended) __builtin_trap();
}

void read_whole(const inference::Dialect& dialect, std::string_view bytes) {
  const auto json = core::try_parse_json(bytes);
  if (!json) return;
  try {
    dialect.decode_usage(*json);
    const auto reply = dialect.decode_reply(*json);
    dialect.encode_reply(reply, {"id", "model", 1, true, true, 0, {}});
  } catch (const core::Error&) {  // none of the dialect's
  }
  if (!json->is_object()) return;
  const auto edited = inference::with_json_member(bytes, "model", "\"m\"");
  if (!core::try_parse_json(edited) && inference::plain_member_names(bytes)) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto& dialect = inference::dialect(static_cast<inference::DialectId>(data[0] % 4));
  const std::size_t piece = 1 + data[1];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  dialect.encode_fault(dialect.decode_fault(400 + data[1], bytes));
  core::HttpHeaders headers;
  headers.add("retry-after", std::string(bytes.substr(0, 40)));
  inference::retry_after(headers, dialect.decode_fault(400 + data[1], bytes),
                         core::from_epoch_ms(1'800'000'000'000));
  read_whole(dialect, bytes);
  read_stream(dialect, bytes, piece);
  return 0;
}
