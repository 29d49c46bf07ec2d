#pragma once
// How many requests of each method there were, how they ended, and how long they took.
#include <chrono>

#include "mcp/protocol/methods.h"

namespace assistiv::mcp {

enum class CallEnd { Result, Fault, Cancelled };

class CallTimer {
 public:
  // `method` may be null: counted as "unknown".
  CallTimer(const Method* method, Version version);
  void done(CallEnd end);

 private:
  const Method* method_;
  bool modern_;
  std::chrono::steady_clock::time_point begun_;
};

}  // namespace assistiv::mcp
