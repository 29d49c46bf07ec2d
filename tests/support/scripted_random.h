#pragma once
// Bytes that are the same in each run of a test. Thread-safe.
#include <atomic>
#include <cstdint>

#include "core/random.h"

namespace assistiv::test {

class ScriptedRandom final : public core::Random {
 public:
  explicit ScriptedRandom(std::uint64_t seed = 1) : state_(seed) {}
  void fill(std::span<std::uint8_t> out) override {
    for (auto& byte : out) {
      auto z = state_.fetch_add(0x9e3779b97f4a7c15) + 0x9e3779b97f4a7c15;  // splitmix64
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      byte = static_cast<std::uint8_t>(z >> 56);
    }
  }

 private:
  std::atomic<std::uint64_t> state_;
};

}  // namespace assistiv::test
