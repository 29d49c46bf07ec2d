#include "oauth/connect/text_template.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace assistiv::oauth {

TEST(TextTemplate, fills_placeholders_and_members) {
  const auto text = TextTemplate::parse("a-{name}/{dc.host}", "/x");
  EXPECT_EQ(text.expand({{"name", "n 1"}, {"dc.host", "h"}}, Escape::None), "a-n 1/h");
  EXPECT_EQ(text.expand({{"name", "n/..?#%"}, {"dc.host", "h"}}, Escape::Percent), "a-n%2F..%3F%23%25/h");
  EXPECT_EQ(text.names(), (std::vector<std::string>{"name", "dc.host"}));
}

TEST(TextTemplate, never_expands_a_value_again) {
  const auto text = TextTemplate::parse("{a}", "/x");
  EXPECT_EQ(text.expand({{"a", "{b}"}, {"b", "secret"}}, Escape::None), "{b}");
}

TEST(TextTemplate, refuses_what_is_no_placeholder) {
  for (const char* bad :
       {"{", "}", "{}", "{A}", "{a b}", "{a", "a}", "{{a}}", "{a.b.c}", "{.a}", "{a.}", "{1a}"}) {
    EXPECT_THROW(TextTemplate::parse(bad, "/x"), core::Error) << bad;
  }
}

TEST(TextTemplate, names_the_missing_value_in_the_detail_only) {
  try {
    TextTemplate::parse("{a}", "/x").expand({}, Escape::None);
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::Internal);
    EXPECT_NE(error.detail().find("{a}"), std::string::npos);
  }
}

TEST(UrlTemplate, takes_https_urls_without_query_fragment_and_user) {
  const auto url = UrlTemplate::parse("https://{sub}.example.com:8443/a/{id}", "/x");
  EXPECT_EQ(url.expand({{"sub", "acme"}, {"id", "a/b"}}), "https://acme.example.com:8443/a/a%2Fb");
  EXPECT_EQ(url.origin(), "https://{sub}.example.com:8443");
  for (const char* bad :
       {"http://example.com", "https://", "https:///a", "example.com", "https://a@example.com/",
        "https://example.com/?a=1", "https://example.com/#a", "https://Example.com/",
        "https://example.com/a b", "https://exa\\mple.com/", "https://ex..ample.com/"}) {
    EXPECT_THROW(UrlTemplate::parse(bad, "/x"), core::Error) << bad;
  }
}

TEST(UrlTemplate, refuses_values_that_change_the_host_or_climb_the_path) {
  const auto url = UrlTemplate::parse("https://{sub}.example.com/a/{id}/b", "/x");
  for (const char* bad : {"evil.com#", "evil.com/", "a@b", "a:1", "A", "", "a..b", ".", "127.0.0.1:80/"}) {
    EXPECT_THROW(url.expand({{"sub", bad}, {"id", "1"}}), core::Error) << bad;
  }
  for (const char* bad : {"", ".", ".."}) {
    EXPECT_THROW(url.expand({{"sub", "a"}, {"id", bad}}), core::Error) << bad;
  }
}

TEST(UrlTemplate, moves_to_another_origin_and_keeps_its_path) {
  const auto url = UrlTemplate::parse("https://api.example.com/user", "/x");
  EXPECT_EQ(url.at_origin("http://127.0.0.1:4001").expand({}), "http://127.0.0.1:4001/user");
  EXPECT_EQ(url.at_origin("https://ghe.example.com/api/v3/").expand({}),
            "https://ghe.example.com/api/v3/user");
  EXPECT_THROW(url.at_origin("ftp://example.com"), core::Error);
  EXPECT_THROW(url.at_origin("http://a/?b"), core::Error);
}

TEST(IsHost, knows_names_addresses_and_ports) {
  for (const char* good : {"example.com", "a-b.c", "127.0.0.1:4001", "[::1]", "[::1]:80", "localhost:1"}) {
    EXPECT_TRUE(is_host(good)) << good;
  }
  for (const char* bad :
       {"", "a:", "a:123456", "a b", "a/b", "[::1", "[x]", "a@b", "a:b", ".a", "a.", "A.com"}) {
    EXPECT_FALSE(is_host(bad)) << bad;
  }
}

}  // namespace assistiv::oauth
