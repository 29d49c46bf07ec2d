#include "oauth/crypto/pkce.h"

#include <gtest/gtest.h>

#include <string>

#include "core/random.h"

namespace assistiv::oauth {
namespace {

TEST(Pkce, gives_the_challenge_of_the_rfc_example) {
  // RFC 7636 appendix B
  EXPECT_EQ(code_challenge_s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

TEST(Pkce, makes_verifiers_that_differ_and_follow_the_grammar) {
  core::SystemRandom random;
  const auto one = make_code_verifier(random);
  const auto two = make_code_verifier(random);
  EXPECT_EQ(one.reveal().size(), 43u);
  EXPECT_TRUE(is_code_verifier(one.reveal()));
  EXPECT_NE(one.reveal(), two.reveal());
}

TEST(Pkce, refuses_verifiers_outside_of_the_grammar) {
  EXPECT_FALSE(is_code_verifier(std::string(42, 'a')));
  EXPECT_TRUE(is_code_verifier(std::string(128, 'a')));
  EXPECT_FALSE(is_code_verifier(std::string(129, 'a')));
  EXPECT_FALSE(is_code_verifier(std::string(42, 'a') + "+"));
  EXPECT_FALSE(is_code_verifier(std::string(42, 'a') + std::string(1, '\0')));
}

}  // namespace
}  // namespace assistiv::oauth
