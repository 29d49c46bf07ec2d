#pragma once
// Names to addresses, off the I/O threads.
#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/task.h"

namespace assistiv::net {

// Thread-safe. Tests inject one of their own.
class Resolver {
 public:
  virtual ~Resolver() = default;
  // The addresses of a host name in the order to try, as text ("203.0.113.7", "2001:db8::1"); empty when
  // there are none, when it takes longer than `timeout` or when `stop` is requested. Does not throw.
  virtual core::Task<std::vector<std::string>> resolve(std::string host, std::chrono::milliseconds timeout,
                                                       std::stop_token stop) = 0;
};

// getaddrinfo on its own bounded pool. Answers are kept for 30 s (failures for 1 s), at most 1,024 of them;
// callers that ask for the same name at the same time share one lookup.
class SystemResolver final : public Resolver {
 public:
  SystemResolver();
  ~SystemResolver() override;
  core::Task<std::vector<std::string>> resolve(std::string host, std::chrono::milliseconds timeout,
                                               std::stop_token stop) override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace assistiv::net
