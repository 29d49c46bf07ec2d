#pragma once
#include "core/json.h"
#include "oauth/connect/connection_service.h"

namespace assistiv::api {

core::Json connection_view(const oauth::Connection& connection);
core::Json disconnected_view(const oauth::Disconnected& result);

}  // namespace assistiv::api
