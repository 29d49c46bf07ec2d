#include "mcp/protocol/call_metrics.h"

#include <array>
#include <vector>

#include "core/metrics.h"

namespace assistiv::mcp {

namespace {

namespace metrics = core::metrics;

struct MethodMetrics {
  std::array<std::array<metrics::Counter*, 3>, 2> ends;  // [legacy, modern][CallEnd]
  metrics::Histogram* seconds;
};

MethodMetrics metrics_of(std::string_view method) {
  static constexpr std::array<const char*, 2> kEras = {"legacy", "modern"};
  static constexpr std::array<const char*, 3> kEnds = {"result", "fault", "cancelled"};
  MethodMetrics out{};
  for (std::size_t era = 0; era < kEras.size(); ++era) {
    for (std::size_t end = 0; end < kEnds.size(); ++end) {
      out.ends[era][end] =
          &metrics::counter("assistiv_mcp_requests_total", "MCP requests by method, era and end.",
                            {{"method", std::string(method)}, {"era", kEras[era]}, {"end", kEnds[end]}});
    }
  }
  out.seconds = &metrics::histogram("assistiv_mcp_request_seconds", "Time that MCP requests took.",
                                    {{"method", std::string(method)}});
  return out;
}

// One row per method of the table, and one for unknown methods at the end.
const MethodMetrics& row_of(const Method* method) {
  static const std::vector<MethodMetrics> rows = [] {
    std::vector<MethodMetrics> made;
    for (const auto& each : all_methods()) made.push_back(metrics_of(each.name));
    made.push_back(metrics_of("unknown"));
    return made;
  }();
  return method == nullptr ? rows.back() : rows[static_cast<std::size_t>(method - all_methods().data())];
}

}  // namespace

CallTimer::CallTimer(const Method* method, Version version)
    : method_(method), modern_(is_modern(version)), begun_(std::chrono::steady_clock::now()) {}

void CallTimer::done(CallEnd end) {
  const auto& row = row_of(method_);
  row.ends[modern_ ? 1 : 0][static_cast<std::size_t>(end)]->add();
  row.seconds->observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count());
}

}  // namespace assistiv::mcp
