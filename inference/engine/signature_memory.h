#pragma once
// Gemini's signatures of tool calls, for clients whose dialect gives them nowhere to keep one or that leave
// out members they do not know (rule G5). Gemini 3 refuses a call in the history without its signature; what
// is forgotten, or was made by another node, goes with Google's escape word instead
// (inference/gemini/parts.h), so nothing depends on this memory but the quality of the answer.
#include <chrono>
#include <cstddef>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

#include "inference/canonical.h"

namespace assistiv::inference {

// Thread-safe. `owner` is the tenant and end user of the call: nobody is given another's.
class SignatureMemory {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit SignatureMemory(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  void remember(const std::string& owner, const ToolCallPart& call, Time now);
  // Of a stream: the signature comes with a part's start or after it.
  class Listener;
  // Puts what is known into the calls that have none.
  void recall(const std::string& owner, Request& request, Time now);

 private:
  struct Entry {
    std::string key;
    std::string signature;
    Time until;
  };
  void drop_oldest();

  std::mutex mutex_;
  const std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::list<Entry> entries_;  // the newest first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
};

// Hears one stream. Not thread-safe.
class SignatureMemory::Listener {
 public:
  Listener(SignatureMemory& memory, std::string owner) : memory_(memory), owner_(std::move(owner)) {}
  void saw(const StreamEvent& event, Time now);

 private:
  SignatureMemory& memory_;
  const std::string owner_;
  std::unordered_map<int, ToolCallPart> open_;
};

}  // namespace assistiv::inference
