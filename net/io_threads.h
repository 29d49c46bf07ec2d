#pragma once
// The threads that run every coroutine: one io_context and one thread per core. Nothing on them may block.
#include <cstddef>
#include <memory>
#include <vector>

#include "core/task.h"

namespace assistiv::net {

// Made first and destroyed last: servers, clients and task groups live between. Thread-safe.
class IoThreads {
 public:
  // `count` 0: one per core. The threads run from here on.
  explicit IoThreads(std::size_t count = 0);
  ~IoThreads();  // calls stop()
  IoThreads(const IoThreads&) = delete;
  IoThreads& operator=(const IoThreads&) = delete;

  std::size_t size() const;
  core::AnyExecutor executor(std::size_t index) const;
  // The executors in turn: where a background task goes that has no connection to stay with.
  core::AnyExecutor next();
  // Ends the threads. What still waits on them never resumes, so their owners stop first.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assistiv::net
