// Any split of the bytes gives the same events.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/sse_decoder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using assistiv::core::SseDecoder;
  if (size < 1) return 0;
  const std::size_t piece = 1 + data[0] % 8;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  using assistiv::core::SseRaw;
  SseDecoder whole(4096, SseRaw::Keep);
  const auto expected = whole.feed(bytes);
  SseDecoder split(4096, SseRaw::Keep);
  std::vector<assistiv::core::SseEvent> events;
  while (!bytes.empty()) {
    for (auto& event : split.feed(bytes.substr(0, piece))) events.push_back(std::move(event));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  if (events != expected || whole.failed() != split.failed() || whole.retry_ms() != split.retry_ms())
    std::abort();
  return 0;
}
