#include "oauth/connect/notice_rules.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "oauth/connect/json_pointer.h"

namespace assistiv::oauth {

namespace {

using core::Json;
using core::JsonReader;

constexpr std::size_t kChallengeMax = 1000;
constexpr std::size_t kEndsMax = 16;
constexpr std::string_view kBodyMark = "{body}", kTimeMark = "{time}";

std::string notice_pointer(const JsonReader& reader, std::string_view name, bool required) {
  const auto text =
      required ? reader.string(name, 1, 200) : reader.optional_string(name, 1, 200).value_or("");
  if (!text.empty() && !is_json_pointer(text)) {
    throw core::bad_request("This must be a JSON pointer.", reader.pointer(name));
  }
  return text;
}

const Json& member_object(const JsonReader& reader, std::string_view name) {
  const Json* value = reader.object(name);
  if (value == nullptr) throw core::bad_request("This object is required.", reader.pointer(name));
  return *value;
}

std::string header_name(const JsonReader& reader, std::string_view name) {
  const auto text = reader.string(name, 1, 100);
  const auto plain = [](char c) { return c > 0x20 && c < 0x7f && c != ':'; };
  if (!std::all_of(text.begin(), text.end(), plain)) {
    throw core::bad_request("This is not a header's name.", reader.pointer(name));
  }
  return text;
}

std::size_t occurrences(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

NoticeSignature read_signature(const JsonReader& parent, bool has_time) {
  const JsonReader reader(member_object(parent, "signature"), parent.pointer("signature"));
  reader.only({"algorithm", "header", "prefix", "encoding", "text"});
  static_cast<void>(reader.choice("algorithm", {"hmac-sha256"}));
  NoticeSignature out;
  out.header = header_name(reader, "header");
  out.prefix = reader.optional_string("prefix", 1, 20).value_or("");
  if (reader.has("encoding") && reader.choice("encoding", {"hex", "base64"}) == "base64") {
    out.encoding = NoticeSignature::Encoding::Base64;
  }
  out.text = reader.optional_string("text", 1, 100).value_or(std::string(kBodyMark));
  // A time that is not signed proves nothing, and a text without the body signs nothing.
  if (occurrences(out.text, kBodyMark) != 1 || occurrences(out.text, kTimeMark) != (has_time ? 1U : 0U)) {
    throw core::bad_request("This must have {body} once, and {time} once exactly when there is \"time\".",
                            reader.pointer("text"));
  }
  return out;
}

std::optional<NoticeTime> read_time(const JsonReader& parent) {
  const Json* object = parent.object("time");
  if (object == nullptr) return {};
  const JsonReader reader(*object, parent.pointer("time"));
  reader.only({"header", "window_s"});
  NoticeTime out;
  out.header = header_name(reader, "header");
  out.window = std::chrono::seconds(reader.optional_integer("window_s", 1, 3600).value_or(300));
  return out;
}

NoticeWhen read_when(const JsonReader& reader) {
  NoticeWhen out;
  if (const Json* headers = reader.object("headers")) {
    const JsonReader members(*headers, reader.pointer("headers"));
    for (const auto& [name, value] : headers->items())
      out.headers.emplace_back(name, members.string(name, 1, 200));
  }
  if (const Json* body = reader.object("equals")) {
    const JsonReader members(*body, reader.pointer("equals"));
    for (const auto& [pointer, value] : body->items()) {
      if (!is_json_pointer(pointer)) {
        throw core::bad_request("The names here are JSON pointers.", members.pointer(pointer));
      }
      out.body.emplace_back(pointer, core::dump_json(value));
    }
  }
  if (out.headers.empty() && out.body.empty()) {
    throw core::bad_request("\"headers\" or \"equals\" must say which notice is meant.",
                            reader.pointer("equals"));
  }
  return out;
}

NoticeEnd read_end(const Json& object, const std::string& where) {
  if (!object.is_object()) throw core::bad_request("This must be an object.", where);
  const JsonReader reader(object, where);
  reader.only({"headers", "equals", "account", "each", "all"});
  NoticeEnd out;
  out.when = read_when(reader);
  out.account = reader.strings("account", 8, 200);
  for (const auto& pointer : out.account) {
    if (pointer.empty() || !is_json_pointer(pointer)) {
      throw core::bad_request("These must be JSON pointers.", reader.pointer("account"));
    }
  }
  out.each = notice_pointer(reader, "each", false);
  out.all = reader.optional_bool("all").value_or(false);
  // "all" without a part would be everybody.
  if (out.account.empty() && (out.each.empty() || out.all)) {
    throw core::bad_request("At least one pointer is required.", reader.pointer("account"));
  }
  if (out.all && !out.each.empty()) {
    throw core::bad_request("Either \"each\" or \"all\".", reader.pointer("all"));
  }
  return out;
}

bool holds(const NoticeWhen& when, const core::HttpHeaders& headers, const Json& body) {
  const auto header_is = [&](const auto& wanted) {
    return headers.count(wanted.first) == 1 && headers.get(wanted.first) == wanted.second;
  };
  const auto member_is = [&](const auto& wanted) {
    const Json* value = at_pointer(body, wanted.first);
    return value != nullptr && core::dump_json(*value) == wanted.second;
  };
  return std::all_of(when.headers.begin(), when.headers.end(), header_is) &&
         std::all_of(when.body.begin(), when.body.end(), member_is);
}

// The parts joined; empty when one is missing. A part with "/" could pass for two.
std::optional<std::string> joined_account(const std::vector<std::string>& pointers, const Json& body) {
  std::string out;
  for (const auto& pointer : pointers) {
    const auto part = text_at(body, pointer);
    if (!part || part->find('/') != std::string::npos) return {};
    out += (out.empty() ? "" : "/") + *part;
  }
  return out;
}

void add_accounts(const NoticeEnd& end, const Json& body, Notice& notice) {
  const auto parts = joined_account(end.account, body);
  if (!parts) return;
  if (end.all) {
    notice.accounts_below = *parts + "/";
    return;
  }
  if (end.each.empty()) {
    notice.accounts.push_back(*parts);
    return;
  }
  const Json* list = at_pointer(body, end.each);
  if (list == nullptr || !list->is_array()) return;
  for (std::size_t i = 0; i < list->size() && notice.accounts.size() < kNoticeAccountsMax; ++i) {
    const auto last = text_at(*list, "/" + std::to_string(i));
    if (!last || last->find('/') != std::string::npos) continue;
    notice.accounts.push_back(parts->empty() ? *last : *parts + "/" + *last);
  }
}

// The one value of a header that must be single.
std::optional<std::string_view> single_header(const core::HttpHeaders& headers, const std::string& name) {
  return headers.count(name) == 1 ? headers.get(name) : std::nullopt;
}

std::optional<std::int64_t> digits_of(std::string_view text) {
  std::int64_t out = 0;
  const auto* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, out);
  return error == std::errc() && at == end && out >= 0 && text.size() <= 12 ? std::optional(out)
                                                                            : std::nullopt;
}

}  // namespace

std::optional<NoticeRules> read_notice_rules(const JsonReader& oauth) {
  const Json* object = oauth.object("notices");
  if (object == nullptr) return {};
  const JsonReader reader(*object, oauth.pointer("notices"));
  reader.only({"signature", "time", "challenge", "occurred", "ends"});
  NoticeRules rules;
  rules.time = read_time(reader);
  rules.signature = read_signature(reader, rules.time.has_value());
  if (const Json* challenge = reader.object("challenge")) {
    const JsonReader member(*challenge, reader.pointer("challenge"));
    member.only({"headers", "equals", "answer"});
    rules.challenge_when = read_when(member);
    rules.challenge_answer = notice_pointer(member, "answer", true);
  }
  rules.occurred = notice_pointer(reader, "occurred", false);
  const Json* ends = reader.array("ends");
  if (ends == nullptr || ends->empty() || ends->size() > kEndsMax) {
    throw core::bad_request("1 to 16 notices are required.", reader.pointer("ends"));
  }
  for (std::size_t i = 0; i < ends->size(); ++i) {
    rules.ends.push_back(read_end((*ends)[i], reader.pointer("ends") + "/" + std::to_string(i)));
  }
  return rules;
}

std::string signed_notice_text(const NoticeRules& rules, const core::HttpHeaders& headers,
                               std::string_view body) {
  std::string text = rules.signature.text;
  // The body last: it may hold the marks itself.
  if (rules.time) {
    const auto time = single_header(headers, rules.time->header).value_or("");
    text.replace(text.find(kTimeMark), kTimeMark.size(), time);
  }
  return text.replace(text.find(kBodyMark), kBodyMark.size(), body);
}

std::string notice_fault(const NoticeRules& rules, const core::Secret& secret,
                         const core::HttpHeaders& headers, std::string_view body, core::Time now) {
  const auto given = single_header(headers, rules.signature.header);
  if (!given || !given->starts_with(rules.signature.prefix)) return "no_signature";
  if (rules.time) {
    const auto time = single_header(headers, rules.time->header);
    const auto seconds = time ? digits_of(*time) : std::nullopt;
    if (!seconds) return "no_time";
    const auto apart = std::chrono::abs(now - core::from_epoch_ms(*seconds * 1000));
    if (apart > rules.time->window) return "time_out_of_window";
  }
  const auto mac = core::hmac_sha256(secret.reveal(), signed_notice_text(rules, headers, body));
  const auto wanted = rules.signature.encoding == NoticeSignature::Encoding::Hex ? core::hex_encode(mac)
                                                                                 : core::base64_encode(mac);
  const bool good = core::constant_time_equal(given->substr(rules.signature.prefix.size()), wanted);
  return good ? "" : "wrong_signature";
}

Notice read_notice(const NoticeRules& rules, const core::HttpHeaders& headers, const Json& body) {
  Notice notice;
  if (rules.challenge_when && holds(*rules.challenge_when, headers, body)) {
    auto answer = text_at(body, rules.challenge_answer);
    if (answer && answer->size() <= kChallengeMax) notice.challenge = std::move(answer);
    return notice;
  }
  for (const auto& end : rules.ends) {
    if (holds(end.when, headers, body)) add_accounts(end, body, notice);
  }
  if (!rules.occurred.empty()) {
    if (const auto at = seconds_at(body, rules.occurred); at && *at < 100'000'000'000) {
      notice.occurred = core::from_epoch_ms(*at * 1000);
    }
  }
  return notice;
}

}  // namespace assistiv::oauth
