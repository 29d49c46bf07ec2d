#pragma once
// One error type for the whole program. Protocol-free: the kind says what happened, api/ and mcp/ decide how
// it looks.
#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

namespace assistiv::core {

enum class ErrorKind {
  InvalidArgument,
  Unauthenticated,
  PaymentRequired,
  PermissionDenied,
  NotFound,
  MethodNotAllowed,
  Conflict,
  PayloadTooLarge,
  UnsupportedMediaType,
  Unprocessable,
  RateLimited,
  Cancelled,
  Internal,
  UpstreamFailed,
  Unavailable,
  DeadlineExceeded,
};

// The stable code of a kind on the management API, e.g. "bad_request" (docs/rest-api.md).
std::string_view error_code(ErrorKind kind);
// The only table from kind to HTTP status.
int http_status(ErrorKind kind);

// Thrown to end a request. `what()` is the public message and tells the caller what to do; `detail` goes to
// the log only. Outcomes that a caller must decide on (not connected, needs approval) are return values, not
// errors.
class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string public_message) : kind_(kind), message_(std::move(public_message)) {}

  // A code other than the kind's own, e.g. "budget_exhausted" under PaymentRequired.
  Error&& with_code(std::string code) &&;
  // Which input was wrong: a JSON pointer into the body, or a parameter's name.
  Error&& with_field(std::string field) &&;
  // For the log, never for the caller.
  Error&& with_detail(std::string detail) &&;
  Error&& with_retry_after(std::chrono::seconds wait) &&;
  // What WWW-Authenticate says with it (RFC 6750 section 3), e.g. Bearer error="insufficient_scope".
  Error&& with_challenge(std::string challenge) &&;

  ErrorKind kind() const { return kind_; }
  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& message() const { return message_; }
  std::string_view code() const { return code_.empty() ? error_code(kind_) : std::string_view(code_); }
  const std::string& field() const { return field_; }
  const std::string& detail() const { return detail_; }
  std::optional<std::chrono::seconds> retry_after() const { return retry_after_; }
  const std::string& challenge() const { return challenge_; }

 private:
  ErrorKind kind_;
  std::string message_;
  std::string code_;
  std::string field_;
  std::string detail_;
  std::string challenge_;
  std::optional<std::chrono::seconds> retry_after_;
};

Error bad_request(std::string message, std::string field = {});
Error not_found(std::string message);
Error forbidden(std::string message);
Error conflict(std::string message);
Error internal(std::string detail);

}  // namespace assistiv::core
