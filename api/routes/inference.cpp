#include <nlohmann/json.hpp>

#include "agents/doors/model_door.h"
#include "api/model_gateway.h"
#include "api/routes/agent_doors.h"
#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "core/error.h"
#include "inference/dialect.h"
#include "inference/engine/inference_service.h"
#include "inference/responses/response_service.h"

namespace assistiv::api {

namespace {

using inference::DialectId;

// What the engine wants to know of a call besides its request.
inference::InferenceCall call_of(Call& call, DialectId dialect, std::string request_type) {
  inference::InferenceCall out;
  out.principal = call.principal;
  out.request_id = call.request.request_id;
  out.gone = call.request.gone;
  out.headers = std::move(call.request.headers);
  out.dialect = dialect;
  out.request_type = std::move(request_type);
  out.raw = std::move(call.request.body);
  return out;
}

inference::InferenceCall decoded_call(Call& call, DialectId dialect, std::string request_type) {
  auto out = call_of(call, dialect, std::move(request_type));
  out.request = inference::dialect(dialect).decode_request(*call.body);
  return out;
}

std::string model_member(const Call& call) {
  const auto model = call.body->value("model", core::Json());
  return model.is_string() ? model.get<std::string>() : std::string();
}

// Of a dialect whose body names the model and says whether to stream.
bool is_for_agent(const Call& call) {
  return agents::is_agent_model(model_member(call));
}
core::Task<core::HttpReply> ask_agent(Services* s, Call call, DialectId dialect, std::string request_type) {
  auto model = model_member(call);
  const bool stream = call.body->value("stream", core::Json()) == true;
  return answer_by_agent(s, std::move(call), dialect, std::move(request_type), std::move(model), stream);
}

core::Task<core::HttpReply> chat_completion(Services* s, Call call) {
  if (is_for_agent(call)) return ask_agent(s, std::move(call), DialectId::OpenAiChat, "chat.completion");
  return s->models->service.run(decoded_call(call, DialectId::OpenAiChat, "chat.completion"));
}

core::Task<core::HttpReply> message(Services* s, Call call) {
  if (is_for_agent(call)) return ask_agent(s, std::move(call), DialectId::Anthropic, "message");
  return s->models->service.run(decoded_call(call, DialectId::Anthropic, "message"));
}

// Google's clients send the slash of "agent/<slug>" as it is: then it is a path of its own.
std::string model_in_path(const Call& call) {
  const auto slug = call.params.find("slug");
  return slug == call.params.end() ? call.params.at("model")
                                   : std::string(agents::kAgentModelPrefix) + slug->second;
}

core::Task<core::HttpReply> generate(Services* s, Call call, bool stream) {
  if (auto model = model_in_path(call); agents::is_agent_model(model))
    return answer_by_agent(s, std::move(call), DialectId::Gemini, "generate_content", std::move(model),
                           stream);
  auto out = decoded_call(call, DialectId::Gemini, "generate_content");
  out.request.model = call.params.at("model");
  out.request.stream = stream;
  return s->models->service.run(std::move(out));
}

core::Task<core::HttpReply> generate_content(Services* s, Call call) {
  return generate(s, std::move(call), false);
}

core::Task<core::HttpReply> stream_generate_content(Services* s, Call call) {
  if (call.query_or("alt", "") != "sse") {
    throw core::bad_request("Streams are server-sent events here: add ?alt=sse.", "alt");
  }
  return generate(s, std::move(call), true);
}

// A call without a conversation: the body goes on as it stands.
core::Task<core::HttpReply> forward(Services* s, Call call, DialectId dialect, std::string model,
                                    inference::ForwardCall kind) {
  std::string type = std::move(kind.call.request_type);
  kind.call = call_of(call, dialect, std::move(type));
  kind.call.request.dialect = dialect;
  kind.call.request.model = std::move(model);
  return s->models->service.forward(std::move(kind));
}

inference::ForwardCall forward_kind(std::string request_type, std::string path, bool free) {
  inference::ForwardCall out;
  out.call.request_type = std::move(request_type);
  out.path = std::move(path);
  out.free = free;
  return out;
}

core::Task<core::HttpReply> embeddings(Services* s, Call call) {
  auto model = call.body->at("model").get<std::string>();
  return forward(s, std::move(call), DialectId::OpenAiChat, std::move(model),
                 forward_kind("embedding", "/embeddings", false));
}

core::Task<core::HttpReply> count_message_tokens(Services* s, Call call) {
  auto model = call.body->at("model").get<std::string>();
  return forward(s, std::move(call), DialectId::Anthropic, std::move(model),
                 forward_kind("count_tokens", "/messages/count_tokens", true));
}

core::Task<core::HttpReply> count_tokens(Services* s, Call call) {
  auto model = call.params.at("model");
  return forward(s, std::move(call), DialectId::Gemini, std::move(model),
                 forward_kind("count_tokens", "/models/{model}:countTokens", true));
}

core::Task<core::HttpReply> create_response(Services* s, Call call) {
  if (is_for_agent(call)) return ask_agent(s, std::move(call), DialectId::OpenAiResponses, "response");
  inference::ResponseCall out;
  out.body = call.body;
  out.call = call_of(call, DialectId::OpenAiResponses, "response");
  return s->models->responses.create(std::move(out));
}

core::Task<core::HttpReply> get_response(Services* s, Call call) {
  co_return core::json_reply(
      200, co_await s->models->responses.get(call.principal, call.params.at("response_id")));
}

core::Task<core::HttpReply> delete_response(Services* s, Call call) {
  const auto id = call.params.at("response_id");
  co_await s->models->responses.remove(call.principal, id);
  const core::Json gone = {{"id", id}, {"object", "response"}, {"deleted", true}};
  co_return core::json_reply(200, gone.dump());
}

core::Task<core::HttpReply> list_input_items(Services* s, Call call) {
  inference::InputItemsQuery query;
  query.after = call.query_or("after", "");
  query.descending = call.query_or("order", "desc") == "desc";
  if (call.query.contains("limit")) query.limit = call.limit();
  co_return core::json_reply(
      200, co_await s->models->responses.input_items(call.principal, call.params.at("response_id"), query));
}

// Shared by the routes of this file.
Route post_route(std::string path, std::string operation_id, std::string summary, std::string body_schema,
                 std::string reply_schema) {
  return {.method = "POST",
          .path = std::move(path),
          .access = Access::Tenant,
          .scope = "inference",
          .operation_id = std::move(operation_id),
          .tag = "Inference",
          .summary = std::move(summary),
          .body_schema = std::move(body_schema),
          .reply_schema = std::move(reply_schema),
          .enveloped = false};
}

Route streaming(Route route) {
  route.also_type = "text/event-stream";
  return route;
}

Route response_route(std::string method, std::string path, std::string operation_id, std::string summary,
                     std::string reply_schema) {
  return {.method = std::move(method),
          .path = std::move(path),
          .access = Access::Tenant,
          .scope = "inference",
          .operation_id = std::move(operation_id),
          .tag = "Inference",
          .summary = std::move(summary),
          .reply_schema = std::move(reply_schema),
          .enveloped = false};
}

void add_inference_route(RouteTable& table, Services& services, Route route, ServiceHandler handler) {
  route.handle = with_services(services, handler);
  table.push_back(std::move(route));
}

// Of any model, or of an agent: the slash of agent/<slug> may stand as it is.
void add_gemini_generation(RouteTable& table, Services& services, const std::string& path,
                           const std::string& noun, const std::string& what) {
  add_inference_route(table, services,
                      post_route(path + ":generateContent", "generate" + noun + "Content",
                                 "Gemini's generateContent, of " + what + ".", "GenerateContentRequest",
                                 "GenerateContentResponse"),
                      generate_content);
  auto stream = post_route(path + ":streamGenerateContent", "streamGenerate" + noun + "Content",
                           "Gemini's streamGenerateContent, of " + what + ".", "GenerateContentRequest", "");
  stream.reply_type = "text/event-stream";
  stream.query = {{"alt", "\"sse\".", {"sse"}}};
  add_inference_route(table, services, streaming(std::move(stream)), stream_generate_content);
}

void add_gemini_routes(RouteTable& table, Services& services) {
  const std::string model = "/v1beta/models/{model}";
  add_gemini_generation(table, services, "/v1beta/models/agent/{slug}", "Agent", "an agent");
  add_gemini_generation(table, services, model, "", "any model");
  add_inference_route(
      table, services,
      post_route(model + ":countTokens", "countTokens",
                 "Count a request's tokens: by the provider when it speaks Gemini's API, else "
                 "estimated.",
                 "GenerateContentRequest", "GeminiTokenCount"),
      count_tokens);
}

void add_response_routes(RouteTable& table, Services& services) {
  const std::string one = "/v1/responses/{response_id}";
  add_inference_route(
      table, services,
      streaming(post_route("/v1/responses", "createResponse",
                           "OpenAI's responses, of any model; remembers them and runs MCP tools.",
                           "ResponseRequest", "ResponseObject")),
      create_response);
  add_inference_route(table, services,
                      response_route("GET", one, "getResponse", "Read a stored response.", "ResponseObject"),
                      get_response);
  add_inference_route(
      table, services,
      response_route("DELETE", one, "deleteResponse", "Forget a stored response.", "ResponseDeleted"),
      delete_response);
  auto items = response_route("GET", one + "/input_items", "listInputItems",
                              "What a stored response was an answer to.", "ResponseItems");
  items.query = {{"after", "Id of the item after which to go on.", {}},
                 {"order", "By position.", {"asc", "desc"}},
                 {"limit", "At most 100.", {}}};
  add_inference_route(table, services, std::move(items), list_input_items);
}

}  // namespace

void add_inference_routes(RouteTable& table, Services& services) {
  add_inference_route(table, services,
                      streaming(post_route("/v1/chat/completions", "createChatCompletion",
                                           "OpenAI's chat completions, of any model.",
                                           "ChatCompletionRequest", "ChatCompletion")),
                      chat_completion);
  add_inference_route(
      table, services,
      streaming(post_route("/v1/messages", "createMessage", "Anthropic's messages, of any model.",
                           "MessageRequest", "Message")),
      message);
  add_inference_route(table, services,
                      post_route("/v1/messages/count_tokens", "countMessageTokens",
                                 "Count a request's tokens: by the provider when it speaks Anthropic's API, "
                                 "else estimated.",
                                 "MessageRequest", "MessageTokenCount"),
                      count_message_tokens);
  add_inference_route(table, services,
                      post_route("/v1/embeddings", "createEmbedding",
                                 "OpenAI's embeddings, of providers that speak OpenAI's API.",
                                 "EmbeddingRequest", "EmbeddingList"),
                      embeddings);
  add_gemini_routes(table, services);
  add_response_routes(table, services);
}

}  // namespace assistiv::api
