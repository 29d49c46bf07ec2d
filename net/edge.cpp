#include "net/edge.h"

#include <malloc.h>

#include <algorithm>
#include <ctime>

namespace assistiv::net {

namespace metrics = core::metrics;

namespace {

constexpr std::size_t kScratchBytes = 64 << 10;
constexpr std::size_t kRequestIdHex = 24;
constexpr std::size_t kRandomBytes = kRequestIdHex / 2 * 128;
constexpr std::size_t kTrimPeakMin = 1000;

std::chrono::steady_clock::duration tick_for(const ServerOptions& options) {
  const auto shortest = std::min(
      {options.header_timeout, options.body_timeout, options.keep_alive_timeout, options.write_timeout});
  return std::clamp(shortest / 4, std::chrono::milliseconds(5), std::chrono::milliseconds(250));
}

// RFC 9110 5.6.7, IMF-fixdate.
std::string http_date(core::Time time) {
  const std::time_t seconds = core::to_epoch_seconds(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  const std::size_t n = std::strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text, n};
}

metrics::Counter& requests_counter(const char* status_class) {
  return metrics::counter("assistiv_http_requests_total", "Requests answered, by status class.",
                          {{"status", status_class}});
}

metrics::Counter& bytes_counter(const char* direction) {
  return metrics::counter("assistiv_http_bytes_total", "Bytes of requests and replies.",
                          {{"direction", direction}});
}

}  // namespace

EdgeMetrics::EdgeMetrics()
    : connections(metrics::gauge("assistiv_http_connections", "Open connections.")),
      streams(metrics::gauge("assistiv_http_streams", "Open streaming replies.")),
      accepted(metrics::counter("assistiv_http_accepted_total", "Connections accepted.")),
      rejected(metrics::counter("assistiv_http_rejected_total",
                                "Connections refused because there were too many.")),
      timeouts(metrics::counter("assistiv_http_timeouts_total",
                                "Connections closed because the client was slow.")),
      bytes_in(bytes_counter("in")),
      bytes_out(bytes_counter("out")) {
  static constexpr const char* kClasses[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
  for (std::size_t i = 0; i < std::size(by_class); ++i) by_class[i] = &requests_counter(kClasses[i]);
}

Edge::Edge(ServerOptions given, core::Clock& the_clock, core::Random& the_random,
           core::HttpHandler the_handler)
    : options(std::move(given)),
      limits{options.target_bytes_max, options.header_bytes_max, options.header_fields_max,
             options.body_bytes_max},
      trusted(options.trusted_proxies),
      addresses(options.connections_per_address_max, options.uncounted_addresses),
      handler(std::move(the_handler)),
      clock(the_clock),
      random(the_random) {}

void Edge::opened() {
  const std::size_t open = connections.fetch_add(1) + 1;
  std::size_t seen = peak.load(std::memory_order_relaxed);
  while (seen < open && !peak.compare_exchange_weak(seen, open)) {
  }
  metrics.connections.add(1);
}

void Edge::closed() {
  connections.fetch_sub(1);
  metrics.connections.add(-1);
}

void Edge::trim_after_peak() {
  const std::size_t seen = peak.load(std::memory_order_relaxed);
  const std::size_t open = connections.load(std::memory_order_relaxed);
  const std::size_t before = open_at_last_sweep.exchange(open);
  if (seen < kTrimPeakMin || open > seen / 2 || open != before) return;
  peak = open;
  malloc_trim(0);
}

Lane::Lane(core::AnyExecutor executor, std::shared_ptr<Edge> edge)
    : executor_(std::move(executor)),
      edge_(std::move(edge)),
      timer_(executor_),
      tick_(tick_for(edge_->options)),
      now_(std::chrono::steady_clock::now()),
      scratch_(kScratchBytes) {}

void Lane::add(Member& member) {
  members_.push_back(member);
  if (ticking_) return;
  ticking_ = true;
  refresh();
  schedule();
}

void Lane::schedule() {
  timer_.expires_after(tick_);
  timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (!error) self->sweep();
  });
}

void Lane::refresh() {
  now_ = std::chrono::steady_clock::now();
  date_ = http_date(edge_->clock.now());
}

void Lane::sweep() {
  refresh();
  std::vector<std::shared_ptr<Member>> late;
  for (auto& member : members_)
    if (member.overdue(now_)) late.push_back(member.shared());
  for (auto& member : late) member->expire();
  late.clear();
  edge_->trim_after_peak();
  // One round after the last connection, so that its memory is trimmed too.
  ticking_ = !members_.empty() || edge_->peak.load(std::memory_order_relaxed) >= kTrimPeakMin;
  if (ticking_) schedule();
}

void Lane::for_each(const std::function<void(Member&)>& visit) {
  std::vector<std::shared_ptr<Member>> all;
  for (auto& member : members_) all.push_back(member.shared());
  for (auto& member : all) visit(*member);
}

std::string Lane::new_request_id() {
  return edge_->options.request_id_prefix + random_hex(kRequestIdHex);
}

std::string Lane::random_hex(std::size_t digits) {
  if (random_.size() < digits) random_ = core::random_hex(edge_->random, kRandomBytes);
  std::string out = random_.substr(random_.size() - digits);
  random_.resize(random_.size() - digits);
  return out;
}

}  // namespace assistiv::net
