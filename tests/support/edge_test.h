#pragma once
// A server under test with a handler that tests can script, and raw clients to it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/async.h"
#include "core/error.h"
#include "net/io_threads.h"
#include "net/server.h"
#include "support/eventually.h"
#include "support/manual_clock.h"
#include "support/raw_client.h"

namespace assistiv::test {

// Something that happened on a server thread and that the test waits for.
class Flag {
 public:
  void raise() {
    std::lock_guard lock(mutex_);
    ++raised_;
    changed_.notify_all();
  }
  // False after ten seconds.
  bool wait(int times = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return raised_ >= times; });
  }
  int count() {
    std::lock_guard lock(mutex_);
    return raised_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int raised_ = 0;
};

class EdgeTest : public testing::Test {
 protected:
  using Route = std::function<core::Task<core::HttpReply>(core::HttpRequest)>;

  // The default route answers 200 with "METHOD path?query body".
  void route(const std::string& path, Route handler) { routes_->table[path] = std::move(handler); }
  void start(net::ServerOptions options = {}) {
    server_ = std::make_unique<net::Server>(
        std::move(options), io_, clock_, random_,
        [routes = routes_](core::HttpRequest request) { return serve(routes, request); });
    server_->start();
  }
  RawClient connect() { return RawClient(server_->port()); }
  // What one connection answers to these bytes, as they stand.
  std::optional<RawReply> ask(std::string_view bytes) {
    auto client = connect();
    client.send(bytes);
    return client.read_reply();
  }
  // The status of a refusal, with the checks that hold for each of them: our envelope, and the connection
  // closes.
  int refusal(std::string_view bytes);
  const std::vector<core::HttpRequest>& seen() const { return routes_->seen; }

  struct Routes {
    std::map<std::string, Route> table;
    std::mutex mutex;
    std::vector<core::HttpRequest> seen;
  };
  static core::Task<core::HttpReply> serve(std::shared_ptr<Routes> routes, core::HttpRequest request);

  std::shared_ptr<Routes> routes_ = std::make_shared<Routes>();
  ManualClock clock_;
  core::SystemRandom random_;
  net::IoThreads io_{2};
  std::unique_ptr<net::Server> server_;
};

inline core::Task<core::HttpReply> EdgeTest::serve(std::shared_ptr<Routes> routes,
                                                   core::HttpRequest request) {
  {
    std::lock_guard lock(routes->mutex);
    routes->seen.push_back(request);
  }
  const auto found = routes->table.find(request.path);
  if (found != routes->table.end()) co_return co_await found->second(std::move(request));
  std::string text = request.method + " " + request.path;
  if (!request.query.empty()) text += "?" + request.query;
  if (!request.body.empty()) text += " " + request.body;
  co_return core::text_reply(200, std::move(text));
}

inline int EdgeTest::refusal(std::string_view bytes) {
  auto client = connect();
  client.send(bytes);
  const auto reply = client.read_reply();
  if (!reply) return 0;
  EXPECT_EQ(reply->headers.get("connection"), "close");
  EXPECT_EQ(reply->headers.get("content-type"), "application/json");
  const std::string id(reply->headers.get("x-request-id").value_or("none"));
  EXPECT_THAT(reply->body, testing::HasSubstr("\"error\""));
  EXPECT_THAT(reply->body, testing::HasSubstr("\"code\":\""));
  EXPECT_THAT(reply->body, testing::HasSubstr("\"request_id\":\"" + id + "\""));
  client.finish();
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(seen().empty());
  return reply->status;
}

}  // namespace assistiv::test
