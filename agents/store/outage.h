#pragma once
// Who waits for a run does not give up because the database is away for a moment: the run goes on.
#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>

#include "core/async.h"
#include "core/error.h"
#include "core/task.h"

namespace assistiv::agents {

// Longer than a run that has lost its process takes to be found.
inline constexpr std::chrono::milliseconds kOutagePatience{20'000};

// What `look` gives. While it throws Unavailable it is asked again, for at most `patience` and until `stop`.
template <class T>
core::Task<T> through_outage(std::function<core::Task<T>()> look, std::chrono::milliseconds patience,
                             std::stop_token stop) {
  const auto until = std::chrono::steady_clock::now() + patience;
  std::chrono::milliseconds pause{50};
  while (true) {
    std::optional<core::Error> fault;
    try {
      co_return co_await look();
    } catch (const core::Error& error) {
      if (error.kind() != core::ErrorKind::Unavailable) throw;
      fault = error;
    }
    if (stop.stop_requested() || std::chrono::steady_clock::now() >= until) throw *fault;
    co_await core::sleep_for(pause, stop);
    pause = std::min(pause * 2, std::chrono::milliseconds(1000));
  }
}

}  // namespace assistiv::agents
