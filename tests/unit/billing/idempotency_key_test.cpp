#include <gtest/gtest.h>

#include "billing/idempotency_store.h"
#include "core/error.h"

namespace assistiv::billing {
namespace {

TEST(IdempotencyKey, takes_visible_ascii_only) {
  EXPECT_NO_THROW(check_idempotency_key("a"));
  EXPECT_NO_THROW(check_idempotency_key(std::string(255, 'k')));
  for (const auto& bad : {std::string(), std::string(256, 'k'), std::string("a b"), std::string("a\tb"),
                          std::string("\xc3\xa4"), std::string("a\0b", 3)}) {
    try {
      check_idempotency_key(bad);
      ADD_FAILURE() << bad;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.kind(), core::ErrorKind::InvalidArgument);
      EXPECT_EQ(error.field(), "Idempotency-Key");
    }
  }
}

TEST(IdempotencyKey, tells_requests_apart_by_method_path_and_body) {
  const auto one = fingerprint_of("POST", "/a", "{}");
  EXPECT_EQ(one, fingerprint_of("POST", "/a", "{}"));
  EXPECT_NE(one, fingerprint_of("PATCH", "/a", "{}"));
  EXPECT_NE(one, fingerprint_of("POST", "/b", "{}"));
  EXPECT_NE(one, fingerprint_of("POST", "/a", "{ }"));
}

}  // namespace
}  // namespace assistiv::billing
