#pragma once
// A provider's event stream under way. Internal to the engine.
#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/sse_decoder.h"
#include "core/upstream.h"
#include "inference/dialect.h"
#include "inference/engine/meter.h"
#include "inference/routing/target.h"

namespace assistiv::inference {

// One SSE event: its bytes as they came, and what they mean. `raw` is empty for what we found ourselves
// (a cut, a timeout).
struct Piece {
  std::string raw;
  std::vector<StreamEvent> events;
};
using Pieces = std::vector<Piece>;

// Settles its meter exactly once: at the proper end, at a fault, or when it dies. Used by one coroutine at a
// time.
class LiveStream {
 public:
  LiveStream(std::unique_ptr<core::UpstreamReply> reply, TargetPtr target, std::unique_ptr<Meter> meter);

  // What comes next: pieces; none at the end; nullopt when nothing came within `patience` or before `wake`.
  core::Task<std::optional<Pieces>> step(std::chrono::milliseconds patience, std::stop_token wake);
  // Gives pieces back, to be had again by the next step().
  void unread(Pieces pieces);
  // Ends it now; the provider stops generating.
  void abandon(billing::CallOutcome outcome);

  std::size_t bytes_read() const { return bytes_read_; }
  const Meter& meter() const { return *meter_; }

 private:
  Pieces decode(std::string_view bytes);
  Pieces at_end();
  Piece decode_event(core::SseEvent event);
  void note(const StreamEvent& event);
  Pieces cut(Fault fault);
  billing::CallOutcome failed_as(Fault::Kind kind) const;
  core::Task<> finish_reading();

  const TargetPtr target_;
  std::unique_ptr<core::UpstreamReply> reply_;
  std::unique_ptr<Meter> meter_;
  std::unique_ptr<StreamDecoder> decoder_;
  core::SseDecoder sse_;
  Pieces unread_;
  std::size_t bytes_read_ = 0;
  std::size_t decoded_bytes_ = 0;
  bool proven_ = false;  // the provider said that nothing is missing
  bool said_something_ = false;
  bool over_ = false;
};

// The fault that a broken exchange is.
Fault fault_of(const core::OutboundError& error);
// Providers repeat the credential that they were sent: it goes no further.
void hide_key(Fault& fault, const Target& target);

}  // namespace assistiv::inference
