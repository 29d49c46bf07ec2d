#pragma once
// Who acts in a request to agents' doors. An end user's key (or access token) acts as that end user. A
// platform's key reaches the whole platform; with the header "x-aig-end-user: <id or external id>" it acts
// for that end user of its platform, and reaches what is theirs.
#include "agents/service/run_service.h"
#include "api/http/route.h"
#include "core/task.h"

namespace assistiv::api {

struct Services;

// Throws NotFound for an end user that the platform does not have, PermissionDenied when an end user's key
// names one, or the one that it names is suspended.
core::Task<agents::RunCaller> run_caller(const Services& services, const Call& call);

}  // namespace assistiv::api
