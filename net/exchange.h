#pragma once
// One outbound exchange as cpprestsdk's threads and the caller's coroutine share it. Internal to net/.
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/async.h"
#include "core/http_client.h"

namespace assistiv::net {

// Takes the body as it comes and stops keeping it past the cap. It never fails: a short write or an exception
// would hang or end cpprestsdk's thread.
class CappedBody {
 public:
  explicit CappedBody(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  // Reads `bytes` only when all of `count` fits; a hostile chunk header can make `count` larger than the
  // memory there.
  void append(const std::uint8_t* bytes, std::size_t count);
  // Before the first byte: the head says that there will be too many.
  void refuse() { overflowed_ = true; }
  bool overflowed() const { return overflowed_; }
  std::string take() { return std::move(bytes_); }

 private:
  const std::size_t bytes_max_;
  std::string bytes_;
  std::atomic<bool> overflowed_{false};
};

// What the kernel has received on one socket since the request was sent. cpprestsdk buffers a whole header
// block or chunk before anybody can refuse it, so its size is watched from outside.
class ReceivedBytes {
 public:
  void watch(int socket);
  std::uint64_t count() const;

 private:
  std::atomic<int> socket_{-1};
  std::atomic<std::uint64_t> cookie_{0};  // the socket's identity: its number may be another's by now
  std::atomic<std::uint64_t> base_{0};
};

// Thread-safe.
class Exchange {
 public:
  explicit Exchange(std::size_t response_bytes_max) : body(response_bytes_max) {}

  enum class End { None, Response, StaleConnection, Failed };

  // From cpprestsdk's threads; the first one counts.
  void finish(End end, std::string detail);
  // The head has gone out: from here on the upstream may act on the request.
  void set_sent(int socket);
  // False for any but the first call: cpprestsdk sends a request again by itself when a pooled connection
  // breaks.
  bool first_connection() { return !connected_.exchange(true); }

  bool sent() const { return sent_; }
  End end() const;
  std::string detail() const;

  core::AsyncEvent changed;
  CappedBody body;
  ReceivedBytes received;
  core::OutboundResponse response;  // the head; written before finish(), read after
  void* native_handle = nullptr;    // cpprestsdk's threads only

 private:
  mutable std::mutex mutex_;
  End end_ = End::None;
  std::string detail_;
  std::atomic<bool> sent_{false};
  std::atomic<bool> connected_{false};
};

}  // namespace assistiv::net
