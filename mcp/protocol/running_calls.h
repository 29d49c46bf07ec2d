#pragma once
// Calls of sessions that run in this process, so that notifications/cancelled finds them.
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "mcp/protocol/call.h"

namespace assistiv::mcp {

// Thread-safe.
class RunningCalls {
 public:
  // A short name of one request of a session, fit for a notification between nodes.
  static std::string key(std::string_view session, std::string_view request_id);

  void add(const std::string& key, const CallPtr& call);
  void remove(const std::string& key, const Call* call);
  // Stops the call; false when it does not run here.
  bool cancel(std::string_view key);

 private:
  std::mutex mutex_;
  std::unordered_multimap<std::string, std::weak_ptr<Call>> calls_;
};

// Lists a call for as long as it lives. Does nothing for calls without session.
class RunningCall {
 public:
  RunningCall(RunningCalls& calls, CallPtr call);
  ~RunningCall();
  RunningCall(const RunningCall&) = delete;
  RunningCall& operator=(const RunningCall&) = delete;

 private:
  RunningCalls& calls_;
  CallPtr call_;
  std::string key_;
};

}  // namespace assistiv::mcp
