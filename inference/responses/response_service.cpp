#include "inference/responses/response_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "inference/engine/error_reply.h"
#include "inference/engine/fact_headers.h"
#include "inference/openai_responses/stream_encoder.h"
#include "inference/providers/platform_targets.h"
#include "inference/responses/response_run.h"

namespace assistiv::inference {

namespace {

constexpr int kSweepRows = 1000;
constexpr int kSweepRounds = 1000;
constexpr std::size_t kToolTextMax = 256 << 10;  // of one MCP call's output

ResponseOwner owner_of(const oauth::Principal& principal) {
  return {principal.platform_id, principal.end_user_id};
}

core::Error no_response(const std::string& id) {
  return core::not_found("There is no stored response \"" + id.substr(0, 128) + "\".");
}

core::Json parse_arguments(const std::string& text) {
  auto arguments = core::try_parse_json(text.empty() ? "{}" : text);
  return arguments && arguments->is_object() ? std::move(*arguments) : core::Json();
}

Fault fault_of(const core::Error& error) {
  Fault fault;
  fault.kind = Fault::Kind::Upstream;
  if (error.kind() == core::ErrorKind::RateLimited) fault.kind = Fault::Kind::RateLimited;
  if (error.kind() == core::ErrorKind::Internal) fault.kind = Fault::Kind::Internal;
  fault.message = error.message();
  fault.code = error.code();
  return fault;
}

// What the model turns of one response have in common.
struct TurnSums {
  TurnFacts facts;
  void add(const TurnFacts& turn) {
    const auto cost = facts.cost + turn.cost;
    const int attempts = facts.attempts + turn.attempts;
    const auto overhead = facts.overhead + turn.overhead;
    auto dropped = facts.dropped;
    for (const auto& name : turn.dropped) {
      if (std::find(dropped.begin(), dropped.end(), name) == dropped.end()) dropped.push_back(name);
    }
    facts = turn;
    facts.cost = cost;
    facts.attempts = attempts;
    facts.overhead = overhead;
    facts.dropped = std::move(dropped);
  }
};

// The ids of the calls that a turn made, in order.
std::vector<ToolCallPart> calls_of(const Reply& reply) {
  std::vector<ToolCallPart> out;
  if (reply.choices.empty()) return out;
  for (const auto& part : reply.choices.front().message.parts) {
    if (const auto* call = std::get_if<ToolCallPart>(&part)) out.push_back(*call);
  }
  return out;
}

// Puts the calls of a stream together.
class CallCollector {
 public:
  void see(const StreamEvent& event) {
    if (const auto* start = std::get_if<PartStart>(&event)) {
      if (const auto* call = std::get_if<ToolCallPart>(&start->part)) open_[start->index] = *call;
    } else if (const auto* more = std::get_if<ArgumentsDelta>(&event)) {
      if (const auto it = open_.find(more->index); it != open_.end()) it->second.arguments += more->json;
    } else if (std::holds_alternative<FaultEvent>(event)) {
      failed_ = true;
    }
  }
  bool failed() const { return failed_; }
  std::vector<ToolCallPart> take() {
    std::vector<ToolCallPart> out;
    for (auto& [index, call] : open_) out.push_back(std::move(call));
    open_.clear();
    return out;
  }

 private:
  std::map<int, ToolCallPart> open_;
  bool failed_ = false;
};

// A stream that was opened, with all that must live as long as it.
struct LiveResponse {
  explicit LiveResponse(ResponseRun r) : run(std::move(r)) {}
  ResponseRun run;
  InferenceCall call;
  std::unique_ptr<ResponsesStreamEncoder> encoder;
  std::unique_ptr<TurnStream> turn;
  std::string first_bytes;
  TurnSums sums;
  int calls_left = 0;
};
using LivePtr = std::shared_ptr<LiveResponse>;

}  // namespace

struct ResponseService::Impl : std::enable_shared_from_this<ResponseService::Impl> {
  Impl(ResponseOptions o, ResponseWorld w) : options(o), world(w) {}

  const ResponseOptions options;
  ResponseWorld world;

  core::Task<> load_context(ResponseRun* run, ResponseOwner owner) {
    if (run->previous_id().empty()) co_return;
    const auto settings = co_await world.targets.settings(owner.platform_id);
    const auto retention = settings->response_retention;
    const auto id = run->previous_id();
    auto turns = co_await world.database.run(
        storage::Scope::tenant(owner.platform_id),
        [self = shared_from_this(), owner, id, retention](storage::Transaction& tx) {
          const ResponseStore store;
          const auto now = self->world.clock.now();
          auto out =
              store.chain(tx, owner, id, now, self->options.chain_turns_max, self->options.chain_bytes_max);
          if (out) store.keep(tx, owner, *out, now + retention / 2, now + retention);
          return out;
        });
    if (!turns) {
      throw core::bad_request("The conversation behind \"previous_response_id\" is too long to go on.",
                              "/previous_response_id");
    }
    if (turns->empty()) {
      throw core::not_found("The response \"" + id + "\" or one before it is not stored (any more).")
          .with_code("previous_response_not_found")
          .with_field("previous_response_id");
    }
    run->set_context(*turns);
  }

  static McpCaller caller_of(const InferenceCall& call) {
    McpCaller out;
    out.principal = call.principal;
    out.request_id = call.request_id;
    out.stop = call.gone;
    return out;
  }

  // The tools of each server that the conversation has not listed yet.
  using Listings = std::vector<std::pair<std::string, std::vector<McpServerTool>>>;
  core::Task<Listings> list_tools(ResponseRun* run, McpCaller caller) {
    Listings out;
    for (std::size_t i = 0; i < run->entries().size(); ++i) {
      const auto& server = run->entries()[i].server;
      auto tools = run->set_tools(i, co_await world.tools.list(caller, server));
      if (run->tool_count() > options.tools_max) {
        throw core::bad_request("The MCP servers offer too many tools: choose some with \"allowed_tools\".",
                                "/tools");
      }
      if (!run->listed(server.label)) out.emplace_back(server.label, std::move(tools));
    }
    co_return out;
  }

  core::Task<McpOutcome> run_tool(const ResponseRun* run, McpCaller caller, ResponseRun::Found found,
                                  std::string arguments, int* calls_left) {
    if (*calls_left <= 0) co_return McpOutcome{true, "The limit of tool calls of this response is reached."};
    --*calls_left;
    auto parsed = parse_arguments(arguments);
    if (parsed.is_null()) co_return McpOutcome{true, "The arguments are no JSON object."};
    auto outcome = co_await world.tools.call(std::move(caller), run->entries()[found.entry].server,
                                             found.tool, std::move(parsed));
    if (outcome.text.size() > kToolTextMax) outcome = {true, "The tool's output is too long."};
    co_return outcome;
  }

  // The next turn's call, in the canonical form.
  static InferenceCall turn_call(const InferenceCall& base, const ResponseRun& run,
                                 const core::Json& output) {
    InferenceCall out = base;
    out.raw.clear();
    out.request = openai_responses_dialect().decode_request(run.next_body(output));
    if (run.turns() > 0) {
      out.request_id += "-" + std::to_string(run.turns() + 1);
      out.started = std::chrono::steady_clock::now();
    }
    return out;
  }

  ReplyContext context_of(const ResponseRun& run) const {
    ReplyContext out;
    out.id = run.id();
    out.model = run.body().at("model").get<std::string>();
    out.created = core::to_epoch_seconds(world.clock.now());
    return out;
  }

  // True when it is stored. What cannot be stored is logged: the answer is there and paid for.
  core::Task<bool> remember(const ResponseRun* run, ResponseOwner owner, core::Json response) {
    if (!run->store()) co_return false;
    StoredResponse row;
    row.id = run->id();
    row.previous_id = run->previous_id();
    row.input_json = core::dump_json(run->input());
    row.response_json = core::dump_json(response);
    if (row.input_json.size() + row.response_json.size() > options.turn_bytes_max) {
      core::log::warn("response.too_large_to_store", {{"response_id", row.id}});
      co_return false;
    }
    try {
      const auto settings = co_await world.targets.settings(owner.platform_id);
      row.created_at = world.clock.now();
      row.expires_at = row.created_at + settings->response_retention;
      co_await world.database.run(
          storage::Scope::tenant(owner.platform_id),
          [owner, row](storage::Transaction& tx) { ResponseStore().insert(tx, owner, row); });
      co_return true;
    } catch (const core::Error& error) {
      core::log::error("response.not_stored", {{"response_id", row.id}, {"detail", error.detail()}});
      co_return false;
    }
  }

  // ---- whole replies ----

  static core::Json items_since(ResponseObject& object, std::size_t first) {
    core::Json out = core::Json::array();
    for (std::size_t i = first; i < object.size(); ++i) out.push_back(object.item(i));
    return out;
  }

  static bool waits_for_client(const core::Json& items) {
    return std::any_of(items.begin(), items.end(), [](const core::Json& item) {
      const auto type = text_member(item, "type");
      return type == "function_call" || type == "mcp_approval_request" || type == "custom_tool_call";
    });
  }

  core::Task<> answer_approvals(ResponseRun* run, ResponseObject* object, McpCaller caller, int* calls_left) {
    for (const auto& approval : run->approvals()) {
      if (!approval.approve) {
        run->deny(approval.request);
        continue;
      }
      const auto label = text_member(approval.request, "server_label");
      const auto name = text_member(approval.request, "name");
      const auto arguments = text_member(approval.request, "arguments");
      const auto found = run->find(label, name);
      McpOutcome outcome{true, "This tool is not offered any more."};
      if (found) outcome = co_await run_tool(run, caller, *found, arguments, calls_left);
      object->append({{"type", "mcp_call"},
                      {"id", object->next_id("mcp")},
                      {"status", outcome.is_error ? "failed" : "completed"},
                      {"approval_request_id", text_member(approval.request, "id")},
                      {"server_label", label},
                      {"name", name},
                      {"arguments", arguments},
                      {"output", outcome.is_error ? core::Json() : core::Json(outcome.text)},
                      {"error", outcome.is_error ? core::Json(outcome.text) : core::Json()}});
    }
  }

  // An error tells what the turns before it cost, too.
  core::Task<Turn> complete_turn(InferenceCall call, TurnSums* sums) {
    try {
      co_return co_await world.models.complete(std::move(call));
    } catch (TurnError& error) {
      sums->add(error.facts());
      throw std::move(error).with_facts(sums->facts);
    }
  }

  core::Task<core::HttpReply> whole(std::shared_ptr<ResponseRun> run, InferenceCall base) {
    ResponseObject object(context_of(*run), response_echo(run->body()));
    const McpLookup lookup = [run](std::string_view name) { return run->tool_of(name); };
    const auto caller = caller_of(base);
    for (const auto& [label, tools] : co_await list_tools(run.get(), caller)) {
      object.append({{"type", "mcp_list_tools"},
                     {"id", object.next_id("mcpl")},
                     {"server_label", label},
                     {"tools", listed_tools(tools)},
                     {"error", nullptr}});
    }
    int calls_left = run->tool_calls_max(options.tool_calls_max);
    co_await answer_approvals(run.get(), &object, caller, &calls_left);
    TurnSums sums;
    while (true) {
      auto turn = co_await complete_turn(turn_call(base, *run, items_since(object, 0)), &sums);
      run->turn_ended();
      sums.add(turn.facts);
      const auto first = object.size();
      object.append_turn(turn.reply, lookup);
      bool ran = false;
      for (const auto& call : calls_of(turn.reply)) {
        const auto found = run->find(call.name);
        if (!found || !object.mcp_call(call.id)) continue;
        ran = true;
        const auto outcome = co_await run_tool(run.get(), caller, *found, call.arguments, &calls_left);
        if (outcome.is_error) {
          object.end_mcp_call(call.id, std::nullopt,
                              outcome.text.empty() ? "The tool failed." : outcome.text);
        } else {
          object.end_mcp_call(call.id, outcome.text);
        }
      }
      if (!ran || waits_for_client(items_since(object, first)) || run->turns() >= options.turns_max) break;
    }
    auto response = object.finished();
    response["store"] = co_await remember(run.get(), owner_of(*base.principal), response);
    auto reply = core::json_reply(200, core::dump_json(response));
    add_fact_headers(reply.headers, sums.facts, true);
    co_return reply;
  }

  // ---- streams ----

  core::Task<std::string> begin_stream(LivePtr live) {
    const auto caller = caller_of(live->call);
    const auto listings = co_await list_tools(&live->run, caller);
    std::string out = live->encoder->start();
    for (const auto& [label, tools] : listings) {
      out += live->encoder->begin_list_tools(label);
      out += live->encoder->end_list_tools(listed_tools(tools));
    }
    for (const auto& approval : live->run.approvals()) {
      if (!approval.approve) {
        live->run.deny(approval.request);
        continue;
      }
      const auto id = text_member(approval.request, "id");
      const McpTool tool{text_member(approval.request, "server_label"), text_member(approval.request, "name"),
                         false};
      const auto arguments = text_member(approval.request, "arguments");
      out += live->encoder->begin_mcp_call(tool, id, arguments, id);
      const auto found = live->run.find(tool.server_label, tool.name);
      McpOutcome outcome{true, "This tool is not offered any more."};
      if (found) outcome = co_await run_tool(&live->run, caller, *found, arguments, &live->calls_left);
      out += end_call(*live, id, outcome);
    }
    co_return out;
  }

  static std::string end_call(LiveResponse& live, const std::string& call_id, const McpOutcome& outcome) {
    if (!outcome.is_error) return live.encoder->end_mcp_call(call_id, outcome.text);
    return live.encoder->end_mcp_call(call_id, std::nullopt,
                                      outcome.text.empty() ? "The tool failed." : outcome.text);
  }

  static core::Json output_of(const LiveResponse& live) {
    auto object = live.encoder->response();  // a copy: items are read by position
    return items_since(object, 0);
  }

  // One turn's events to the client; gives the calls that the turn made, nothing when the stream is over.
  core::Task<std::optional<std::vector<ToolCallPart>>> pump_turn(LivePtr live,
                                                                 std::shared_ptr<core::EventSink> sink) {
    CallCollector calls;
    while (true) {
      auto events = co_await live->turn->next(options.keep_alive);
      if (!events) {
        if (!co_await sink->write(live->encoder->keep_alive())) co_return std::nullopt;
        continue;
      }
      if (events->empty()) break;
      std::string bytes;
      for (const auto& event : *events) {
        calls.see(event);
        bytes += live->encoder->encode(event);
      }
      if (!bytes.empty() && !co_await sink->write(std::move(bytes))) co_return std::nullopt;
    }
    live->sums.add(live->turn->facts());
    live->turn.reset();
    live->run.turn_ended();
    if (calls.failed()) co_return std::nullopt;
    co_return calls.take();
  }

  // The calls of ours; false when none was.
  core::Task<bool> run_calls(LivePtr live, std::vector<ToolCallPart> calls,
                             std::shared_ptr<core::EventSink> sink) {
    bool ran = false;
    for (const auto& call : calls) {
      const auto found = live->run.find(call.name);
      if (!found || !live->encoder->response().mcp_call(call.id)) continue;
      ran = true;
      const auto outcome =
          co_await run_tool(&live->run, caller_of(live->call), *found, call.arguments, &live->calls_left);
      co_await sink->write(end_call(*live, call.id, outcome));
    }
    co_return ran;
  }

  core::Task<> stream_turns(LivePtr live, std::shared_ptr<core::EventSink> sink) {
    if (!co_await sink->write(std::move(live->first_bytes))) co_return;
    while (true) {
      const auto first = live->encoder->response().size();
      auto calls = co_await pump_turn(live, sink);
      if (!calls) co_return;
      const bool ran = co_await run_calls(live, std::move(*calls), sink);
      auto object = live->encoder->response();
      if (!ran || waits_for_client(items_since(object, first)) || live->run.turns() >= options.turns_max)
        break;
      live->turn = co_await world.models.open(turn_call(live->call, live->run, output_of(*live)));
    }
    co_await remember(&live->run, owner_of(*live->call.principal), live->encoder->response().finished());
    co_await sink->write(cost_comment(live->sums.facts.cost) + live->encoder->close());
  }

  static core::Task<> stream(std::shared_ptr<Impl> self, LivePtr live,
                             std::shared_ptr<core::EventSink> sink) {
    std::optional<Fault> fault;
    try {
      co_await self->stream_turns(live, sink);
    } catch (const core::Error& error) {
      const auto* turn = dynamic_cast<const TurnError*>(&error);
      if (turn != nullptr) live->sums.add(turn->facts());
      fault = turn != nullptr && turn->fault() ? *turn->fault() : fault_of(error);
      core::log::warn(
          "response.failed",
          {{"request_id", live->call.request_id}, {"error", error.what()}, {"detail", error.detail()}});
    }
    if (fault && !live->encoder->ended())
      co_await sink->write(cost_comment(live->sums.facts.cost) + live->encoder->fail(*fault));
  }

  core::Task<core::HttpReply> streamed(std::shared_ptr<ResponseRun> run, InferenceCall base) {
    auto live = std::make_shared<LiveResponse>(std::move(*run));
    live->call = std::move(base);
    live->calls_left = live->run.tool_calls_max(options.tool_calls_max);
    const McpLookup lookup = [run = &live->run](std::string_view name) { return run->tool_of(name); };
    live->encoder = std::make_unique<ResponsesStreamEncoder>(context_of(live->run),
                                                             response_echo(live->run.body()), lookup);
    live->encoder->keep_open(true);
    live->first_bytes = co_await begin_stream(live);
    // Before the reply's head: a refusal is a status, not an event.
    live->turn = co_await world.models.open(turn_call(live->call, live->run, output_of(*live)));
    core::HttpReply reply;
    reply.headers.set("content-type", "text/event-stream");
    reply.headers.set("cache-control", "no-cache");
    reply.headers.set("x-accel-buffering", "no");
    add_fact_headers(reply.headers, live->turn->facts(), false);
    reply.stream = [self = shared_from_this(), live](std::shared_ptr<core::EventSink> sink) {
      return stream(self, live, std::move(sink));
    };
    co_return reply;
  }

  core::Task<StoredResponse> find(oauth::PrincipalPtr principal, std::string id) {
    const auto owner = owner_of(*principal);
    auto row = co_await world.database.run(storage::Scope::tenant(owner.platform_id),
                                           [this, owner, id](storage::Transaction& tx) {
                                             return ResponseStore().get(tx, owner, id, world.clock.now());
                                           });
    if (!row) throw no_response(id);
    co_return std::move(*row);
  }
};

ResponseService::ResponseService(ResponseOptions options, ResponseWorld world)
    : impl_(std::make_shared<Impl>(options, world)) {}
ResponseService::~ResponseService() = default;

namespace {

// What this door does itself, and thus no provider has to: whatever becomes of it is no loss.
void take_door_members(Request& request, const core::Json& body) {
  for (const auto* path : {"/store", "/metadata", "/max_tool_calls", "/background"})
    take_extra(request, path);
  if (text_member(body, "truncation") == "disabled") take_extra(request, "/truncation");
}

core::HttpReply error_reply_of(const TurnError& error, const std::string& request_id) {
  const auto dialect = DialectId::OpenAiResponses;
  auto reply = error.fault() ? fault_reply(dialect, *error.fault(), error.retry_after())
                             : error_reply(dialect, error, request_id);
  add_fact_headers(reply.headers, error.facts(), true);
  return reply;
}

}  // namespace

core::Task<core::HttpReply> ResponseService::create(ResponseCall in) {
  const auto impl = impl_;
  const std::string id = "resp_" + core::random_hex(impl->world.random, 24);
  auto run = std::make_shared<ResponseRun>(id, in.body);
  if (run->stateless()) {
    in.call.request = openai_responses_dialect().decode_request(*in.body);
    take_door_members(in.call.request, *in.body);
    in.call.body = std::move(in.body);
    co_return co_await impl->world.models.run(std::move(in.call));
  }
  if (core::dump_json(run->input()).size() > impl->options.turn_bytes_max && run->store()) {
    throw core::bad_request("This input is too large to be remembered: send \"store\": false.", "/input");
  }
  const std::string request_id = in.call.request_id;
  try {
    co_await impl->load_context(run.get(), owner_of(*in.call.principal));
    if (run->stream()) co_return co_await impl->streamed(std::move(run), std::move(in.call));
    co_return co_await impl->whole(std::move(run), std::move(in.call));
  } catch (const TurnError& error) {
    co_return error_reply_of(error, request_id);
  }
}

core::Task<std::string> ResponseService::get(oauth::PrincipalPtr principal, std::string id) {
  const auto impl = impl_;
  co_return (co_await impl->find(std::move(principal), std::move(id))).response_json;
}

core::Task<> ResponseService::remove(oauth::PrincipalPtr principal, std::string id) {
  const auto impl = impl_;
  const auto owner = owner_of(*principal);
  const bool removed = co_await impl->world.database.run(
      storage::Scope::tenant(owner.platform_id),
      [owner, id](storage::Transaction& tx) { return ResponseStore().remove(tx, owner, id); });
  if (!removed) throw no_response(id);
}

core::Task<std::string> ResponseService::input_items(oauth::PrincipalPtr principal, std::string id,
                                                     InputItemsQuery query) {
  const auto impl = impl_;
  const auto row = co_await impl->find(std::move(principal), std::move(id));
  auto items = core::Json::parse(row.input_json);
  if (query.descending) std::reverse(items.begin(), items.end());
  core::Json page = core::Json::array();
  bool after = query.after.empty();
  bool more = false;
  for (auto& item : items) {
    if (after && page.size() >= static_cast<std::size_t>(query.limit)) {
      more = true;
      break;
    }
    if (after) {
      page.push_back(item);
    } else {
      after = text_member(item, "id") == query.after;
    }
  }
  core::Json out = {{"object", "list"}, {"has_more", more}};
  out["first_id"] = page.empty() ? core::Json() : page.front()["id"];
  out["last_id"] = page.empty() ? core::Json() : page.back()["id"];
  out["data"] = std::move(page);
  co_return core::dump_json(out);
}

core::Task<> ResponseService::sweep() {
  const auto impl = impl_;
  // System scope: rows of all tenants expire alike.
  for (int i = 0; i < kSweepRounds; ++i) {
    const auto swept =
        co_await impl->world.database.run(storage::Scope::system(), [impl](storage::Transaction& tx) {
          return ResponseStore().sweep(tx, impl->world.clock.now(), kSweepRows);
        });
    if (swept < kSweepRows) co_return;
  }
}

}  // namespace assistiv::inference
