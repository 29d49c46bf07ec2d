#include "oauth/authorize/outbound.h"

#include "core/log.h"
#include "core/url_text.h"
#include "oauth/authorize/client_metadata.h"

namespace assistiv::oauth {

namespace {

constexpr std::chrono::milliseconds kGetTimeout{5000};

}  // namespace

core::Task<std::optional<core::OutboundResponse>> get_json(core::HttpClient& http, std::string url,
                                                           std::size_t bytes_max) {
  core::OutboundRequest request;
  request.url = url;
  request.headers.set("Accept", "application/json");
  request.headers.set("User-Agent", "assistiv");
  request.allowed_hosts = {core::url_authority(url)};
  request.timeout = kGetTimeout;
  request.response_bytes_max = bytes_max;
  try {
    auto response = co_await http.send(std::move(request));
    if (response.status == 200) co_return std::move(response);
    core::log::info("authorize.document_refused",
                    {{"host", core::url_authority(url)}, {"status", response.status}});
  } catch (const core::OutboundError& e) {
    core::log::info("authorize.document_not_fetched",
                    {{"host", core::url_authority(url)}, {"detail", e.what()}});
  }
  co_return std::nullopt;
}

bool is_provider_url(const std::string& url, bool allow_loopback) {
  // Redirect URIs have the same form, but for the schemes of native applications.
  if (!is_good_redirect_uri(url)) return false;
  return url.starts_with("https://") || (allow_loopback && url.starts_with("http://"));
}

}  // namespace assistiv::oauth
