#include "api/routes/agent_doors.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "agents/doors/model_door.h"
#include "api/agent_gateway.h"
#include "api/routes/agent_caller.h"
#include "api/routes/routes.h"
#include "inference/dialect.h"

namespace assistiv::api {

agents::DoorWorld door_world(AgentGateway& gateway) {
  return {gateway.agents,   gateway.assistants, gateway.runs,
          gateway.run_rows, gateway.threads,    gateway.events};
}

agents::DoorWorld door_world(const Services& services) {
  return door_world(*services.agent_gateway);
}

core::Task<core::HttpReply> answer_by_agent(Services* services, Call call, inference::DialectId dialect,
                                            std::string request_type, std::string model, bool stream) {
  auto caller = co_await run_caller(*services, call);
  inference::InferenceCall asked;
  asked.principal = call.principal;
  asked.request_id = call.request.request_id;
  asked.gone = call.request.gone;
  asked.headers = std::move(call.request.headers);
  asked.dialect = dialect;
  asked.request_type = std::move(request_type);
  asked.body = call.body;
  // The door of Responses has items of its own in what it reads.
  if (dialect != inference::DialectId::OpenAiResponses)
    asked.request = inference::dialect(dialect).decode_request(*call.body);
  asked.request.model = std::move(model);
  asked.request.stream = stream;
  co_return co_await agents::answer_as_model(door_world(*services), std::move(caller), std::move(asked));
}

}  // namespace assistiv::api
