#pragma once
// Outbound HTTP. Implemented in net/ (cpprestsdk); faked in tests.
#include <chrono>
#include <cstddef>
#include <stop_token>
#include <string>
#include <vector>

#include "core/http.h"
#include "core/task.h"

namespace assistiv::core {

struct OutboundRequest {
  std::string method = "GET";
  std::string url;  // absolute, http or https
  HttpHeaders headers;
  std::string body;
  // Hosts that the caller allows ("api.github.com", or "api.github.com:8443"); the URL's host must be one of
  // them.
  std::vector<std::string> allowed_hosts;
  std::chrono::milliseconds timeout{15000};  // for the whole exchange
  std::size_t response_bytes_max = 4 << 20;
  std::stop_token stop;
};

struct OutboundResponse {
  int status = 0;
  HttpHeaders headers;
  std::string body;
};

// Why an exchange gave no response, and whether the upstream may have acted on the request.
enum class OutboundFailure { Refused, ConnectFailed, Timeout, Cancelled, TooLarge, Broken };

class OutboundError : public std::exception {
 public:
  OutboundError(OutboundFailure failure, std::string detail)
      : failure_(failure), detail_(std::move(detail)) {}
  OutboundFailure failure() const { return failure_; }
  const char* what() const noexcept override {
    return detail_.c_str();
  }  // for the log: holds no secrets, no query
  // False when the request certainly never reached the upstream (refused by a rule, or no connection).
  bool maybe_executed() const {
    return failure_ != OutboundFailure::Refused && failure_ != OutboundFailure::ConnectFailed;
  }

 private:
  OutboundFailure failure_;
  std::string detail_;
};

// Thread-safe. Never follows redirects (3xx is returned). Resolves the host, refuses private, loopback and
// link-local addresses unless the server was started with allow_loopback_upstreams, and connects to the
// address it vetted.
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  // Any status is a response; throws OutboundError when there is none.
  virtual Task<OutboundResponse> send(OutboundRequest request) = 0;
};

}  // namespace assistiv::core
