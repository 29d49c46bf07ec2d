#pragma once
// Callers of one process that want the same token at the same time: the first one works, the others get its
// answer. Thread-safe.
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/async.h"
#include "core/task.h"
#include "oauth/connect/token_service.h"

namespace assistiv::oauth {

class TokenFlights {
 public:
  struct Flight;

  // The flight of `key`, and whether the caller leads it. A leader must land it.
  std::pair<std::shared_ptr<Flight>, bool> join(const std::string& key);
  void land(const std::string& key, const std::shared_ptr<Flight>& flight, std::optional<TokenAnswer> answer,
            std::exception_ptr error);
  // The leader's answer, or its exception.
  static core::Task<TokenAnswer> wait(std::shared_ptr<Flight> flight);

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights_;
};

}  // namespace assistiv::oauth
