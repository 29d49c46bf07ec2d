#include "core/error.h"

#include <gtest/gtest.h>

#include "core/secret.h"

namespace assistiv::core {
namespace {

TEST(Error, keeps_the_private_detail_out_of_what) {
  const Error e = Error(ErrorKind::Internal, "public").with_detail("private").with_field("/a");
  EXPECT_STREQ(e.what(), "public");
  EXPECT_EQ(e.detail(), "private");
  EXPECT_EQ(e.field(), "/a");
}

TEST(Error, has_the_code_of_its_kind_unless_it_has_its_own) {
  EXPECT_EQ(bad_request("x").code(), "bad_request");
  EXPECT_EQ(conflict("x").with_code("slug_taken").code(), "slug_taken");
}

TEST(Error, every_kind_has_a_status_and_a_code_of_its_own_in_the_4xx_or_5xx_range) {
  for (int i = 0; i <= static_cast<int>(ErrorKind::DeadlineExceeded); ++i) {
    const auto kind = static_cast<ErrorKind>(i);
    EXPECT_GE(http_status(kind), 400);
    EXPECT_LT(http_status(kind), 600);
    for (int k = 0; k < i; ++k) {
      EXPECT_NE(error_code(kind), error_code(static_cast<ErrorKind>(k)));
      EXPECT_NE(http_status(kind), http_status(static_cast<ErrorKind>(k)));
    }
  }
}

TEST(Error, internal_tells_the_caller_nothing) {
  EXPECT_EQ(std::string(internal("row 7 of table x").what()).find("row 7"), std::string::npos);
}

TEST(Secret, is_empty_after_it_was_moved_from) {
  Secret a(std::string("a secret that does not fit into the small buffer of a string"));
  const Secret b = std::move(a);
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): that is what is tested
  EXPECT_FALSE(b.empty());
  Secret c("x");
  c = b;
  EXPECT_EQ(c.reveal(), b.reveal());
}

}  // namespace
}  // namespace assistiv::core
