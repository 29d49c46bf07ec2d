#include "inference/engine/error_reply.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "inference/engine/inference_service.h"

namespace assistiv::inference {

using core::ErrorKind;

namespace {

// The words of the three families for one kind of error.
struct Words {
  std::string_view openai;
  std::string_view anthropic;
  std::string_view google;
};

Words words_for(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Unauthenticated:
      return {"authentication_error", "authentication_error", "UNAUTHENTICATED"};
    case ErrorKind::PaymentRequired:
      return {"insufficient_quota", "billing_error", "RESOURCE_EXHAUSTED"};
    case ErrorKind::PermissionDenied:
      return {"permission_error", "permission_error", "PERMISSION_DENIED"};
    case ErrorKind::NotFound:
      return {"invalid_request_error", "not_found_error", "NOT_FOUND"};
    case ErrorKind::RateLimited:
      return {"rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"};
    case ErrorKind::PayloadTooLarge:
      return {"invalid_request_error", "request_too_large", "INVALID_ARGUMENT"};
    case ErrorKind::Unavailable:
      return {"overloaded_error", "overloaded_error", "UNAVAILABLE"};
    case ErrorKind::DeadlineExceeded:
      return {"provider_error", "api_error", "DEADLINE_EXCEEDED"};
    case ErrorKind::UpstreamFailed:
      return {"provider_error", "api_error", "UNAVAILABLE"};
    case ErrorKind::Internal:
    case ErrorKind::Cancelled:
      return {"server_error", "api_error", "INTERNAL"};
    case ErrorKind::InvalidArgument:
    case ErrorKind::MethodNotAllowed:
    case ErrorKind::Conflict:
    case ErrorKind::UnsupportedMediaType:
    case ErrorKind::Unprocessable:
      return {"invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"};
  }
  return {"server_error", "api_error", "INTERNAL"};
}

core::Json body_for(DialectId dialect, const core::Error& error, int status) {
  const auto words = words_for(error.kind());
  switch (dialect) {
    case DialectId::Anthropic:
      return {{"type", "error"}, {"error", {{"type", words.anthropic}, {"message", error.message()}}}};
    case DialectId::Gemini:
      return {{"error", {{"code", status}, {"message", error.message()}, {"status", words.google}}}};
    case DialectId::OpenAiChat:
    case DialectId::OpenAiResponses:
      break;
  }
  core::Json inner{{"message", error.message()},
                   {"type", words.openai},
                   {"code", std::string(error.code())},
                   {"param", nullptr}};
  if (!error.field().empty()) inner["param"] = error.field();
  return {{"error", std::move(inner)}};
}

void add_wait(core::HttpReply& reply, std::chrono::milliseconds wait) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait);
  reply.headers.set("retry-after", std::to_string(std::max<std::int64_t>(seconds.count(), 1)));
}

ErrorKind kind_of(Fault::Kind kind) {
  switch (kind) {
    case Fault::Kind::InvalidRequest:
      return ErrorKind::InvalidArgument;
    case Fault::Kind::ModelNotFound:
      return ErrorKind::NotFound;
    case Fault::Kind::TooLarge:
      return ErrorKind::PayloadTooLarge;
    case Fault::Kind::RateLimited:
      return ErrorKind::RateLimited;
    case Fault::Kind::Overloaded:
      return ErrorKind::Unavailable;
    case Fault::Kind::Timeout:
      return ErrorKind::DeadlineExceeded;
    case Fault::Kind::Internal:
    case Fault::Kind::ProviderAuth:
    case Fault::Kind::ProviderQuota:
    case Fault::Kind::Upstream:
    case Fault::Kind::Transient:
    case Fault::Kind::Truncated:
      return ErrorKind::UpstreamFailed;
  }
  return ErrorKind::UpstreamFailed;
}

}  // namespace

core::HttpReply error_reply(DialectId dialect, const core::Error& error, const std::string& request_id) {
  const int status = core::http_status(error.kind());
  auto reply = core::json_reply(status, core::dump_json(body_for(dialect, error, status)));
  reply.headers.set("x-request-id", request_id);
  if (error.retry_after()) add_wait(reply, *error.retry_after());
  // Both vendors' SDKs repeat a 402 of their own accord otherwise; it cannot succeed.
  if (error.kind() == ErrorKind::PaymentRequired) reply.headers.set("x-should-retry", "false");
  if (!error.challenge().empty()) reply.headers.set("www-authenticate", error.challenge());
  return reply;
}

core::HttpReply fault_reply(DialectId id, const Fault& fault,
                            std::optional<std::chrono::milliseconds> retry_after) {
  const auto encoded = dialect(id).encode_fault(fault);
  auto reply = core::json_reply(encoded.status, core::dump_json(encoded.body));
  const bool later = fault.kind == Fault::Kind::RateLimited || fault.kind == Fault::Kind::Overloaded;
  if (later && retry_after) add_wait(reply, *retry_after);
  if (fault.kind == Fault::Kind::ProviderQuota || fault.kind == Fault::Kind::ProviderAuth)
    reply.headers.set("x-should-retry", "false");
  return reply;
}

void throw_fault(const Fault& fault, std::optional<std::chrono::milliseconds> retry_after) {
  core::Error error(kind_of(fault.kind), fault.message);
  if (retry_after)
    throw std::move(error).with_retry_after(std::chrono::ceil<std::chrono::seconds>(*retry_after));
  throw error;
}

}  // namespace assistiv::inference
