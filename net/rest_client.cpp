#include "net/rest_client.h"

#include <cpprest/http_client.h>
#include <cpprest/rawptrstream.h>
#include <openssl/ssl.h>
#include <pplx/threadpool.h>
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cerrno>
#include <charconv>
#include <mutex>

#include "core/error.h"

namespace assistiv::net {

namespace client = web::http::client;
using TlsStream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>;

namespace {

constexpr std::size_t kRestThreads = 2;
// cpprestsdk's own timer is not used; the caller's coroutine watches the time of the whole exchange.
constexpr std::chrono::hours kNever{24};

// The pooled connection was closed by the other side before anything was written to it.
struct StaleConnection : std::exception {
  const char* what() const noexcept override { return "the pooled connection was closed by the upstream"; }
};

struct SecondConnection : std::exception {
  const char* what() const noexcept override { return "the connection broke after the request was sent"; }
};

int verify_chain(X509_STORE_CTX* context, void*) {
  X509_STORE_CTX_set_verify_cb(context, [](int ok, X509_STORE_CTX*) { return ok; });
  return X509_verify_cert(context);
}

void prepare_tls(SSL_CTX* context, const Url& url, X509_STORE* trust) {
  SSL_CTX_set1_cert_store(context, trust);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_cert_verify_callback(context, verify_chain, nullptr);
  X509_VERIFY_PARAM* parameters = SSL_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (url.is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(parameters, url.host.c_str());
  } else {
    X509_VERIFY_PARAM_set1_host(parameters, url.host.data(), url.host.size());
  }
}

int socket_of(void* native_handle, Scheme scheme) {
  return scheme == Scheme::Https ? static_cast<TlsStream*>(native_handle)->next_layer().native_handle()
                                 : static_cast<boost::asio::ip::tcp::socket*>(native_handle)->native_handle();
}

// Anything to read on a connection that nobody asked anything is its end, or an answer to nobody's question.
bool is_quiet(int socket) {
  char byte = 0;
  return ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool is_ours(std::string_view name) {
  for (const std::string_view one : {"host", "connection", "content-length", "transfer-encoding",
                                     "accept-encoding", "expect", "te", "upgrade"})
    if (core::equals_ignore_case(name, one)) return true;
  return false;
}

// What RFC 3986 lets stand in a path or query and cpprestsdk's parser accepts; the rest is percent-encoded.
std::string encoded(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  static constexpr std::string_view kMarks = "-._~!$&'()*+,;=%/:@?";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       kMarks.find(c) != std::string_view::npos;
    const auto byte = static_cast<unsigned char>(c);
    if (plain) {
      out.push_back(c);
    } else {
      out.append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  return out;
}

// cpprestsdk's end of CappedBody: a stream buffer that is only written to.
class BodyWriter final : public concurrency::streams::details::streambuf_state_manager<std::uint8_t> {
 public:
  explicit BodyWriter(std::shared_ptr<Exchange> exchange)
      : streambuf_state_manager<std::uint8_t>(std::ios_base::out), exchange_(std::move(exchange)) {}

 private:
  using Byte = std::uint8_t;
  using Mode = std::ios_base::openmode;

  pplx::task<std::size_t> _putn(const Byte* bytes, std::size_t count) override {
    exchange_->body.append(bytes, count);
    if (exchange_->body.overflowed()) exchange_->changed.set();
    return pplx::task_from_result(count);
  }
  pplx::task<int_type> _putc(Byte byte) override {
    exchange_->body.append(&byte, 1);
    return pplx::task_from_result<int_type>(byte);
  }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }

  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  std::size_t in_avail() const override { return 0; }
  std::size_t buffer_size(Mode) const override { return 0; }
  void set_buffer_size(std::size_t, Mode) override {}
  pos_type getpos(Mode) const override { return pos_type(-1); }
  pos_type seekpos(pos_type, Mode) override { return pos_type(-1); }
  pos_type seekoff(off_type, std::ios_base::seekdir, Mode) override { return pos_type(-1); }
  Byte* _alloc(std::size_t) override { return nullptr; }
  void _commit(std::size_t) override {}
  bool acquire(Byte*&, std::size_t&) override { return false; }
  void release(Byte*, std::size_t) override {}
  std::size_t _scopy(Byte*, std::size_t) override { return 0; }
  pplx::task<std::size_t> _getn(Byte*, std::size_t) override {
    return pplx::task_from_result<std::size_t>(0);
  }
  int_type _sbumpc() override { return traits::eof(); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _bumpc() override { return pplx::task_from_result<int_type>(traits::eof()); }
  pplx::task<int_type> _getc() override { return pplx::task_from_result<int_type>(traits::eof()); }
  pplx::task<int_type> _nextc() override { return pplx::task_from_result<int_type>(traits::eof()); }
  pplx::task<int_type> _ungetc() override { return pplx::task_from_result<int_type>(traits::eof()); }

  const std::shared_ptr<Exchange> exchange_;
};

concurrency::streams::ostream body_stream(std::shared_ptr<Exchange> exchange) {
  concurrency::streams::streambuf<std::uint8_t> buffer(std::make_shared<BodyWriter>(std::move(exchange)));
  return buffer.create_ostream();
}

web::http::uri request_uri(std::string_view target) {
  const auto question = target.find('?');
  web::http::uri_builder builder;
  builder.set_path(encoded(target.substr(0, question)));
  if (question != std::string_view::npos) builder.set_query(encoded(target.substr(question + 1)));
  return builder.to_uri();
}

void copy_head(const web::http::http_response& from, core::OutboundResponse& to) {
  to.status = from.status_code();
  for (const auto& [name, value] : from.headers()) to.headers.add(name, value);
}

bool declares_more_than(const core::OutboundResponse& head, std::size_t bytes_max) {
  const auto text = head.headers.get("content-length");
  std::uint64_t size = 0;
  return text && std::from_chars(text->data(), text->data() + text->size(), size).ec == std::errc() &&
         size > bytes_max;
}

void finish(Exchange& exchange, pplx::task<web::http::http_response>& done) {
  try {
    done.get();
    exchange.finish(Exchange::End::Response, {});
  } catch (const StaleConnection& e) {
    exchange.finish(Exchange::End::StaleConnection, e.what());
  } catch (const std::exception& e) {
    exchange.finish(Exchange::End::Failed, e.what());
  }
}

web::http::http_request make_message(const std::shared_ptr<const core::OutboundRequest>& request,
                                     const Url& url, const std::shared_ptr<Exchange>& exchange) {
  web::http::http_request message(request->method);
  message.set_request_uri(request_uri(url.target));
  for (const auto& [name, value] : request->headers.fields())
    if (!is_ours(name)) message.headers().add(name, value);
  message.headers().add("Host", url.authority());
  if (!request->headers.get("user-agent")) message.headers().add("User-Agent", "assistiv");
  if (!request->body.empty()) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(request->body.data());
    concurrency::streams::rawptr_buffer<std::uint8_t> buffer(bytes, request->body.size());
    message.set_body(buffer.create_istream(), request->body.size(),
                     std::string(request->headers.get("content-type").value_or("application/octet-stream")));
  }
  message.set_response_stream(body_stream(exchange));
  // Also keeps the request's body alive for as long as cpprestsdk may read it.
  message.set_progress_handler([request, exchange, scheme = url.scheme](
                                   web::http::message_direction::direction direction, utility::size64_t) {
    if (direction == web::http::message_direction::upload)
      exchange->set_sent(socket_of(exchange->native_handle, scheme));
  });
  return message;
}

}  // namespace

std::shared_ptr<X509_STORE> load_trust(const std::string& ca_file) {
  std::shared_ptr<X509_STORE> store(X509_STORE_new(), X509_STORE_free);
  X509_STORE_set_default_paths(store.get());
  if (!ca_file.empty() && X509_STORE_load_file(store.get(), ca_file.c_str()) != 1)
    throw core::Error(core::ErrorKind::InvalidArgument,
                      "outbound.ca_file: cannot read certificates from \"" + ca_file + "\".")
        .with_field("outbound.ca_file");
  return store;
}

struct RestClient::State {
  State(const Url& the_url, std::shared_ptr<X509_STORE> the_trust)
      : url(the_url), trust(std::move(the_trust)) {}

  const Url url;
  const std::shared_ptr<X509_STORE> trust;
  std::unique_ptr<client::http_client> rest;
  pplx::cancellation_token_source cancellation;
  std::mutex mutex;
  std::shared_ptr<Exchange> current;

  void set_current(std::shared_ptr<Exchange> exchange) {
    std::lock_guard lock(mutex);
    current = std::move(exchange);
  }
  void on_connection(void* native_handle);
};

// On cpprestsdk's thread, before a connection is made or a pooled one is written to.
void RestClient::State::on_connection(void* native_handle) {
  std::shared_ptr<Exchange> exchange;
  {
    std::lock_guard lock(mutex);
    exchange = current;
  }
  if (!exchange || !exchange->first_connection()) throw SecondConnection();
  const int socket = socket_of(native_handle, url.scheme);
  if (socket >= 0 && !is_quiet(socket)) throw StaleConnection();
  if (socket < 0 && url.scheme == Scheme::Https && !url.is_address)
    SSL_set_tlsext_host_name(static_cast<TlsStream*>(native_handle)->native_handle(), url.host.c_str());
  exchange->native_handle = native_handle;
}

RestClient::RestClient(const Url& url, const std::string& address, std::shared_ptr<X509_STORE> trust)
    : state_(std::make_shared<State>(url, std::move(trust))) {
  static std::once_flag threads;
  std::call_once(threads, [] { crossplat::threadpool::initialize_with_threads(kRestThreads); });
  client::http_client_config config;
  config.set_max_redirects(0);
  config.set_proxy(web::web_proxy(web::web_proxy::disabled));
  config.set_timeout(kNever);
  config.set_tlsext_sni_enabled(false);
  std::weak_ptr<State> weak = state_;
  config.set_nativehandle_options([weak](client::native_handle handle) {
    const auto state = weak.lock();
    if (!state) throw SecondConnection();
    state->on_connection(handle);
  });
  config.set_ssl_context_callback([url, store = state_->trust](boost::asio::ssl::context& context) {
    prepare_tls(context.native_handle(), url, store.get());
  });
  web::http::uri_builder base;
  base.set_scheme(url.scheme == Scheme::Https ? "https" : "http");
  base.set_host(address);  // IPv6 without brackets, because the host goes to getaddrinfo as it stands
  base.set_port(url.port);
  state_->rest = std::make_unique<client::http_client>(base.to_uri(), config);
}

RestClient::~RestClient() = default;

void RestClient::start(std::shared_ptr<const core::OutboundRequest> request, const Url& url,
                       std::shared_ptr<Exchange> exchange) {
  state_->set_current(exchange);
  state_->cancellation = pplx::cancellation_token_source();
  const bool has_body = request->method != "HEAD";
  const std::size_t bytes_max = request->response_bytes_max;
  try {
    // On its thread, because a new connection's TLS context is made by request().
    pplx::create_task(
        [state = state_, message = make_message(request, url, exchange),
         token = state_->cancellation.get_token()] { return state->rest->request(message, token); })
        .then([exchange, has_body, bytes_max](web::http::http_response response) {
          copy_head(response, exchange->response);
          if (has_body && declares_more_than(exchange->response, bytes_max)) exchange->body.refuse();
          if (exchange->body.overflowed()) exchange->changed.set();
          return response.content_ready();
        })
        .then([exchange, state = state_](pplx::task<web::http::http_response> done) {
          state->set_current(nullptr);
          finish(*exchange, done);
        });
  } catch (const std::exception& e) {
    exchange->finish(Exchange::End::Failed, e.what());
  }
}

void RestClient::cancel() {
  state_->cancellation.cancel();
}

}  // namespace assistiv::net
