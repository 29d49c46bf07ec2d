#include "mcp/protocol/input_rounds.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "mcp/protocol/client_requests.h"
#include "mcp/protocol/missing_capability.h"
#include "mcp/protocol/services.h"

namespace assistiv::mcp {

namespace {

constexpr int kRoundsMax = 8;
constexpr std::chrono::minutes kStateLife{15};
constexpr std::size_t kStateMax = 64 << 10;

// What the request is about, without what changes from one round to the next.
std::string request_digest(const Call& call) {
  core::Json params = *call.params();
  for (const char* name : {"_meta", "inputResponses", "requestState"}) params.erase(name);
  return core::sha256_hex(call.message.method + "\n" + core::dump_json(params));
}

oauth::SecretContext state_context(const Call& call) {
  const SessionOwner owner = call.incoming->owner();
  return {owner.platform, "mcp_request_state", owner.end_user.str(), "/mcp/" + owner.endpoint};
}

std::string seal_state(const Call& call, const std::string& state) {
  const auto expires = core::to_epoch_ms(call.services.world.clock.now() + kStateLife);
  const core::Json envelope = {{"d", request_digest(call)}, {"e", expires}, {"s", state}};
  return call.services.world.vault.seal(state_context(call), core::Secret(core::dump_json(envelope)));
}

// The state that we handed out for this very request, or nothing.
std::optional<std::string> open_state(const Call& call, const std::string& sealed) {
  std::optional<core::Json> envelope;
  try {
    envelope = core::try_parse_json(call.services.world.vault.open(state_context(call), sealed).reveal());
  } catch (const core::Error&) {
    return {};
  }
  if (!envelope || !envelope->is_object()) return {};
  if (envelope->value("e", std::int64_t{0}) < core::to_epoch_ms(call.services.world.clock.now())) return {};
  if (envelope->value("d", std::string()) != request_digest(call)) return {};
  return envelope->value("s", std::string());
}

// Reads inputResponses and requestState into the context.
std::optional<Fault> read_answers(const Call& call, CallContext& context) {
  const core::Json* params = call.params();
  if (const auto it = params->find("inputResponses"); it != params->end()) {
    if (!it->is_object()) return Fault{kInvalidParams, "params.inputResponses must be an object.", 200, {}};
    context.input_responses = std::make_shared<core::Json>(*it);
  }
  const auto it = params->find("requestState");
  if (it == params->end()) return {};
  if (it->is_string() && it->get_ref<const std::string&>().size() <= kStateMax) {
    if (auto state = open_state(call, it->get_ref<const std::string&>())) {
      context.input_state = std::move(*state);
      if (!context.input_responses)
        context.input_responses = std::make_shared<core::Json>(core::Json::object());
      return {};
    }
  }
  return Fault{
      kInvalidParams,
      "params.requestState is not one that this server gave for this request, or it has expired. Repeat the "
      "call without it.",
      200,
      {}};
}

core::Json parse_requests(const std::string& json) {
  if (json.empty()) return core::Json::object();
  auto requests = core::try_parse_json(json);
  if (!requests || !requests->is_object()) throw core::internal("a door asked for input in no known form");
  return std::move(*requests);
}

// What a legacy client gets when it could not, or would not, be asked.
Reply not_answered(const Call& call, const std::string& why) {
  if (call.message.method != "tools/call") return failed(kInvalidRequest, why);
  return completed(R"("content":[{"type":"text","text":)" + json_string(why) + R"(}],"isError":true)");
}

core::Task<Reply> run_legacy_rounds(CallPtr call, TakeTurn take_turn) {
  CallContext context = make_context(call);
  for (int round = 0; round < kRoundsMax; ++round) {
    Turn turn = co_await take_turn(call, context);
    if (turn.reply) co_return std::move(*turn.reply);
    const core::Json requests = parse_requests(turn.input_requests_json);
    if (const auto missing = missing_capability(call->abilities, requests))
      co_return not_answered(*call, missing->message);
    if (!requests.empty() && !can_ask(*call)) {
      co_return not_answered(*call,
                             "This call needs to ask the client, which takes a session and an event stream.");
    }
    core::Json responses = core::Json::object();
    for (const auto& [key, request] : requests.items()) {
      auto answer =
          co_await ask_client(call, request.at("method").get<std::string>(),
                              request.contains("params") ? core::dump_json(request.at("params")) : "");
      if (!answer.result) co_return not_answered(*call, "The client did not answer: " + answer.error);
      responses[key] = std::move(*answer.result);
    }
    context.input_responses = std::make_shared<core::Json>(std::move(responses));
    context.input_state = std::move(turn.input_state);
  }
  co_return not_answered(*call, "The call asked for input too often.");
}

}  // namespace

Reply ask_by_result(const CallPtr& call, const std::string& input_requests_json,
                    const std::string& input_state) {
  const core::Json requests = parse_requests(input_requests_json);
  if (auto missing = missing_capability(call->abilities, requests)) return failed(std::move(*missing));
  std::string members;
  if (!requests.empty()) members = "\"inputRequests\":" + core::dump_json(requests);
  if (!input_state.empty() || requests.empty()) {
    members +=
        (members.empty() ? "" : ",") + ("\"requestState\":" + json_string(seal_state(*call, input_state)));
  }
  return {Reply::Kind::InputRequired, std::move(members), {}};
}

core::Task<Reply> run_rounds(CallPtr call, TakeTurn take_turn) {
  if (!call->modern()) co_return co_await run_legacy_rounds(call, take_turn);
  CallContext context = make_context(call);
  if (auto fault = read_answers(*call, context)) co_return failed(std::move(*fault));
  Turn turn = co_await take_turn(call, std::move(context));
  if (turn.reply) co_return std::move(*turn.reply);
  co_return ask_by_result(call, turn.input_requests_json, turn.input_state);
}

}  // namespace assistiv::mcp
