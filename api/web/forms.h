#pragma once
// What handlers of forms share.
#include <string>

#include "core/http.h"

namespace assistiv::api {

// False for a form that another site submitted: it is not this person's click.
bool from_our_page(const core::HttpRequest& request, const std::string& public_url);

}  // namespace assistiv::api
