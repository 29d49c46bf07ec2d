#pragma once
// Outbound HTTP to model providers: keep-alive, replies read piece by piece. Implemented in net/ on Beast
// (docs/decisions: cpprestsdk holds streamed events back and costs half the throughput); faked in tests.
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "core/http.h"
#include "core/http_client.h"
#include "core/task.h"

namespace assistiv::core {

struct UpstreamRequest {
  std::string method = "POST";
  std::string url;  // absolute, http or https; no user info
  HttpHeaders headers;
  std::string body;
  // The upstream may be on a private or loopback address (a provider marked local, or
  // --allow-loopback-upstreams). Link-local and metadata addresses stay refused.
  bool allow_private = false;
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds first_byte_timeout{120000};  // from the request sent to the reply's head
  std::chrono::milliseconds idle_timeout{60000};         // between two reads of the body
  // The end of everything, first attempt to last byte.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  std::stop_token stop;
};

// One reply whose head has arrived. Destroying it before the end closes the connection (the provider stops
// generating); after the end the connection goes back to the pool. Used by one coroutine at a time.
class UpstreamReply {
 public:
  virtual ~UpstreamReply() = default;
  virtual int status() const = 0;
  virtual const HttpHeaders& headers() const = 0;
  // The next bytes of the body, decoded from chunks, at most `max`; empty at the proper end. Throws
  // OutboundError (Timeout, Cancelled, Broken: also an end before Content-Length or the last chunk).
  virtual Task<std::string> read(std::size_t max) = 0;
  // As read(), but gives up waiting, without a loss, after `patience` or when `wake` is requested: nullopt.
  virtual Task<std::optional<std::string>> read_within(std::size_t max, std::chrono::milliseconds patience,
                                                       std::stop_token wake) = 0;
};

// Thread-safe. Sends `accept-encoding: identity`; never follows redirects; never retries except once on a
// pooled connection that turns out closed before any byte of the reply.
class UpstreamClient {
 public:
  virtual ~UpstreamClient() = default;
  // Throws OutboundError when no head of a reply came.
  virtual Task<std::unique_ptr<UpstreamReply>> open(UpstreamRequest request) = 0;
};

// The whole body, at most `max` bytes (OutboundError TooLarge).
Task<std::string> read_all(UpstreamReply* reply, std::size_t max);

}  // namespace assistiv::core
