#include "storage/text_array.h"

#include <gtest/gtest.h>

namespace assistiv::storage {
namespace {

TEST(TextArray, quotes_what_postgresql_would_read_as_syntax) {
  TextArray array;
  EXPECT_EQ(array.take(), "{}");
  array.add("plain");
  array.add("");
  array.add("NULL");
  array.add_null();
  array.add(R"(a"b\c,{d} e)");
  EXPECT_EQ(array.take(), R"({"plain","","NULL",NULL,"a\"b\\c,{d} e"})");
  EXPECT_EQ(array.take(), "{}");
}

}  // namespace
}  // namespace assistiv::storage
