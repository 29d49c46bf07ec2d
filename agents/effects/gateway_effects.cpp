#include "agents/effects/gateway_effects.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/effects/http_request.h"
#include "agents/effects/model_calls.h"
#include "agents/effects/result_cache.h"
#include "agents/effects/tool_calls.h"
#include "agents/store/agent_service.h"
#include "agents/store/outage.h"
#include "core/error.h"
#include "core/snapshot_cache.h"

namespace assistiv::agents {
namespace {

class GatewayEffects final : public Effects {
 public:
  GatewayEffects(EffectsWorld& world, RunIdentity identity) : context_{world, std::move(identity)} {}

  core::Task<Quote> quote(ModelCall call) override { return quote_model(&context_, std::move(call)); }
  core::Task<ModelAnswer> call_model(ModelCall call) override {
    return place_model_call(&context_, std::move(call));
  }
  core::Task<std::vector<ToolOffer>> tools(Act act, std::string alias, Toolset from) override {
    return list_tools(&context_, std::move(act), std::move(alias), std::move(from));
  }
  core::Task<ToolAnswer> call_tool(ToolCall call) override {
    return place_tool_call(&context_, std::move(call));
  }

  core::Task<HttpAnswer> call_http(HttpCall call) override {
    const auto span = begin_span(context_, call.act);
    try {
      auto reply = co_await context_.world.http.send(outbound_request(call, span.traceparent));
      co_return HttpAnswer{reply.status, response_headers(reply.headers), std::move(reply.body)};
    } catch (const core::OutboundError& error) {
      throw http_failure(error);
    }
  }

  core::Task<bool> may_enter(std::string reference, std::stop_token stop) override {
    co_return co_await through_outage<bool>([this, reference] { return is_open(reference); }, kOutagePatience,
                                            std::move(stop));
  }

  std::optional<core::Json> recall(const CacheKey& key) override {
    const auto name = name_of(key);
    return name.empty() ? std::nullopt : context_.world.results->find(name);
  }
  void remember(const CacheKey& key, core::Json result, std::chrono::seconds ttl) override {
    if (const auto name = name_of(key); !name.empty()) context_.world.results->put(name, result, ttl);
  }

 private:
  using OpenAgents = core::SnapshotCache<std::string, bool>;

  core::Task<bool> is_open(std::string reference) {
    const auto known =
        co_await open_agents_.get(reference, [this, reference] { return ask_about(reference); });
    co_return *known;
  }
  core::Task<OpenAgents::Loaded> ask_about(std::string reference) {
    const auto wanted = parse_agent_reference(reference);
    const auto& who = *context_.identity.principal;
    const bool is_open =
        wanted && co_await context_.world.agents.serves(who.platform_id, wanted->slug, who.end_user_id);
    co_return OpenAgents::Loaded{std::make_shared<const bool>(is_open), 1};
  }

  // The tenant, the end user and the version of the agent are always part of it.
  std::string name_of(const CacheKey& key) const {
    const auto& who = context_.identity;
    if (context_.world.results == nullptr || who.agent_id.empty()) return "";
    const auto& user = who.principal->end_user_id;
    const std::string sharer = key.per_platform ? "*" : user ? user->str() : "-";
    return who.principal->platform_id.str() + "/" + who.agent_id + "@" + std::to_string(who.agent_version) +
           "/" + sharer + "/" + key.node + "/" + key.of;
  }

  RunContext context_;
  // The branches of a map enter an agent by the thousand: together they ask once a second.
  OpenAgents open_agents_{{.ttl = std::chrono::seconds(1)}};
};

}  // namespace

std::unique_ptr<Effects> make_gateway_effects(EffectsWorld& world, RunIdentity identity) {
  return std::make_unique<GatewayEffects>(world, std::move(identity));
}

}  // namespace assistiv::agents
