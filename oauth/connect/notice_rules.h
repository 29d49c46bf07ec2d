#pragma once
// What a provider tells by itself: the member "oauth.notices" of a manifest says how such a request is
// signed, and which ones mean that an account took its consent back. Pure.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/http.h"
#include "core/json.h"
#include "core/secret.h"

namespace assistiv::core {
class JsonReader;
}

namespace assistiv::oauth {

// HMAC-SHA-256 over a text that is made of the raw body and, for some, of a time that the sender states.
struct NoticeSignature {
  enum class Encoding { Hex, Base64 };
  std::string header;  // of the signature
  std::string prefix;  // before it, e.g. "sha256="
  Encoding encoding = Encoding::Hex;
  std::string text;  // with {body}, and {time} where there is a time header
};

struct NoticeTime {
  std::string header;  // epoch seconds
  std::chrono::seconds window{300};
};

// Pointer and JSON text, header and value: all of them must be so.
struct NoticeWhen {
  std::vector<std::pair<std::string, std::string>> headers, body;
};

// Which accounts' grants ended. Their ids are those of oauth.identity: parts joined with "/".
struct NoticeEnd {
  NoticeWhen when;
  std::vector<std::string> account;  // pointers to the parts
  std::string each;                  // pointer to a list of last parts; empty: `account` is the whole id
  bool all = false;                  // every account that begins with the parts
};

struct NoticeRules {
  NoticeSignature signature;
  std::optional<NoticeTime> time;
  std::optional<NoticeWhen> challenge_when;  // the sender asks whether this address is ours
  std::string challenge_answer;              // pointer to what it wants to hear
  std::string occurred;                      // pointer to epoch seconds; empty: notices do not say when
  std::vector<NoticeEnd> ends;
};

// The member "notices" of "oauth"; empty when there is none. Throws Error{InvalidArgument} with a JSON
// pointer.
std::optional<NoticeRules> read_notice_rules(const core::JsonReader& oauth);

// What is wrong with the signature or the time, for the log; empty when all is well.
std::string notice_fault(const NoticeRules& rules, const core::Secret& secret,
                         const core::HttpHeaders& headers, std::string_view body, core::Time now);
// The text that the signature is over, for a check that has passed: the same notice has the same one.
std::string signed_notice_text(const NoticeRules& rules, const core::HttpHeaders& headers,
                               std::string_view body);

// What a notice says.
struct Notice {
  std::optional<std::string> challenge;  // to be answered, and nothing else
  std::vector<std::string> accounts;     // whole ids, at most kNoticeAccountsMax
  std::string accounts_below;            // "T1/": every account that begins so; empty: none
  std::optional<core::Time> occurred;
  bool ends_anything() const { return !accounts.empty() || !accounts_below.empty(); }
};
inline constexpr std::size_t kNoticeAccountsMax = 1000;

Notice read_notice(const NoticeRules& rules, const core::HttpHeaders& headers, const core::Json& body);

}  // namespace assistiv::oauth
