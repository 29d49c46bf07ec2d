#include "api/routes/agent_caller.h"

#include <string>
#include <string_view>
#include <utility>

#include "api/routes/routes.h"
#include "core/error.h"
#include "inference/engine/turn.h"
#include "oauth/identity/authenticator.h"
#include "oauth/identity/identity_service.h"

namespace assistiv::api {

namespace {

constexpr std::string_view kEndUserHeader = "x-aig-end-user";

core::Error no_end_user() {
  return core::not_found("This platform has no end user of the id in x-aig-end-user.");
}

core::EndUserId active(const oauth::EndUser& user) {
  if (!user.is_active) throw core::forbidden("This end user is suspended.").with_code("end_user_inactive");
  return user.id;
}

core::Task<core::EndUserId> named_end_user(oauth::IdentityService& identity, core::PlatformId platform,
                                           std::string name, std::string request_id) {
  if (const auto id = core::EndUserId::parse(name)) {
    try {
      co_return active(co_await identity.get_end_user(platform, *id));
    } catch (const core::Error& error) {
      if (error.kind() != core::ErrorKind::NotFound) throw;
    }
  }
  const auto found = co_await identity.find_end_user(
      platform, {.external_id = std::move(name), .display_name = {}, .metadata_json = {}}, false,
      {nullptr, std::move(request_id)});
  if (!found) throw no_end_user();
  co_return active(*found);
}

}  // namespace

core::Task<agents::RunCaller> run_caller(const Services& services, const Call& call) {
  agents::RunCaller out;
  out.principal = call.principal;
  out.reach = {call.principal->platform_id, call.principal->end_user_id};
  out.request_id = call.request.request_id;
  out.traceparent = call.request.traceparent;
  out.tag = inference::tag_of(call.request.headers);
  const auto named = call.request.headers.get(kEndUserHeader);
  if (!named) co_return out;
  if (call.request.headers.count(kEndUserHeader) > 1)
    throw core::bad_request("Send one x-aig-end-user header only.", std::string(kEndUserHeader));
  if (call.principal->kind != oauth::PrincipalKind::Platform)
    throw core::forbidden("Only a platform's key names the end user that it acts for.");
  out.reach.end_user = co_await named_end_user(services.identity, out.reach.platform, std::string(*named),
                                               call.request.request_id);
  out.principal = oauth::acting_for(*call.principal, *out.reach.end_user);
  co_return out;
}

}  // namespace assistiv::api
