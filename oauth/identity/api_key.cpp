#include "oauth/identity/api_key.h"

#include <algorithm>
#include <array>

#include "core/error.h"

namespace assistiv::oauth {

namespace {

constexpr std::array kAllKinds = {PrincipalKind::Operator, PrincipalKind::Platform, PrincipalKind::EndUser};
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kVisibleDigits = 8;

constexpr std::array<std::string_view, 1> kOperatorScopes = {"management"};
constexpr std::array<std::string_view, 2> kPlatformScopes = {"inference", "management"};
constexpr std::array<std::string_view, 3> kEndUserScopes = {"connections", "inference", "mcp"};

bool is_hex_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

std::string listed(std::span<const std::string_view> words) {
  std::string out;
  for (const auto word : words) {
    if (!out.empty()) out += ", ";
    out += word;
  }
  return out;
}

}  // namespace

std::string_view raw_key_prefix(PrincipalKind kind) {
  switch (kind) {
    case PrincipalKind::Operator:
      return "sk-admin_";
    case PrincipalKind::Platform:
      return "sk-plat_";
    case PrincipalKind::EndUser:
      break;
  }
  return "sk-eu_";
}

std::optional<PrincipalKind> kind_of_raw_key(std::string_view raw) {
  for (const auto kind : kAllKinds) {
    const auto prefix = raw_key_prefix(kind);
    if (!raw.starts_with(prefix)) continue;
    const auto secret = raw.substr(prefix.size());
    const bool good =
        secret.size() == 2 * kSecretBytes && std::all_of(secret.begin(), secret.end(), is_hex_digit);
    return good ? std::optional(kind) : std::nullopt;
  }
  return std::nullopt;
}

core::Secret make_raw_key(PrincipalKind kind, core::Random& random) {
  const core::Secret secret(core::random_hex(random, kSecretBytes));
  std::string raw;
  raw.reserve(raw_key_prefix(kind).size() + secret.reveal().size());
  raw += raw_key_prefix(kind);
  raw += secret.reveal();
  return core::Secret(std::move(raw));
}

std::string visible_prefix(std::string_view raw) {
  for (const auto kind : kAllKinds) {
    const auto prefix = raw_key_prefix(kind);
    if (raw.starts_with(prefix)) return std::string(raw.substr(0, prefix.size() + kVisibleDigits));
  }
  return {};
}

std::span<const std::string_view> scopes_of(PrincipalKind kind) {
  switch (kind) {
    case PrincipalKind::Operator:
      return kOperatorScopes;
    case PrincipalKind::Platform:
      return kPlatformScopes;
    case PrincipalKind::EndUser:
      break;
  }
  return kEndUserScopes;
}

std::vector<std::string> checked_scopes(PrincipalKind kind,
                                        const std::optional<std::vector<std::string>>& scopes) {
  const auto known = scopes_of(kind);
  if (!scopes) return {known.begin(), known.end()};
  std::vector<std::string> out = *scopes;
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  const bool good = !out.empty() && std::all_of(out.begin(), out.end(), [&](const std::string& scope) {
    return std::find(known.begin(), known.end(), scope) != known.end();
  });
  if (!good) throw core::bad_request("scopes must be one or more of: " + listed(known) + ".", "/scopes");
  return out;
}

}  // namespace assistiv::oauth
