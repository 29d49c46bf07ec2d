#include "net/outbound_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>

#include "core/error.h"
#include "support/http_imposter.h"
#include "support/run_task.h"
#include "support/test_certificates.h"

namespace assistiv::net {
namespace {

using core::OutboundError;
using core::OutboundFailure;
using core::OutboundRequest;
using test::HttpImposter;
using test::ImposterReply;
using testing::HasSubstr;
using namespace std::chrono_literals;

// Answers from a table, each name with a list of answers that are given in turn; the last one stays.
class TableResolver final : public Resolver {
 public:
  void add(const std::string& host, std::vector<std::string> addresses) {
    std::lock_guard lock(mutex_);
    table_[host].push_back(std::move(addresses));
  }
  std::size_t lookups() const {
    std::lock_guard lock(mutex_);
    return lookups_;
  }
  core::Task<std::vector<std::string>> resolve(std::string host, std::chrono::milliseconds,
                                               std::stop_token) override {
    std::lock_guard lock(mutex_);
    ++lookups_;
    auto& answers = table_[host];
    if (answers.empty()) co_return std::vector<std::string>{};
    auto answer = answers.front();
    if (answers.size() > 1) answers.erase(answers.begin());
    co_return answer;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<std::vector<std::string>>> table_;
  std::size_t lookups_ = 0;
};

struct Failure {
  OutboundFailure failure{};
  bool maybe_executed = false;
  std::string detail;
};

struct Outcome {
  core::OutboundResponse response;  // status 0 when there is none
  Failure failure;
};

core::Task<Outcome> outcome_of(OutboundClient& client, OutboundRequest request) {
  Outcome outcome;
  try {
    outcome.response = co_await client.send(std::move(request));
  } catch (const OutboundError& e) {
    outcome.failure = {e.failure(), e.maybe_executed(), e.what()};
  }
  co_return outcome;
}

class OutboundClientTest : public testing::Test {
 protected:
  OutboundClient& client(OutboundOptions options) {
    client_ = std::make_unique<OutboundClient>(std::move(options), resolver_);
    return *client_;
  }
  OutboundClient& client() { return client_ ? *client_ : client({.reach = Reach::LoopbackAndPrivate}); }

  OutboundRequest request(const std::string& url, const std::string& allowed) {
    OutboundRequest request;
    request.url = url;
    request.allowed_hosts = {allowed};
    request.timeout = 5s;
    return request;
  }
  OutboundRequest get(std::string_view target = "/") {
    return request(upstream_.url(target), upstream_.host());
  }
  OutboundRequest post(std::string body) {
    auto out = get();
    out.method = "POST";
    out.body = std::move(body);
    return out;
  }
  std::future<Outcome> begin(OutboundRequest one) { return io_.start(outcome_of(client(), std::move(one))); }
  core::OutboundResponse send(OutboundRequest one) {
    auto outcome = begin(std::move(one)).get();
    EXPECT_NE(outcome.response.status, 0) << outcome.failure.detail;
    return outcome.response;
  }
  Failure failure_of(OutboundRequest one) {
    auto outcome = begin(std::move(one)).get();
    EXPECT_EQ(outcome.response.status, 0);
    return outcome.failure;
  }

  TableResolver resolver_;
  HttpImposter upstream_;
  test::IoThread io_;
  std::unique_ptr<OutboundClient> client_;
};

// A port of 127.0.0.1 on which nobody listens.
std::uint16_t closed_port() {
  return HttpImposter().port();
}

TEST_F(OutboundClientTest, gives_status_headers_and_body) {
  ImposterReply reply = ImposterReply::json(R"({"id":7})", 201);
  reply.headers.add("x-ratelimit-remaining", "41");
  upstream_.always(reply);
  const auto response = send(get());
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.body, R"({"id":7})");
  EXPECT_EQ(response.headers.get("x-ratelimit-remaining"), "41");
}

TEST_F(OutboundClientTest, sends_method_target_headers_and_body_as_given) {
  auto out = request(upstream_.url("/a//b/%2Fc?x=1&y=%20z&list[]=2"), upstream_.host());
  out.method = "PATCH";
  out.headers.add("authorization", "Bearer secret");
  out.headers.add("content-type", "application/json");
  out.headers.add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  out.body = R"({"a":1})";
  send(out);
  const auto seen = upstream_.requests().at(0);
  EXPECT_EQ(seen.method, "PATCH");
  EXPECT_EQ(seen.target, "/a//b/%2Fc?x=1&y=%20z&list%5B%5D=2");
  EXPECT_EQ(seen.headers.get("host"), upstream_.host());
  EXPECT_EQ(seen.headers.get("authorization"), "Bearer secret");
  EXPECT_EQ(seen.headers.get("content-type"), "application/json");
  EXPECT_EQ(seen.headers.get("content-length"), "7");
  EXPECT_EQ(seen.headers.get("traceparent"), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_FALSE(seen.headers.get("accept-encoding"));
  EXPECT_EQ(seen.body, R"({"a":1})");
}

TEST_F(OutboundClientTest, keeps_a_path_that_begins_with_two_slashes) {
  send(get("//evil.example/x"));
  EXPECT_EQ(upstream_.requests().at(0).target, "//evil.example/x");
}

TEST_F(OutboundClientTest, ignores_host_and_length_headers_of_the_caller) {
  auto out = post("abc");
  out.headers.add("Host", "evil.example");
  out.headers.add("Content-Length", "999");
  out.headers.add("Transfer-Encoding", "chunked");
  send(out);
  const auto seen = upstream_.requests().at(0);
  EXPECT_EQ(seen.headers.get("host"), upstream_.host());
  EXPECT_EQ(seen.headers.count("host"), 1U);
  EXPECT_EQ(seen.body, "abc");
}

TEST_F(OutboundClientTest, refuses_a_header_that_would_inject_another) {
  auto out = get();
  out.headers.add("x-name", "a\r\nx-admin: 1");
  const auto failure = failure_of(out);
  EXPECT_EQ(failure.failure, OutboundFailure::Refused);
  EXPECT_FALSE(failure.maybe_executed);
  EXPECT_TRUE(upstream_.requests().empty());
}

TEST_F(OutboundClientTest, reads_a_chunked_body_that_drips) {
  ImposterReply reply = ImposterReply::json(std::string(1000, 'x'));
  reply.chunked = true;
  reply.drip_bytes = 100;
  reply.drip_interval = 2ms;
  upstream_.always(reply);
  EXPECT_EQ(send(get()).body, std::string(1000, 'x'));
}

TEST_F(OutboundClientTest, answers_head_and_no_content_without_a_body) {
  auto out = get();
  out.method = "HEAD";
  upstream_.next(ImposterReply::json("hidden"));
  EXPECT_EQ(send(out).body, "");
  upstream_.next({.status = 204, .headers = {}, .body = {}});
  EXPECT_EQ(send(get()).status, 204);
}

TEST_F(OutboundClientTest, hands_over_a_coded_body_as_it_came) {
  ImposterReply reply = ImposterReply::json("not gzip at all");
  reply.headers.add("content-encoding", "gzip");
  upstream_.always(reply);
  EXPECT_EQ(send(get()).body, "not gzip at all");
}

TEST_F(OutboundClientTest, reuses_the_connection) {
  send(get("/first"));
  send(get("/second?x=1"));
  send(post("x"));
  const auto seen = upstream_.requests();
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen[0].target, "/first");
  EXPECT_EQ(seen[1].target, "/second?x=1");
  EXPECT_EQ(seen[2].target, "/");
  EXPECT_LE(upstream_.connections(), 2U);
}

TEST_F(OutboundClientTest, survives_pooled_connections_that_the_upstream_closed) {
  for (int i = 0; i < 5; ++i) {
    ImposterReply reply = ImposterReply::json("{}");
    if (i == 0) reply.raw = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";  // and closes without saying so
    upstream_.next(reply);
    EXPECT_EQ(send(post("x")).status, 200);
    if (i == 0) {
      ASSERT_TRUE(upstream_.wait_until_closed());
    }
  }
  EXPECT_EQ(upstream_.requests().size(), 5U);
}

TEST_F(OutboundClientTest, does_not_send_a_request_again_when_the_reused_connection_breaks) {
  send(get());
  ImposterReply cut = ImposterReply::json("{}");
  cut.cut_after = 0;
  upstream_.next(cut);
  const auto failure = failure_of(post("pay once"));
  EXPECT_EQ(failure.failure, OutboundFailure::Broken);
  EXPECT_TRUE(failure.maybe_executed);
  EXPECT_EQ(upstream_.requests().size(), 2U);
}

TEST_F(OutboundClientTest, returns_a_redirect_instead_of_following_it) {
  ImposterReply reply;
  reply.status = 302;
  reply.headers.add("location", upstream_.url("/elsewhere"));
  upstream_.always(reply);
  const auto response = send(get());
  EXPECT_EQ(response.status, 302);
  EXPECT_EQ(response.headers.get("location"), upstream_.url("/elsewhere"));
  EXPECT_EQ(upstream_.requests().size(), 1U);
}

TEST_F(OutboundClientTest, ignores_proxies_of_the_environment) {
  const HttpImposter proxy;
  ::setenv("http_proxy", proxy.url("").c_str(), 1);
  ::setenv("HTTP_PROXY", proxy.url("").c_str(), 1);
  send(get());
  ::unsetenv("http_proxy");
  ::unsetenv("HTTP_PROXY");
  EXPECT_EQ(proxy.connections(), 0U);
  EXPECT_EQ(upstream_.requests().size(), 1U);
}

TEST_F(OutboundClientTest, times_out_when_the_upstream_stays_silent) {
  ImposterReply slow = ImposterReply::json("{}");
  slow.delay = 1min;
  upstream_.always(slow);
  auto out = post("x");
  out.timeout = 150ms;
  const auto failure = failure_of(out);
  EXPECT_EQ(failure.failure, OutboundFailure::Timeout);
  EXPECT_TRUE(failure.maybe_executed);
}

TEST_F(OutboundClientTest, bounds_the_whole_exchange_and_not_each_read) {
  ImposterReply drip = ImposterReply::json(std::string(10'000, 'x'));
  drip.drip_bytes = 1;
  drip.drip_interval = 5ms;
  upstream_.always(drip);
  auto out = get();
  out.timeout = 200ms;
  EXPECT_EQ(failure_of(out).failure, OutboundFailure::Timeout);
}

TEST_F(OutboundClientTest, says_connect_failed_when_nobody_listens) {
  const std::string host = "127.0.0.1:" + std::to_string(closed_port());
  const auto failure = failure_of(request("http://" + host + "/", host));
  EXPECT_EQ(failure.failure, OutboundFailure::ConnectFailed);
  EXPECT_FALSE(failure.maybe_executed);
}

TEST_F(OutboundClientTest, tries_the_next_address_when_the_first_refuses) {
  resolver_.add("api.example.com", {"127.0.0.9", "127.0.0.1"});  // nobody listens on the first
  const std::string host = "api.example.com:" + std::to_string(upstream_.port());
  EXPECT_EQ(send(request("http://" + host + "/", host)).status, 200);
  EXPECT_EQ(upstream_.requests().at(0).headers.get("host"), host);
}

TEST_F(OutboundClientTest, reaches_ipv6_addresses) {
  const HttpImposter six({}, test::ImposterFamily::V6);
  EXPECT_EQ(send(request(six.url("/literal"), six.host())).status, 200);
  EXPECT_EQ(six.requests().at(0).headers.get("host"), six.host());
  resolver_.add("six.example.com", {"::1"});
  const std::string host = "six.example.com:" + std::to_string(six.port());
  EXPECT_EQ(send(request("http://" + host + "/name", host)).status, 200);
}

TEST_F(OutboundClientTest, says_connect_failed_when_the_name_does_not_resolve) {
  EXPECT_EQ(failure_of(request("http://nowhere.example/", "nowhere.example")).failure,
            OutboundFailure::ConnectFailed);
}

TEST_F(OutboundClientTest, refuses_a_body_that_declares_too_much) {
  upstream_.always(ImposterReply::json(std::string(100'000, 'x')));
  auto out = get();
  out.response_bytes_max = 99'999;
  EXPECT_EQ(failure_of(out).failure, OutboundFailure::TooLarge);
  out.response_bytes_max = 100'000;
  EXPECT_EQ(send(out).body.size(), 100'000U);
}

TEST_F(OutboundClientTest, stops_a_chunked_body_that_grows_too_large) {
  ImposterReply reply = ImposterReply::json(std::string(1'000'000, 'x'));
  reply.chunked = true;
  reply.drip_bytes = 1000;
  upstream_.always(reply);
  auto out = get();
  out.response_bytes_max = 50'000;
  EXPECT_EQ(failure_of(out).failure, OutboundFailure::TooLarge);
  EXPECT_TRUE(upstream_.wait_until_closed());
}

TEST_F(OutboundClientTest, stops_a_single_huge_chunk_before_it_is_whole) {
  ImposterReply reply;
  reply.raw =
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7fffffff\r\n" + std::string(2'000'000, 'x');
  reply.hold = true;
  upstream_.always(reply);
  auto out = get();
  out.response_bytes_max = 1000;
  EXPECT_EQ(failure_of(out).failure, OutboundFailure::TooLarge);
}

TEST_F(OutboundClientTest, stops_an_endless_response_head) {
  ImposterReply reply =
      ImposterReply::garbage("HTTP/1.1 200 OK\r\nx-endless: " + std::string(3'000'000, 'x'));
  reply.hold = true;
  upstream_.always(reply);
  auto out = get();
  out.response_bytes_max = 1000;
  EXPECT_EQ(failure_of(out).failure, OutboundFailure::TooLarge);
}

TEST_F(OutboundClientTest, outlives_hostile_chunk_sizes) {
  for (const std::string size : {"-1", "-5", "ffffffffffffffff", "80000000", "zz", ""}) {
    upstream_.next(ImposterReply::garbage("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + size +
                                          "\r\nabcdefgh\r\n0\r\n\r\n"));
    const auto failure = failure_of(get()).failure;
    EXPECT_TRUE(failure == OutboundFailure::Broken || failure == OutboundFailure::TooLarge) << size;
  }
  EXPECT_EQ(send(get()).status, 200);
}

TEST_F(OutboundClientTest, outlives_garbage) {
  for (const std::string bytes :
       {"", "\r\n\r\n", "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 abc\r\n\r\n"}) {
    upstream_.next(ImposterReply::garbage(bytes));
    EXPECT_EQ(failure_of(get()).failure, OutboundFailure::Broken) << bytes;
  }
  EXPECT_EQ(send(get()).status, 200);
}

TEST_F(OutboundClientTest, says_broken_when_the_body_is_cut) {
  ImposterReply cut = ImposterReply::json(std::string(10'000, 'x'));
  cut.cut_after = 5000;
  upstream_.next(cut);
  EXPECT_EQ(failure_of(get()).failure, OutboundFailure::Broken);
  upstream_.next(ImposterReply::garbage("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel"));
  EXPECT_EQ(failure_of(get()).failure, OutboundFailure::Broken);
}

TEST_F(OutboundClientTest, does_not_take_an_interim_response_for_the_answer) {
  upstream_.next(
      ImposterReply::garbage("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"));
  EXPECT_EQ(failure_of(get()).failure, OutboundFailure::Broken);
}

TEST_F(OutboundClientTest, does_not_hand_a_late_answer_to_the_next_caller) {
  // Bytes beyond the answer, on a connection that stays open.
  std::string poison = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\npoison!";
  ImposterReply reply = ImposterReply::json("{}" + poison);
  reply.headers.add("content-length", "2");
  upstream_.next(reply);
  EXPECT_EQ(send(get()).body, "{}");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(send(get()).body, "{}");
}

TEST_F(OutboundClientTest, ends_at_once_when_the_caller_cancels) {
  ImposterReply slow = ImposterReply::json("{}");
  slow.delay = 1min;
  upstream_.always(slow);
  std::stop_source stop;
  auto out = get();
  out.timeout = 1min;
  out.stop = stop.get_token();
  auto result = begin(out);
  ASSERT_TRUE(upstream_.wait_for_requests(1));
  stop.request_stop();
  ASSERT_EQ(result.wait_for(5s), std::future_status::ready);
  const auto failure = result.get().failure;
  EXPECT_EQ(failure.failure, OutboundFailure::Cancelled);
  EXPECT_TRUE(failure.maybe_executed);
}

TEST_F(OutboundClientTest, calls_past_those_of_a_host_stand_in_line) {
  client({.reach = Reach::LoopbackAndPrivate,
          .ca_file = {},
          .in_flight_per_host_max = 2,
          .line_per_host_max = 1,
          .line_time_max = 1min});
  ImposterReply slow = ImposterReply::json("{}");
  slow.delay = 1min;
  upstream_.next(slow);
  upstream_.next(slow);
  std::stop_source stop;
  auto out = get();
  out.timeout = 1min;
  out.stop = stop.get_token();
  auto first = begin(out);
  auto second = begin(out);
  ASSERT_TRUE(upstream_.wait_for_requests(2));
  std::stop_source impatient;
  auto other = get();
  other.timeout = 1min;
  other.stop = impatient.get_token();
  auto left = begin(other);
  // The line has one place: of two more calls one is turned away at once.
  auto third = begin(get());
  const auto failure = third.get().failure;
  EXPECT_EQ(failure.failure, OutboundFailure::ConnectFailed);
  EXPECT_THAT(failure.detail, HasSubstr("too many calls"));
  EXPECT_FALSE(failure.maybe_executed);
  impatient.request_stop();
  EXPECT_EQ(left.get().failure.failure, OutboundFailure::Cancelled);
  auto waited = begin(get());
  stop.request_stop();
  EXPECT_EQ(first.get().failure.failure, OutboundFailure::Cancelled);
  EXPECT_EQ(second.get().failure.failure, OutboundFailure::Cancelled);
  EXPECT_EQ(waited.get().response.status, 200);
  EXPECT_EQ(send(get()).status, 200);
}

TEST_F(OutboundClientTest, waiting_in_line_has_an_end) {
  client({.reach = Reach::LoopbackAndPrivate,
          .ca_file = {},
          .in_flight_per_host_max = 1,
          .line_time_max = 10ms});
  ImposterReply slow = ImposterReply::json("{}");
  slow.delay = 1min;
  upstream_.next(slow);
  std::stop_source stop;
  auto out = get();
  out.timeout = 1min;
  out.stop = stop.get_token();
  auto first = begin(out);
  ASSERT_TRUE(upstream_.wait_for_requests(1));
  EXPECT_EQ(failure_of(get()).failure, OutboundFailure::ConnectFailed);
  stop.request_stop();
  EXPECT_EQ(first.get().failure.failure, OutboundFailure::Cancelled);
}

TEST_F(OutboundClientTest, carries_many_calls_at_once) {
  upstream_.always(ImposterReply::json("{}"));
  std::vector<std::future<Outcome>> results;
  for (int i = 0; i < 100; ++i) results.push_back(begin(post("body")));
  for (auto& result : results) EXPECT_EQ(result.get().response.status, 200);
  EXPECT_EQ(upstream_.requests().size(), 100U);
}

TEST_F(OutboundClientTest, refuses_a_host_that_is_not_on_the_list) {
  auto out = get();
  out.allowed_hosts = {"api.github.com"};
  EXPECT_EQ(failure_of(out).failure, OutboundFailure::Refused);
  out.allowed_hosts = {"127.0.0.1"};  // the port belongs to it
  EXPECT_EQ(failure_of(out).failure, OutboundFailure::Refused);
  out.allowed_hosts = {};
  EXPECT_EQ(failure_of(out).failure, OutboundFailure::Refused);
  EXPECT_EQ(upstream_.connections(), 0U);
}

TEST_F(OutboundClientTest, refuses_inner_addresses_unless_allowed) {
  client({});
  for (const std::string host : {"127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "[fd00:ec2::254]"}) {
    const auto failure = failure_of(request("https://" + host + "/", host));
    EXPECT_EQ(failure.failure, OutboundFailure::Refused) << host;
    EXPECT_FALSE(failure.maybe_executed);
  }
  EXPECT_EQ(failure_of(request("http://api.github.com/", "api.github.com")).failure,
            OutboundFailure::Refused);
  EXPECT_EQ(resolver_.lookups(), 0U);
}

TEST_F(OutboundClientTest, refuses_a_name_that_resolves_to_an_inner_address) {
  client({});
  resolver_.add("inner.example.com", {"127.0.0.1"});
  resolver_.add("mixed.example.com", {"8.8.8.8", "10.0.0.1"});
  for (const std::string host : {"inner.example.com", "mixed.example.com"})
    EXPECT_EQ(failure_of(request("https://" + host + "/", host)).failure, OutboundFailure::Refused) << host;
}

TEST_F(OutboundClientTest, vets_each_lookup_so_that_rebinding_gains_nothing) {
  const std::string host = "rebind.example.com:" + std::to_string(upstream_.port());
  resolver_.add("rebind.example.com", {"127.0.0.1"});
  resolver_.add("rebind.example.com", {"169.254.169.254"});
  EXPECT_EQ(send(request("http://" + host + "/", host)).status, 200);
  EXPECT_EQ(failure_of(request("http://" + host + "/", host)).failure, OutboundFailure::Refused);
  EXPECT_EQ(upstream_.requests().size(), 1U);
}

TEST_F(OutboundClientTest, says_nothing_of_the_query_in_an_error) {
  auto out = get("/token?code=SECRET");
  out.allowed_hosts = {};
  EXPECT_THAT(failure_of(out).detail, testing::Not(HasSubstr("SECRET")));
  upstream_.always(ImposterReply::garbage("nonsense"));
  EXPECT_THAT(failure_of(get("/token?code=SECRET")).detail, testing::Not(HasSubstr("SECRET")));
}

class OutboundTlsTest : public OutboundClientTest {
 protected:
  void trust_our_authority() {
    client({.reach = Reach::LoopbackAndPrivate, .ca_file = certificates_.ca_file()});
  }
  // An HTTPS imposter for these names, and a request to it under `host`.
  OutboundRequest request_to(const std::vector<std::string>& names, const std::string& host) {
    const auto issued = certificates_.issue(names);
    secure_ = std::make_unique<HttpImposter>(test::ImposterTls{issued.certificate, issued.private_key});
    const std::string authority = host + ":" + std::to_string(secure_->port());
    return request("https://" + authority + "/x", authority);
  }

  test::TestCertificates certificates_;
  std::unique_ptr<HttpImposter> secure_;
};

TEST_F(OutboundTlsTest, verifies_the_name_and_sends_it_while_connecting_to_the_vetted_address) {
  trust_our_authority();
  resolver_.add("api.example.com", {"127.0.0.1"});
  const auto out = request_to({"DNS:api.example.com"}, "api.example.com");
  EXPECT_EQ(send(out).status, 200);
  EXPECT_EQ(secure_->last_server_name(), "api.example.com");
  EXPECT_EQ(secure_->requests().at(0).headers.get("host"),
            "api.example.com:" + std::to_string(secure_->port()));
  EXPECT_EQ(send(out).status, 200);
}

TEST_F(OutboundTlsTest, refuses_a_certificate_for_another_name) {
  trust_our_authority();
  resolver_.add("api.example.com", {"127.0.0.1"});
  const auto failure = failure_of(request_to({"DNS:other.example.com", "IP:127.0.0.1"}, "api.example.com"));
  EXPECT_EQ(failure.failure, OutboundFailure::ConnectFailed);
  EXPECT_FALSE(failure.maybe_executed);
  EXPECT_TRUE(secure_->requests().empty());
}

TEST_F(OutboundTlsTest, refuses_an_authority_that_is_not_trusted) {
  client({.reach = Reach::LoopbackAndPrivate});
  resolver_.add("api.example.com", {"127.0.0.1"});
  EXPECT_EQ(failure_of(request_to({"DNS:api.example.com"}, "api.example.com")).failure,
            OutboundFailure::ConnectFailed);
  EXPECT_TRUE(secure_->requests().empty());
}

TEST_F(OutboundTlsTest, verifies_an_address_as_an_address) {
  trust_our_authority();
  EXPECT_EQ(send(request_to({"IP:127.0.0.1"}, "127.0.0.1")).status, 200);
  EXPECT_EQ(secure_->last_server_name(), "");
  EXPECT_EQ(failure_of(request_to({"DNS:127.0.0.1.example.com"}, "127.0.0.1")).failure,
            OutboundFailure::ConnectFailed);
}

TEST_F(OutboundTlsTest, takes_a_wildcard_for_one_label_only) {
  trust_our_authority();
  resolver_.add("a.example.com", {"127.0.0.1"});
  resolver_.add("a.b.example.com", {"127.0.0.1"});
  EXPECT_EQ(send(request_to({"DNS:*.example.com"}, "a.example.com")).status, 200);
  EXPECT_EQ(failure_of(request_to({"DNS:*.example.com"}, "a.b.example.com")).failure,
            OutboundFailure::ConnectFailed);
}

TEST(OutboundOptions, name_a_ca_file_that_cannot_be_read) {
  TableResolver resolver;
  try {
    OutboundClient client({.reach = Reach::PublicOnly, .ca_file = "/nonexistent.pem"}, resolver);
    FAIL() << "took it";
  } catch (const core::Error& e) {
    EXPECT_EQ(e.kind(), core::ErrorKind::InvalidArgument);
    EXPECT_THAT(e.message(), HasSubstr("/nonexistent.pem"));
  }
}

}  // namespace
}  // namespace assistiv::net
