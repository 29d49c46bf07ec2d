#include "mcp/connectors/failure.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "mcp/connectors/clean_text.h"

namespace assistiv::mcp {

namespace {

using core::Json;
using std::chrono::seconds;

constexpr std::size_t kUpstreamWordsMax = 500;
constexpr seconds kRetryDefault{60};
constexpr seconds kRetryMax{86400};

std::string lower_words(std::string_view text) {
  std::string out;
  for (const unsigned char c : text) out.push_back(static_cast<char>(std::tolower(c)));
  return out;
}

std::optional<std::int64_t> number_of(std::optional<std::string_view> text) {
  std::int64_t out = 0;
  if (!text || text->empty()) return {};
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), out);
  // Some APIs send "12.5" or "30, 30".
  const bool stopped_well = end == text->data() + text->size() || *end == '.' || *end == ',';
  return error == std::errc() && stopped_well ? std::optional(out) : std::nullopt;
}

std::string words_at(const std::vector<Pointer>& pointers, const Json& body, std::size_t characters) {
  const Json* value = nullptr;
  for (std::size_t i = 0; i < pointers.size() && value == nullptr; ++i) value = pointers[i].find_value(body);
  if (value == nullptr) return {};
  const std::string text = value->is_string() ? value->get<std::string>() : core::dump_json(*value);
  return clip_text(clean_text(text), characters);
}

// The upstream's words, or the beginning of a body that is no JSON.
std::string upstream_words(const ApiPlan& api, const core::OutboundResponse& response, const Json& body) {
  std::string out = words_at(api.error_message, body, kUpstreamWordsMax);
  const std::string details = words_at(api.error_details, body, kUpstreamWordsMax);
  if (!details.empty() && details != "[]" && details != "{}") out += (out.empty() ? "" : " ") + details;
  if (out.empty()) out = upstream_code(api, body);
  const auto type = response.headers.get("content-type").value_or("");
  const bool html = type.find("html") != std::string_view::npos;
  if (out.empty() && body.is_null() && !html) out = clip_text(clean_text(response.body.substr(0, 800)), 200);
  return out;
}

std::vector<std::string> list_of(std::optional<std::string_view> header) {
  std::vector<std::string> out;
  std::string item;
  for (const char c : std::string(header.value_or("")) + ",") {
    if (c == ',' || c == ' ') {
      if (!item.empty()) out.push_back(std::move(item));
      item.clear();
    } else {
      item.push_back(c);
    }
  }
  return out;
}

bool lacks_scopes(const FailureRule& rule, const ApiPlan& api, const core::HttpHeaders& headers) {
  const auto accepted = list_of(headers.get(rule.accepted_scopes));
  const auto granted = list_of(headers.get(rule.granted_scopes));
  if (accepted.empty() || !headers.get(rule.granted_scopes)) return false;
  return std::none_of(accepted.begin(), accepted.end(),
                      [&](const std::string& scope) { return api.spec.covers(granted, scope); });
}

bool rule_holds(const FailureRule& rule, const ApiPlan& api, const core::OutboundResponse& response,
                const Json& body) {
  const auto listed = [](const auto& list, const auto& value) {
    return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
  };
  const std::string code = upstream_code(api, body);
  const bool any_code = rule.codes == std::vector<std::string>{"*"} && !code.empty();
  if (!listed(rule.statuses, response.status) || (!any_code && !listed(rule.codes, code))) return false;
  for (const auto& [name, wanted] : rule.headers) {
    const auto value = response.headers.get(name);
    if (!value || (wanted != "*" && *value != wanted)) return false;
  }
  if (!rule.accepted_scopes.empty() && !lacks_scopes(rule, api, response.headers)) return false;
  if (rule.message.empty()) return true;
  const std::string words = lower_words(upstream_words(api, response, body));
  return words.find(rule.message) != std::string::npos;
}

FailureCode code_of_status(int status) {
  switch (status) {
    case 401:
      return FailureCode::ReauthRequired;
    case 403:
    case 451:
      return FailureCode::Forbidden;
    case 404:
    case 410:
      return FailureCode::NotFound;
    case 409:
    case 412:
      return FailureCode::Conflict;
    case 429:
      return FailureCode::RateLimited;
    default:
      return status >= 400 && status < 500 && status != 408 ? FailureCode::Validation : FailureCode::Upstream;
  }
}

std::optional<seconds> wait_of(const ApiPlan& api, const core::HttpHeaders& headers, core::Time now) {
  if (const auto wait =
          number_of(headers.get(api.rate.retry_after.empty() ? "retry-after" : api.rate.retry_after))) {
    return std::clamp(seconds(*wait), seconds(0), kRetryMax);
  }
  const auto rate = rate_state(api.rate, headers, now);
  if (rate.remaining && *rate.remaining > 0) return {};
  if (!rate.reset_at) return {};
  const auto until = std::chrono::ceil<seconds>(*rate.reset_at - now);
  return std::clamp(until, seconds(1), kRetryMax);
}

std::string joined(const std::vector<std::string>& list, const char* between) {
  std::string out;
  for (const auto& item : list) out += (out.empty() ? "" : between) + item;
  return out;
}

std::string scopes_in_words(const Tool& tool) {
  std::vector<std::string> sets;
  for (const auto& set : tool.scopes_any) sets.push_back(joined(set, " and "));
  return sets.empty() ? "a scope" : joined(sets, ", or ");
}

std::string advice(const Tool& tool, const Failure& failure) {
  const std::string& title = tool.plan->api->title;
  switch (failure.code) {
    case FailureCode::ReauthRequired:
      return title + " no longer accepts this connection: the user must connect " + title + " again.";
    case FailureCode::ScopeMissing: {
      const auto& help = tool.plan->api->scope_help;
      return "The connection to " + title + " lacks what this tool needs: " +
             (failure.missing_scopes.empty() ? scopes_in_words(tool)
                                             : joined(failure.missing_scopes, " or ")) +
             ". " + (help.empty() ? "The user must connect " + title + " again and grant it." : help);
    }
    case FailureCode::Forbidden:
      return title + " does not let this account do that. Another attempt will not help.";
    case FailureCode::NotFound:
      return "Not found at " + title +
             ": it does not exist, or this account cannot see it. Check the names and numbers "
             "in the arguments.";
    case FailureCode::Validation:
      return title + " refused the arguments. Change them before another attempt.";
    case FailureCode::RateLimited:
      return title + " limits the rate of calls. Try again in " +
             std::to_string(failure.retry_after.value_or(kRetryDefault).count()) + " seconds, not before.";
    case FailureCode::Conflict:
      return title + " reports a conflict with the current state. Read it again before another attempt.";
    case FailureCode::Upstream:
      return title + " failed" + (failure.status ? " with status " + std::to_string(*failure.status) : "") +
             ".";
    case FailureCode::Cancelled:
      return "The call was cancelled.";
  }
  return {};
}

}  // namespace

std::string_view failure_code(FailureCode code) {
  switch (code) {
    case FailureCode::ReauthRequired:
      return "reauth_required";
    case FailureCode::ScopeMissing:
      return "scope_missing";
    case FailureCode::Forbidden:
      return "forbidden";
    case FailureCode::NotFound:
      return "not_found";
    case FailureCode::Validation:
      return "validation";
    case FailureCode::RateLimited:
      return "rate_limited";
    case FailureCode::Conflict:
      return "conflict";
    case FailureCode::Upstream:
      return "upstream";
    case FailureCode::Cancelled:
      return "cancelled";
  }
  return "upstream";
}

std::string upstream_code(const ApiPlan& api, const Json& body) {
  return words_at(api.error_code, body, 100);
}

Failure classify(const Tool& tool, const core::OutboundResponse& response, const Json& body, bool safe,
                 core::Time now) {
  const ApiPlan& api = *tool.plan->api;
  const auto rule = std::find_if(api.failures.begin(), api.failures.end(), [&](const FailureRule& candidate) {
    return rule_holds(candidate, api, response, body);
  });
  Failure out;
  out.status = response.status;
  out.code = rule == api.failures.end() ? code_of_status(response.status) : rule->code;
  if (out.code == FailureCode::RateLimited) {
    const bool stated = rule != api.failures.end() && rule->wait.count() > 0;
    out.retry_after = wait_of(api, response.headers, now).value_or(stated ? rule->wait : kRetryDefault);
  }
  if (response.status == 503) out.retry_after = wait_of(api, response.headers, now);
  if (out.code == FailureCode::ScopeMissing && rule != api.failures.end() && !rule->accepted_scopes.empty()) {
    out.missing_scopes = list_of(response.headers.get(rule->accepted_scopes));
  } else if (out.code == FailureCode::ScopeMissing && rule != api.failures.end() && rule->needed) {
    out.missing_scopes = list_of(words_at({*rule->needed}, body, kUpstreamWordsMax));
  }
  out.outcome_unknown = !safe && response.status >= 500;  // answered with a fault, but perhaps done
  out.message = advice(tool, out);
  if (rule != api.failures.end() && !rule->hint.empty()) out.message += " " + rule->hint;
  const std::string words = upstream_words(api, response, body);
  if (!words.empty()) out.message += " " + api.title + " says: " + words;
  if (out.outcome_unknown)
    out.message += " The change may have been made all the same: look before another attempt.";
  return out;
}

Failure unreadable(const Tool& tool, const core::OutboundResponse& response, bool safe) {
  Failure out;
  out.status = response.status;
  out.outcome_unknown = !safe;
  out.message = advice(tool, out) + " What it sent is no answer of its API. Try again later.";
  if (out.outcome_unknown)
    out.message += " The change may have been made all the same: look before another attempt.";
  return out;
}

Failure no_response(const Tool& tool, const core::OutboundError& error, bool safe) {
  const std::string& title = tool.plan->api->title;
  Failure out;
  out.outcome_unknown = !safe && error.maybe_executed();
  switch (error.failure()) {
    case core::OutboundFailure::Refused:
      out.message = "This server may not connect to the address of " + title + ".";
      break;
    case core::OutboundFailure::ConnectFailed:
      out.message = title + " cannot be reached. Try again later.";
      break;
    case core::OutboundFailure::Timeout:
      out.timed_out = true;
      out.message = title + " did not answer in time.";
      break;
    case core::OutboundFailure::TooLarge:
      out.message =
          "The answer of " + title + " is too large. Ask for less: a smaller limit, a narrower query.";
      break;
    case core::OutboundFailure::Broken:
      out.message = "The connection to " + title + " broke before the answer was there.";
      break;
    case core::OutboundFailure::Cancelled:
      out.code = FailureCode::Cancelled;
      out.message = advice(tool, out);
      break;
  }
  if (out.outcome_unknown)
    out.message += " The change may or may not have been made: look before another attempt.";
  return out;
}

Failure invalid_arguments(std::string message) {
  Failure out;
  out.code = FailureCode::Validation;
  out.message = std::move(message);
  return out;
}

Failure reauth_required(const Tool& tool) {
  Failure out;
  out.code = FailureCode::ReauthRequired;
  out.message = advice(tool, out);
  return out;
}

Failure slot_missing(const Tool& tool, const std::string& slot) {
  Failure out;
  out.code = FailureCode::ScopeMissing;
  out.message = "The connection to " + tool.plan->api->title + " has no credential \"" + slot +
                "\", which these arguments ask for. The user must connect " + tool.plan->api->title +
                " again and grant it, or the arguments must do without.";
  return out;
}

Failure upstream_failure(std::string message) {
  Failure out;
  out.message = std::move(message);
  return out;
}

RateState rate_state(const RateHeaders& rules, const core::HttpHeaders& headers, core::Time now) {
  RateState out;
  const auto number = [&headers](const std::string& name) {
    return name.empty() ? std::nullopt : number_of(headers.get(name));
  };
  out.remaining = number(rules.remaining);
  if (const auto at = number(rules.reset_at)) {
    if (*at > 0 && *at < 100'000'000'000) out.reset_at = core::from_epoch_ms(*at * 1000);
  } else if (const auto in = number(rules.reset_in)) {
    if (*in >= 0 && *in < 100'000'000) out.reset_at = now + seconds(*in);
  }
  return out;
}

}  // namespace assistiv::mcp
