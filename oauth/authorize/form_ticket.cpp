#include "oauth/authorize/form_ticket.h"

#include <charconv>

#include "core/encoding.h"

namespace assistiv::oauth {

namespace {

std::string ticket_mac(const core::Secret& key, std::string_view head, std::string_view binding) {
  return core::base64url_encode(
      core::hmac_sha256(key.reveal(), std::string(head) + "\n" + std::string(binding)));
}

}  // namespace

std::string make_form_ticket(const core::Secret& key, std::string_view binding, core::KeyId id,
                             core::Time expires_at) {
  const std::string head = id.str() + "." + std::to_string(core::to_epoch_ms(expires_at));
  return head + "." + ticket_mac(key, head, binding);
}

std::optional<core::KeyId> read_form_ticket(const core::Secret& key, std::string_view binding,
                                            std::string_view ticket, core::Time now) {
  const auto dot = ticket.find('.');
  const auto end = ticket.rfind('.');
  if (dot == std::string_view::npos || end == dot) return std::nullopt;
  if (!core::constant_time_equal(ticket.substr(end + 1), ticket_mac(key, ticket.substr(0, end), binding)))
    return std::nullopt;
  std::int64_t expires_ms = 0;
  const auto digits = ticket.substr(dot + 1, end - dot - 1);
  std::from_chars(digits.data(), digits.data() + digits.size(), expires_ms);
  if (core::from_epoch_ms(expires_ms) <= now) return std::nullopt;
  return core::KeyId::parse(ticket.substr(0, dot));
}

}  // namespace assistiv::oauth
