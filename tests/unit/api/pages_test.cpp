#include "api/web/pages.h"

#include <gtest/gtest.h>

namespace assistiv::api {
namespace {

ConsentPage page_named(const std::string& name) {
  ConsentPage page;
  page.platform_name = name;
  page.end_user_label = "user \u2067<1>";
  page.app_title = "GitHub";
  page.provider_host = "github.com";
  page.action = "/connect/token";
  page.csrf = "csrf";
  return page;
}

TEST(ConsentPageTest, keeps_a_name_from_turning_round_the_words_beside_it) {
  for (const std::string mark : {"\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067",
                                 "\u2068", "\u2069", "\n", "\x7f"}) {
    const auto html = consent_page(page_named("Ac" + mark + "me")).body;
    EXPECT_NE(html.find("<bdi>Acme</bdi>"), std::string::npos) << html;
    EXPECT_NE(html.find("<bdi>user &lt;1&gt;</bdi>"), std::string::npos);
  }
  EXPECT_NE(consent_page(page_named("عربي – ü")).body.find("<bdi>عربي – ü</bdi>"), std::string::npos);
}

TEST(ConsentPageTest, has_a_way_to_say_no) {
  const auto html = consent_page(page_named("Acme")).body;
  const auto go = html.find("value=\"continue\""), no = html.find("value=\"cancel\"");
  ASSERT_NE(no, std::string::npos);
  EXPECT_LT(go, no) << "the first button is the one that Enter presses";
}

}  // namespace
}  // namespace assistiv::api
