#include "agents/doors/model_door.h"

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/doors/answer_stream.h"
#include "agents/doors/model_messages.h"
#include "agents/doors/model_request.h"
#include "agents/store/event_log.h"
#include "agents/store/thread_store.h"
#include "core/json_read.h"
#include "core/log.h"
#include "core/money.h"
#include "inference/engine/inference_service.h"
#include "inference/openai_responses/response_object.h"
#include "inference/openai_responses/stream_encoder.h"

namespace assistiv::agents {

namespace {

using core::Json;
using inference::DialectId;
using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::seconds kKeepAlive{12};
constexpr std::chrono::hours kWaitMax{24};
constexpr std::chrono::seconds kResultWait{30};  // between a run's last event and its row
constexpr std::string_view kResponsePrefix = "resp_agent_";
constexpr std::size_t kIdDigits = 32;

std::string bare(const std::string& uuid) {
  std::string out;
  for (const char c : uuid)
    if (c != '-') out += c;
  return out;
}

std::string dashed(std::string_view digits) {
  std::string out(digits);
  for (const std::size_t at : {8, 13, 18, 23}) out.insert(at, "-");
  return out;
}

// One request on its way. Lives as long as its reply.
struct ModelTurn {
  ModelTurn(DoorWorld w, RunCaller c, inference::InferenceCall i)
      : world(w), caller(std::move(c)), call(std::move(i)) {}
  DoorWorld world;
  RunCaller caller;
  inference::InferenceCall call;
  DoorAgent agent;
  std::vector<std::string> dropped;
  Run run;
};
using TurnPtr = std::shared_ptr<ModelTurn>;

const char* id_prefix(DialectId dialect) {
  switch (dialect) {
    case DialectId::OpenAiChat:
      return "chatcmpl-";
    case DialectId::Anthropic:
      return "msg_";
    case DialectId::OpenAiResponses:
    case DialectId::Gemini:
      break;
  }
  return "";
}

inference::ReplyContext context_of(const ModelTurn& turn) {
  inference::ReplyContext out;
  const bool responses = turn.call.dialect == DialectId::OpenAiResponses;
  out.id = responses ? response_id(turn.run.id, turn.run.thread)
                     : id_prefix(turn.call.dialect) + bare(turn.run.id.str());
  out.model = turn.call.request.model;
  out.created = core::to_epoch_seconds(turn.run.created_at);
  out.include_usage = turn.call.request.include_usage;
  out.request_body = turn.call.body;
  return out;
}

// What programs read of it beside the answer.
Json facts_of(const ModelTurn& turn) {
  return {
      {"agent", turn.agent.agent.slug}, {"run_id", turn.run.id.str()}, {"thread_id", turn.run.thread.str()}};
}

Json facts_of(const ModelTurn& turn, const DoorAnswer& answer) {
  Json out = facts_of(turn);
  out["status"] = answer.waiting.empty() ? "success" : "interrupted";
  out["interrupts"] = Json::array();
  for (const auto& one : answer.waiting) {
    Json shown = {{"id", one.id}, {"value", one.value}};
    if (!one.url.empty()) shown["url"] = one.url;
    out["interrupts"].push_back(std::move(shown));
  }
  return out;
}

void add_headers(core::HttpHeaders& headers, const ModelTurn& turn) {
  headers.set("x-aig-agent", turn.agent.agent.slug);
  headers.set("x-aig-run", turn.run.id.str());
  headers.set("x-aig-thread", turn.run.thread.str());
  std::string names;
  for (const auto& name : turn.dropped) names += (names.empty() ? "" : ", ") + name;
  if (!names.empty()) headers.set("x-aig-dropped", names);
}

core::Usage usage_of(const DoorAnswer& answer) {
  core::Usage out;
  out.input = answer.totals.input_tokens;
  out.output = answer.totals.output_tokens;
  return out;
}

core::NanoUsd cost_of(const DoorAnswer& answer) {
  return {answer.totals.cost_nano_usd};
}

core::NanoUsd cost_of(const Run& run) {
  return {run.usage.is_object() ? totals_of(run.usage).cost_nano_usd : 0};
}

// ---- what is asked ----

// What is said in a conversation that has a thread already.
Json body_on_thread(const ModelConversation& said, const Thread& thread, const Graph& graph) {
  // After a run that failed over an answer only another answer is one; words begin anew.
  const bool may_wait =
      thread.status == "interrupted" || (thread.status == "error" && !said.approvals.empty());
  const auto waiting = may_wait ? waiting_of(thread.interrupts) : std::vector<Waiting>();
  if (!said.approvals.empty()) {
    if (waiting.empty()) throw core::bad_request("The conversation waits for no approval.", "/input");
    return {{"command", {{"resume", said.approvals}}}};
  }
  Json fresh = Json::array();
  for (const auto& message : said.whole ? newest_messages(said.messages) : said.messages) {
    if (message.at("type") != "system") fresh.push_back(message);
  }
  if (fresh.empty()) throw core::bad_request("Say something that the conversation does not have yet.");
  if (waiting.empty()) return {{"input", input_of_messages(graph, fresh)}};
  return {{"command", {{"resume", answer_of_text(waiting, text_of_content(fresh.back().at("content")))}}}};
}

core::Task<Json> asked_of(TurnPtr turn, ModelConversation said) {
  if (said.thread) {
    const auto thread = co_await turn->world.threads.find(turn->caller.reach, *said.thread);
    if (thread) co_return body_on_thread(said, *thread, *turn->agent.graph);
    if (!said.whole) {
      throw core::not_found("The conversation behind \"previous_response_id\" is not kept (any more).")
          .with_code("previous_response_not_found")
          .with_field("previous_response_id");
    }
  }
  if (!said.approvals.empty() || said.messages.empty())
    throw core::bad_request("A conversation begins with a message.", "/input");
  co_return Json{{"input", input_of_messages(*turn->agent.graph, said.messages)}};
}

core::Task<> begin(TurnPtr turn) {
  auto& call = turn->call;
  const std::string slug = call.request.model.substr(kAgentModelPrefix.size());
  turn->agent = co_await find_agent(turn->world, turn->caller.reach, slug);
  turn->dropped = dropped_members(call);
  const auto unsupported = call.headers.get("x-aig-unsupported");
  if (unsupported && *unsupported == "strict" && !turn->dropped.empty())
    throw core::bad_request("An agent does not take this: its definition says it.",
                            "/" + turn->dropped.front());
  auto said = conversation_of(call);
  RunRequest request;
  request.thread = said.thread;
  request.body = co_await asked_of(turn, std::move(said));
  request.body["assistant_id"] = turn->agent.agent.slug;
  request.body["if_not_exists"] = "create";
  request.body["on_completion"] = "keep";  // what waits for somebody can only go on where it stands
  request.body["metadata"] = {{"door", call.request_type}};
  request.body["stream_mode"] = Json::array({call.request.stream ? "messages" : "custom"});
  if (const auto key = call.headers.get("idempotency-key")) request.idempotency_key = std::string(*key);
  turn->run = (co_await turn->world.runs.create(turn->caller, std::move(request))).run;
}

// The caller is gone, or the server stops and tells it to send the request again: no two runs of one request.
core::Task<> give_up(TurnPtr turn) {
  try {
    co_await turn->world.runs.cancel(turn->caller.reach, turn->run.id, CancelAction::Interrupt, false, {});
  } catch (const core::Error& error) {
    core::log::warn("agents.cancel_failed", {{"run", turn->run.id.str()}, {"error", error.what()}});
  }
}

core::Task<DoorAnswer> whole_answer(TurnPtr turn, SteadyClock::duration patience, std::stop_token stop) {
  std::optional<RunResult> result;
  try {
    result =
        co_await turn->world.runs.wait(turn->caller.reach, turn->run.id, SteadyClock::now() + patience, stop);
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::Unavailable) throw;
  }
  if (!result) {
    co_await give_up(turn);
    throw core::Error(core::ErrorKind::Unavailable, std::string(inference::kStoppingMessage));
  }
  turn->run = result->run;
  co_return answer_of(*turn->agent.graph, *result);
}

// ---- whole ----

inference::Reply reply_of(const ModelTurn& turn, const DoorAnswer& answer) {
  inference::Reply out;
  out.model = turn.call.request.model;
  out.created = core::to_epoch_seconds(turn.run.created_at);
  inference::Choice choice;
  choice.message.role = inference::Role::Assistant;
  choice.message.parts.push_back(inference::TextPart{.text = answer.text, .cache_control = nullptr});
  out.choices.push_back(std::move(choice));
  out.usage = usage_of(answer);
  return out;
}

Json response_body(const ModelTurn& turn, const DoorAnswer& answer) {
  auto echo = inference::response_echo(*turn.call.body);
  echo["aig"] = facts_of(turn, answer);
  inference::ResponseObject object(context_of(turn), std::move(echo));
  object.append_turn(reply_of(turn, answer));
  for (const auto& one : answer.waiting) {
    if (asks_for_approval(one)) object.append(approval_request(turn.agent.agent, one));
  }
  return object.finished();
}

Json reply_body(const ModelTurn& turn, const DoorAnswer& answer) {
  if (turn.call.dialect == DialectId::OpenAiResponses) return response_body(turn, answer);
  auto out = inference::dialect(turn.call.dialect).encode_reply(reply_of(turn, answer), context_of(turn));
  out["aig"] = facts_of(turn, answer);
  return out;
}

core::Task<core::HttpReply> whole_reply(TurnPtr turn) {
  core::HttpReply reply;
  std::optional<core::Error> failure;
  try {
    const auto answer = co_await whole_answer(turn, kWaitMax, turn->call.gone);
    reply = core::json_reply(200, core::dump_json(reply_body(*turn, answer)));
  } catch (const core::Error& error) {
    failure = error;
  }
  // What failed may have cost something, too, and names its run.
  if (failure) reply = inference::error_reply(turn->call.dialect, *failure, turn->call.request_id);
  add_headers(reply.headers, *turn);
  if (turn->run.is_over()) reply.headers.set("x-aig-cost-usd", core::format_usd(cost_of(turn->run)));
  co_return reply;
}

// ---- streamed ----

// A stream of one text, in the caller's dialect.
class AnswerWriter {
 public:
  explicit AnswerWriter(const ModelTurn& turn) : turn_(turn) {
    if (turn.call.dialect == DialectId::OpenAiResponses) {
      auto echo = inference::response_echo(*turn.call.body);
      echo["aig"] = facts_of(turn);
      auto made = std::make_unique<inference::ResponsesStreamEncoder>(context_of(turn), std::move(echo));
      made->keep_open(true);
      responses_ = made.get();
      encoder_ = std::move(made);
    } else {
      encoder_ = inference::dialect(turn.call.dialect).stream_encoder(context_of(turn));
    }
  }

  std::string begin() {
    const auto context = context_of(turn_);
    return encoder_->encode(inference::StreamStart{context.id, context.model, context.created, {}}) +
           encoder_->encode(
               inference::PartStart{0, inference::TextPart{.text = "", .cache_control = nullptr}});
  }
  std::string text(const std::string& text) {
    return text.empty() ? "" : encoder_->encode(inference::TextDelta{0, text});
  }
  std::string end(const DoorAnswer& answer) {
    auto out = encoder_->encode(inference::PartEnd{0}) + facts_chunk(answer) +
               encoder_->encode(inference::FinishEvent{}) +
               encoder_->encode(inference::UsageEvent{usage_of(answer)});
    // Google's client reads its stream by a pattern that knows no comments.
    if (turn_.call.dialect != DialectId::Gemini)
      out += ": x-aig-cost-usd " + core::format_usd(cost_of(answer)) + "\n\n";
    out += encoder_->encode(inference::StreamEnd{});
    if (responses_ == nullptr) return out;
    for (const auto& one : answer.waiting) {
      if (asks_for_approval(one)) out += responses_->add_item(approval_request(turn_.agent.agent, one));
    }
    return out + responses_->close();
  }
  std::string fail(const core::Error& error) {
    inference::Fault fault;
    fault.kind = error.kind() == core::ErrorKind::Unavailable ? inference::Fault::Kind::Overloaded
                                                              : inference::Fault::Kind::InvalidRequest;
    fault.message = error.message();
    fault.code = std::string(error.code());
    return responses_ != nullptr ? responses_->fail(fault) : encoder_->encode(inference::FaultEvent{fault});
  }
  std::string keep_alive() const { return encoder_->keep_alive(); }

 private:
  // As a chunk whose delta is empty: every client knows those.
  std::string facts_chunk(const DoorAnswer& answer) const {
    if (turn_.call.dialect != DialectId::OpenAiChat) return {};
    const auto context = context_of(turn_);
    const Json choice = {{"index", 0}, {"delta", Json::object()}, {"finish_reason", nullptr}};
    return core::sse_event(core::dump_json({{"id", context.id},
                                            {"object", "chat.completion.chunk"},
                                            {"created", context.created},
                                            {"model", context.model},
                                            {"choices", Json::array({choice})},
                                            {"aig", facts_of(turn_, answer)}}));
  }

  const ModelTurn& turn_;
  std::unique_ptr<inference::StreamEncoder> encoder_;
  inference::ResponsesStreamEncoder* responses_ = nullptr;  // the same, of Responses
};

// A thread may be deleted, and a run rolled back, while somebody reads: no event tells of that.
core::Task<bool> is_over(TurnPtr turn) {
  try {
    const auto run =
        co_await turn->world.run_rows.await_row(turn->caller.reach, turn->run.id, turn->call.gone);
    co_return run.is_over();
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::NotFound) throw;
  }
  throw core::not_found("The conversation was deleted, or this turn of it taken back, meanwhile.");
}

// Until the run's last event. False: nobody reads any more.
core::Task<bool> pump_answer(TurnPtr turn, EventFollower* follower, AnswerWriter* writer, AnswerStream* text,
                             std::shared_ptr<core::EventSink> sink) {
  bool ended = false;  // as its row says
  while (true) {
    const auto events =
        co_await follower->next(ended ? SteadyClock::duration(0) : kKeepAlive, turn->call.gone);
    if (turn->call.gone.stop_requested()) co_return false;
    if (events.empty() && ended) co_return true;
    std::string bytes = events.empty() ? writer->keep_alive() : "";
    bool over = false;
    for (const auto& logged : events) {
      bytes += writer->text(text->feed(logged.event));
      over = over || logged.event.method == "end";
    }
    if (!bytes.empty() && !co_await sink->write(std::move(bytes))) co_return false;
    if (over) co_return true;
    if (events.empty()) ended = co_await is_over(turn);
  }
}

core::Task<> stream_answer(TurnPtr turn, std::shared_ptr<EventFollower> follower,
                           std::shared_ptr<core::EventSink> sink) {
  AnswerWriter writer(*turn);
  AnswerStream text(*turn->agent.graph);
  std::optional<core::Error> failure;
  try {
    if (co_await sink->write(writer.begin()) &&
        co_await pump_answer(turn, follower.get(), &writer, &text, sink)) {
      const auto answer = co_await whole_answer(turn, kResultWait, {});
      co_await sink->write(writer.text(text.finish(answer.text)) + writer.end(answer));
      co_return;
    }
    failure.emplace(core::ErrorKind::Unavailable, std::string(inference::kStoppingMessage));
  } catch (const core::Error& error) {
    failure = error;
  }
  if (failure->kind() == core::ErrorKind::Unavailable) co_await give_up(turn);
  co_await sink->write(writer.fail(*failure));
}

core::Task<core::HttpReply> streamed_reply(TurnPtr turn) {
  std::shared_ptr<EventFollower> follower = co_await turn->world.events.follow(
      turn->caller.reach, turn->run.thread, turn->run.base_seq, turn->run.id);
  core::HttpReply reply;
  reply.headers.set("content-type", "text/event-stream");
  reply.headers.set("cache-control", "no-cache");
  reply.headers.set("x-accel-buffering", "no");
  add_headers(reply.headers, *turn);
  reply.stream = [turn, follower](std::shared_ptr<core::EventSink> sink) {
    return stream_answer(turn, follower, std::move(sink));
  };
  co_return reply;
}

}  // namespace

std::string response_id(RunId run, ThreadId thread) {
  return std::string(kResponsePrefix) + bare(run.str()) + bare(thread.str());
}

std::optional<ThreadId> thread_of_response(std::string_view response_id) {
  if (!response_id.starts_with(kResponsePrefix) ||
      response_id.size() != kResponsePrefix.size() + 2 * kIdDigits)
    return std::nullopt;
  return ThreadId::parse(dashed(response_id.substr(response_id.size() - kIdDigits)));
}

core::Task<core::HttpReply> answer_as_model(DoorWorld world, RunCaller caller,
                                            inference::InferenceCall call) {
  auto turn = std::make_shared<ModelTurn>(world, std::move(caller), std::move(call));
  co_await begin(turn);
  if (turn->call.request.stream) co_return co_await streamed_reply(turn);
  co_return co_await whole_reply(turn);
}

}  // namespace assistiv::agents
