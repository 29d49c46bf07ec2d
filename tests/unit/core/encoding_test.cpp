#include "core/encoding.h"

#include <gtest/gtest.h>

namespace assistiv::core {
namespace {

TEST(Hex, encodes_and_decodes_every_byte) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  EXPECT_EQ(hex_encode(all).substr(0, 8), "00010203");
  EXPECT_EQ(hex_decode(hex_encode(all)), all);
  EXPECT_EQ(hex_decode("aBcD"), std::string("\xab\xcd"));
}

TEST(Hex, refuses_odd_length_and_foreign_letters) {
  EXPECT_FALSE(hex_decode("abc"));
  EXPECT_FALSE(hex_decode("0g"));
  EXPECT_FALSE(hex_decode("0x"));
}

// RFC 4648 section 10.
TEST(Base64, matches_the_vectors_of_the_rfc) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(base64_encode(plain), encoded);
    EXPECT_EQ(base64_decode(encoded), plain);
  }
}

TEST(Base64, refuses_what_is_not_canonical) {
  for (const char* text :
       {"Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z g=", "Zm9v\n", "====", "=", "Zm-_", "Zg==Zg=="}) {
    EXPECT_FALSE(base64_decode(text)) << text;
  }
}

TEST(Base64Url, uses_the_url_alphabet_without_padding) {
  EXPECT_EQ(base64url_encode("\xfb\xff\xfe"), "-__-");
  EXPECT_EQ(base64url_decode("-__-"), "\xfb\xff\xfe");
  EXPECT_EQ(base64url_encode("f"), "Zg");
  for (const char* text : {"Zg==", "+//+", "Z", "Zh"}) EXPECT_FALSE(base64url_decode(text)) << text;
}

// FIPS 180-4 example; RFC 4231 test case 2.
TEST(Digests, match_published_vectors) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("").size(), 32u);
  EXPECT_EQ(hex_encode(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(ConstantTimeEqual, compares_contents_and_lengths) {
  EXPECT_TRUE(constant_time_equal("", ""));
  EXPECT_TRUE(constant_time_equal("same", "same"));
  EXPECT_FALSE(constant_time_equal("same", "samE"));
  EXPECT_FALSE(constant_time_equal("same", "sam"));
}

TEST(Percent, leaves_only_unreserved_characters) {
  EXPECT_EQ(percent_encode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(percent_encode("a/b c?%\xc3\xa9"), "a%2Fb%20c%3F%25%C3%A9");
  EXPECT_EQ(percent_decode("a%2fb%20c"), "a/b c");
  EXPECT_EQ(percent_decode("a+b"), "a+b");
}

TEST(Percent, refuses_broken_escapes_and_nul) {
  for (const char* text : {"%", "%4", "a%4", "%zz", "%00", "%0"}) EXPECT_FALSE(percent_decode(text)) << text;
  EXPECT_FALSE(percent_decode(std::string_view("a\0b", 3)));
}

TEST(Form, reads_pluses_empty_values_and_repeated_names) {
  const FormFields expected = {{"a b", "1 2"}, {"empty", ""}, {"bare", ""}, {"a b", "="}};
  EXPECT_EQ(form_decode("a+b=1%202&empty=&&bare&a%20b=="), expected);
}

TEST(Form, gives_back_what_it_encoded) {
  const FormFields fields = {{"na&me", "va=lue+"}, {"", "x"}, {"y", ""}};
  EXPECT_EQ(form_decode(form_encode(fields)), fields);
}

TEST(Form, refuses_broken_escapes_and_too_many_fields) {
  EXPECT_FALSE(form_decode("a=%"));
  std::string many;
  for (int i = 0; i < 257; ++i) many += "a=b&";
  EXPECT_FALSE(form_decode(many));
}

TEST(HtmlEscape, makes_text_safe_in_elements_and_attributes) {
  EXPECT_EQ(html_escape("<a href='x\"y'>&"), "&lt;a href=&#39;x&quot;y&#39;&gt;&amp;");
}

TEST(Utf8, accepts_the_limits_of_every_length) {
  for (const char* text : {"", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_valid_utf8(text)) << hex_encode(text);
  }
}

TEST(Utf8, refuses_overlong_surrogate_truncated_and_too_large) {
  for (const char* text : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                           "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "a\xff"}) {
    EXPECT_FALSE(is_valid_utf8(text)) << hex_encode(text);
  }
}

}  // namespace
}  // namespace assistiv::core
