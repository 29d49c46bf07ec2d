#pragma once
// Server-sent events out of a stream of bytes (WHATWG HTML 9.2.6). Pure and incremental: any split of the
// bytes gives the same events.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace assistiv::core {

struct SseEvent {
  std::string type = "message";
  std::string data;
  std::string id;   // the last id seen on the stream, also by earlier events
  std::string raw;  // the event's bytes as they came, with SseRaw::Keep
  bool operator==(const SseEvent&) const = default;
};

// Keep is for those who pass events on as they stand. Comments between events are not part of one.
enum class SseRaw { Drop, Keep };

// Not thread-safe. Once failed() it takes nothing more.
class SseDecoder {
 public:
  // What one event's data, or one line, may hold.
  explicit SseDecoder(std::size_t event_bytes_max = 1 << 20, SseRaw raw = SseRaw::Drop)
      : event_bytes_max_(event_bytes_max), raw_kept_(raw == SseRaw::Keep) {}

  // The events that end in `bytes`.
  std::vector<SseEvent> feed(std::string_view bytes);
  // The bytes have ended: the event that only lacks its blank line. (The standard drops it; providers cut
  // their last one short.)
  std::vector<SseEvent> finish();
  // An event or a line was too large.
  bool failed() const { return failed_; }
  // The last "retry" field: how long to wait before reconnecting.
  std::optional<int> retry_ms() const { return retry_ms_; }

 private:
  void end_line(std::vector<SseEvent>& events);
  void read_field(std::string_view name, std::string_view value);
  void skip_byte_order_mark();

  const std::size_t event_bytes_max_;
  const bool raw_kept_;
  std::string raw_;
  std::string line_;
  std::string data_;
  std::string type_;
  std::string last_id_;
  std::optional<int> retry_ms_;
  bool has_data_ = false;
  bool after_cr_ = false;
  bool first_line_ = true;
  bool failed_ = false;
};

}  // namespace assistiv::core
