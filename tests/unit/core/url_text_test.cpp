#include "core/url_text.h"

#include <gtest/gtest.h>

namespace assistiv::core {
namespace {

TEST(UrlText, origin_and_authority_end_where_the_path_the_query_or_the_fragment_begins) {
  for (const auto* rest : {"", "/", "/a/b?c=d", "?c=https://other.example/", "#e"}) {
    const auto url = std::string("https://host.example:8443") + rest;
    EXPECT_EQ(url_origin(url), "https://host.example:8443") << url;
    EXPECT_EQ(url_authority(url), "host.example:8443") << url;
  }
}

TEST(UrlText, who_poses_as_a_user_is_part_of_the_authority) {
  EXPECT_EQ(url_authority("https://good.example@evil.example/"), "good.example@evil.example");
}

}  // namespace
}  // namespace assistiv::core
