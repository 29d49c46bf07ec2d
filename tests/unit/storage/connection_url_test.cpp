#include "storage/connection_url.h"

#include <gtest/gtest.h>

namespace assistiv::storage {
namespace {

TEST(ConnectionUrl, puts_defaults_before_words_so_that_the_users_win) {
  EXPECT_EQ(with_defaults("host=db user=me", {{"connect_timeout", "5"}}),
            "connect_timeout=5 host=db user=me");
}

TEST(ConnectionUrl, adds_defaults_to_a_uri_unless_it_has_them) {
  const ConnectionDefaults defaults = {{"connect_timeout", "5"}, {"application_name", "assistiv"}};
  EXPECT_EQ(with_defaults("postgresql://u@h/d", defaults),
            "postgresql://u@h/d?connect_timeout=5&application_name=assistiv");
  EXPECT_EQ(with_defaults("postgres://u@h/d?connect_timeout=9", defaults),
            "postgres://u@h/d?connect_timeout=9&application_name=assistiv");
  EXPECT_EQ(with_defaults("postgres://h/d?sslmode=require&application_name=x", defaults),
            "postgres://h/d?sslmode=require&application_name=x&connect_timeout=5");
  // A name that only ends like a default is another name.
  EXPECT_EQ(with_defaults("postgres://h/d?fallback_application_name=x", {{"application_name", "a"}}),
            "postgres://h/d?fallback_application_name=x&application_name=a");
}

}  // namespace
}  // namespace assistiv::storage
