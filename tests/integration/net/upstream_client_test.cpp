// The pooled client against a provider whose every byte is written by the test.
#include "net/upstream_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_task.h"
#include "support/scripted_upstream.h"

#include "support/http_imposter.h"
#include "support/test_certificates.h"

namespace assistiv::net {
namespace {

using core::OutboundError;
using core::OutboundFailure;
using test::ScriptedUpstream;
using test::wire_json;
using test::wire_stream;
using test::WireReply;
using testing::HasSubstr;
using namespace std::chrono_literals;

struct Got {
  int status = 0;
  core::HttpHeaders headers;
  std::string body;
  std::optional<OutboundFailure> failure;
  bool head = false;  // a head came before the failure
};

core::Task<Got> fetch(core::UpstreamClient* client, core::UpstreamRequest request) {
  Got got;
  try {
    auto reply = co_await client->open(std::move(request));
    got.head = true;
    got.status = reply->status();
    got.headers = reply->headers();
    while (true) {
      const auto piece = co_await reply->read(1 << 20);
      if (piece.empty()) break;
      got.body += piece;
    }
  } catch (const OutboundError& error) {
    got.failure = error.failure();
  }
  co_return got;
}

class UpstreamClient : public testing::Test {
 protected:
  PooledUpstreamClient& client() {
    if (!client_) client_ = std::make_unique<PooledUpstreamClient>(options_, resolver_);
    return *client_;
  }
  core::UpstreamRequest request(const std::string& path = "/x") {
    core::UpstreamRequest request;
    request.url = upstream_.url(path);
    request.body = "{}";
    request.allow_private = true;
    return request;
  }
  Got get(core::UpstreamRequest request) { return io_.run(fetch(&client(), std::move(request))); }
  Got get(WireReply reply) {
    upstream_.next("/x", std::move(reply));
    return get(request());
  }

  ScriptedUpstream upstream_;
  SystemResolver resolver_;
  UpstreamOptions options_;
  test::IoThread io_;
  std::unique_ptr<PooledUpstreamClient> client_;
};

TEST_F(UpstreamClient, sends_what_it_was_given_and_asks_for_no_compression) {
  auto asked = request("/v1/x?y=1");
  asked.headers.add("x-api-key", "k");
  asked.headers.add("Accept-Encoding", "gzip");
  asked.headers.add("Host", "evil");
  asked.body = R"({"a":1})";
  upstream_.next("/v1/x", wire_json(201, "{}", "x-request-id: abc\r\n"));
  const auto got = get(asked);
  EXPECT_EQ(got.status, 201);
  EXPECT_EQ(got.headers.get("x-request-id"), "abc");
  const auto seen = upstream_.requests().at(0);
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.target, "/v1/x?y=1");
  EXPECT_EQ(seen.body, R"({"a":1})");
  EXPECT_EQ(seen.headers.get("x-api-key"), "k");
  EXPECT_EQ(seen.headers.get("accept-encoding"), "identity");
  EXPECT_EQ(seen.headers.get("host"), "127.0.0.1:" + std::to_string(upstream_.port()));
  EXPECT_EQ(seen.headers.count("host"), 1U);
}

TEST_F(UpstreamClient, reads_the_same_body_whatever_the_cuts) {
  const std::vector<std::string> chunks{"data: a\n\n", "data: \xc3\xa4\n\n", std::string(5000, 'x')};
  for (const std::size_t piece : {1, 2, 3, 7, 64, 4096}) {
    auto reply = wire_stream(chunks);
    reply.piece_bytes = piece;
    const auto got = get(reply);
    EXPECT_FALSE(got.failure);
    EXPECT_EQ(got.body, chunks[0] + chunks[1] + chunks[2]) << piece;
  }
  EXPECT_EQ(upstream_.connections(), 1U);
}

TEST_F(UpstreamClient, keeps_connections_and_makes_a_new_one_for_a_stale_one) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get(wire_json(200, "{}")).status, 200);
  EXPECT_EQ(upstream_.connections(), 1U);
  // Says nothing of closing, and closes: the next request finds it out.
  auto closing = wire_json(200, "{}");
  closing.close = true;
  EXPECT_EQ(get(closing).status, 200);
  EXPECT_EQ(get(wire_json(200, "{}")).status, 200);
  EXPECT_EQ(upstream_.connections(), 2U);
}

TEST_F(UpstreamClient, repeats_once_when_a_pooled_connection_is_closed_without_a_byte) {
  EXPECT_EQ(get(wire_json(200, "{}")).status, 200);
  WireReply nothing;
  nothing.close = true;
  upstream_.next("/x", nothing);
  upstream_.next("/x", wire_json(200, R"({"second":1})"));
  EXPECT_EQ(get(request()).body, R"({"second":1})");
  EXPECT_EQ(upstream_.requests().size(), 3U);
  EXPECT_EQ(upstream_.connections(), 2U);
}

TEST_F(UpstreamClient, does_not_repeat_on_a_fresh_connection) {
  WireReply nothing;
  nothing.close = true;
  EXPECT_EQ(get(nothing).failure, OutboundFailure::Broken);
  EXPECT_EQ(upstream_.requests().size(), 1U);
}

TEST_F(UpstreamClient, tells_a_cut_body_from_an_ended_one) {
  auto cut = wire_json(200, "{}");
  cut.bytes += "";
  cut.bytes.replace(cut.bytes.find("content-length: 2"), 17, "content-length: 9");
  cut.close = true;
  EXPECT_EQ(get(cut).failure, OutboundFailure::Broken);

  auto stream = wire_stream({"data: a\n\n"});
  stream.bytes.resize(stream.bytes.size() - 5);  // the last chunk
  stream.close = true;
  const auto got = get(stream);
  EXPECT_EQ(got.body, "data: a\n\n");
  EXPECT_EQ(got.failure, OutboundFailure::Broken);

  auto reset = wire_stream({"data: a\n\n"});
  reset.bytes.resize(reset.bytes.size() - 5);
  reset.reset = true;
  EXPECT_EQ(get(reset).failure, OutboundFailure::Broken);

  WireReply until_close;
  until_close.bytes = "HTTP/1.1 200 OK\r\n\r\nhello";
  until_close.close = true;
  EXPECT_EQ(get(until_close).body, "hello");
}

TEST_F(UpstreamClient, refuses_malformed_replies) {
  for (const std::string bytes :
       {"hello world\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08"}) {
    WireReply reply;
    reply.bytes = bytes;
    reply.close = true;
    const auto got = get(reply);
    EXPECT_EQ(got.failure, OutboundFailure::Broken) << bytes;
    EXPECT_FALSE(got.head) << bytes;
  }
  for (const std::string chunks :
       {"zz\r\nhello\r\n0\r\n\r\n", "ffffffffffffffffff\r\n", "5\r\nhelloXX0\r\n\r\n"}) {
    WireReply reply;
    reply.bytes = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks;
    reply.close = true;
    EXPECT_EQ(get(reply).failure, OutboundFailure::Broken) << chunks;
  }
}

TEST_F(UpstreamClient, bounds_an_endless_head_and_an_endless_chunk_line) {
  WireReply head;
  head.bytes = "HTTP/1.1 200 OK\r\n" + std::string(1000, 'x') + ": y\r\n";
  head.piece_bytes = head.bytes.size();
  head.endless = true;
  head.bytes += "a: " + std::string(head.piece_bytes - 5, 'b') + "\r\n";
  EXPECT_EQ(get(head).failure, OutboundFailure::Broken);

  WireReply line;
  line.bytes = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;" + std::string(4096, 'x');
  line.piece_bytes = 2048;
  line.endless = true;
  EXPECT_EQ(get(line).failure, OutboundFailure::Broken);
  EXPECT_TRUE(upstream_.wait_until_closed());
}

TEST_F(UpstreamClient, skips_interim_replies) {
  auto reply = wire_json(200, R"({"final":1})");
  reply.bytes = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + reply.bytes;
  EXPECT_EQ(get(reply).body, R"({"final":1})");
}

TEST_F(UpstreamClient, gives_up_waiting_for_the_head_and_between_reads) {
  WireReply silent;
  silent.hang = true;
  upstream_.next("/x", silent);
  auto asked = request();
  asked.first_byte_timeout = 50ms;
  EXPECT_EQ(get(asked).failure, OutboundFailure::Timeout);

  auto stalls = wire_stream({"data: a\n\n"});
  stalls.bytes.resize(stalls.bytes.size() - 5);
  stalls.hang = true;
  upstream_.next("/x", stalls);
  asked = request();
  asked.idle_timeout = 50ms;
  auto got = get(asked);
  EXPECT_EQ(got.body, "data: a\n\n");
  EXPECT_EQ(got.failure, OutboundFailure::Timeout);

  auto endless = wire_stream({"data: a\n\n"});
  endless.bytes.resize(endless.bytes.size() - 5);
  endless.bytes += "9\r\ndata: a\n\n\r\n";
  endless.piece_bytes = endless.bytes.size() - 14;
  endless.pause = 1ms;
  endless.endless = true;
  upstream_.next("/x", endless);
  asked = request();
  asked.deadline = std::chrono::steady_clock::now() + 100ms;
  EXPECT_EQ(get(asked).failure, OutboundFailure::Timeout);
  EXPECT_TRUE(upstream_.wait_until_closed());
}

TEST_F(UpstreamClient, a_stop_ends_the_exchange_and_the_connection) {
  WireReply silent;
  silent.hang = true;
  upstream_.next("/x", silent);
  std::stop_source stop;
  auto asked = request();
  asked.stop = stop.get_token();
  auto pending = io_.start(fetch(&client(), asked));
  while (upstream_.requests().empty()) std::this_thread::yield();
  stop.request_stop();
  EXPECT_EQ(pending.get().failure, OutboundFailure::Cancelled);
  EXPECT_TRUE(upstream_.wait_until_closed());
}

core::Task<std::string> read_with_breaks(core::UpstreamClient* client, core::UpstreamRequest request,
                                         int* breaks) {
  auto reply = co_await client->open(std::move(request));
  std::string body;
  while (true) {
    const auto piece = co_await reply->read_within(1 << 16, 1ms, {});
    if (!piece) {
      ++*breaks;
      continue;
    }
    if (piece->empty()) co_return body;
    body += *piece;
  }
}

TEST_F(UpstreamClient, a_wait_that_is_broken_off_loses_nothing) {
  auto slow = wire_stream({"data: one\n\n", "data: two\n\n"});
  slow.piece_bytes = 20;
  slow.pause = 60ms;
  upstream_.next("/x", slow);
  int breaks = 0;
  EXPECT_EQ(io_.run(read_with_breaks(&client(), request(), &breaks)), "data: one\n\ndata: two\n\n");
  EXPECT_GT(breaks, 0);
  EXPECT_EQ(get(wire_json(200, "{}")).status, 200);
  EXPECT_EQ(upstream_.connections(), 1U);
}

core::Task<int> open_and_drop(core::UpstreamClient* client, core::UpstreamRequest request) {
  auto reply = co_await client->open(std::move(request));
  co_return reply->status();
}

TEST_F(UpstreamClient, a_reply_that_is_dropped_closes_its_connection) {
  auto hanging = wire_stream({"data: a\n\n"});
  hanging.bytes.resize(hanging.bytes.size() - 5);
  hanging.hang = true;
  upstream_.next("/x", hanging);
  EXPECT_EQ(io_.run(open_and_drop(&client(), request())), 200);
  EXPECT_TRUE(upstream_.wait_until_closed());
}

TEST_F(UpstreamClient, calls_no_private_address_unless_it_may) {
  auto asked = request();
  asked.allow_private = false;
  EXPECT_EQ(get(asked).failure, OutboundFailure::Refused);
  asked.allow_private = true;
  asked.url = "http://169.254.169.254/latest";
  EXPECT_EQ(get(asked).failure, OutboundFailure::Refused);
  asked.url = "http://127.0.0.1:1/closed";
  EXPECT_EQ(get(asked).failure, OutboundFailure::ConnectFailed);
  EXPECT_EQ(upstream_.connections(), 0U);
}

TEST_F(UpstreamClient, checks_the_certificate_for_the_host) {
  const test::TestCertificates certificates;
  const auto good = certificates.issue({"DNS:localhost"});
  const auto other = certificates.issue({"DNS:other.example"});
  test::HttpImposter right({good.certificate, good.private_key});
  test::HttpImposter wrong({other.certificate, other.private_key});
  options_.ca_file = certificates.ca_file();
  auto asked = request();
  asked.url = "https://localhost:" + std::to_string(right.port()) + "/x";
  EXPECT_EQ(get(asked).status, 200);
  EXPECT_EQ(right.last_server_name(), "localhost");
  EXPECT_EQ(get(asked).status, 200);
  EXPECT_EQ(right.connections(), 1U);
  asked.url = "https://localhost:" + std::to_string(wrong.port()) + "/x";
  EXPECT_EQ(get(asked).failure, OutboundFailure::ConnectFailed);
  EXPECT_TRUE(wrong.requests().empty());
}

TEST_F(UpstreamClient, a_wait_over_tls_that_is_broken_off_loses_nothing) {
  const test::TestCertificates certificates;
  const auto issued = certificates.issue({"DNS:localhost"});
  test::HttpImposter provider({issued.certificate, issued.private_key});
  options_.ca_file = certificates.ca_file();
  auto slow = test::ImposterReply::json(std::string(2000, 'x') + "end");
  slow.drip_bytes = 300;
  slow.drip_interval = 40ms;
  provider.always(slow);
  auto asked = request();
  asked.url = "https://localhost:" + std::to_string(provider.port()) + "/x";
  int breaks = 0;
  EXPECT_EQ(io_.run(read_with_breaks(&client(), asked, &breaks)), std::string(2000, 'x') + "end");
  EXPECT_GT(breaks, 0);
  EXPECT_EQ(get(asked).status, 200);
  EXPECT_EQ(provider.connections(), 1U);
}

}  // namespace
}  // namespace assistiv::net
