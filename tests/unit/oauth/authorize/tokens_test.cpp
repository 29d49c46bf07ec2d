// What is signed or sealed into the texts that clients and browsers carry around.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/json_read.h"
#include "core/random.h"
#include "oauth/authorize/access_token.h"
#include "oauth/authorize/attempt_limit.h"
#include "oauth/authorize/form_ticket.h"
#include "oauth/authorize/refresh_token.h"
#include "oauth/crypto/jws.h"
#include "support/manual_clock.h"

namespace assistiv::oauth {
namespace {

struct TokensTest : testing::Test {
  test::ManualClock clock;
  core::SystemRandom random;
  core::KeyId id = core::KeyId::make(clock, random);
};

TEST_F(TokensTest, jws_opens_with_its_own_key_only) {
  const auto ours = make_es256_key("k1");
  const auto theirs = make_es256_key("k1");
  const auto jws = jws_sign(ours.private_jwk, {{"typ", "at+jwt"}, {"kid", "k1"}}, "{\"a\":1}");
  EXPECT_EQ(jws_verify(ours.public_jwk, jws), "{\"a\":1}");
  EXPECT_EQ(jws_verify(theirs.public_jwk, jws), std::nullopt);
  EXPECT_EQ(jws_header(jws)->at("alg"), "ES256");
  EXPECT_EQ(core::parse_json(ours.public_jwk).contains("d"), false) << "the private part";
}

TEST_F(TokensTest, jws_refuses_changed_texts_and_other_algorithms) {
  const auto pair = make_es256_key("k1");
  const auto jws = jws_sign(pair.private_jwk, {{"kid", "k1"}}, "{\"a\":1}");
  const auto first = jws.find('.'), second = jws.rfind('.');
  const auto payload = jws.substr(first + 1, second - first - 1);
  const auto forged = [&](const std::string& header, const std::string& body, const std::string& signature) {
    return jws_verify(pair.public_jwk, core::base64url_encode(header) + "." + body + "." + signature);
  };
  const auto signature = jws.substr(second + 1);
  EXPECT_EQ(forged(R"({"alg":"none"})", payload, ""), std::nullopt);
  EXPECT_EQ(forged(R"({"alg":"none"})", payload, signature), std::nullopt);
  EXPECT_EQ(forged(R"({"alg":"HS256"})", payload,
                   core::base64url_encode(core::hmac_sha256(
                       pair.public_jwk, core::base64url_encode(R"({"alg":"HS256"})") + "." + payload))),
            std::nullopt);
  EXPECT_EQ(forged(R"({"alg":"ES256","crit":["x"]})", payload, signature), std::nullopt);
  EXPECT_EQ(jws_verify(pair.public_jwk,
                       jws.substr(0, first + 1) + core::base64url_encode("{\"a\":2}") + "." + signature),
            std::nullopt);
  for (const auto* text : {"", ".", "..", "a.b.c", "eyJ.x.y", "eyJhbGciOiJFUzI1NiJ9"})
    EXPECT_EQ(jws_verify(pair.public_jwk, text), std::nullopt) << text;
}

TEST_F(TokensTest, claims_come_back_as_they_went) {
  AccessTokenClaims claims{.issuer = "https://iss.example",
                           .audience = "https://mcp.example/mcp",
                           .client_id = "mcp_1",
                           .token_id = "t",
                           .platform_id = core::PlatformId::make(clock, random),
                           .end_user_id = core::EndUserId::make(clock, random),
                           .authorization_id = id,
                           .scopes = {"mcp", "mcp:write"},
                           .issued_at = clock.now(),
                           .expires_at = clock.now() + std::chrono::seconds(900)};
  const auto back = claims_of_payload(to_payload(claims));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->end_user_id, claims.end_user_id);
  EXPECT_EQ(back->authorization_id, id);
  EXPECT_EQ(back->scopes, claims.scopes);
  EXPECT_EQ(back->expires_at, claims.expires_at);
  for (const auto* bad : {"", "[]", "{}", R"({"pid":5})"})
    EXPECT_FALSE(claims_of_payload(bad).has_value()) << bad;
  auto json = core::parse_json(to_payload(claims));
  json["aud"] = {"https://mcp.example/mcp", "https://other.example"};
  EXPECT_FALSE(claims_of_payload(core::dump_json(json)).has_value()) << "one audience, not a list";
}

TEST_F(TokensTest, no_api_key_looks_like_a_jwt) {
  EXPECT_TRUE(looks_like_jwt("eyJh.b.c"));
  for (const auto& other :
       {std::string("sk-eu_") + std::string(64, 'a'), std::string("eyJ"), std::string("eyJ.a.b.c"),
        std::string("eyJ.a.b "), "eyJ" + std::string(9000, 'a') + ".b.c"})
    EXPECT_FALSE(looks_like_jwt(other));
}

TEST_F(TokensTest, refresh_tokens_tell_their_generation_and_cannot_be_made_up) {
  const core::Secret secret("s"), other("t");
  const auto token = make_refresh_token(id, 7, secret);
  const auto parts = read_refresh_token(token.reveal());
  ASSERT_TRUE(parts.has_value());
  EXPECT_EQ(parts->authorization_id, id);
  EXPECT_EQ(parts->generation, 7u);
  EXPECT_TRUE(is_genuine(*parts, secret));
  EXPECT_FALSE(is_genuine(*parts, other));
  auto forged = *parts;
  forged.generation = 8;
  EXPECT_FALSE(is_genuine(forged, secret));
  for (const auto* bad : {"", "rt_", "rt_!!!", "ac_AAAA", "x"})
    EXPECT_FALSE(read_refresh_token(bad).has_value()) << bad;
  EXPECT_EQ(authorization_of_code(make_code(id, random).reveal()), id);
  EXPECT_NE(make_code(id, random).reveal(), make_code(id, random).reveal());
  EXPECT_FALSE(authorization_of_code(token.reveal()).has_value());
}

TEST_F(TokensTest, form_tickets_are_of_one_browser_one_request_and_a_while) {
  const core::Secret key("k");
  const auto until = clock.now() + std::chrono::minutes(30);
  const auto ticket = make_form_ticket(key, "cookie\nquery", id, until);
  EXPECT_EQ(read_form_ticket(key, "cookie\nquery", ticket, clock.now()), id);
  EXPECT_EQ(read_form_ticket(key, "other\nquery", ticket, clock.now()), std::nullopt);
  EXPECT_EQ(read_form_ticket(core::Secret("l"), "cookie\nquery", ticket, clock.now()), std::nullopt);
  EXPECT_EQ(read_form_ticket(key, "cookie\nquery", ticket, until), std::nullopt);
  auto later = ticket;
  later.replace(later.find('.') + 1, 1, "9");
  EXPECT_EQ(read_form_ticket(key, "cookie\nquery", later, clock.now()), std::nullopt);
  for (const auto* bad : {"", ".", "a.b", "a.b.c"})
    EXPECT_EQ(read_form_ticket(key, "cookie\nquery", bad, clock.now()), std::nullopt) << bad;
}

TEST_F(TokensTest, attempts_are_counted_per_address_and_window) {
  AttemptLimit limit(clock, {2, std::chrono::seconds(60), 3});
  EXPECT_TRUE(limit.take("a"));
  EXPECT_TRUE(limit.take("a"));
  EXPECT_FALSE(limit.take("a"));
  EXPECT_TRUE(limit.take("b"));
  clock.advance(std::chrono::seconds(60));
  EXPECT_TRUE(limit.take("a"));
  EXPECT_EQ(address_block("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2:");
  EXPECT_EQ(address_block("2001:db8::1"), "2001:db8:");
  EXPECT_EQ(address_block("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(address_site("2001:db8:1:2:3:4:5:6"), "2001:db8:1:");
  EXPECT_EQ(address_site("2001:db8::1"), "2001:db8:");
  EXPECT_EQ(address_site("192.0.2.1"), "192.0.2.1");
}

}  // namespace
}  // namespace assistiv::oauth
