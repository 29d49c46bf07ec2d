#include "agents/store/shown_pieces.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json_read.h"

namespace assistiv::agents {

namespace {

using core::Json;

constexpr std::size_t kStretchBytes = 512;  // of the objects themselves, about

// What an event tells of: the message or the call of which it is a piece, or which it makes whole.
std::string subject_of(const RunEvent& event) {
  if (!event.data.is_object()) return {};
  const auto member = [&](const char* name) {
    const auto found = event.data.find(name);
    return found != event.data.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (event.method == "messages") return "message " + member("id");
  if (event.method == "calls") return "call " + event.ns + " " + member("task") + " " + member("act");
  return {};
}

bool is_empty(const Json& data, const char* name) {
  const auto found = data.find(name);
  return found == data.end() || found->empty() || *found == "";
}

std::size_t place_number(const Json& data, const char* name) {
  const auto& place = data["langgraph"];
  const auto found = place.find(name);
  return found != place.end() && found->is_number_integer() ? found->get<std::size_t>() : 0;
}

}  // namespace

Json* PieceStretch::text_of(Json& data, Text kind) {
  if (kind == Text::Content) return &data["content"];
  if (kind == Text::Arguments) return &data["tool_call_chunks"][0]["args"];
  return &data["additional_kwargs"]["reasoning_content"];
}

PieceStretch::PieceStretch(ShownPiece first)
    : head_(std::move(first)), subject_(subject_of(head_.event.event)) {
  auto& event = head_.event.event;
  auto& data = event.data;
  head_bytes_ = kStretchBytes + core::dump_json(data).size();
  if (event.seq > 0 || event.method != "messages" || !data.is_object()) return;
  const auto place = data.find("langgraph");
  if (place == data.end() || !place->is_object() || !place->contains("piece")) return;
  const bool says = !is_empty(data, "content") && data["content"].is_string();
  const bool calls = !is_empty(data, "tool_call_chunks") && data["tool_call_chunks"].is_array();
  const auto kwargs = data.find("additional_kwargs");
  const bool thinks = kwargs != data.end() && kwargs->is_object() && kwargs->contains("reasoning_content") &&
                      (*kwargs)["reasoning_content"].is_string();
  if (int{says} + int{calls} + int{thinks} != 1) return;
  if (calls) {
    const auto& chunks = data["tool_call_chunks"];
    if (chunks.size() != 1 || !chunks[0].is_object() || !chunks[0].contains("args") ||
        !chunks[0]["args"].is_string())
      return;
  }
  kind_ = says ? Text::Content : calls ? Text::Arguments : Text::Reasoning;
  content_ = place_number(data, "content");
  args_ = place_number(data, "args");
  number_ = place_number(data, "piece");
  text_ = std::exchange(*text_of(data, kind_), Json("")).get<std::string>();
  for (const char* name : {"content", "args", "piece"}) data["langgraph"][name] = 0;
  ends_.push_back(static_cast<std::uint32_t>(text_.size()));
  head_bytes_ -= text_.size();
}

bool PieceStretch::take(const PieceStretch& next) {
  const auto& mine = head_.event;
  const auto& other = next.head_.event;
  if (kind_ == Text::None || next.kind_ != kind_ || next.ends_.size() != 1) return false;
  if (next.number_ != number_ + ends_.size() || mine.run != other.run || mine.event.ns != other.event.ns)
    return false;
  if (mine.event.node != other.event.node || mine.event.data != other.event.data) return false;
  text_ += next.text_;
  ends_.push_back(static_cast<std::uint32_t>(text_.size()));
  return true;
}

std::size_t PieceStretch::bytes() const {
  return head_bytes_ + text_.size() + ends_.size() * sizeof(ends_[0]);
}

void PieceStretch::expand(std::deque<ShownPiece>& into) const {
  if (kind_ == Text::None) {
    into.push_back(head_);
    return;
  }
  std::size_t from = 0;
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    auto piece = head_;
    auto& data = piece.event.event.data;
    *text_of(data, kind_) = text_.substr(from, ends_[i] - from);
    data["langgraph"]["content"] = content_ + (kind_ == Text::Content ? from : 0);
    data["langgraph"]["args"] = args_ + (kind_ == Text::Arguments ? from : 0);
    data["langgraph"]["piece"] = number_ + i;
    into.push_back(std::move(piece));
    from = ends_[i];
  }
}

void ShownPieces::add(const ThreadKey& key, PieceStretch one) {
  if (bytes_ + one.bytes() > limits_.all_bytes) return;
  auto& thread = threads_[key];
  const auto last = std::find_if(thread.stretches.rbegin(), thread.stretches.rend(),
                                 [&](const auto& known) { return known.subject() == one.subject(); });
  auto added = one.bytes();
  const auto before = last != thread.stretches.rend() ? last->bytes() : 0;
  if (last != thread.stretches.rend() && last->take(one)) {
    added = last->bytes() - before;
  } else {
    thread.stretches.push_back(std::move(one));
  }
  thread.bytes += added;
  bytes_ += added;
  while (thread.bytes > limits_.thread_bytes && !thread.stretches.empty()) {
    const auto gone = thread.stretches.front().bytes();
    thread.stretches.pop_front();
    thread.bytes -= gone;
    bytes_ -= gone;
  }
  if (thread.stretches.empty()) threads_.erase(key);
}

template <typename Gone>
void ShownPieces::drop(const ThreadKey& key, Gone gone) {
  const auto found = threads_.find(key);
  if (found == threads_.end()) return;
  auto& thread = found->second;
  std::erase_if(thread.stretches, [&](const PieceStretch& one) {
    if (!gone(one)) return false;
    thread.bytes -= one.bytes();
    bytes_ -= one.bytes();
    return true;
  });
  if (thread.stretches.empty()) threads_.erase(found);
}

void ShownPieces::settle(const ThreadKey& key, const std::vector<RunEvent>& events) {
  for (const auto& event : events) {
    const auto subject = subject_of(event);
    if (!subject.empty()) drop(key, [&](const PieceStretch& one) { return one.subject() == subject; });
  }
}

void ShownPieces::forget(const ThreadKey& key, RunId run) {
  drop(key, [&](const PieceStretch& one) { return one.run() == run; });
}

Backlog ShownPieces::of(const ThreadKey& key) const {
  const auto found = threads_.find(key);
  if (found == threads_.end()) return {};
  return {found->second.stretches.begin(), found->second.stretches.end()};
}

}  // namespace assistiv::agents
