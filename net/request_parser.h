#pragma once
// Bytes of one HTTP/1.x request to a core::HttpRequest, with the refusals of the edge (RFC 9112). Pure and
// incremental: the connection feeds it, the fuzzer too. Beast reads the tokens; what Beast is lenient about
// (bare LF, NUL, obs-fold, lists of lengths) is refused before it sees the head.
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/http.h"

namespace assistiv::net {

struct RequestLimits {
  std::size_t target_bytes_max = 8 << 10;
  std::size_t header_bytes_max = 16 << 10;
  std::size_t header_fields_max = 128;
  std::size_t body_bytes_max = 4 << 20;
};

// An error that the edge answers itself.
struct Refusal {
  int status = 400;
  std::string_view code = "bad_request";
  std::string message;
};

// Not thread-safe; one per request.
class RequestParser {
 public:
  enum class State { Head, Body, Complete, Refused };

  explicit RequestParser(const RequestLimits& limits);
  ~RequestParser();
  RequestParser(RequestParser&&) noexcept;
  RequestParser& operator=(RequestParser&&) = delete;

  // `bytes` is everything received and not yet consumed. Returns how much of its front is consumed now:
  // nothing of the head until it is whole, then as much of the body as is there. Nothing is consumed after
  // Complete and Refused.
  std::size_t feed(std::string_view bytes);

  State state() const;
  // Why, when Refused.
  const Refusal& refusal() const;

  // From the end of the head on.
  bool http11() const;
  bool keep_alive() const;
  bool expects_continue() const;
  // Fields of the request that the head and body say; the rest is the connection's business.
  core::HttpRequest& request();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assistiv::net
