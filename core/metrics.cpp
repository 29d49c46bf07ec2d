#include "core/metrics.h"

#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <variant>

namespace assistiv::core::metrics {

namespace {

using Series = std::variant<std::unique_ptr<Counter>, std::unique_ptr<Gauge>, std::unique_ptr<Histogram>>;

struct Family {
  std::string help;
  std::string type;
  std::map<std::string, Series> series;  // by rendered labels
};

struct Registry {
  std::mutex mutex;
  std::map<std::string, Family, std::less<>> families;
  std::size_t series = 0;
};

Registry& registry() {
  static Registry instance;
  return instance;
}

std::string render_labels(const Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    out += (out.empty() ? "" : ",") + name + "=\"";
    for (const char c : value) {
      if (c == '\n') {
        out += "\\n";
        continue;
      }
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
    out += "\"";
  }
  return out;
}

template <class T, class... A>
T& find(std::string_view name, std::string_view help, std::string_view type, const Labels& labels,
        const A&... arguments) {
  constexpr std::size_t kSeriesMax = 2000;
  auto& reg = registry();
  std::lock_guard lock(reg.mutex);
  auto& family = reg.families[std::string(name)];
  if (!family.type.empty() && family.type != type) {
    throw std::logic_error("the metric " + std::string(name) + " is a " + family.type + " elsewhere");
  }
  family.help = help;
  family.type = type;
  std::string key = render_labels(labels);
  if (!family.series.contains(key) && ++reg.series > kSeriesMax) key = "overflow=\"true\"";
  auto& series = family.series[key];
  if (std::visit([](const auto& held) { return held == nullptr; }, series))
    series = std::make_unique<T>(arguments...);
  return *std::get<std::unique_ptr<T>>(series);
}

std::string with_labels(const std::string& labels, const std::string& extra = {}) {
  const std::string all = labels + (labels.empty() || extra.empty() ? "" : ",") + extra;
  return all.empty() ? "" : "{" + all + "}";
}

std::string number(double value) {
  char out[32];
  std::snprintf(out, sizeof out, "%g", value);
  return out;
}

// To the millionth, so that differences of large sums mean something.
std::string sum_of(double value) {
  char out[64];
  std::snprintf(out, sizeof out, "%.6f", value);
  return out;
}

void render_histogram(std::string& out, const std::string& name, const std::string& labels,
                      const Histogram& h) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
    total += h.bucket(i);
    const std::string bound = i + 1 == Histogram::kBuckets ? "+Inf" : number(h.bounds()[i]);
    out +=
        name + "_bucket" + with_labels(labels, "le=\"" + bound + "\"") + " " + std::to_string(total) + "\n";
  }
  out += name + "_sum" + with_labels(labels) + " " + sum_of(h.sum()) + "\n";
  out += name + "_count" + with_labels(labels) + " " + std::to_string(total) + "\n";
}

}  // namespace

void Histogram::observe(double value) {
  std::size_t i = 0;
  while (i + 1 < kBuckets && value > bounds_[i]) ++i;
  buckets_[i].fetch_add(1, std::memory_order_relaxed);
  sum_millionths_.fetch_add(static_cast<std::uint64_t>(value * 1e6), std::memory_order_relaxed);
}

Counter& counter(std::string_view name, std::string_view help, const Labels& labels) {
  return find<Counter>(name, help, "counter", labels);
}
Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels) {
  return find<Gauge>(name, help, "gauge", labels);
}
Histogram& histogram(std::string_view name, std::string_view help, const Labels& labels,
                     const Histogram::Bounds& bounds) {
  return find<Histogram>(name, help, "histogram", labels, bounds);
}

std::string render() {
  auto& reg = registry();
  std::lock_guard lock(reg.mutex);
  std::string out;
  for (const auto& [name, family] : reg.families) {
    out += "# HELP " + name + " " + family.help + "\n# TYPE " + name + " " + family.type + "\n";
    for (const auto& [labels, series] : family.series) {
      if (const auto* c = std::get_if<std::unique_ptr<Counter>>(&series)) {
        out += name + with_labels(labels) + " " + std::to_string((*c)->value()) + "\n";
      } else if (const auto* g = std::get_if<std::unique_ptr<Gauge>>(&series)) {
        out += name + with_labels(labels) + " " + std::to_string((*g)->value()) + "\n";
      } else {
        render_histogram(out, name, labels, *std::get<std::unique_ptr<Histogram>>(series));
      }
    }
  }
  return out;
}

}  // namespace assistiv::core::metrics
