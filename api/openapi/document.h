#pragma once
#include <string>

#include "api/http/route.h"
#include "api/openapi/schemas.h"

namespace assistiv::api {

// The OpenAPI 3.1 document of the table, as JSON text.
std::string openapi_document(const RouteTable& table, const BodySchemas& schemas,
                             const std::string& server_url);

}  // namespace assistiv::api
