#include "billing/webhook_signature.h"

#include <gtest/gtest.h>

#include "core/encoding.h"
#include "core/error.h"

namespace assistiv::billing {
namespace {

// The example of the Standard Webhooks specification's reference libraries.
const core::Secret kKnown("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");

TEST(WebhookSignature, agrees_with_the_published_vector) {
  EXPECT_EQ(standard_signature(kKnown, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(WebhookSignature, signs_with_each_secret_while_one_is_replaced) {
  core::SystemRandom random;
  const auto fresh = make_webhook_secret(random);
  const auto both = standard_signatures({fresh, kKnown}, "msg_1", 1, "{}");
  EXPECT_EQ(both,
            standard_signature(fresh, "msg_1", 1, "{}") + " " + standard_signature(kKnown, "msg_1", 1, "{}"));
}

TEST(WebhookSignature, covers_the_id_the_time_and_the_body) {
  const auto one = standard_signature(kKnown, "msg_1", 1, "{}");
  EXPECT_NE(one, standard_signature(kKnown, "msg_2", 1, "{}"));
  EXPECT_NE(one, standard_signature(kKnown, "msg_1", 2, "{}"));
  EXPECT_NE(one, standard_signature(kKnown, "msg_1", 1, "{ }"));
}

TEST(WebhookSignature, aig_form_uses_the_text_of_the_secret) {
  EXPECT_EQ(aig_signature(kKnown, 7, "{}"),
            "t=7,v1=" + core::hex_encode(core::hmac_sha256(kKnown.reveal(), "7.{}")));
}

TEST(WebhookSignature, makes_secrets_of_32_bytes) {
  core::SystemRandom random;
  const auto secret = make_webhook_secret(random).reveal();
  ASSERT_TRUE(secret.starts_with("whsec_"));
  EXPECT_EQ(core::base64_decode(secret.substr(6))->size(), 32u);
  EXPECT_NE(secret, make_webhook_secret(random).reveal());
  EXPECT_THROW(standard_signature(core::Secret("plain"), "m", 1, ""), core::Error);
}

}  // namespace
}  // namespace assistiv::billing
