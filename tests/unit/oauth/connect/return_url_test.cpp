#include "oauth/connect/return_url.h"

#include <gtest/gtest.h>

namespace assistiv::oauth {

TEST(ReturnUrl, accepts_https_and_loopback_http) {
  for (const char* good : {"https://example.com", "https://example.com/a?b=c", "https://EXAMPLE.com:8443/x",
                           "http://localhost:3000/cb", "http://127.0.0.1/cb", "http://127.9.9.9:1/",
                           "http://[::1]:3/", "https://example.com/?u=https://other@x"}) {
    EXPECT_EQ(return_url_fault(good), "") << good;
  }
}

TEST(ReturnUrl, refuses_everything_a_browser_could_read_otherwise) {
  for (const char* bad :
       {"", "/relative", "example.com", "javascript:alert(1)", "http://example.com/",
        "http://localhost.evil.com/", "http://127.0.0.1.evil.com/", "https://user@example.com/",
        "https://a:b@example.com/", "https://example.com/#x", "https://example.com\\@evil.com/",
        "https:///path", "https://", "HTTPS://example.com", "https://example.com/ x",
        "https://example.com/\n", "https://[::1", "https://example.com:port/", "ftp://example.com/"}) {
    EXPECT_NE(return_url_fault(bad), "") << bad;
  }
  EXPECT_NE(return_url_fault("https://example.com/" + std::string(2048, 'a')), "");
}

TEST(WithQuery, adds_behind_what_is_there_and_encodes) {
  EXPECT_EQ(with_query("https://a/b", {{"x", "1 2"}, {"y", "&"}}), "https://a/b?x=1%202&y=%26");
  EXPECT_EQ(with_query("https://a/b?c=d", {{"x", "1"}}), "https://a/b?c=d&x=1");
  EXPECT_EQ(with_query("https://a/b?", {{"x", "1"}}), "https://a/b?x=1");
  EXPECT_EQ(with_query("https://a/b", {}), "https://a/b");
}

}  // namespace assistiv::oauth
