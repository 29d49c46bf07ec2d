#include "oauth/identity/key_rows.h"

#include "core/error.h"
#include "oauth/identity/input.h"

namespace assistiv::oauth {

namespace {

PrincipalKind kind_of_text(std::string_view text) {
  if (text == "operator") return PrincipalKind::Operator;
  return text == "platform" ? PrincipalKind::Platform : PrincipalKind::EndUser;
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = text.find(' ');
    out.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return out;
}

std::string join_words(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

}  // namespace

ApiKey api_key_of(const storage::Row& row) {
  return {.id = row.id<core::KeyId>("key_id"),
          .platform_id = row.optional_id<core::PlatformId>("platform_id"),
          .end_user_id = row.optional_id<core::EndUserId>("end_user_id"),
          .kind = kind_of_text(row.text("kind")),
          .key_prefix = row.text("key_prefix"),
          .name = row.optional_text("name"),
          .scopes = split_words(row.text("scopes")),
          .is_active = row.boolean("is_active"),
          .last_used_at = row.optional_time("last_used_at"),
          .expires_at = row.optional_time("expires_at"),
          .created_at = row.time("created_at")};
}

FreshKey make_fresh_key(PrincipalKind kind, const NewKey& input, const core::Clock& clock,
                        core::Random& random) {
  const auto now = clock.now();
  FreshKey out{.id = core::KeyId::make(clock, random),
               .raw = make_raw_key(kind, random),
               .scopes = join_words(checked_scopes(kind, input.scopes)),
               .created_ms = std::to_string(core::to_epoch_ms(now))};
  if (input.name) out.name = checked_text(*input.name, 1, kMaxKeyName, "/name");
  if (input.expires_at) {
    if (*input.expires_at <= now) throw core::bad_request("expires_at must be in the future.", "/expires_at");
    out.expires_ms = std::to_string(core::to_epoch_ms(*input.expires_at));
  }
  return out;
}

}  // namespace assistiv::oauth
