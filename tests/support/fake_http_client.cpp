#include "support/fake_http_client.h"

#include <algorithm>
#include <chrono>

namespace assistiv::test {

namespace {

std::string host_of_url(const std::string& url) {
  const auto start = url.find("://");
  if (start == std::string::npos) return {};
  const auto from = start + 3;
  return url.substr(from, url.find_first_of("/?", from) - from);
}

}  // namespace

std::string FakeHttpClient::key_of(const std::string& method, const std::string& url) {
  return method + " " + url.substr(0, url.find('?'));
}

void FakeHttpClient::always(const std::string& method, const std::string& url, Answer answer) {
  std::lock_guard lock(mutex_);
  places_[key_of(method, url)].always = std::move(answer);
}

void FakeHttpClient::once(const std::string& method, const std::string& url, Answer answer) {
  std::lock_guard lock(mutex_);
  places_[key_of(method, url)].once.push_back(std::move(answer));
}

core::OutboundResponse FakeHttpClient::json(int status, std::string body) {
  core::OutboundResponse response;
  response.status = status;
  response.headers.set("content-type", "application/json");
  response.body = std::move(body);
  return response;
}

FakeHttpClient::Answer FakeHttpClient::replies(int status, std::string body) {
  return [status, body = std::move(body)](const core::OutboundRequest&) { return json(status, body); };
}

FakeHttpClient::Answer FakeHttpClient::fails(core::OutboundFailure failure) {
  return [failure](const core::OutboundRequest&) -> core::OutboundResponse {
    throw core::OutboundError(failure, "scripted failure");
  };
}

void FakeHttpClient::hold(const std::string& method, const std::string& url) {
  std::lock_guard lock(mutex_);
  places_[key_of(method, url)].held = true;
}

void FakeHttpClient::release(const std::string& method, const std::string& url) {
  std::lock_guard lock(mutex_);
  places_[key_of(method, url)].held = false;
}

bool FakeHttpClient::await_arrivals(const std::string& method, const std::string& url, std::size_t count) {
  std::unique_lock lock(mutex_);
  return arrived_.wait_for(lock, std::chrono::seconds(10), [&] {
    const auto wanted = key_of(method, url);
    const auto here = std::count_if(requests_.begin(), requests_.end(),
                                    [&](const auto& r) { return key_of(r.method, r.url) == wanted; });
    return static_cast<std::size_t>(here) >= count;
  });
}

std::vector<core::OutboundRequest> FakeHttpClient::requests(const std::string& method,
                                                            const std::string& url) const {
  std::lock_guard lock(mutex_);
  std::vector<core::OutboundRequest> out;
  for (const auto& request : requests_) {
    if (key_of(request.method, request.url) == key_of(method, url)) out.push_back(request);
  }
  return out;
}

std::vector<core::OutboundRequest> FakeHttpClient::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

std::vector<std::string> FakeHttpClient::unexpected() const {
  std::lock_guard lock(mutex_);
  return unexpected_;
}

bool FakeHttpClient::is_held(const std::string& key) {
  std::lock_guard lock(mutex_);
  return places_[key].held;
}

FakeHttpClient::Answer FakeHttpClient::take_answer(const std::string& key) {
  std::lock_guard lock(mutex_);
  auto& place = places_[key];
  if (place.once.empty()) return place.always;
  auto answer = std::move(place.once.front());
  place.once.pop_front();
  return answer;
}

void FakeHttpClient::refuse(const std::string& key, const std::string& why) {
  {
    std::lock_guard lock(mutex_);
    unexpected_.push_back(key);
  }
  throw core::OutboundError(core::OutboundFailure::Refused, why);
}

core::Task<core::OutboundResponse> FakeHttpClient::send(core::OutboundRequest request) {
  const auto key = key_of(request.method, request.url);
  const auto& allowed = request.allowed_hosts;
  if (std::find(allowed.begin(), allowed.end(), host_of_url(request.url)) == allowed.end()) {
    refuse(key, "the host is not allowed");
  }
  {
    std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  arrived_.notify_all();
  while (is_held(key)) co_await core::sleep_for(std::chrono::milliseconds(2));
  const auto answer = take_answer(key);
  if (!answer) refuse(key, "no answer is scripted");
  co_return answer(request);
}

}  // namespace assistiv::test
