#include "mcp/protocol/running_calls.h"

#include <utility>
#include <vector>

#include "core/encoding.h"

namespace assistiv::mcp {

std::string RunningCalls::key(std::string_view session, std::string_view request_id) {
  return core::sha256_hex(std::string(session).append("\n").append(request_id));
}

void RunningCalls::add(const std::string& key, const CallPtr& call) {
  std::lock_guard lock(mutex_);
  calls_.emplace(key, call);
}

void RunningCalls::remove(const std::string& key, const Call* call) {
  std::lock_guard lock(mutex_);
  const auto [first, last] = calls_.equal_range(key);
  for (auto it = first; it != last; ++it) {
    const auto listed = it->second.lock();
    if (listed.get() != call) continue;
    calls_.erase(it);
    return;
  }
}

bool RunningCalls::cancel(std::string_view key) {
  std::vector<CallPtr> found;
  {
    std::lock_guard lock(mutex_);
    const auto [first, last] = calls_.equal_range(std::string(key));
    for (auto it = first; it != last; ++it) {
      if (auto call = it->second.lock()) found.push_back(std::move(call));
    }
  }
  for (const auto& call : found) {
    call->cancelled = true;
    call->stop.request_stop();
  }
  return !found.empty();
}

RunningCall::RunningCall(RunningCalls& calls, CallPtr call) : calls_(calls), call_(std::move(call)) {
  if (!call_->session) return;
  key_ = RunningCalls::key(call_->session->id, call_->message.id);
  calls_.add(key_, call_);
}

RunningCall::~RunningCall() {
  if (!key_.empty()) calls_.remove(key_, call_.get());
}

}  // namespace assistiv::mcp
