#pragma once
// One look-up under way, shared by all coroutines that want the same key: the first one leads, the others
// follow.
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>

#include "core/async.h"
#include "core/task.h"
#include "oauth/principal.h"

namespace assistiv::oauth {

class KeyLookup {
 public:
  // By the leader, once; later calls change nothing. A null principal is a refusal.
  void finish(PrincipalPtr principal, std::exception_ptr error);
  // By followers: the leader's result or its exception; Error{Unavailable} at the timeout.
  core::Task<PrincipalPtr> wait(std::chrono::milliseconds timeout);

 private:
  bool is_done();

  std::mutex mutex_;
  bool done_ = false;
  PrincipalPtr principal_;
  std::exception_ptr error_;
  core::AsyncEvent finished_;
};

}  // namespace assistiv::oauth
