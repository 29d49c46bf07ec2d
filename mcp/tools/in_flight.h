#pragma once
// How many calls of one end user run on this node, and how many of them with one app.
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "core/ids.h"

namespace assistiv::mcp {

// Thread-safe. Seats may outlive it.
class InFlight {
  using Who = std::tuple<core::PlatformId, core::EndUserId, std::string>;
  struct State {
    std::mutex mutex;
    std::map<Who, std::size_t> calls;
  };

 public:
  explicit InFlight(std::size_t per_end_user_max) : max_(per_end_user_max) {}

  // Held while a call runs.
  class Seat {
   public:
    Seat(std::shared_ptr<State> state, Who who) : state_(std::move(state)), who_(std::move(who)) {}
    ~Seat() {
      if (state_) leave();
    }
    Seat(Seat&&) noexcept = default;
    Seat& operator=(Seat&&) = delete;

   private:
    void leave() {
      std::lock_guard lock(state_->mutex);
      const auto it = state_->calls.find(who_);
      if (--it->second == 0) state_->calls.erase(it);
    }
    std::shared_ptr<State> state_;
    Who who_;
  };

  // None when all seats are taken.
  std::optional<Seat> enter(core::PlatformId platform, core::EndUserId end_user) {
    return enter(Who{platform, end_user, {}}, max_);
  }
  // A seat of `max` for calls with this app; those of enter() without an app are others.
  std::optional<Seat> enter(core::PlatformId platform, core::EndUserId end_user, std::string app,
                            std::size_t max) {
    return enter(Who{platform, end_user, std::move(app)}, max);
  }

 private:
  std::optional<Seat> enter(Who who, std::size_t max) {
    std::lock_guard lock(state_->mutex);
    auto& calls = state_->calls[who];
    if (calls >= max) return {};
    ++calls;
    return Seat(state_, std::move(who));
  }

  std::size_t max_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace assistiv::mcp
