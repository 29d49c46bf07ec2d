#include "core/upstream.h"

namespace assistiv::core {

Task<std::string> read_all(UpstreamReply* reply, std::size_t max) {
  std::string body;
  for (;;) {
    // One byte more than allowed tells a body of exactly `max` from a larger one.
    const auto piece = co_await reply->read(max - body.size() + 1);
    if (piece.empty()) co_return body;
    body += piece;
    if (body.size() > max) throw OutboundError(OutboundFailure::TooLarge, "the reply is larger than allowed");
  }
}

}  // namespace assistiv::core
