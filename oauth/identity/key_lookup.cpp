#include "oauth/identity/key_lookup.h"

#include <utility>

#include "core/error.h"

namespace assistiv::oauth {

void KeyLookup::finish(PrincipalPtr principal, std::exception_ptr error) {
  {
    std::lock_guard lock(mutex_);
    if (done_) return;
    done_ = true;
    principal_ = std::move(principal);
    error_ = error;
  }
  finished_.set();
}

bool KeyLookup::is_done() {
  std::lock_guard lock(mutex_);
  return done_;
}

core::Task<PrincipalPtr> KeyLookup::wait(std::chrono::milliseconds timeout) {
  if (!is_done() && !co_await finished_.wait_for(timeout) && !is_done()) {
    throw core::Error(core::ErrorKind::Unavailable, "The server is busy. Try again shortly.")
        .with_retry_after(std::chrono::seconds(1))
        .with_detail("waited too long for another look-up of the same key");
  }
  // The event releases one late comer at a time: hand it on.
  finished_.set();
  std::lock_guard lock(mutex_);
  if (error_) std::rethrow_exception(error_);
  co_return principal_;
}

}  // namespace assistiv::oauth
