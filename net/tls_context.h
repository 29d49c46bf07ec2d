#pragma once
// The server's side of TLS: certificate, versions, ALPN. Internal to net/.
#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "net/server.h"

namespace assistiv::net {

using TlsContext = boost::asio::ssl::context;

// TLS 1.2 and newer, http/1.1 by ALPN. Throws core::Error{InvalidArgument} that names the file.
std::shared_ptr<TlsContext> load_tls(const TlsFiles& files);

}  // namespace assistiv::net
