#include "inference/translate/faults.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/json_read.h"
#include "core/log.h"
#include "inference/translate/fields.h"

namespace assistiv::inference {

namespace {

using Kind = Fault::Kind;
constexpr std::size_t kMessageMax = 500;
constexpr int kFaultDepthMax = 32;

struct Word {
  std::string_view word;
  Kind kind;
};
// Error types, codes and statuses of the providers; no word means two things.
constexpr std::array kWords = {
    Word{"insufficient_quota", Kind::ProviderQuota},
    Word{"billing_error", Kind::ProviderQuota},
    Word{"billing_hard_limit_reached", Kind::ProviderQuota},
    Word{"billing_not_active", Kind::ProviderQuota},
    Word{"enforced_spend_limit_reached", Kind::ProviderQuota},
    Word{"authentication_error", Kind::ProviderAuth},
    Word{"permission_error", Kind::ProviderAuth},
    Word{"invalid_api_key", Kind::ProviderAuth},
    Word{"UNAUTHENTICATED", Kind::ProviderAuth},
    Word{"PERMISSION_DENIED", Kind::ProviderAuth},
    Word{"API_KEY_INVALID", Kind::ProviderAuth},
    Word{"model_not_found", Kind::ModelNotFound},
    Word{"not_found_error", Kind::ModelNotFound},
    Word{"NOT_FOUND", Kind::ModelNotFound},
    Word{"request_too_large", Kind::TooLarge},
    Word{"rate_limit_error", Kind::RateLimited},
    Word{"rate_limit_exceeded", Kind::RateLimited},
    Word{"RESOURCE_EXHAUSTED", Kind::RateLimited},
    Word{"overloaded_error", Kind::Overloaded},
    Word{"timeout_error", Kind::Transient},
    Word{"DEADLINE_EXCEEDED", Kind::Transient},
    Word{"ABORTED", Kind::Transient},
    Word{"context_length_exceeded", Kind::InvalidRequest},
    Word{"invalid_request_error", Kind::InvalidRequest},
    Word{"INVALID_ARGUMENT", Kind::InvalidRequest},
    Word{"FAILED_PRECONDITION", Kind::InvalidRequest},
    Word{"OUT_OF_RANGE", Kind::InvalidRequest},
    Word{"api_error", Kind::Upstream},
    Word{"server_error", Kind::Upstream},
    Word{"INTERNAL", Kind::Upstream},
    Word{"UNAVAILABLE", Kind::Upstream},
    Word{"UNKNOWN", Kind::Upstream},
};

std::optional<Kind> kind_of_word(std::string_view word) {
  const auto* hit =
      std::find_if(kWords.begin(), kWords.end(), [&](const Word& known) { return known.word == word; });
  return hit == kWords.end() ? std::nullopt : std::optional(hit->kind);
}

Kind kind_of_status(int status) {
  switch (status) {
    case 401:
    case 403:
      return Kind::ProviderAuth;
    case 402:
      return Kind::ProviderQuota;
    case 404:
      return Kind::ModelNotFound;
    case 408:
    case 409:
      return Kind::Transient;
    case 413:
      return Kind::TooLarge;
    case 429:
      return Kind::RateLimited;
    case 529:
      return Kind::Overloaded;
    default:
      return status >= 400 && status < 500 ? Kind::InvalidRequest : Kind::Upstream;
  }
}

// Cut at a character, so that the excerpt stays valid UTF-8.
std::string excerpt(std::string_view text) {
  std::string out;
  if (core::is_valid_utf8(text)) {
    out = text;
  } else {
    const core::Json clean =
        core::Json::parse(core::dump_json(core::Json(std::string(text.substr(0, 4 * kMessageMax)))));
    out = clean.get<std::string>();
  }
  if (out.size() > kMessageMax) {
    std::size_t end = kMessageMax;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80) --end;
    out.resize(end);
  }
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return core::log::redact(out);
}

bool holds(const std::string& text, std::string_view piece) {
  return text.find(piece) != std::string::npos;
}

bool says_context_length(const Fault& fault, const std::string& message) {
  return fault.code == "context_length_exceeded" || holds(message, "maximum context length") ||
         holds(message, "prompt is too long") || holds(message, "exceed context limit") ||
         holds(message, "exceeds the maximum number of tokens") ||
         holds(message, "context_length_exceeded") || holds(message, "exceeds the available context size");
}

// The words of an error object, the most telling first.
void classify(Fault& fault, const core::Json& error, const std::string& message) {
  const auto code = text_of(error, "code");
  const auto type = text_of(error, "type");
  const auto status = text_of(error, "status");
  fault.code = !code.empty() ? code : !type.empty() ? type : status;
  fault.code = excerpt(fault.code).substr(0, 64);
  std::optional<Kind> kind;
  for (const auto* word : {&code, &type, &status}) {
    const auto hit = kind_of_word(*word);
    // OpenAI's type is invalid_request_error for a bad key and an unknown model too; the status knows better.
    const bool vague = hit == Kind::InvalidRequest && fault.status >= 400 && fault.status != 400;
    if (hit && !vague) {
      kind = hit;
      break;
    }
  }
  if (!kind && fault.status == 0) {
    const auto number = count_of(error, "code");
    if (number && *number >= 400 && *number < 600) {
      fault.status = static_cast<int>(*number);
      kind = kind_of_status(fault.status);
    }
  }
  if (kind) fault.kind = *kind;
  if (holds(message, "API key not valid") || holds(message, "API_KEY_INVALID"))
    fault.kind = Kind::ProviderAuth;
  if (fault.kind == Kind::InvalidRequest || fault.kind == Kind::RateLimited) {
    const bool spent = holds(message, "credit balance is too low") || holds(message, "spend limit") ||
                       holds(message, "usage limits") || holds(message, "spending limit");
    if (spent) fault.kind = Kind::ProviderQuota;
  }
  if (fault.kind == Kind::InvalidRequest) fault.context_length = says_context_length(fault, message);
}

// What goes to the client instead of the provider's words about the account behind the gateway.
std::string_view private_message(Kind kind) {
  switch (kind) {
    case Kind::ProviderAuth:
      return "The provider refused the gateway's credentials.";
    case Kind::ProviderQuota:
      return "The gateway's account at the provider has used up its quota.";
    default:
      return {};
  }
}

void finish_message(Fault& fault, std::string_view message) {
  const auto own = private_message(fault.kind);
  fault.message = own.empty() ? excerpt(message) : std::string(own);
  if (!fault.message.empty()) return;
  fault.message = fault.status > 0 ? "The provider answered " + std::to_string(fault.status) + "."
                                   : "The provider reported an error without a message.";
}

// Google's RetryInfo: {"details":[{"@type":"...RetryInfo","retryDelay":"34.07s"}]}.
std::optional<std::chrono::milliseconds> retry_info(const core::Json& error) {
  const auto* details = member_of(error, "details");
  if (details == nullptr || !details->is_array()) return {};
  for (const auto& detail : *details) {
    const auto text = text_of(detail, "retryDelay");
    if (text.empty() || text.back() != 's') continue;
    if (const auto wait = wait_of(text.substr(0, text.size() - 1), 1000)) return wait;
  }
  return {};
}

}  // namespace

std::optional<std::chrono::milliseconds> wait_of(std::string_view text, double unit_ms) {
  // No locale, no exponent: providers send "20", "0.5", "34.07".
  std::int64_t whole = 0;
  const auto* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, whole);
  if (error != std::errc() || whole < 0) return {};
  double value = static_cast<double>(whole);
  std::string_view rest(end, static_cast<std::size_t>(last - end));
  if (!rest.empty() && rest.front() != '.') return {};
  if (!rest.empty()) rest.remove_prefix(1);
  double digit = 0.1;
  for (const char c : rest) {
    if (c < '0' || c > '9') return {};
    value += digit * (c - '0');
    digit /= 10;
  }
  const double ms = std::min(value * unit_ms, static_cast<double>(kWaitMax.count()));
  return std::chrono::milliseconds(static_cast<std::int64_t>(ms));
}

Fault read_fault(int status, std::string_view body) {
  const auto json = core::try_parse_json(body, kFaultDepthMax);
  if (json) return read_fault(status, *json);
  Fault fault;
  fault.status = status;
  fault.kind = kind_of_status(status);
  finish_message(fault, body);
  return fault;
}

Fault read_fault(int status, const core::Json& body) {
  Fault fault;
  fault.status = status;
  fault.kind = kind_of_status(status);
  const core::Json* root = &body;
  if (root->is_array() && !root->empty()) root = &root->front();
  const core::Json* error = member_of(*root, "error");
  std::string message;
  if (error != nullptr && error->is_string()) {
    message = error->get<std::string>();
    error = root;
  } else if (error == nullptr) {
    error = root;
  }
  if (message.empty()) message = text_of(*error, "message");
  if (message.empty()) message = text_of(*error, "detail");
  if (message.empty() && error->is_string()) message = error->get<std::string>();
  classify(fault, *error, message);
  fault.retry_after = retry_info(*error);
  if (message.empty()) message = core::dump_json(*error).substr(0, 4 * kMessageMax);
  finish_message(fault, message);
  return fault;
}

OpenAiFault openai_fault(Kind kind) {
  switch (kind) {
    case Kind::InvalidRequest:
      return {400, "invalid_request_error", "invalid_request"};
    case Kind::ProviderAuth:
      return {502, "provider_error", "provider_auth"};
    case Kind::ProviderQuota:
      return {503, "provider_error", "provider_quota"};
    case Kind::ModelNotFound:
      return {404, "invalid_request_error", "model_not_found"};
    case Kind::TooLarge:
      return {413, "invalid_request_error", "request_too_large"};
    case Kind::RateLimited:
      return {429, "rate_limit_error", "rate_limit_exceeded"};
    case Kind::Overloaded:
      return {503, "overloaded_error", "overloaded"};
    case Kind::Upstream:
      return {502, "provider_error", "upstream_error"};
    case Kind::Transient:
      return {502, "provider_error", "upstream_unreachable"};
    case Kind::Truncated:
      return {502, "provider_error", "upstream_truncated"};
    case Kind::Timeout:
      return {504, "provider_error", "upstream_timeout"};
    case Kind::Internal:
      return {500, "server_error", "internal_error"};
  }
  return {500, "server_error", "internal_error"};
}

core::Json openai_fault_body(const Fault& fault) {
  const auto shape = openai_fault(fault.kind);
  const std::string_view code = fault.context_length ? "context_length_exceeded" : shape.code;
  return {{"error", {{"message", fault.message}, {"type", shape.type}, {"code", code}, {"param", nullptr}}}};
}

Fault truncated_fault() {
  Fault fault;
  fault.kind = Kind::Truncated;
  fault.message = "The provider's stream ended before the reply was complete.";
  fault.code = "upstream_truncated";
  return fault;
}

Fault unreadable_fault() {
  Fault fault;
  fault.kind = Kind::Upstream;
  fault.message = "The provider sent a stream event that cannot be read.";
  fault.code = "upstream_unreadable";
  return fault;
}

}  // namespace assistiv::inference
