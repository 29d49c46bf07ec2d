#pragma once
// Counters, gauges and histograms in the Prometheus text format. Hot path: one atomic add; look up once, keep
// the reference (it lives as long as the program).
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace assistiv::core::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void set(std::int64_t n) { value_.store(n, std::memory_order_relaxed); }
  void add(std::int64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

// Values in buckets, by the upper bounds of all but the last.
class Histogram {
 public:
  static constexpr std::size_t kBuckets = 17;
  using Bounds = std::array<double, kBuckets - 1>;
  static constexpr Bounds kSeconds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                      0.25,   0.5,   1,      2.5,   5,    10,    30,   60};
  static constexpr Bounds kSizes = {1,   2,   4,    8,    16,   32,   64,    128,
                                    256, 512, 1024, 2048, 4096, 8192, 16384, 32768};

  // `bounds` ascend and outlive the histogram.
  explicit Histogram(const Bounds& bounds) : bounds_(bounds) {}

  void observe(double value);
  const Bounds& bounds() const { return bounds_; }
  std::uint64_t bucket(std::size_t i) const { return buckets_[i].load(std::memory_order_relaxed); }
  double sum() const { return static_cast<double>(sum_millionths_.load(std::memory_order_relaxed)) / 1e6; }

 private:
  const Bounds& bounds_;
  std::atomic<std::uint64_t> buckets_[kBuckets]{};
  std::atomic<std::uint64_t> sum_millionths_{0};
};

// Registered on first use; the same name and labels give the same object, the same name with another type
// throws. Label values must be of small number: never an id, a path or a user's text. Past 2,000 series the
// value goes to a series labelled overflow="true".
Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
Histogram& histogram(std::string_view name, std::string_view help, const Labels& labels = {},
                     const Histogram::Bounds& bounds = Histogram::kSeconds);

// The exposition text (version 0.0.4).
std::string render();

}  // namespace assistiv::core::metrics
