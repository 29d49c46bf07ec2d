#include "storage/postgres_install.h"

#include <gtest/gtest.h>

namespace assistiv::storage {
namespace {

TEST(PostgresInstall, reads_the_major_version) {
  EXPECT_EQ(parse_postgres_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), 15);
  EXPECT_EQ(parse_postgres_version("postgres (PostgreSQL) 18beta1"), 18);
  EXPECT_EQ(parse_postgres_version("postgres (PostgreSQL) x"), std::nullopt);
  EXPECT_EQ(parse_postgres_version(""), std::nullopt);
}

}  // namespace
}  // namespace assistiv::storage
