#include "agents/effects/http_request.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "core/encoding.h"
#include "core/json_read.h"
#include "core/url_text.h"

namespace assistiv::agents {
namespace {

constexpr std::chrono::seconds kTimeout{30};
constexpr std::size_t kUrlBytesMax = 8192;
constexpr std::size_t kBodyBytesMax = 4 << 20;

std::string text_of_value(const core::Json& value) {
  return value.is_string() ? value.get<std::string>() : core::dump_json(value);
}

void add_parameter(std::string& url, const std::string& name, const core::Json& value) {
  if (value.is_null()) return;
  url += url.find('?') == std::string::npos ? '?' : '&';
  url += core::percent_encode(name) + "=" + core::percent_encode(text_of_value(value));
}

// A list gives its name as often as it has elements.
std::string with_query(std::string url, const core::Json& query) {
  url = url.substr(0, url.find('#'));
  if (!query.is_object()) return url;
  for (const auto& [name, value] : query.items()) {
    if (!value.is_array()) {
      add_parameter(url, name, value);
      continue;
    }
    for (const auto& one : value) add_parameter(url, name, one);
  }
  return url;
}

bool has_control(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

}  // namespace

core::OutboundRequest outbound_request(const HttpCall& call, const std::string& traceparent) {
  core::OutboundRequest out;
  out.method = call.method;
  out.url = with_query(call.url, call.query);
  if (out.url.size() > kUrlBytesMax) throw core::bad_request("an http node's URL is too long");
  if (has_control(out.url) || out.url.find(' ') != std::string::npos)
    throw core::bad_request("an http node's URL has a space or a control character: put it into \"query\"");
  out.allowed_hosts = {core::url_authority(out.url)};
  for (const auto& [name, value] : call.headers) {
    if (has_control(value)) throw core::bad_request("the header " + name + " has a control character");
    out.headers.set(name, value);
  }
  if (!call.body.is_null()) {
    out.body = core::dump_json(call.body);
    if (out.body.size() > kBodyBytesMax) throw core::bad_request("an http node's body is over 4 MiB");
    if (!out.headers.get("content-type")) out.headers.set("content-type", "application/json");
  }
  if (call.method != "GET" && !out.headers.get("idempotency-key"))
    out.headers.set("idempotency-key", call.act.idempotency_key);
  if (!traceparent.empty()) out.headers.set("traceparent", traceparent);
  out.timeout = kTimeout;
  out.response_bytes_max = static_cast<std::size_t>(std::max<std::int64_t>(call.max_bytes, 1));
  out.stop = call.act.stop;
  return out;
}

core::Json response_headers(const core::HttpHeaders& headers) {
  auto out = core::Json::object();
  for (const auto& [name, value] : headers.fields()) {
    auto known = lower(name);
    if (known == "set-cookie" || out.contains(known)) continue;
    out[std::move(known)] = value;
  }
  return out;
}

core::Error http_failure(const core::OutboundError& error) {
  using Kind = core::ErrorKind;
  const auto made = [](Kind kind, const char* code, const char* message) {
    return core::Error(kind, message).with_code(code);
  };
  switch (error.failure()) {
    case core::OutboundFailure::Refused:
      return made(Kind::PermissionDenied, "http_refused",
                  "the address of an http node must be a public one that its graph names");
    case core::OutboundFailure::ConnectFailed:
      return made(Kind::Unavailable, "http_unreachable", "the server of an http node cannot be reached");
    case core::OutboundFailure::Timeout:
      return made(Kind::DeadlineExceeded, "timeout", "the server of an http node took too long");
    case core::OutboundFailure::Cancelled:
      return made(Kind::Cancelled, "cancelled", "the run was cancelled");
    case core::OutboundFailure::TooLarge:
      return made(Kind::PayloadTooLarge, "http_too_large", "the reply is over the node's max_bytes");
    case core::OutboundFailure::Broken:
      break;
  }
  return made(Kind::UpstreamFailed, "http_error", "the server of an http node broke off its answer");
}

}  // namespace assistiv::agents
