#include "net/url_guard.h"

#include <gtest/gtest.h>

namespace assistiv::net {
namespace {

TEST(ParseUrl, reads_the_parts) {
  const auto url = parse_url("HTTPS://API.Example.com:8443/a/b?x=1");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->scheme, Scheme::Https);
  EXPECT_EQ(url->host, "api.example.com");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->target, "/a/b?x=1");
  EXPECT_EQ(url->authority(), "api.example.com:8443");
  EXPECT_FALSE(url->is_address);
}

TEST(ParseUrl, fills_in_port_and_path) {
  EXPECT_EQ(parse_url("https://a.example")->port, 443);
  EXPECT_EQ(parse_url("http://a.example")->port, 80);
  EXPECT_EQ(parse_url("https://a.example")->target, "/");
  EXPECT_EQ(parse_url("https://a.example?q=1")->target, "/?q=1");
  EXPECT_EQ(parse_url("https://a.example:443/")->authority(), "a.example");
}

TEST(ParseUrl, reads_ip_literals) {
  EXPECT_TRUE(parse_url("https://192.0.2.1/")->is_address);
  const auto six = parse_url("https://[2001:DB8::1]:8443/");
  ASSERT_TRUE(six);
  EXPECT_TRUE(six->is_address);
  EXPECT_EQ(six->host, "2001:db8::1");
  EXPECT_EQ(six->authority(), "[2001:db8::1]:8443");
}

TEST(ParseUrl, refuses_what_parsers_disagree_about) {
  for (const char* text : {"",
                           "api.github.com",
                           "//api.github.com/",
                           "ftp://a.example/",
                           "file:///etc/passwd",
                           "gopher://a.example/",
                           "javascript:alert(1)",
                           "https:/a.example",
                           "https:///a",
                           "https://",
                           "https://:443/",
                           "https://?q",
                           "https://user@a.example/",
                           "https://user:pw@a.example/",
                           "https://api.github.com@evil.example/",
                           "https://a.example#@evil.example/",
                           "https://a.example/#frag",
                           "https://a.example\\@evil.example/",
                           "https://a.example\\.evil.example/",
                           "https://a.example/\r\nx: y",
                           "https://a.example/a b",
                           "https://a.example/\t",
                           "https://a.example:0/",
                           "https://a.example:65536/",
                           "https://a.example:/",
                           "https://a.example:+443/",
                           "https://a.example:443:443/",
                           "https://a.example:0x1bb/",
                           "https://a.example./",
                           "https://a..example/",
                           "https://.a.example/",
                           "https://-a.example/",
                           "https://a-.example/",
                           "https://a_b.example/",
                           "https://a%2eexample/",
                           "https://%61.example/",
                           "https://b\xc3\xbc"
                           "cher.example/",
                           "https://xn--bcher-kva.example:99999/",
                           "https://a.example,evil.example/",
                           "https://[::1/",
                           "https://::1/",
                           "https://[1.2.3.4]/",
                           "https://[::1%25eth0]/",
                           "https://[fe80::1%eth0]/",
                           "https://[]/",
                           "https://a.example/\"",
                           "https://a.example/<x>",
                           "https://a.example/\xe2\x80\xae"})
    EXPECT_FALSE(parse_url(text)) << text;
}

TEST(ParseUrl, refuses_numbers_in_place_of_an_address) {
  for (const char* host :
       {"2130706433", "0x7f000001", "0x7f.1", "127.1", "127.0.1", "0177.0.0.1", "127.0.0.01", "0",
        "127.0.0.0x1", "1.2.3.4.5", "256.1.1.1", "1.2.3.999", "00000000177.0.0.1", "a.0x7f", "a.1"})
    EXPECT_FALSE(parse_url("https://" + std::string(host) + "/")) << host;
}

TEST(ParseUrl, takes_punycode_and_digits_in_names) {
  for (const char* host :
       {"xn--bcher-kva.example", "1a.example", "0.example", "a--b.example", "x.y.z.example"})
    EXPECT_TRUE(parse_url("https://" + std::string(host) + "/")) << host;
}

TEST(ParseUrl, bounds_lengths) {
  EXPECT_FALSE(parse_url("https://a.example/" + std::string(9000, 'x')));
  EXPECT_FALSE(parse_url("https://" + std::string(64, 'a') + ".example/"));
  std::string host;
  for (int i = 0; i < 60; ++i) host += "abcd.";
  EXPECT_FALSE(parse_url("https://" + host + "example/"));
}

TEST(ParseUrl, says_why) {
  std::string why;
  EXPECT_FALSE(parse_url("https://u@a.example/", &why));
  EXPECT_EQ(why, "user info in a URL is refused");
}

bool reachable(std::string_view address, Reach reach = Reach::PublicOnly) {
  return !vet_address(address, reach);
}

TEST(VetAddress, lets_global_unicast_pass) {
  for (const char* address :
       {"8.8.8.8", "140.82.121.6", "1.1.1.1", "172.15.255.255", "172.32.0.1", "192.167.1.1", "100.63.255.255",
        "100.128.0.1", "223.255.255.254", "169.253.1.1", "198.17.0.1", "2606:50c0:8000::64",
        "2a00:1450:4001::200e", "2620:0:2d0::1"})
    EXPECT_TRUE(reachable(address)) << address;
}

TEST(VetAddress, refuses_everything_that_is_not_globally_reachable) {
  for (const char* address : {"0.0.0.0",
                              "0.1.2.3",
                              "10.0.0.1",
                              "10.255.255.255",
                              "100.64.0.1",
                              "100.127.255.255",
                              "127.0.0.1",
                              "127.255.255.254",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.0.0.1",
                              "192.0.0.192",
                              "192.0.2.1",
                              "192.88.99.1",
                              "192.168.0.1",
                              "198.18.0.1",
                              "198.19.255.255",
                              "198.51.100.1",
                              "203.0.113.1",
                              "224.0.0.1",
                              "239.255.255.255",
                              "240.0.0.1",
                              "255.255.255.255",
                              "168.63.129.16",
                              "100.100.100.200",
                              "::",
                              "::1",
                              "::127.0.0.1",
                              "::ffff:127.0.0.1",
                              "::ffff:8.8.8.8",
                              "::ffff:0:8.8.8.8",
                              "64:ff9b::8.8.8.8",
                              "64:ff9b:1::1",
                              "100::1",
                              "2001::1",
                              "2001:0:4136:e378:8000:63bf:3fff:fdd2",
                              "2001:2::1",
                              "2001:10::1",
                              "2001:20::1",
                              "2001:db8::1",
                              "2002:7f00:1::1",
                              "2002::1",
                              "3fff::1",
                              "5f00::1",
                              "fc00::1",
                              "fd00:ec2::254",
                              "fd20:ce::254",
                              "fe80::1",
                              "fec0::1",
                              "ff02::1",
                              "4000::1",
                              "2a00:1450::5efe:10.0.0.1",
                              "2a00:1450::200:5efe:a00:1"})
    EXPECT_FALSE(reachable(address)) << address;
}

TEST(VetAddress, refuses_text_that_is_no_canonical_address) {
  for (const char* address :
       {"", "localhost", "1.2.3", "01.2.3.4", "1.2.3.4 ", "fe80::1%eth0", "[::1]", "0x8080808", "8.8.8.8/32"})
    EXPECT_FALSE(reachable(address)) << address;
}

TEST(VetAddress, admits_loopback_and_private_when_told_and_nothing_more) {
  for (const char* address :
       {"127.0.0.1", "127.9.9.9", "::1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "fd12::1", "8.8.8.8"})
    EXPECT_TRUE(reachable(address, Reach::LoopbackAndPrivate)) << address;
  for (const char* address : {"169.254.169.254", "fe80::1", "fd00:ec2::254", "fd20:ce::254",
                              "100.100.100.200", "168.63.129.16", "192.0.0.192", "0.0.0.0", "::", "224.0.0.1",
                              "100.64.0.1", "::ffff:127.0.0.1", "255.255.255.255", "2002:7f00:1::1"})
    EXPECT_FALSE(reachable(address, Reach::LoopbackAndPrivate)) << address;
}

bool callable(std::string_view url, Reach reach = Reach::PublicOnly) {
  return !vet_url(*parse_url(url), reach);
}

TEST(VetUrl, wants_https_and_a_public_name) {
  EXPECT_TRUE(callable("https://api.github.com/user"));
  EXPECT_TRUE(callable("https://ghes.example.com:8443/api"));
  EXPECT_FALSE(callable("http://api.github.com/"));
  for (const char* host : {"localhost", "intranet", "db.local", "metadata.google.internal", "a.localhost",
                           "x.localdomain", "router.lan", "nas.home.arpa", "127.0.0.1", "[::1]", "10.0.0.1"})
    EXPECT_FALSE(callable("https://" + std::string(host) + "/")) << host;
}

TEST(VetUrl, refuses_ports_of_other_services) {
  for (const int port : {1,   21,   22,   25,   53,   110,  143,  445,  465,   587,
                         993, 2375, 2379, 3306, 5432, 6379, 6667, 9042, 11211, 27017})
    EXPECT_FALSE(callable("https://a.example:" + std::to_string(port) + "/")) << port;
  for (const int port : {80, 443, 8080, 8443, 9443, 3000})
    EXPECT_TRUE(callable("https://a.example:" + std::to_string(port) + "/")) << port;
}

TEST(VetUrl, admits_http_and_local_names_when_told) {
  for (const char* url : {"http://localhost:4001/", "http://127.0.0.1:4001/", "http://[::1]:4001/",
                          "http://vendor.internal/", "https://10.0.0.1/"})
    EXPECT_TRUE(callable(url, Reach::LoopbackAndPrivate)) << url;
  EXPECT_FALSE(callable("http://169.254.169.254/latest/meta-data/", Reach::LoopbackAndPrivate));
}

TEST(HostAllowed, compares_host_and_port) {
  const auto allowed = [](std::string_view url, std::string_view host) {
    return host_allowed(*parse_url(url), host);
  };
  EXPECT_TRUE(allowed("https://api.github.com/x", "api.github.com"));
  EXPECT_TRUE(allowed("https://api.github.com/x", "API.GitHub.com"));
  EXPECT_TRUE(allowed("https://api.github.com/x", "api.github.com:443"));
  EXPECT_TRUE(allowed("https://api.github.com:8443/x", "api.github.com:8443"));
  EXPECT_TRUE(allowed("http://[::1]:4001/x", "[::1]:4001"));
  EXPECT_FALSE(allowed("https://api.github.com:8443/x", "api.github.com"));
  EXPECT_FALSE(allowed("https://api.github.com/x", "github.com"));
  EXPECT_FALSE(allowed("https://evil-api.github.com/x", "api.github.com"));
  EXPECT_FALSE(allowed("https://api.github.com.evil.example/x", "api.github.com"));
  EXPECT_FALSE(allowed("https://api.github.com/x", ""));
}

}  // namespace
}  // namespace assistiv::net
