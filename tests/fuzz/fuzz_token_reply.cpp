// Input: a byte that chooses status and content type, then a body, as a provider's token endpoint might send
// it. Whatever it is, what comes out as a token can stand in a header, and an error code can stand in a log.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/json_read.h"
#include "oauth/connect/provider_client.h"

namespace {

using assistiv::oauth::ConnectorSpec;
using assistiv::oauth::read_token_reply;
using assistiv::oauth::TokenReplyKind;

constexpr char kManifest[] = R"({
  "id": "fuzz", "title": "Fuzz", "version": "1", "hosts": ["provider.test"],
  "oauth": {
    "client": {"auth": "body"}, "pkce": "S256",
    "authorize": {"url": "https://provider.test/authorize"},
    "token": {"url": "https://provider.test/token"},
    "refresh": {"mode": "rotating"},
    "slots": {
      "main": {"access": "/access_token", "refresh": "/refresh_token", "scope": "/scope",
               "expires_in": {"path": "/expires_in", "default": 3600}},
      "user": {"access": "/authed_user/access_token", "required": false}},
    "ok": {"status": [200], "absent": ["/error"]},
    "errors": {"permanent": ["bad"], "config": ["client"], "throttled_equals": {"/status": "failure"}},
    "identity": {"request": {"path": "/user"}, "slot": "main", "id": "/id"}
  },
  "api": {"base": "https://provider.test", "auth_header": "Bearer {token}"}
})";

void require(bool good) {
  if (!good) std::abort();
}

bool is_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ConnectorSpec spec = ConnectorSpec::parse(assistiv::core::parse_json(kManifest));
  if (size == 0) return 0;
  constexpr int kStatuses[] = {200, 400, 429, 500, 502, 204};
  assistiv::core::OutboundResponse response;
  response.status = kStatuses[(data[0] >> 1) % 6];
  response.headers.set("content-type",
                       (data[0] & 1) != 0 ? "application/x-www-form-urlencoded" : "application/json");
  response.body.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto reply = read_token_reply(spec, spec.oauth.slots, response);
  require(is_visible(reply.code));
  require((reply.kind == TokenReplyKind::Ok) <= reply.slots.contains("main"));
  for (const auto& [slot, tokens] : reply.slots) {
    require(!tokens.access.empty() && is_visible(tokens.access.reveal()));
    require(!tokens.refresh || is_visible(tokens.refresh->reveal()));
    require(!tokens.expires_in || tokens.expires_in->count() > 0);
  }
  return 0;
}
