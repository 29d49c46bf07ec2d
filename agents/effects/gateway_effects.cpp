#include "agents/effects/gateway_effects.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/effects/http_request.h"
#include "agents/store/agent_service.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::agents {
namespace {

core::Error not_bound() {
  return core::Error(core::ErrorKind::Unavailable, "models and tools cannot be called by runs yet");
}

class GatewayEffects final : public Effects {
 public:
  GatewayEffects(EffectsWorld& world, RunIdentity identity) : world_(world), identity_(std::move(identity)) {}

  core::Task<Quote> quote(ModelCall /*call*/) override { throw not_bound(); }
  core::Task<ModelAnswer> call_model(ModelCall /*call*/) override { throw not_bound(); }
  core::Task<std::vector<ToolOffer>> tools(Act /*act*/, std::string /*alias*/, Toolset /*from*/) override {
    throw not_bound();
  }
  core::Task<ToolAnswer> call_tool(ToolCall /*call*/) override { throw not_bound(); }

  core::Task<HttpAnswer> call_http(HttpCall call) override {
    try {
      auto reply = co_await world_.http.send(outbound_request(call, identity_.traceparent));
      co_return HttpAnswer{reply.status, response_headers(reply.headers), std::move(reply.body)};
    } catch (const core::OutboundError& error) {
      throw http_failure(error);
    }
  }

  core::Task<GraphPtr> graph(std::string reference) override {
    const auto wanted = parse_agent_reference(reference);
    if (!wanted) co_return nullptr;
    const auto platform = identity_.principal->platform_id;
    std::optional<AgentView> view;
    try {
      view = co_await world_.agents.get(platform, wanted->slug);
    } catch (const core::Error& error) {
      if (error.kind() != core::ErrorKind::NotFound) throw;
    }
    // A slug only: get() takes ids, too.
    if (!view || view->agent.slug != wanted->slug || !view->agent.is_active) co_return nullptr;
    const auto& user = identity_.principal->end_user_id;
    if (user && !may_use(view->agent, *user)) co_return nullptr;
    co_return co_await world_.agents.graph(platform, view->agent.id, wanted->version);
  }

 private:
  EffectsWorld& world_;
  RunIdentity identity_;
};

}  // namespace

std::unique_ptr<Effects> make_gateway_effects(EffectsWorld& world, RunIdentity identity) {
  return std::make_unique<GatewayEffects>(world, std::move(identity));
}

}  // namespace assistiv::agents
