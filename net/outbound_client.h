#pragma once
// core::HttpClient over cpprestsdk: every outbound REST call (token endpoints, connector tools, webhooks).
//
// One exchange: the URL is read strictly and must be https (http only with LoopbackAndPrivate), its host must
// be one of the caller's allowed_hosts; the name is resolved and every address vetted (net/url_guard.h), the
// connection goes to an address that passed. The certificate is checked against the host name of the URL,
// which is also sent as SNI. Redirects are returned, proxies from the environment ignored, compressed bodies
// not asked for.
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "core/http_client.h"
#include "net/resolver.h"
#include "net/url_guard.h"

namespace assistiv::net {

struct OutboundOptions {
  Reach reach = Reach::PublicOnly;
  std::string ca_file;  // trusted besides the system's authorities (PEM)
  // Past it calls stand in line, first come first served, each for a while at most; when that is over or the
  // line is full: ConnectFailed. A host that hangs must not hold what others wait for.
  std::size_t in_flight_per_host_max = 128;
  std::size_t line_per_host_max = 1024;
  std::chrono::milliseconds line_time_max{5000};
  std::size_t clients_max = 256;             // pooled (scheme, host, port, address) clients
  std::chrono::seconds client_idle_max{60};  // then the pooled client and its connections are dropped
  std::chrono::milliseconds connect_timeout{5000};
};

// Thread-safe. send() resumes on the caller's executor. Destroy after every send() has returned.
class OutboundClient final : public core::HttpClient {
 public:
  OutboundClient(OutboundOptions options, Resolver& resolver);
  ~OutboundClient() override;
  core::Task<core::OutboundResponse> send(core::OutboundRequest request) override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace assistiv::net
