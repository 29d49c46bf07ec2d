#include "api/web/forms.h"

namespace assistiv::api {

std::string authority_of_url(const std::string& url) {
  const auto start = url.find("://") + 3;
  return url.substr(start, url.find_first_of("/?#", start) - start);
}

bool from_our_page(const core::HttpRequest& request, const std::string& public_url) {
  const auto origin = request.headers.get("origin");
  if (origin && *origin != "null")
    return authority_of_url(std::string(*origin) + "/") == authority_of_url(public_url);
  const auto site = request.headers.get("sec-fetch-site");
  return !site || *site == "same-origin";
}

}  // namespace assistiv::api
