#pragma once
// cpprestsdk's http_client tamed: one exchange at a time, to one vetted address, under the host's own name.
// Internal.
//
// How the name is kept while the connection goes to an address (cpprestsdk 2.10.18): the base URI holds the
// address, the Host field the name. cpprestsdk would take SNI and the name to verify from the Host field,
// port and all, so both are set here: SNI on the new connection's SSL object, the name in the context's
// verification parameters, and the chain is verified by OpenSSL alone.
#include <openssl/types.h>
#include <memory>
#include <string>

#include "core/http_client.h"
#include "net/exchange.h"
#include "net/url_guard.h"

namespace assistiv::net {

// The certificates that servers are checked against, loaded once.
std::shared_ptr<X509_STORE> load_trust(const std::string& ca_file);

// Not thread-safe: start() once more only after the exchange before has ended.
class RestClient {
 public:
  RestClient(const Url& url, const std::string& address, std::shared_ptr<X509_STORE> trust);
  ~RestClient();

  // Sends on cpprestsdk's threads and finishes `exchange` there. `url` is the request's, parsed; of the same
  // origin as the constructor's. Never throws.
  void start(std::shared_ptr<const core::OutboundRequest> request, const Url& url,
             std::shared_ptr<Exchange> exchange);
  // Breaks the connection of the exchange that was started last.
  void cancel();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace assistiv::net
