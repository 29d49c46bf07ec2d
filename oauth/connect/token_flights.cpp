#include "oauth/connect/token_flights.h"

namespace assistiv::oauth {

struct TokenFlights::Flight {
  std::mutex mutex;
  bool landed = false;
  std::optional<TokenAnswer> answer;
  std::exception_ptr error;
  core::AsyncEvent event;

  bool has_landed() {
    std::lock_guard lock(mutex);
    return landed;
  }
};

std::pair<std::shared_ptr<TokenFlights::Flight>, bool> TokenFlights::join(const std::string& key) {
  std::lock_guard lock(mutex_);
  auto& flight = flights_[key];
  if (flight) return {flight, false};
  flight = std::make_shared<Flight>();
  return {flight, true};
}

void TokenFlights::land(const std::string& key, const std::shared_ptr<Flight>& flight,
                        std::optional<TokenAnswer> answer, std::exception_ptr error) {
  {
    std::lock_guard lock(mutex_);
    flights_.erase(key);
  }
  {
    std::lock_guard lock(flight->mutex);
    flight->landed = true;
    flight->answer = std::move(answer);
    flight->error = std::move(error);
  }
  flight->event.set();
}

core::Task<TokenAnswer> TokenFlights::wait(std::shared_ptr<Flight> flight) {
  // The leader always lands: its own waits are bounded. The event is for one at a time, so it is handed on.
  while (!flight->has_landed()) co_await flight->event.wait_for(std::chrono::seconds(1));
  flight->event.set();
  std::lock_guard lock(flight->mutex);
  if (flight->error) std::rethrow_exception(flight->error);
  co_return *flight->answer;
}

}  // namespace assistiv::oauth
