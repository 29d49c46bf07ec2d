#include "oauth/authorize/client_auth.h"

#include "core/http.h"
#include "oauth/authorize/authorize_request.h"
#include "oauth/authorize/oauth_error.h"

namespace assistiv::oauth {

namespace {

OAuthError invalid_client() {
  return {"invalid_client", "The client is unknown, its registration has expired, or its secret is wrong.",
          401};
}

// RFC 6749 section 2.3.1: both parts are form-encoded before base64.
PresentedClient read_basic(std::string_view value) {
  const auto text = core::base64_decode(value);
  const auto colon = text ? text->find(':') : std::string::npos;
  if (colon == std::string::npos) throw invalid_client();
  const auto decoded = [](const std::string& part) {
    const auto fields = core::form_decode("x=" + part);
    if (!fields || fields->size() != 1) throw invalid_client();
    return fields->front().second;
  };
  return {decoded(text->substr(0, colon)), core::Secret(decoded(text->substr(colon + 1))), true};
}

}  // namespace

PresentedClient read_presented_client(std::string_view authorization, const core::FormFields& fields) {
  const auto id = one_param(fields, "client_id");
  const auto secret = one_param(fields, "client_secret");
  if (authorization.empty()) {
    if (!id) throw OAuthError("invalid_request", "client_id is missing.");
    return {*id, secret ? std::optional(core::Secret(*secret)) : std::nullopt, false};
  }
  if (authorization.size() < 6 || !core::equals_ignore_case(authorization.substr(0, 6), "Basic "))
    throw OAuthError("invalid_client", "Only Basic is supported in the Authorization header.", 401);
  auto out = read_basic(authorization.substr(6));
  if (secret || (id && *id != out.client_id))
    throw OAuthError("invalid_request", "Send the client's credentials in one place only.");
  return out;
}

void check_client_secret(const OAuthClient& client, const PresentedClient& presented) {
  if (!client.secret_hash) {
    // A public client that sends a secret is mistaken about itself; an empty Basic password is common.
    if (presented.secret && !presented.secret->empty()) throw invalid_client();
    return;
  }
  const auto given = presented.secret ? core::sha256_hex(presented.secret->reveal()) : std::string();
  if (!core::constant_time_equal(given, *client.secret_hash)) throw invalid_client();
}

}  // namespace assistiv::oauth
