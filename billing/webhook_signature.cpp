#include "billing/webhook_signature.h"

#include <array>

#include "core/encoding.h"
#include "core/error.h"

namespace assistiv::billing {

namespace {
constexpr std::string_view kPrefix = "whsec_";
}

core::Secret make_webhook_secret(core::Random& random) {
  std::array<std::uint8_t, 32> bytes{};
  random.fill(bytes);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return core::Secret(std::string(kPrefix) + core::base64_encode(text));
}

std::string standard_signature(const core::Secret& secret, std::string_view id, std::int64_t timestamp,
                               std::string_view body) {
  const std::string_view text = secret.reveal();
  const auto key =
      text.starts_with(kPrefix) ? core::base64_decode(text.substr(kPrefix.size())) : std::nullopt;
  if (!key) throw core::internal("a webhook secret is not of the form whsec_<base64>");
  std::string signed_text(id);
  signed_text.append(".").append(std::to_string(timestamp)).append(".").append(body);
  return "v1," + core::base64_encode(core::hmac_sha256(*key, signed_text));
}

std::string standard_signatures(const std::vector<core::Secret>& secrets, std::string_view id,
                                std::int64_t timestamp, std::string_view body) {
  std::string out;
  for (const auto& secret : secrets) {
    out += (out.empty() ? "" : " ") + standard_signature(secret, id, timestamp, body);
  }
  return out;
}

std::string aig_signature(const core::Secret& secret, std::int64_t timestamp, std::string_view body) {
  const std::string t = std::to_string(timestamp);
  std::string signed_text = t;
  signed_text.append(".").append(body);
  return "t=" + t + ",v1=" + core::hex_encode(core::hmac_sha256(secret.reveal(), signed_text));
}

}  // namespace assistiv::billing
