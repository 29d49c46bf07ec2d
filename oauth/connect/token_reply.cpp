// What a provider's answers mean: pure functions over a response.
#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/json_read.h"
#include "oauth/connect/json_pointer.h"
#include "oauth/connect/provider_client.h"

namespace assistiv::oauth {

namespace {

using core::Json;

constexpr std::size_t kTokenMax = 16384;
constexpr std::chrono::seconds kRetryAfterMax{3600};

// A token goes into a header or a form: visible ASCII only (RFC 6749 appendix A.12 allows no more).
bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= kTokenMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

std::optional<Json> read_body(const core::OutboundResponse& response) {
  const auto type = response.headers.get("content-type").value_or("");
  if (type.find("x-www-form-urlencoded") == std::string_view::npos) {
    auto body = core::try_parse_json(response.body, 16);
    return body && body->is_object() ? body : std::nullopt;
  }
  const auto fields = core::form_decode(response.body);
  if (!fields) return {};
  Json body = Json::object();
  for (const auto& [name, value] : *fields) body[name] = value;
  return body;
}

bool equals_at(const Json& body, const std::pair<std::string, std::string>& rule) {
  const Json* value = at_pointer(body, rule.first);
  return value != nullptr && core::dump_json(*value) == rule.second;
}

bool any_equals(const std::vector<std::pair<std::string, std::string>>& rules, const Json& body) {
  return std::any_of(rules.begin(), rules.end(), [&](const auto& rule) { return equals_at(body, rule); });
}

bool all_equal(const std::vector<std::pair<std::string, std::string>>& rules, const Json& body) {
  return std::all_of(rules.begin(), rules.end(), [&](const auto& rule) { return equals_at(body, rule); });
}

bool lists_code(const std::vector<std::string>& codes, const std::string& code) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

// Error codes are for the log and the audit trail: a provider cannot smuggle text in.
std::string clean_code(std::string_view code) {
  std::string out;
  for (const char c : code.substr(0, 64)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    out.push_back(plain || c == '_' || c == '-' || c == '.' ? c : '_');
  }
  return out;
}

std::optional<std::chrono::seconds> read_lifetime_of(const Lifetime& lifetime, const Json& body,
                                                     bool with_refresh) {
  if (const auto seconds = seconds_at(body, lifetime.path)) return std::chrono::seconds(*seconds);
  if (with_refresh && lifetime.fallback_s) return std::chrono::seconds(*lifetime.fallback_s);
  return {};
}

enum class SlotFault { None, Missing, Unusable };

SlotFault read_slot(const SlotSpec& slot, const std::string& separator, const Json& body, TokenSet& out) {
  const auto access = text_at(body, slot.access);
  if (!access) return SlotFault::Missing;
  if (!is_token(*access)) return SlotFault::Unusable;
  out.access = core::Secret(*access);
  if (const auto refresh = text_at(body, slot.refresh)) {
    if (!is_token(*refresh)) return SlotFault::Unusable;
    out.refresh = core::Secret(*refresh);
  }
  out.expires_in = read_lifetime_of(slot.expires_in, body, out.refresh.has_value());
  out.refresh_expires_in = read_lifetime_of(slot.refresh_expires_in, body, out.refresh.has_value());
  const Json* scope = at_pointer(body, slot.scope);
  if (scope != nullptr && scope->is_string()) {
    out.scopes = split_scopes(scope->get_ref<const std::string&>(), separator);
  }
  return SlotFault::None;
}

TokenReplyKind kind_of_failure(const ErrorRules& rules, int status, const Json& body,
                               const std::string& code) {
  const bool throttled =
      status == 429 || lists_code(rules.throttled, code) || any_equals(rules.throttled_equals, body);
  if (throttled) return TokenReplyKind::Throttled;
  // A gateway that gave up says nothing about what the server behind it did.
  if (status == 502 || status == 504) return TokenReplyKind::Unknown;
  if (status >= 500) return TokenReplyKind::Transient;
  if (lists_code(rules.permanent, code)) return TokenReplyKind::Permanent;
  if (lists_code(rules.config, code)) return TokenReplyKind::Config;
  return TokenReplyKind::Transient;
}

void read_success(const ConnectorSpec& spec, const std::map<std::string, SlotSpec>& slots, const Json& body,
                  TokenReply& reply) {
  reply.kind = TokenReplyKind::Ok;
  for (const auto& [name, slot] : slots) {
    TokenSet tokens;
    const auto fault = read_slot(slot, spec.oauth.scope.response_separator, body, tokens);
    if (fault == SlotFault::None) {
      reply.slots[name] = std::move(tokens);
    } else if (fault == SlotFault::Unusable || slot.required) {
      reply.kind = TokenReplyKind::Unknown;
      reply.code = "unusable_token_response";
    }
  }
  if (reply.slots.empty()) {
    reply.kind = TokenReplyKind::Unknown;
    reply.code = "unusable_token_response";
  }
  for (const auto& var : spec.vars) {
    if (var.source != SpecVar::Source::Token) continue;
    const auto text = text_at(body, var.from);
    const auto accepted = text ? var.accept(*text) : std::nullopt;
    if (accepted) reply.vars.insert(accepted->begin(), accepted->end());
  }
}

}  // namespace

std::optional<std::chrono::seconds> read_retry_after(const core::HttpHeaders& headers) {
  const auto text = headers.get("retry-after");
  if (!text) return {};
  int seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error != std::errc() || end != text->data() + text->size() || seconds < 0) return {};
  return std::min(std::chrono::seconds(seconds), kRetryAfterMax);
}

std::vector<std::string> split_scopes(std::string_view text, std::string_view separator) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = text.find(separator);
    auto item = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + separator.size());
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    const bool known = std::find(out.begin(), out.end(), item) != out.end();
    if (!item.empty() && !known && out.size() < 256) out.emplace_back(item);
  }
  return out;
}

bool matches(const OkRule& rule, int status, const Json& body) {
  const bool status_ok = rule.statuses.empty() ? status >= 200 && status < 300
                                               : std::find(rule.statuses.begin(), rule.statuses.end(),
                                                           status) != rule.statuses.end();
  const auto present = [&](const std::string& pointer) { return at_pointer(body, pointer) != nullptr; };
  if (!status_ok || std::any_of(rule.absent.begin(), rule.absent.end(), present)) return false;
  return all_equal(rule.equals, body);
}

const Json* find_answer(const ProbeRules& rules, const Json& body) {
  const Json* found = rules.at.empty() ? &body : at_pointer(body, rules.at);
  if (found == nullptr || !found->is_array()) return found;
  const auto best = std::find_if(found->begin(), found->end(),
                                 [&](const Json& item) { return all_equal(rules.prefer, item); });
  if (best != found->end()) return &*best;
  return found->empty() ? nullptr : &found->front();
}

TokenReply read_token_reply(const ConnectorSpec& spec, const std::map<std::string, SlotSpec>& slots,
                            const core::OutboundResponse& response) {
  TokenReply reply;
  reply.retry_after = read_retry_after(response.headers);
  const auto body = read_body(response);
  const Json document = body ? *body : Json::object();
  if (body && matches(spec.oauth.ok, response.status, document)) {
    read_success(spec, slots, document, reply);
    return reply;
  }
  const auto code = text_at(document, spec.oauth.errors.code).value_or("");
  reply.code = code.empty() ? "http_" + std::to_string(response.status) : clean_code(code);
  reply.kind = kind_of_failure(spec.oauth.errors, response.status, document, code);
  const bool silent = reply.kind == TokenReplyKind::Throttled && !reply.retry_after;
  if (silent) reply.retry_after = spec.oauth.errors.throttled_wait;
  // A success that cannot be read: the provider has acted.
  if (!body && response.status >= 200 && response.status < 300) reply.kind = TokenReplyKind::Unknown;
  return reply;
}

}  // namespace assistiv::oauth
