#include "net/tls_context.h"

#include <openssl/ssl.h>

#include <string_view>

#include "core/error.h"

namespace assistiv::net {

namespace {

constexpr std::string_view kHttp11 = "\x08http/1.1";

int select_http11(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                  unsigned offered_size, void*) {
  unsigned char* chosen = nullptr;
  const int result =
      SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(kHttp11.data()),
                            static_cast<unsigned>(kHttp11.size()), offered, offered_size);
  if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

void require(const boost::system::error_code& error, const char* option, const std::string& file) {
  if (!error) return;
  throw core::Error(core::ErrorKind::InvalidArgument,
                    std::string(option) + ": cannot use \"" + file + "\" (" + error.message() + ").")
      .with_field(option);
}

}  // namespace

std::shared_ptr<TlsContext> load_tls(const TlsFiles& files) {
  auto context = std::make_shared<TlsContext>(TlsContext::tls_server);
  boost::system::error_code error;
  context->use_certificate_chain_file(files.certificate_chain, error);
  require(error, "tls.certificate_chain", files.certificate_chain);
  context->use_private_key_file(files.private_key, TlsContext::pem, error);
  require(error, "tls.private_key", files.private_key);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native,
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(native, select_http11, nullptr);
  return context;
}

}  // namespace assistiv::net
