#include "api/web/forms.h"

#include "core/url_text.h"

namespace assistiv::api {

bool from_our_page(const core::HttpRequest& request, const std::string& public_url) {
  const auto origin = request.headers.get("origin");
  if (origin && *origin != "null") return core::url_authority(*origin) == core::url_authority(public_url);
  const auto site = request.headers.get("sec-fetch-site");
  return !site || *site == "same-origin";
}

}  // namespace assistiv::api
