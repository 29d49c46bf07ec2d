#pragma once
// A core::HttpClient that answers from a script and remembers what it was asked. Answers are found by method
// and URL (without the query). It refuses what the real one refuses: hosts outside allowed_hosts.
// Thread-safe.
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/async.h"
#include "core/http_client.h"

namespace assistiv::test {

class FakeHttpClient final : public core::HttpClient {
 public:
  // May throw core::OutboundError.
  using Answer = std::function<core::OutboundResponse(const core::OutboundRequest&)>;

  // Answers every request to `url` that no once() is left for.
  void always(const std::string& method, const std::string& url, Answer answer);
  // Answers one request; several are used in order.
  void once(const std::string& method, const std::string& url, Answer answer);

  static core::OutboundResponse json(int status, std::string body);
  static Answer replies(int status, std::string body);
  static Answer fails(core::OutboundFailure failure);

  // Requests to `url` are recorded and then wait until release().
  void hold(const std::string& method, const std::string& url);
  void release(const std::string& method, const std::string& url);
  // Blocks the test's thread until `count` requests to `url` have arrived; false after ten seconds.
  bool await_arrivals(const std::string& method, const std::string& url, std::size_t count);

  std::vector<core::OutboundRequest> requests(const std::string& method, const std::string& url) const;
  std::vector<core::OutboundRequest> requests() const;
  // "METHOD url" of what no answer was scripted for, and of refused hosts.
  std::vector<std::string> unexpected() const;

  core::Task<core::OutboundResponse> send(core::OutboundRequest request) override;

 private:
  struct Place {
    std::deque<Answer> once;
    Answer always;
    bool held = false;
  };
  static std::string key_of(const std::string& method, const std::string& url);
  bool is_held(const std::string& key);
  Answer take_answer(const std::string& key);
  void refuse(const std::string& key, const std::string& why);

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::string, Place> places_;
  std::vector<core::OutboundRequest> requests_;
  std::vector<std::string> unexpected_;
};

}  // namespace assistiv::test
