#pragma once
// core::UpstreamClient on Boost.Beast: the way to model providers. Keep-alive connections are pooled per I/O
// thread, so a request takes no lock; a new connection goes to an address that was vetted (net/url_guard.h).
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "core/upstream.h"
#include "net/resolver.h"
#include "net/url_guard.h"

namespace assistiv::net {

struct UpstreamOptions {
  // LoopbackAndPrivate lifts the refusal for every request, else each one's allow_private decides.
  Reach reach = Reach::PublicOnly;
  std::string ca_file;                    // trusted besides the system's authorities (PEM)
  std::size_t idle_per_origin_max = 128;  // per I/O thread
  std::size_t busy_max = 8192;            // per I/O thread; past it: Refused at once
  std::chrono::milliseconds idle_time_max{50'000};
};

// Thread-safe. open() and the replies run on the caller's I/O thread and must stay on it. A reply's head is
// at most 32 KiB; a body with a content-encoding is refused, because none was asked for. Destroy after every
// reply has been destroyed, before the I/O threads.
class PooledUpstreamClient final : public core::UpstreamClient {
 public:
  PooledUpstreamClient(UpstreamOptions options, Resolver& resolver);
  ~PooledUpstreamClient() override;
  core::Task<std::unique_ptr<core::UpstreamReply>> open(core::UpstreamRequest request) override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace assistiv::net
