#include "inference/engine/live_stream.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json_read.h"
#include "core/log.h"

namespace assistiv::inference {

using billing::CallOutcome;
using core::OutboundError;
using core::OutboundFailure;

namespace {

constexpr std::size_t kReadBytes = 16 << 10;
constexpr std::size_t kEventBytesMax = 8 << 20;
constexpr int kEventDepthMax = 256;
constexpr std::string_view kHidden = "[redacted]";
constexpr std::size_t kKeyPieceMin = 4;
// Callers within the program, and some encoders, keep a reply until its end.
constexpr std::size_t kReplyBytesMax = 128 << 20;
// For the bytes behind the last event, so that the connection can be used again.
constexpr std::chrono::milliseconds kTailPatience{50};

}  // namespace

// What fails before it has said anything is a failed attempt, not a broken stream.
CallOutcome LiveStream::failed_as(Fault::Kind kind) const {
  if (!said_something_) return CallOutcome::UpstreamError;
  switch (kind) {
    case Fault::Kind::Truncated:
      return CallOutcome::Truncated;
    case Fault::Kind::Timeout:
      return CallOutcome::Timeout;
    default:
      return CallOutcome::StreamError;
  }
}

Fault fault_of(const OutboundError& error) {
  Fault fault;
  switch (error.failure()) {
    case OutboundFailure::Timeout:
      fault.kind = Fault::Kind::Timeout;
      fault.message = "The provider did not answer in time.";
      break;
    case OutboundFailure::Refused:
      fault.kind = Fault::Kind::Internal;
      fault.message = "The provider's address may not be called.";
      break;
    case OutboundFailure::TooLarge:
      fault.kind = Fault::Kind::Upstream;
      fault.message = "The provider's answer is too large.";
      break;
    case OutboundFailure::ConnectFailed:
      fault.kind = Fault::Kind::Transient;
      fault.message = "The provider cannot be reached.";
      break;
    case OutboundFailure::Cancelled:
    case OutboundFailure::Broken:
      fault.kind = Fault::Kind::Transient;
      fault.message = "The connection to the provider broke.";
      break;
  }
  return fault;
}

void hide_key(Fault& fault, const Target& target) {
  if (target.api_key.empty()) return;
  const std::string_view key = target.api_key.reveal();
  for (auto* text : {&fault.message, &fault.code}) {
    for (auto at = text->find(key); at != std::string::npos; at = text->find(key, at + kHidden.size()))
      text->replace(at, key.size(), kHidden);
    // Long messages were cut, maybe within it.
    for (auto length = std::min(key.size(), text->size()); length >= kKeyPieceMin; --length) {
      if (!text->ends_with(key.substr(0, length))) continue;
      text->replace(text->size() - length, length, kHidden);
      break;
    }
  }
}

LiveStream::LiveStream(std::unique_ptr<core::UpstreamReply> reply, TargetPtr target,
                       std::unique_ptr<Meter> meter)
    : target_(std::move(target)),
      reply_(std::move(reply)),
      meter_(std::move(meter)),
      decoder_(dialect(target_->dialect).stream_decoder()),
      sse_(kEventBytesMax, core::SseRaw::Keep) {}

void LiveStream::note(const StreamEvent& event) {
  meter_->saw(event);
  if (std::holds_alternative<StreamEnd>(event)) {
    proven_ = true;
    meter_->settle(CallOutcome::Success);
  } else if (const auto* fault = std::get_if<FaultEvent>(&event)) {
    over_ = true;
    meter_->settle(failed_as(fault->fault.kind), fault->fault.message);
  } else if (!std::holds_alternative<StreamStart>(event) && !std::holds_alternative<UsageEvent>(event)) {
    said_something_ = true;
  }
}

Piece LiveStream::decode_event(core::SseEvent event) {
  Piece piece;
  piece.events = decoder_->feed(event.type == "message" ? std::string_view() : event.type, event.data);
  piece.raw = std::move(event.raw);
  for (auto& one : piece.events) {
    if (auto* fault = std::get_if<FaultEvent>(&one)) hide_key(fault->fault, *target_);
    note(one);
  }
  return piece;
}

Pieces LiveStream::decode(std::string_view bytes) {
  Pieces pieces;
  for (auto& event : sse_.feed(bytes)) {
    if (over_ || proven_) break;
    decoded_bytes_ += event.data.size();
    pieces.push_back(decode_event(std::move(event)));
  }
  const bool too_long = decoded_bytes_ > kReplyBytesMax;
  if ((sse_.failed() || too_long) && !over_ && !proven_) {
    Fault fault;
    fault.message =
        too_long ? "The provider's stream is too long." : "The provider sent an event that is too large.";
    auto last = cut(std::move(fault));
    pieces.insert(pieces.end(), std::make_move_iterator(last.begin()), std::make_move_iterator(last.end()));
  }
  return pieces;
}

Pieces LiveStream::cut(Fault fault) {
  over_ = true;
  reply_.reset();
  meter_->settle(failed_as(fault.kind), fault.message);
  Pieces pieces(1);
  pieces.front().events.emplace_back(FaultEvent{std::move(fault)});
  return pieces;
}

// The body has ended: by the decoder's word this was the end, or a cut.
Pieces LiveStream::at_end() {
  Pieces pieces;
  for (auto& event : sse_.finish()) {
    // Half an event is a cut, not an event that cannot be read.
    if (event.data != "[DONE]" && !core::try_parse_json(event.data, kEventDepthMax)) continue;
    pieces.push_back(decode_event(std::move(event)));
  }
  Piece last;
  if (!over_ && !proven_) {
    last.events = decoder_->finish();
    for (const auto& event : last.events) note(event);
  }
  if (!over_ && !proven_) {
    Fault fault;
    fault.kind = Fault::Kind::Truncated;
    fault.message = "The provider's stream ended before its end.";
    last.events.emplace_back(FaultEvent{fault});
    note(last.events.back());
  }
  over_ = true;
  if (!last.events.empty()) pieces.push_back(std::move(last));
  return pieces;
}

core::Task<> LiveStream::finish_reading() {
  try {
    while (const auto tail = co_await reply_->read_within(kReadBytes, kTailPatience, {}))
      if (tail->empty() || (bytes_read_ += tail->size()) > kEventBytesMax) break;
  } catch (const OutboundError&) {  // everything that counts is here
  }
  reply_.reset();
  over_ = true;
}

core::Task<std::optional<Pieces>> LiveStream::step(std::chrono::milliseconds patience, std::stop_token wake) {
  if (!unread_.empty()) co_return std::exchange(unread_, {});
  if (proven_ && reply_) co_await finish_reading();
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!over_ && reply_) {
    std::optional<std::string> bytes;
    std::optional<OutboundError> broken;
    try {
      bytes = co_await reply_->read_within(kReadBytes, patience, wake);
    } catch (const OutboundError& error) {
      broken = error;
    }
    if (broken) {
      core::log::info("inference.stream_broken", {{"error", broken->what()}});
      const auto fault = fault_of(*broken);
      // An end without a proper one is a cut like any other.
      if (fault.kind == Fault::Kind::Transient) {
        reply_.reset();
        co_return at_end();
      }
      co_return cut(fault);
    }
    if (!bytes) co_return std::nullopt;
    bytes_read_ += bytes->size();
    auto pieces = bytes->empty() ? at_end() : decode(*bytes);
    if (bytes->empty()) reply_.reset();
    if (!pieces.empty()) co_return pieces;
    // Bytes without an event, comments say, are no reason to go on for longer than asked.
    if (wake.stop_requested() || std::chrono::steady_clock::now() >= until) co_return std::nullopt;
  }
  over_ = true;
  co_return Pieces{};
}

void LiveStream::unread(Pieces pieces) {
  unread_.insert(unread_.begin(), std::make_move_iterator(pieces.begin()),
                 std::make_move_iterator(pieces.end()));
}

void LiveStream::abandon(CallOutcome outcome) {
  over_ = true;
  unread_.clear();
  reply_.reset();
  meter_->settle(outcome);
}

}  // namespace assistiv::inference
