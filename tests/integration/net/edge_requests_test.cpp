// What the edge takes, what it refuses, and how long it waits: over real sockets.
#include "core/metrics.h"
#include "support/edge_test.h"

namespace assistiv::net {
namespace {

using test::EdgeTest;
using test::eventually;
using testing::HasSubstr;
using namespace std::chrono_literals;

using EdgeRequestTest = EdgeTest;

TEST_F(EdgeRequestTest, answers_a_get) {
  start();
  const auto reply = ask("GET /a/b?x=1 HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body, "GET /a/b?x=1");
  EXPECT_EQ(reply->headers.get("content-length"), "12");
  EXPECT_EQ(reply->headers.get("date"), "Fri, 15 Jan 2027 08:00:00 GMT");
  EXPECT_THAT(std::string(*reply->headers.get("x-request-id")), testing::MatchesRegex("req_[0-9a-f]{24}"));
  EXPECT_FALSE(reply->headers.get("server"));
  EXPECT_FALSE(reply->headers.get("connection"));
}

TEST_F(EdgeRequestTest, takes_a_head_and_a_body_that_come_byte_by_byte) {
  start();
  auto client = connect();
  for (const char c : std::string("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")) {
    ASSERT_TRUE(client.send(std::string(1, c)));
    ::usleep(200);  // so that the bytes travel alone
  }
  EXPECT_EQ(client.read_reply()->body, "POST /x hello");
}

TEST_F(EdgeRequestTest, keeps_the_connection_for_the_next_request) {
  start();
  auto client = connect();
  for (int i = 0; i < 3; ++i) {
    client.send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(client.read_reply()->body, "GET /" + std::to_string(i));
  }
  EXPECT_EQ(server_->connections(), 1U);
}

TEST_F(EdgeRequestTest, answers_pipelined_requests_in_order) {
  start();
  auto client = connect();
  std::string all;
  for (int i = 0; i < 100; ++i)
    all += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab";
  client.send(all);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(client.read_reply()->body, "POST /" + std::to_string(i) + " ab");
}

TEST_F(EdgeRequestTest, closes_when_the_client_asks_for_it) {
  start();
  auto client = connect();
  client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.read_reply()->headers.get("connection"), "close");
  client.finish();
  EXPECT_TRUE(client.closed());
}

TEST_F(EdgeRequestTest, closes_after_http_1_0_unless_asked_to_keep_alive) {
  start();
  auto client = connect();
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(client.read_reply()->headers.get("connection"), "keep-alive");
  client.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(client.read_reply()->headers.get("connection"), "close");
  EXPECT_TRUE(client.closed());
}

TEST_F(EdgeRequestTest, answers_head_without_a_body) {
  start();
  auto client = connect();
  client.send("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\nGET /y HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.read_reply(true)->headers.get("content-length"), "7");
  EXPECT_EQ(client.read_reply()->body, "GET /y");
}

TEST_F(EdgeRequestTest, passes_options_to_the_handler) {
  start();
  EXPECT_EQ(ask("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")->body, "OPTIONS *");
  EXPECT_EQ(ask("OPTIONS /x HTTP/1.1\r\nHost: h\r\n\r\n")->body, "OPTIONS /x");
}

TEST_F(EdgeRequestTest, takes_the_authority_of_an_absolute_target_for_the_host) {
  start();
  EXPECT_EQ(ask("GET http://real.example/p?q HTTP/1.1\r\nHost: other\r\n\r\n")->body, "GET /p?q");
  EXPECT_EQ(seen().at(0).headers.get("host"), "real.example");
  EXPECT_EQ(seen().at(0).headers.count("host"), 1U);
}

TEST_F(EdgeRequestTest, reads_a_chunked_body_and_ignores_its_trailers) {
  start();
  auto client = connect();
  client.send(
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: 1\r\nHost: evil\r\n\r\n"
      "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.read_reply()->body, "POST / hello world");
  EXPECT_EQ(client.read_reply()->body, "GET /next");
  EXPECT_FALSE(seen().at(0).headers.get("x-trailer"));
  EXPECT_EQ(seen().at(0).headers.get("host"), "h");
}

TEST_F(EdgeRequestTest, says_continue_to_a_client_that_waits_for_it) {
  start();
  auto client = connect();
  client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_head()->status, 100);
  client.send("abc");
  EXPECT_EQ(client.read_reply()->body, "POST / abc");
}

TEST_F(EdgeRequestTest, refuses_a_body_that_is_too_large_instead_of_saying_continue) {
  ServerOptions options;
  options.body_bytes_max = 10;
  start(options);
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n"), 413);
}

TEST_F(EdgeRequestTest, refuses_both_lengths_at_once_in_either_order) {
  start();
  EXPECT_EQ(
      refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc"),
      400);
  EXPECT_EQ(
      refusal("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc"),
      400);
}

TEST_F(EdgeRequestTest, refuses_lengths_that_can_be_read_in_two_ways) {
  start();
  for (const std::string value : {"3\r\nContent-Length: 3", "3\r\nContent-Length: 4", "3, 3", "3,4", "+3",
                                  "-3", "0x3", "3 3", "", "99999999999999999999999", "3\xc2\xa0", "1e1"})
    EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + value + "\r\n\r\nabc"), 400)
        << value;
}

TEST_F(EdgeRequestTest, refuses_transfer_encodings_that_are_not_exactly_chunked) {
  start();
  for (const std::string value :
       {"gzip, chunked", "xchunked", "chunked, chunked", "identity", "\"chunked\"", "chunked;q=1"})
    EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: " + value + "\r\n\r\n0\r\n\r\n"), 501)
        << value;
  EXPECT_EQ(
      refusal(
          "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
      400);
  EXPECT_EQ(refusal("POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
}

TEST_F(EdgeRequestTest, refuses_heads_that_are_not_well_formed) {
  start();
  const std::string line = "GET / HTTP/1.1\r\n";
  const std::string nul(1, '\0');
  for (const std::string& bytes : {std::string("GET / HTTP/1.1\nHost: h\n\n"),
                                   line + "Host: h\nX: 1\r\n\r\n",
                                   line + "Host: h\r\nX: 1\r\n folded\r\n\r\n",
                                   line + "Host: h\r\n\tX: 1\r\n\r\n",
                                   line + "Host: h\r\nX : 1\r\n\r\n",
                                   line + "Host: h\r\n: 1\r\n\r\n",
                                   line + "Host: h\r\nno colon\r\n\r\n",
                                   line + "Host: h\r\nX: a" + nul + "b\r\n\r\n",
                                   line + "Host: h\r\nX: a\rb\r\n\r\n",
                                   line + "Host: h\r\nX: \x01\r\n\r\n",
                                   line + "Host: h\r\nX(): 1\r\n\r\n",
                                   std::string("GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),
                                   std::string("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"),
                                   std::string("GET / http/1.1\r\nHost: h\r\n\r\n"),
                                   std::string("GET /\r\n\r\n"),
                                   std::string("G@T / HTTP/1.1\r\nHost: h\r\n\r\n"),
                                   std::string("GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n"),
                                   std::string("GET /#x HTTP/1.1\r\nHost: h\r\n\r\n"),
                                   std::string("GET x HTTP/1.1\r\nHost: h\r\n\r\n"),
                                   std::string("GET * HTTP/1.1\r\nHost: h\r\n\r\n"),
                                   std::string("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"),
                                   std::string("GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
                                   std::string("GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n"),
                                   std::string("GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
                                   std::string("\x16\x03\x01\x02"),
                                   std::string("\r\n\r\n\r\n"),
                                   nul + "GET"})
    EXPECT_EQ(refusal(bytes), 400) << bytes;
}

TEST_F(EdgeRequestTest, refuses_a_host_that_is_missing_doubled_or_malformed) {
  start();
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
  for (const std::string host : {"", "a b", "a/b", "a@b", "a?b", "a#b", "\"a\""})
    EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"), 400) << host;
  EXPECT_EQ(ask("GET / HTTP/1.0\r\n\r\n")->status, 200);
}

TEST_F(EdgeRequestTest, refuses_other_http_versions) {
  start();
  EXPECT_EQ(refusal("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
  EXPECT_EQ(refusal("GET / HTTP/1.2\r\nHost: h\r\n\r\n"), 505);
  EXPECT_EQ(refusal("GET / HTTP/11.1\r\nHost: h\r\n\r\n"), 400);
}

TEST_F(EdgeRequestTest, refuses_expectations_it_does_not_know) {
  start();
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nExpect: magic\r\nContent-Length: 1\r\n\r\nx"), 417);
}

TEST_F(EdgeRequestTest, refuses_heads_targets_and_fields_beyond_the_limits) {
  start();
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(20 << 20, 'x')), 431);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(16 << 10, 'x') + "\r\n\r\n"), 431);
  EXPECT_EQ(refusal("GET /" + std::string(8 << 10, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n"), 414);
  EXPECT_EQ(refusal("GET /" + std::string(20 << 20, 'x')), 414);
  EXPECT_EQ(refusal(std::string(33, 'G') + " / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 128; ++i) many += "a:b\r\n";
  EXPECT_EQ(refusal(many + "\r\n"), 431);
}

TEST_F(EdgeRequestTest, takes_heads_and_targets_at_the_limits) {
  start();
  EXPECT_EQ(ask("GET /" + std::string((8 << 10) - 1, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n")->status, 200);
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string((16 << 10) - 100, 'x') + "\r\n\r\n")->status,
            200);
}

TEST_F(EdgeRequestTest, refuses_a_large_body_before_it_is_sent) {
  start();
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4194305\r\n\r\n"), 413);
}

TEST_F(EdgeRequestTest, lets_the_client_read_the_413_while_it_still_sends) {
  start();
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n" +
                    std::string(20'000'000, 'x')),
            413);
}

TEST_F(EdgeRequestTest, takes_a_body_of_the_largest_size) {
  ServerOptions options;
  options.body_bytes_max = 1 << 20;
  start(options);
  const std::string body(1 << 20, 'x');
  ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  EXPECT_EQ(seen().at(0).body, body);
}

TEST_F(EdgeRequestTest, refuses_a_chunked_body_once_it_is_too_large) {
  ServerOptions options;
  options.body_bytes_max = 10;
  start(options);
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(refusal(head + "6\r\nabcdef\r\n5\r\nabcde\r\n0\r\n\r\n"), 413);
  EXPECT_EQ(refusal(head + "ffffffffffffffff\r\n"), 413);
}

TEST_F(EdgeRequestTest, refuses_malformed_chunks) {
  start();
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& chunks :
       {std::string("zz\r\n"), std::string("-1\r\n"), std::string("1ffffffffffffffff\r\n"),
        std::string("2\r\nabc\r\n0\r\n\r\n"), "5;" + std::string(17 << 10, 'x')})
    EXPECT_EQ(refusal(head + chunks), 400) << chunks.substr(0, 30);
}

TEST_F(EdgeRequestTest, bounds_the_bodies_of_all_connections_together) {
  ServerOptions options;
  options.bodies_bytes_max = 100'000;
  start(options);
  const auto& arrived = core::metrics::counter("assistiv_http_bytes_total", {}, {{"direction", "in"}});
  const auto before = arrived.value();
  auto holder = connect();
  holder.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 90001\r\n\r\n" + std::string(90'000, 'x'));
  const std::string post =
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n" + std::string(20'000, 'x');
  ASSERT_TRUE(eventually([&] { return arrived.value() >= before + 90'000; }));
  EXPECT_TRUE(eventually([&] {
    const auto reply = ask(post);
    return reply && reply->status == 503 && reply->headers.get("retry-after") == "1";
  }));
  holder.send("x");
  EXPECT_EQ(holder.read_reply()->status, 200);
  EXPECT_EQ(ask(post)->status, 200);
}

class EdgeTimeoutTest : public EdgeTest {
 protected:
  EdgeTimeoutTest() {
    options_.header_timeout = 100ms;
    options_.body_timeout = 100ms;
    options_.keep_alive_timeout = 100ms;
    options_.write_timeout = 200ms;
  }
  ServerOptions options_;
};

TEST_F(EdgeTimeoutTest, refuses_a_head_that_never_ends) {
  start(options_);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: h\r\n"), 408);
}

TEST_F(EdgeTimeoutTest, refuses_a_head_that_drips_however_steadily) {
  start(options_);
  auto client = connect();
  client.send("GET / HTTP/1.1\r\nHost: h\r\nX: ");
  // Each byte comes in time, the whole never does.
  EXPECT_TRUE(eventually([&] { return !client.send("x") || server_->connections() == 0; }));
}

TEST_F(EdgeTimeoutTest, refuses_a_body_that_never_ends) {
  start(options_);
  EXPECT_EQ(refusal("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"), 408);
}

TEST_F(EdgeTimeoutTest, closes_silent_and_idle_connections_without_a_word) {
  start(options_);
  auto silent = connect();
  EXPECT_EQ(silent.read_to_end(), "");
  auto idle = connect();
  idle.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(idle.read_reply()->status, 200);
  EXPECT_EQ(idle.read_to_end(), "");
}

TEST_F(EdgeTimeoutTest, does_not_hurry_the_handler) {
  route("/slow", [](core::HttpRequest) -> core::Task<core::HttpReply> {
    co_await core::sleep_for(400ms);
    co_return core::text_reply(200, "slow");
  });
  start(options_);
  EXPECT_EQ(ask("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")->body, "slow");
}

TEST_F(EdgeTimeoutTest, closes_a_client_that_does_not_read_its_reply) {
  route("/big", [](core::HttpRequest) -> core::Task<core::HttpReply> {
    co_return core::text_reply(200, std::string(64 << 20, 'x'));
  });
  start(options_);
  test::RawClient client(server_->port(), 4096);
  client.send("GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
}

TEST_F(EdgeRequestTest, closes_what_one_address_opens_beyond_its_limit) {
  ServerOptions options;
  options.connections_per_address_max = 1;
  options.uncounted_addresses.clear();  // the test's own address is a loopback one
  start(options);
  {
    auto first = connect();
    first.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(first.read_reply()->status, 200);
    auto second = connect();
    EXPECT_TRUE(second.closed());
    first.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(first.read_reply()->status, 200) << "who was there first stays";
  }
  ASSERT_TRUE(eventually([&] { return server_->connections() == 0; }));
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n")->status, 200);
}

TEST_F(EdgeRequestTest, refuses_connections_beyond_the_limit_and_recovers) {
  ServerOptions options;
  options.connections_max = 2;
  start(options);
  {
    auto first = connect();
    auto second = connect();
    for (auto* client : {&first, &second}) {
      client->send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      EXPECT_EQ(client->read_reply()->status, 200);
    }
    auto third = connect();
    third.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    const auto reply = third.read_reply();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 503);
    EXPECT_EQ(reply->headers.get("retry-after"), "1");
    EXPECT_THAT(reply->body, HasSubstr("\"code\":\"unavailable\""));
    third.finish();
    EXPECT_TRUE(third.closed());
  }
  ASSERT_TRUE(eventually([&] { return server_->connections() == 0; }));
  EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n")->status, 200);
}

TEST_F(EdgeRequestTest, believes_forwarding_headers_of_trusted_proxies_only) {
  const std::string bytes =
      "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.9, 198.51.100.7\r\nX-Forwarded-For: "
      "10.1.2.3\r\n"
      "X-Forwarded-Proto: https\r\nX-Request-Id: from-proxy.1\r\n\r\n";
  start();
  ask(bytes);
  EXPECT_EQ(seen().at(0).client_ip, "127.0.0.1");
  EXPECT_FALSE(seen().at(0).secure);
  EXPECT_THAT(seen().at(0).request_id, testing::StartsWith("req_"));

  ServerOptions options;
  options.trusted_proxies = {"127.0.0.1", "10.0.0.0/8"};
  start(options);
  EXPECT_THAT(std::string(*ask(bytes)->headers.get("x-request-id")),
              testing::MatchesRegex("from-proxy\\.1-[0-9a-f]{12}"));
  EXPECT_EQ(seen().at(1).client_ip, "198.51.100.7");
  EXPECT_TRUE(seen().at(1).secure);
  ask(bytes);
  EXPECT_NE(seen().at(1).request_id, seen().at(2).request_id);
}

TEST_F(EdgeRequestTest, lets_its_owner_word_what_the_edge_refuses) {
  ServerOptions options;
  options.body_bytes_max = 10;
  options.refusal_body = [](std::string_view path, int status, const std::string&) {
    return path == "/mine" ? std::optional("own " + std::to_string(status)) : std::nullopt;
  };
  start(options);
  const std::string rest = " HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n";
  EXPECT_EQ(ask("POST /mine" + rest)->body, "own 413");
  EXPECT_THAT(ask("POST /other" + rest)->body, testing::HasSubstr("payload_too_large"));
}

TEST_F(EdgeRequestTest, makes_a_request_id_when_the_proxy_sends_a_bad_one) {
  ServerOptions options;
  options.trusted_proxies = {"127.0.0.1"};
  options.request_id_prefix = "x-";
  start(options);
  for (const std::string id :
       {"short", "has space in it", "", "0123456789012345678901234567890123456789012345678901234567890123x"})
    EXPECT_THAT(std::string(*ask("GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: " + id + "\r\n\r\n")
                                 ->headers.get("x-request-id")),
                testing::StartsWith("x-"));
}

TEST_F(EdgeRequestTest, passes_a_valid_traceparent_on) {
  start();
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  ask("GET / HTTP/1.1\r\nHost: h\r\nTraceparent: " + good + "\r\n\r\n");
  EXPECT_EQ(seen().at(0).traceparent, good);
  ask("GET / HTTP/1.1\r\nHost: h\r\nTraceparent: nonsense\r\n\r\n");
  EXPECT_EQ(seen().at(1).traceparent, "");
}

TEST_F(EdgeRequestTest, names_the_option_it_cannot_use) {
  const auto field_of = [&](ServerOptions options) {
    try {
      start(std::move(options));
      return std::string("none");
    } catch (const core::Error& e) {
      return e.field();
    }
  };
  ServerOptions options;
  options.trusted_proxies = {"10.0.0.0/33"};
  EXPECT_EQ(field_of(options), "trusted_proxies");
  options = {};
  options.address = "localhost";
  EXPECT_EQ(field_of(options), "address");
  options = {};
  options.tls = TlsFiles{"/nonexistent.pem", "/nonexistent.key"};
  EXPECT_EQ(field_of(options), "tls.certificate_chain");
}

TEST_F(EdgeRequestTest, says_that_the_port_is_taken) {
  start();
  ServerOptions options;
  options.port = server_->port();
  Server second(options, io_, clock_, random_,
                [](core::HttpRequest) -> core::Task<core::HttpReply> { co_return core::HttpReply{}; });
  try {
    second.start();
    FAIL() << "two servers on one port";
  } catch (const core::Error& error) {
    EXPECT_THAT(error.message(), testing::HasSubstr("ASSISTIV_PORT (port in the file)"));
  }
}

}  // namespace
}  // namespace assistiv::net
