// Streaming replies, clients that leave, slow readers, failing handlers, drain and stop: over real sockets.
#include <atomic>
#include <filesystem>
#include <future>

#include "core/log.h"
#include "support/edge_test.h"
#include "support/run_task.h"
#include "support/test_certificates.h"

namespace assistiv::net {
namespace {

using core::EventSink;
using core::HttpReply;
using core::HttpRequest;
using core::Task;
using test::EdgeTest;
using test::eventually;
using test::Flag;
using testing::HasSubstr;
using namespace std::chrono_literals;

// What a scripted stream and its test tell each other.
struct Script {
  core::AsyncEvent go;  // the stream writes its next event
  Flag started;
  Flag gone;
  Flag ended;
  std::atomic<bool> last_write{true};
  std::atomic<std::size_t> written{0};
};
using ScriptPtr = std::shared_ptr<Script>;

HttpReply event_stream(std::function<Task<>(std::shared_ptr<EventSink>)> stream) {
  HttpReply reply;
  reply.headers.add("content-type", "text/event-stream");
  reply.stream = std::move(stream);
  return reply;
}

// One event per go, until the client has gone.
Task<> events_on_demand(ScriptPtr script, std::stop_token gone, std::shared_ptr<EventSink> sink) {
  script->started.raise();
  for (int i = 1; !gone.stop_requested(); ++i) {
    if (!co_await script->go.wait_for(1min, gone)) continue;
    if (!co_await sink->write(core::sse_event(std::to_string(i)))) break;
  }
  if (gone.stop_requested()) script->gone.raise();
  script->ended.raise();
}

Task<HttpReply> on_demand(ScriptPtr script, HttpRequest request) {
  co_return event_stream([script, gone = request.gone](std::shared_ptr<EventSink> sink) {
    return events_on_demand(script, gone, sink);
  });
}

Task<> two_events(std::shared_ptr<EventSink> sink) {
  co_await sink->write(core::sse_event("one"));
  co_await sink->write({});
  co_await sink->write(core::sse_event("two"));
}

Task<HttpReply> short_stream(HttpRequest) {
  co_return event_stream(two_events);
}

// Waits until the client has gone, then answers all the same.
Task<HttpReply> wait_until_gone(ScriptPtr script, HttpRequest request) {
  script->started.raise();
  core::AsyncEvent never;
  co_await never.wait_for(1min, request.gone);
  if (request.gone.stop_requested()) script->gone.raise();
  co_return core::text_reply(200, "late");
}

Task<HttpReply> wait_for_go(ScriptPtr script, HttpRequest request) {
  script->started.raise();
  co_await script->go.wait_for(1min, request.gone);
  co_return core::text_reply(200, "done");
}

constexpr std::string_view kGet = "GET /s HTTP/1.1\r\nHost: h\r\n\r\n";

class EdgeStreamTest : public EdgeTest {
 protected:
  using Handler = Task<HttpReply> (*)(ScriptPtr, HttpRequest);
  void route_script(const std::string& path, Handler handler) {
    route(path,
          [handler, script = script_](HttpRequest request) { return handler(script, std::move(request)); });
  }
  ScriptPtr script_ = std::make_shared<Script>();
};

TEST_F(EdgeStreamTest, sends_each_event_at_once) {
  route_script("/s", on_demand);
  start();
  auto client = connect();
  client.send(kGet);
  const auto head = client.read_head();
  EXPECT_EQ(head->headers.get("transfer-encoding"), "chunked");
  EXPECT_EQ(head->headers.get("cache-control"), "no-cache");
  EXPECT_EQ(head->headers.get("x-accel-buffering"), "no");
  EXPECT_FALSE(head->headers.get("content-length"));
  for (int i = 1; i <= 3; ++i) {
    EXPECT_FALSE(client.readable());
    script_->go.set();
    EXPECT_EQ(client.read_until("\n\n\r\n"), "9\r\ndata: " + std::to_string(i) + "\n\n\r\n");
  }
}

TEST_F(EdgeStreamTest, goes_on_with_the_connection_after_the_last_event) {
  route("/s", short_stream);
  start();
  auto client = connect();
  client.send(kGet);
  EXPECT_EQ(client.read_reply()->body, "data: one\n\ndata: two\n\n");
  client.send("GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.read_reply()->body, "GET /next");
}

TEST_F(EdgeStreamTest, keeps_requests_that_come_during_a_stream) {
  route_script("/s", on_demand);
  route("/short", short_stream);
  start();
  auto client = connect();
  client.send("GET /short HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n" +
              std::string(kGet));
  EXPECT_EQ(client.read_reply()->body, "data: one\n\ndata: two\n\n");
  EXPECT_EQ(client.read_reply()->body, "GET /next");
  EXPECT_EQ(client.read_head()->status, 200);
  ASSERT_TRUE(script_->started.wait());
  client.send("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
  client.reset();
  EXPECT_TRUE(script_->gone.wait());
}

TEST_F(EdgeStreamTest, sends_the_body_first) {
  route("/s", [](HttpRequest) -> Task<HttpReply> {
    auto reply = event_stream(two_events);
    reply.body = ": hello\n\n";
    co_return reply;
  });
  start();
  EXPECT_EQ(ask(kGet)->body, ": hello\n\ndata: one\n\ndata: two\n\n");
}

TEST_F(EdgeStreamTest, ends_the_stream_of_http_1_0_by_closing) {
  route("/s", short_stream);
  start();
  auto client = connect();
  client.send("GET /s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const auto head = client.read_head();
  EXPECT_EQ(head->headers.get("connection"), "close");
  EXPECT_FALSE(head->headers.get("transfer-encoding"));
  EXPECT_EQ(client.read_to_end(), "data: one\n\ndata: two\n\n");
}

TEST_F(EdgeStreamTest, does_not_start_a_stream_for_head) {
  route_script("/s", on_demand);
  start();
  auto client = connect();
  client.send("HEAD /s HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.read_reply(true)->status, 200);
  EXPECT_EQ(client.read_reply()->body, "GET /next");
  EXPECT_EQ(script_->started.count(), 0);
}

TEST_F(EdgeStreamTest, notices_a_client_that_closes_an_idle_stream) {
  route_script("/s", on_demand);
  start();
  {
    auto client = connect();
    client.send(kGet);
    EXPECT_EQ(client.read_head()->status, 200);
    ASSERT_TRUE(script_->started.wait());
  }
  EXPECT_TRUE(script_->gone.wait());
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
}

TEST_F(EdgeStreamTest, notices_a_client_that_resets_an_idle_stream) {
  route_script("/s", on_demand);
  start();
  auto client = connect();
  client.send(kGet);
  EXPECT_EQ(client.read_head()->status, 200);
  client.reset();
  EXPECT_TRUE(script_->gone.wait());
}

TEST_F(EdgeStreamTest, notices_a_client_that_leaves_while_the_handler_works) {
  route_script("/s", wait_until_gone);
  start();
  {
    auto client = connect();
    client.send(kGet);
    ASSERT_TRUE(script_->started.wait());
    EXPECT_EQ(script_->gone.count(), 0);
  }
  EXPECT_TRUE(script_->gone.wait());
}

TEST_F(EdgeStreamTest, still_answers_a_client_that_only_stopped_sending) {
  route_script("/s", wait_until_gone);
  start();
  auto client = connect();
  client.send(kGet);
  ASSERT_TRUE(script_->started.wait());
  client.finish();
  EXPECT_EQ(client.read_reply()->body, "late");
  EXPECT_TRUE(client.closed());
}

TEST_F(EdgeStreamTest, keeps_bytes_that_come_while_the_handler_works) {
  route_script("/s", wait_for_go);
  start();
  auto client = connect();
  client.send(kGet);
  ASSERT_TRUE(script_->started.wait());
  client.send("POST /next HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'x'));
  script_->go.set();
  EXPECT_EQ(client.read_reply()->body, "done");
  EXPECT_EQ(client.read_reply()->body.size(), 100'011U);
}

Task<> write_until_refused(ScriptPtr script, std::shared_ptr<EventSink> sink) {
  while (co_await sink->write(std::string(64 << 10, 'x'))) script->written += 64 << 10;
  script->last_write = false;
  script->ended.raise();
}

Task<HttpReply> endless(ScriptPtr script, HttpRequest) {
  co_return event_stream(
      [script](std::shared_ptr<EventSink> sink) { return write_until_refused(script, sink); });
}

TEST_F(EdgeStreamTest, closes_a_stream_whose_reader_stopped_and_keeps_memory_bounded) {
  route_script("/s", endless);
  ServerOptions options;
  options.write_timeout = 200ms;
  start(options);
  test::RawClient client(server_->port(), 4096);
  client.send(kGet);
  ASSERT_TRUE(script_->ended.wait());
  EXPECT_FALSE(script_->last_write);
  // What the kernel's buffers take, and nothing behind them.
  EXPECT_LT(script_->written, 16U << 20);
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
}

TEST_F(EdgeStreamTest, serves_others_while_one_does_not_read) {
  route_script("/s", endless);
  start();
  std::vector<test::RawClient> stuck;
  for (int i = 0; i < 4; ++i) {
    stuck.emplace_back(server_->port(), 4096);
    stuck.back().send(kGet);
  }
  for (int i = 0; i < 10; ++i) EXPECT_EQ(ask("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")->status, 200);
}

Task<> throw_after_one(std::shared_ptr<EventSink> sink) {
  co_await sink->write(core::sse_event("one"));
  throw std::runtime_error("stream broke");
}

TEST_F(EdgeStreamTest, cuts_a_stream_whose_handler_failed) {
  route("/s", [](HttpRequest) -> Task<HttpReply> { co_return event_stream(throw_after_one); });
  start();
  auto client = connect();
  client.send(kGet);
  EXPECT_THAT(client.read_until("one\n\n\r\n"), HasSubstr("200 OK"));
  EXPECT_EQ(client.read_to_end(), "");  // without the last chunk, so that the client knows
}

TEST_F(EdgeStreamTest, turns_a_failing_handler_into_a_500_and_goes_on) {
  route("/s", [](HttpRequest) -> Task<HttpReply> {
    throw core::internal("secret detail");
    co_return HttpReply{};
  });
  start();
  auto client = connect();
  for (int i = 0; i < 2; ++i) {
    client.send(kGet);
    const auto reply = client.read_reply();
    EXPECT_EQ(reply->status, 500);
    EXPECT_THAT(reply->body, HasSubstr("\"code\":\"internal_error\""));
    EXPECT_THAT(reply->body, HasSubstr(std::string(*reply->headers.get("x-request-id"))));
    EXPECT_THAT(reply->body, testing::Not(HasSubstr("secret detail")));
  }
}

TEST_F(EdgeStreamTest, refuses_to_send_a_header_that_would_split_the_reply) {
  route("/s", [](HttpRequest) -> Task<HttpReply> {
    auto reply = core::text_reply(302, "");
    reply.headers.add("location", "/x\r\nset-cookie: evil=1");
    co_return reply;
  });
  start();
  const auto reply = ask(kGet);
  EXPECT_EQ(reply->status, 500);
  EXPECT_FALSE(reply->headers.get("set-cookie"));
}

TEST_F(EdgeStreamTest, takes_framing_headers_from_nobody_but_itself) {
  route("/s", [](HttpRequest) -> Task<HttpReply> {
    auto reply = core::text_reply(200, "abc");
    reply.headers.add("Content-Length", "99");
    reply.headers.add("Transfer-Encoding", "chunked");
    reply.headers.add("Connection", "upgrade");
    reply.headers.add("X-Request-Id", "of-the-handler");
    co_return reply;
  });
  start();
  const auto reply = ask(kGet);
  EXPECT_EQ(reply->body, "abc");
  EXPECT_EQ(reply->headers.get("content-length"), "3");
  EXPECT_FALSE(reply->headers.get("transfer-encoding"));
  EXPECT_FALSE(reply->headers.get("connection"));
  EXPECT_EQ(reply->headers.count("x-request-id"), 1U);
}

TEST_F(EdgeStreamTest, sends_no_body_with_204_and_304) {
  route("/s", [](HttpRequest) -> Task<HttpReply> { co_return core::text_reply(204, "never sent"); });
  start();
  auto client = connect();
  client.send(std::string(kGet) + "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
  const auto reply = client.read_reply();
  EXPECT_EQ(reply->status, 204);
  EXPECT_FALSE(reply->headers.get("content-length"));
  EXPECT_EQ(client.read_reply()->body, "GET /next");
}

struct Elsewhere {
  test::IoThread thread;
  std::future<void> work;
  std::shared_ptr<EventSink> kept;
};

Task<> write_ten(std::shared_ptr<EventSink> sink, ScriptPtr script) {
  for (int i = 0; i < 10; ++i) co_await sink->write(core::sse_event(std::to_string(i)));
  script->go.set();
}

Task<> write_from_elsewhere(std::shared_ptr<Elsewhere> elsewhere, ScriptPtr script,
                            std::shared_ptr<EventSink> sink) {
  elsewhere->kept = sink;
  elsewhere->work = elsewhere->thread.start(write_ten(sink, script));
  co_await script->go.wait_for(1min);
}

TEST_F(EdgeStreamTest, takes_events_from_another_thread_and_none_after_the_end) {
  auto elsewhere = std::make_shared<Elsewhere>();
  route("/s", [elsewhere, script = script_](HttpRequest) {
    struct Reply {
      static Task<HttpReply> make(std::shared_ptr<Elsewhere> where, ScriptPtr how) {
        co_return event_stream(
            [where, how](std::shared_ptr<EventSink> sink) { return write_from_elsewhere(where, how, sink); });
      }
    };
    return Reply::make(elsewhere, script);
  });
  start();
  auto client = connect();
  client.send(kGet);
  const auto reply = client.read_reply();
  std::string expected;
  for (int i = 0; i < 10; ++i) expected += core::sse_event(std::to_string(i));
  EXPECT_EQ(reply->body, expected);
  elsewhere->work.get();
  EXPECT_FALSE(elsewhere->thread.run(elsewhere->kept->write(core::sse_event("late"))));
  client.send("GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.read_reply()->body, "GET /next");
}

TEST_F(EdgeStreamTest, drains_by_finishing_what_is_in_flight) {
  route_script("/work", wait_for_go);
  route_script("/s", on_demand);
  start();
  auto idle = connect();
  idle.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(idle.read_reply()->status, 200);
  auto working = connect();
  working.send("GET /work HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(script_->started.wait(1));
  auto streaming = connect();
  streaming.send(kGet);
  ASSERT_TRUE(script_->started.wait(2));
  EXPECT_EQ(streaming.read_head()->status, 200);

  auto drained = std::async(std::launch::async, [&] { return server_->drain(10s); });
  EXPECT_TRUE(idle.closed());
  EXPECT_TRUE(script_->gone.wait());
  EXPECT_EQ(streaming.read_until("0\r\n\r\n"), "0\r\n\r\n");
  streaming.finish();
  script_->go.set();
  const auto reply = working.read_reply();
  EXPECT_EQ(reply->body, "done");
  EXPECT_EQ(reply->headers.get("connection"), "close");
  working.finish();
  EXPECT_TRUE(drained.get());
  EXPECT_ANY_THROW(connect());
}

TEST_F(EdgeStreamTest, says_when_the_drain_took_too_long_and_stops_anyway) {
  route_script("/s", wait_until_gone);
  start();
  auto client = connect();
  client.send(kGet);
  ASSERT_TRUE(script_->started.wait());
  EXPECT_FALSE(server_->drain(50ms));
  EXPECT_EQ(script_->gone.count(), 0);
  server_->stop();
  EXPECT_TRUE(script_->gone.wait());
  EXPECT_EQ(server_->connections(), 0U);
  EXPECT_TRUE(client.closed());
}

TEST_F(EdgeStreamTest, carries_a_thousand_idle_streams) {
  route_script("/s", on_demand);
  start();
  std::vector<test::RawClient> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(connect());
    clients.back().send(kGet);
  }
  for (auto& client : clients) ASSERT_EQ(client.read_head()->status, 200);
  ASSERT_TRUE(script_->started.wait(1000));
  EXPECT_EQ(server_->connections(), 1000U);
  // A stream that was just not waiting misses an event; so it is told again.
  const auto told = [&](test::RawClient& client) {
    script_->go.set();
    return client.readable();
  };
  for (auto& client : clients) {
    ASSERT_TRUE(eventually([&] { return told(client); }));
    ASSERT_EQ(client.read_until("\n\n\r\n"), "9\r\ndata: 1\n\n\r\n");
  }
  EXPECT_EQ(ask("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")->status, 200);
  clients.clear();
  EXPECT_TRUE(script_->gone.wait(1000));
  EXPECT_TRUE(eventually([&] { return server_->connections() == 0; }));
}

class EdgeTlsTest : public EdgeStreamTest {
 protected:
  void start_tls() {
    const auto issued = certificates_.issue({"DNS:edge.example"});
    files_ = {issued.certificate, issued.private_key};
    ServerOptions options;
    options.tls = files_;
    options.header_timeout = 500ms;
    start(options);
  }
  test::RawClient connect_tls(const std::string& name = "edge.example") {
    return {server_->port(), certificates_.ca_file(), name};
  }
  test::TestCertificates certificates_;
  TlsFiles files_;
};

TEST_F(EdgeTlsTest, serves_requests_and_knows_that_they_are_secure) {
  start_tls();
  auto client = connect_tls();
  for (const std::size_t size : {0UL, 10UL, 300'000UL}) {
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
                std::string(size, 'x'));
    EXPECT_EQ(client.read_reply()->body.size(), size == 0 ? 6 : size + 7);
  }
  EXPECT_TRUE(seen().at(0).secure);
}

TEST_F(EdgeTlsTest, streams_and_notices_a_client_that_leaves) {
  route_script("/s", on_demand);
  start_tls();
  {
    auto client = connect_tls();
    client.send(kGet);
    EXPECT_EQ(client.read_head()->status, 200);
    script_->go.set();
    EXPECT_EQ(client.read_until("\n\n\r\n"), "9\r\ndata: 1\n\n\r\n");
  }
  EXPECT_TRUE(script_->gone.wait());
}

TEST_F(EdgeTlsTest, closes_clients_that_do_not_speak_tls) {
  start_tls();
  auto plain = connect();
  plain.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(plain.read_to_end().value_or("open"), testing::Not(HasSubstr("HTTP/1.1")));
  auto silent = connect();
  EXPECT_EQ(silent.read_to_end(), "");
  EXPECT_TRUE(seen().empty());
}

TEST_F(EdgeTlsTest, takes_a_new_certificate_without_a_restart) {
  start_tls();
  auto old = connect_tls();
  const auto renewed = certificates_.issue({"DNS:renewed.example"});
  std::filesystem::copy_file(renewed.certificate, files_.certificate_chain,
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::copy_file(renewed.private_key, files_.private_key,
                             std::filesystem::copy_options::overwrite_existing);
  server_->reload_tls();
  auto fresh = connect_tls("renewed.example");
  for (auto* client : {&old, &fresh}) {
    client->send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(client->read_reply()->status, 200);
  }
  EXPECT_ANY_THROW(connect_tls("edge.example"));
}

TEST_F(EdgeTlsTest, keeps_the_certificate_when_the_new_one_cannot_be_read) {
  start_tls();
  std::filesystem::resize_file(files_.certificate_chain, 10);
  EXPECT_THROW(server_->reload_tls(), core::Error);
  auto client = connect_tls();
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.read_reply()->status, 200);
}

}  // namespace
}  // namespace assistiv::net
