#include "inference/engine/signature_memory.h"

namespace assistiv::inference {

namespace {

constexpr std::chrono::hours kKept{1};
constexpr std::size_t kSignatureMax = 64 << 10;
constexpr std::size_t kOpenMax = 1024;
constexpr std::size_t kEntryBytes = 200;  // what an entry costs besides its text

std::string key_of(const std::string& owner, const std::string& call_id) {
  return owner + "/" + call_id;
}

}  // namespace

void SignatureMemory::drop_oldest() {
  const auto& oldest = entries_.back();
  bytes_ -= 2 * oldest.key.size() + oldest.signature.size() + kEntryBytes;
  by_key_.erase(oldest.key);
  entries_.pop_back();
}

void SignatureMemory::remember(const std::string& owner, const ToolCallPart& call, Time now) {
  if (call.id.empty() || call.signature.empty() || call.signature.size() > kSignatureMax) return;
  auto key = key_of(owner, call.id);
  const std::lock_guard lock(mutex_);
  if (const auto known = by_key_.find(key); known != by_key_.end()) {
    entries_.splice(entries_.end(), entries_, known->second);
    drop_oldest();
  }
  bytes_ += 2 * key.size() + call.signature.size() + kEntryBytes;
  entries_.push_front({key, call.signature, now + kKept});
  by_key_.emplace(std::move(key), entries_.begin());
  while (!entries_.empty() && (bytes_ > bytes_max_ || entries_.back().until <= now)) drop_oldest();
}

void SignatureMemory::recall(const std::string& owner, Request& request, Time now) {
  for (auto& message : request.messages) {
    for (auto& part : message.parts) {
      auto* call = std::get_if<ToolCallPart>(&part);
      if (call == nullptr || !call->signature.empty()) continue;
      const std::lock_guard lock(mutex_);
      const auto known = by_key_.find(key_of(owner, call->id));
      if (known != by_key_.end() && known->second->until > now) call->signature = known->second->signature;
    }
  }
}

void SignatureMemory::Listener::saw(const StreamEvent& event, Time now) {
  if (const auto* start = std::get_if<PartStart>(&event)) {
    const auto* call = std::get_if<ToolCallPart>(&start->part);
    if (call == nullptr || open_.size() >= kOpenMax) return;
    auto& open = open_[start->index];
    open.id = call->id;
    open.signature = call->signature;
  } else if (const auto* more = std::get_if<SignatureDelta>(&event)) {
    const auto open = open_.find(more->index);
    if (open != open_.end() && open->second.signature.size() <= kSignatureMax)
      open->second.signature += more->signature;
  } else if (const auto* end = std::get_if<PartEnd>(&event)) {
    const auto open = open_.find(end->index);
    if (open == open_.end()) return;
    memory_.remember(owner_, open->second, now);
    open_.erase(open);
  }
}

}  // namespace assistiv::inference
