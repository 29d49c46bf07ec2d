#include "mcp/protocol/client_requests.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/json_read.h"
#include "mcp/protocol/services.h"

namespace assistiv::mcp {

namespace {

constexpr std::chrono::minutes kAskPatience{5};
constexpr std::chrono::seconds kLookEvery{15};
constexpr std::string_view kAskPrefix = "ask-";
constexpr std::size_t kAskIdMax = 64;

ClientAnswer answer_of(const std::string& text) {
  auto message = core::try_parse_json(text);
  if (!message || !message->is_object()) return {nullptr, "the answer cannot be read"};
  if (const auto result = message->find("result"); result != message->end()) {
    return {std::make_shared<core::Json>(std::move(*result)), {}};
  }
  const auto error = message->find("error");
  if (error == message->end() || !error->is_object()) return {nullptr, "the answer has no result"};
  const auto text_of_error = error->find("message");
  return {nullptr, text_of_error != error->end() && text_of_error->is_string()
                       ? text_of_error->get<std::string>().substr(0, 500)
                       : "error without a message"};
}

}  // namespace

bool can_ask(const Call& call) {
  return call.session != nullptr && call.answer != nullptr;
}

core::Task<ClientAnswer> ask_client(CallPtr call, std::string method, std::string params_json) {
  EndpointServices& services = call->services;
  SessionStore& store = services.world.sessions;
  const SessionOwner owner = call->incoming->owner();
  const std::string session = call->session->id;
  const std::string id = std::string(kAskPrefix) + core::random_token(services.world.random, 16);
  const auto event = services.hub.watch(session + "/" + id);
  // The stored question is what makes the id known to take_response().
  co_await store.append(owner, session, id, {1, "", false});
  co_await call->answer->send(write_request(json_string(id), method, params_json));
  const auto deadline = std::chrono::steady_clock::now() + kAskPatience;
  while (!call->stop.stop_requested() && std::chrono::steady_clock::now() < deadline) {
    const auto events = co_await store.read(owner, session, id, 1);
    if (!events) co_return ClientAnswer{nullptr, "the session has ended"};
    if (!events->empty()) co_return answer_of(events->front().data);
    co_await event->wait_for(kLookEvery, call->stop.get_token());
  }
  co_return ClientAnswer{nullptr,
                         call->stop.stop_requested() ? "the call was cancelled" : "it took too long"};
}

core::Task<> take_response(EndpointServices& services, SessionPtr session, Message response) {
  const auto id = core::try_parse_json(response.id);
  if (!id || !id->is_string()) co_return;
  const std::string name = id->get<std::string>();
  if (!name.starts_with(kAskPrefix) || name.size() > kAskIdMax) co_return;
  SessionStore& store = services.world.sessions;
  const auto asked = co_await store.read(session->owner, session->id, name, 0);
  if (!asked || asked->size() != 1) co_return;
  co_await store.append(session->owner, session->id, name, {2, core::dump_json(*response.params), true});
}

}  // namespace assistiv::mcp
