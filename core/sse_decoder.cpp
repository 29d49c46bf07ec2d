#include "core/sse_decoder.h"

#include <charconv>
#include <utility>

namespace assistiv::core {

std::vector<SseEvent> SseDecoder::feed(std::string_view bytes) {
  std::vector<SseEvent> events;
  while (!bytes.empty() && !failed_) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      if (raw_kept_) raw_.push_back('\n');
      bytes.remove_prefix(1);
      continue;
    }
    const auto end = bytes.find_first_of("\r\n");
    line_.append(bytes.substr(0, end));
    if (raw_kept_) raw_.append(bytes.substr(0, end == std::string_view::npos ? end : end + 1));
    if (line_.size() + data_.size() > event_bytes_max_ || raw_.size() > 2 * event_bytes_max_) {
      failed_ = true;
    } else if (end != std::string_view::npos) {
      after_cr_ = bytes[end] == '\r';
      end_line(events);
    }
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
  }
  return events;
}

std::vector<SseEvent> SseDecoder::finish() {
  std::vector<SseEvent> events;
  if (failed_) return events;
  if (!line_.empty()) end_line(events);
  end_line(events);
  return events;
}

void SseDecoder::end_line(std::vector<SseEvent>& events) {
  if (std::exchange(first_line_, false)) skip_byte_order_mark();
  if (line_.empty()) {
    if (has_data_) {
      data_.pop_back();  // the newline after the last data line
      events.push_back(
          {type_.empty() ? "message" : std::move(type_), std::move(data_), last_id_, std::move(raw_)});
    }
    raw_.clear();
    data_.clear();
    type_.clear();
    has_data_ = false;
    return;
  }
  const auto colon = line_.find(':');
  std::string_view value =
      std::string_view(line_).substr(colon == std::string::npos ? line_.size() : colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  read_field(std::string_view(line_).substr(0, colon), value);
  line_.clear();
}

void SseDecoder::read_field(std::string_view name, std::string_view value) {
  if (name == "data") {
    data_.append(value).push_back('\n');
    has_data_ = true;
  } else if (name == "event") {
    type_ = value;
  } else if (name == "id") {
    if (value.find('\0') == std::string_view::npos) last_id_ = value;
  } else if (name == "retry") {
    int milliseconds = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), milliseconds);
    if (error == std::errc() && end == value.data() + value.size() && milliseconds >= 0)
      retry_ms_ = milliseconds;
  }
}

void SseDecoder::skip_byte_order_mark() {
  if (line_.starts_with("\xef\xbb\xbf")) line_.erase(0, 3);
}

}  // namespace assistiv::core
