#include "mcp/protocol/answer.h"

#include <utility>

#include "core/error.h"
#include "core/log.h"

namespace assistiv::mcp {

namespace {
constexpr std::size_t kQueueMax = 64;
constexpr std::size_t kQueueBytesMax = 256 << 10;
constexpr std::chrono::seconds kSpacePatience{30};
constexpr std::chrono::seconds kLastWords{5};
constexpr std::string_view kComment = ":\n\n";
}  // namespace

std::string event_id(std::string_view stream, std::int64_t seq) {
  return std::string(stream).append(".").append(std::to_string(seq));
}

Answer::Answer(std::optional<AnswerLog> log, std::chrono::milliseconds heartbeat)
    : log_(std::move(log)), heartbeat_(heartbeat) {}

Answer::Answer(std::function<core::Task<>(std::string)> elsewhere)
    : elsewhere_(std::move(elsewhere)), heartbeat_(0) {}

void Answer::queue(std::string event) {
  if (reader_gone_ || released_) return;
  queued_bytes_ += event.size();
  queue_.push_back(std::move(event));
  ready_.set();
}

core::Task<bool> Answer::keep(std::string message, bool last) {
  if (!log_) co_return false;
  try {
    co_await log_->store.append(log_->owner, log_->session, log_->stream,
                                {seq_ + 1, std::move(message), last});
    ++seq_;
    co_return true;
  } catch (const core::Error& e) {
    core::log::warn("mcp.stream_not_kept", {{"error", e.what()}, {"detail", e.detail()}});
  }
  // A gap would make resumption lie, so the rest of the stream has no ids.
  log_.reset();
  co_return false;
}

core::Task<> Answer::begin() {
  if (begun_ == Begun::Done) co_return;
  if (begun_ == Begun::Doing) {
    co_await begun_event_.wait_for(kSpacePatience);
    co_return;
  }
  begun_ = Begun::Doing;
  if (log_ && log_->priming == Priming::Yes && co_await keep("", false)) {
    queue(core::sse_event("", event_id(log_->stream, seq_), {}, kRetryMs));
  } else {
    queue(std::string(kComment));
  }
  begun_ = Begun::Done;
  begun_event_.set();
}

core::Task<> Answer::deliver(std::string message, bool last) {
  std::string id;
  if (co_await keep(message, last)) id = event_id(log_->stream, seq_);
  queue(core::sse_event(message, id));
  while (!reader_gone_ && !released_ && (queue_.size() > kQueueMax || queued_bytes_ > kQueueBytesMax)) {
    if (!co_await space_.wait_for(kSpacePatience)) reader_left();
  }
}

core::Task<> Answer::send(std::string message) {
  if (elsewhere_) co_return co_await elsewhere_(std::move(message));
  co_await begin();
  co_await deliver(std::move(message), false);
}

core::Task<> Answer::finish(std::string message, int status) {
  if (elsewhere_) {
    if (!message.empty()) co_await elsewhere_(std::move(message));
    co_return;
  }
  if (begun_ == Begun::No) {
    plain_ = std::move(message);
    status_ = status;
  } else {
    co_await begin();
    if (!message.empty()) co_await deliver(std::move(message), true);
  }
  finished_ = true;
  ready_.set();
}

core::Task<> Answer::release() {
  if (!log_ || log_->priming == Priming::No || reader_gone_) co_return;
  co_await begin();
  released_ = true;
  ready_.set();
}

core::Task<Answer::Form> Answer::choose(std::chrono::milliseconds patience, bool json_accepted) {
  if (!finished_ && begun_ == Begun::No) co_await ready_.wait_for(patience);
  if (finished_ && begun_ == Begun::No) {
    if (json_accepted) co_return Form::Plain;
    begun_ = Begun::Done;
    if (!plain_.empty()) queue(core::sse_event(plain_));
    co_return Form::Events;
  }
  co_await begin();
  co_return Form::Events;
}

void Answer::reader_left() {
  reader_gone_ = true;
  queue_.clear();
  queued_bytes_ = 0;
  space_.set();
}

core::Task<bool> Answer::write_queue(std::shared_ptr<core::EventSink> sink) {
  while (!queue_.empty()) {
    std::string event = std::move(queue_.front());
    queue_.pop_front();
    queued_bytes_ -= event.size();
    space_.set();
    if (!co_await sink->write(std::move(event))) co_return false;
  }
  co_return true;
}

core::Task<> Answer::pump(std::shared_ptr<Answer> answer, std::stop_token gone,
                          std::shared_ptr<core::EventSink> sink) {
  while (co_await answer->write_queue(sink)) {
    if (answer->reader_gone_ || answer->released_ || (answer->finished_ && answer->queue_.empty())) break;
    if (co_await answer->ready_.wait_for(answer->heartbeat_, gone)) continue;
    if (!co_await sink->write(std::string(kComment))) break;
    if (!gone.stop_requested()) continue;
    // The client can still be reached, so it is the server that ends its wait: give the call a moment to say
    // so.
    if (!answer->finished_) co_await answer->ready_.wait_for(kLastWords);
    co_await answer->write_queue(sink);
    break;
  }
  answer->reader_left();
}

}  // namespace assistiv::mcp
