#pragma once
// How a delivery is signed. Two forms over the same bytes of the body:
// - Standard Webhooks 1.0: base64 HMAC-SHA256 over "<id>.<timestamp>.<body>", the key being the base64 part
//   of the secret, decoded; several signatures while a secret is being replaced.
// - x-aig-signature: "t=<timestamp>,v1=<hex HMAC-SHA256 over "<timestamp>.<body>">", the key being the
//   secret's text as it was shown.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/random.h"
#include "core/secret.h"

namespace assistiv::billing {

// "whsec_" and 32 random bytes in base64.
core::Secret make_webhook_secret(core::Random& random);

// "v1,<base64>"; throws Internal when the secret is not of this form.
std::string standard_signature(const core::Secret& secret, std::string_view id, std::int64_t timestamp,
                               std::string_view body);
// The header's value: one signature per secret, separated by spaces.
std::string standard_signatures(const std::vector<core::Secret>& secrets, std::string_view id,
                                std::int64_t timestamp, std::string_view body);
std::string aig_signature(const core::Secret& secret, std::int64_t timestamp, std::string_view body);

}  // namespace assistiv::billing
