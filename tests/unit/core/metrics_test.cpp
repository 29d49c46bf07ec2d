#include "core/metrics.h"

#include <gtest/gtest.h>

#include <thread>

namespace assistiv::core::metrics {
namespace {

bool has_line(const std::string& line) {
  return ("\n" + render()).find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, gives_the_same_object_for_the_same_name_and_labels) {
  Counter& a = counter("test_same_total", "help", {{"k", "v"}});
  EXPECT_EQ(&a, &counter("test_same_total", "help", {{"k", "v"}}));
  EXPECT_NE(&a, &counter("test_same_total", "help", {{"k", "w"}}));
}

TEST(Metrics, renders_counters_and_gauges_with_labels) {
  counter("test_calls_total", "Calls.", {{"app", "github"}, {"outcome", "ok"}}).add(3);
  gauge("test_open", "Open.").set(-2);
  EXPECT_TRUE(has_line("# HELP test_calls_total Calls."));
  EXPECT_TRUE(has_line("# TYPE test_calls_total counter"));
  EXPECT_TRUE(has_line("test_calls_total{app=\"github\",outcome=\"ok\"} 3"));
  EXPECT_TRUE(has_line("test_open -2"));
}

TEST(Metrics, escapes_label_values) {
  counter("test_escaped_total", "help", {{"k", "a\"b\\c\nd"}}).add();
  EXPECT_TRUE(has_line(R"(test_escaped_total{k="a\"b\\c\nd"} 1)"));
}

TEST(Metrics, histogram_buckets_are_cumulative) {
  Histogram& h = histogram("test_seconds", "help");
  h.observe(0.0001);
  h.observe(0.001);  // a bound belongs to its bucket
  h.observe(1e6);
  EXPECT_TRUE(has_line("test_seconds_bucket{le=\"0.0005\"} 1"));
  EXPECT_TRUE(has_line("test_seconds_bucket{le=\"0.001\"} 2"));
  EXPECT_TRUE(has_line("test_seconds_bucket{le=\"60\"} 2"));
  EXPECT_TRUE(has_line("test_seconds_bucket{le=\"+Inf\"} 3"));
  EXPECT_TRUE(has_line("test_seconds_count 3"));
}

TEST(Metrics, histogram_sum_keeps_microseconds_however_large_it_is) {
  Histogram& h = histogram("test_sum_seconds", "help");
  h.observe(1234567.25);
  h.observe(0.000125);
  EXPECT_TRUE(has_line("test_sum_seconds_sum 1234567.250125")) << render();
}

TEST(Metrics, histogram_has_the_bounds_that_it_was_made_with) {
  histogram("test_sizes", "help", {}, Histogram::kSizes).observe(16384);
  EXPECT_TRUE(has_line("test_sizes_bucket{le=\"8192\"} 0"));
  EXPECT_TRUE(has_line("test_sizes_bucket{le=\"16384\"} 1"));
  EXPECT_TRUE(has_line("test_sizes_sum 16384.000000"));
}

TEST(Metrics, refuses_one_name_with_two_types) {
  Counter& first = counter("test_two_types", "help");
  EXPECT_THROW(gauge("test_two_types", "help"), std::logic_error);
  first.add();
  EXPECT_EQ(first.value(), 1u);
}

TEST(Metrics, counts_from_several_threads) {
  Counter& c = counter("test_threads_total", "help");
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&c] {
        for (int i = 0; i < 10000; ++i) c.add();
      });
    }
  }
  EXPECT_EQ(c.value(), 40000u);
}

// Last in this file: it fills the registry.
TEST(MetricsLimit, sends_too_many_series_to_one_that_says_overflow) {
  for (int i = 0; i < 2100; ++i) counter("test_many_total", "help", {{"id", std::to_string(i)}}).add();
  EXPECT_NE(render().find("test_many_total{overflow=\"true\"} "), std::string::npos);
  EXPECT_EQ(render().find("id=\"2099\""), std::string::npos);
}

}  // namespace
}  // namespace assistiv::core::metrics
