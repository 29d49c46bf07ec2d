#pragma once
#include <unistd.h>

#include <functional>

namespace assistiv::test {

// Looks again and again until `condition` holds; false after a minute. For states that nobody announces.
inline bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 12000; ++i) {
    if (condition()) return true;
    ::usleep(5000);
  }
  return false;
}

}  // namespace assistiv::test
