#include "core/error.h"

namespace assistiv::core {

std::string_view error_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::InvalidArgument:
      return "bad_request";
    case ErrorKind::Unauthenticated:
      return "unauthorized";
    case ErrorKind::PaymentRequired:
      return "payment_required";
    case ErrorKind::PermissionDenied:
      return "forbidden";
    case ErrorKind::NotFound:
      return "not_found";
    case ErrorKind::MethodNotAllowed:
      return "method_not_allowed";
    case ErrorKind::Conflict:
      return "conflict";
    case ErrorKind::PayloadTooLarge:
      return "payload_too_large";
    case ErrorKind::UnsupportedMediaType:
      return "unsupported_media_type";
    case ErrorKind::Unprocessable:
      return "unprocessable";
    case ErrorKind::RateLimited:
      return "rate_limited";
    case ErrorKind::Cancelled:
      return "cancelled";
    case ErrorKind::Internal:
      return "internal_error";
    case ErrorKind::UpstreamFailed:
      return "upstream_error";
    case ErrorKind::Unavailable:
      return "unavailable";
    case ErrorKind::DeadlineExceeded:
      return "timeout";
  }
  return "internal_error";
}

int http_status(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::InvalidArgument:
      return 400;
    case ErrorKind::Unauthenticated:
      return 401;
    case ErrorKind::PaymentRequired:
      return 402;
    case ErrorKind::PermissionDenied:
      return 403;
    case ErrorKind::NotFound:
      return 404;
    case ErrorKind::MethodNotAllowed:
      return 405;
    case ErrorKind::Conflict:
      return 409;
    case ErrorKind::PayloadTooLarge:
      return 413;
    case ErrorKind::UnsupportedMediaType:
      return 415;
    case ErrorKind::Unprocessable:
      return 422;
    case ErrorKind::RateLimited:
      return 429;
    case ErrorKind::Cancelled:
      return 499;
    case ErrorKind::Internal:
      return 500;
    case ErrorKind::UpstreamFailed:
      return 502;
    case ErrorKind::Unavailable:
      return 503;
    case ErrorKind::DeadlineExceeded:
      return 504;
  }
  return 500;
}

Error&& Error::with_code(std::string code) && {
  code_ = std::move(code);
  return std::move(*this);
}
Error&& Error::with_field(std::string field) && {
  field_ = std::move(field);
  return std::move(*this);
}
Error&& Error::with_detail(std::string detail) && {
  detail_ = std::move(detail);
  return std::move(*this);
}
Error&& Error::with_retry_after(std::chrono::seconds wait) && {
  retry_after_ = wait;
  return std::move(*this);
}
Error&& Error::with_challenge(std::string challenge) && {
  challenge_ = std::move(challenge);
  return std::move(*this);
}

Error bad_request(std::string message, std::string field) {
  return Error(ErrorKind::InvalidArgument, std::move(message)).with_field(std::move(field));
}
Error not_found(std::string message) {
  return {ErrorKind::NotFound, std::move(message)};
}
Error forbidden(std::string message) {
  return {ErrorKind::PermissionDenied, std::move(message)};
}
Error conflict(std::string message) {
  return {ErrorKind::Conflict, std::move(message)};
}
Error internal(std::string detail) {
  return Error(ErrorKind::Internal,
               "Something went wrong on our side. Quote the request id when you report it.")
      .with_detail(std::move(detail));
}

}  // namespace assistiv::core
