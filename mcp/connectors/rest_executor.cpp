#include "mcp/connectors/rest_executor.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "core/async.h"
#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/url_text.h"
#include "mcp/connectors/app_tools.h"
#include "mcp/connectors/cursor.h"
#include "mcp/connectors/failure.h"
#include "mcp/connectors/paging.h"
#include "mcp/connectors/request_builder.h"
#include "mcp/connectors/result.h"
#include "oauth/connect/provider_client.h"

namespace assistiv::mcp {

namespace {

using core::Json;
using std::chrono::milliseconds;

constexpr int kAttemptsMax = 4;  // of one request: a refresh, a redirect, waits
constexpr milliseconds kRetryPause{250};
constexpr std::int64_t kRateWarning = 100;    // fewer calls left than this are worth telling
constexpr std::size_t kEnvelopeBytes = 1200;  // what a result needs beside its items

// How to get what was left out of a result.
constexpr char kItemsCutNote[] =
    "Cut to the size limit. For the rest, call again with next_cursor as cursor; fields makes results "
    "smaller.";
constexpr char kItemCutNote[] = "Cut to the size limit. Ask for less with fields, or for a part at a time.";
constexpr char kCutNote[] = "Cut to the size limit.";

// A response that the API calls a success.
struct Answer {
  core::OutboundResponse response;
  Json body;  // null when there is none
};
using StepOutcome = std::variant<Answer, Failure>;

// One call from its arguments to its result. The tool belongs to the invocation's catalogue.
struct RestCall {
  RestCall(const Tool& t, ToolInvocation i) : tool(t), invocation(std::move(i)) {}

  const Tool& tool;
  ToolInvocation invocation;
  Bindings bindings;
  FieldChoice fields;
  std::int64_t limit = kLimitDefault;
  PageState page;
  CursorScope scope;
  AccessToken token;
  bool refreshed = false;
  std::int64_t refused_version = 0;
  milliseconds waited{0};
};
using RestCallPtr = std::shared_ptr<RestCall>;

// Looked up once for each app and outcome, of which there are few: the registry has a lock and builds the
// labels anew.
core::metrics::Histogram& upstream_seconds(const std::string& app, const std::string& outcome) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, std::string>, core::metrics::Histogram*> known;
  const std::lock_guard lock(mutex);
  auto& found = known[{app, outcome}];
  if (found == nullptr) {
    found =
        &core::metrics::histogram("assistiv_connector_call_seconds", "Time of tool calls at the upstream.",
                                  {{"app", app}, {"outcome", outcome}});
  }
  return *found;
}

const std::string& slot_of(const RestCall& call) {
  const Json& arguments = *call.invocation.arguments;
  for (const auto& [argument, slot] : call.tool.plan->slot_if) {
    const auto it = arguments.find(argument);
    if (it != arguments.end() && *it == true) return slot;
  }
  return call.tool.plan->slot;
}

CredentialRef credential_of(const RestCall& call) {
  const auto& invocation = call.invocation;
  return {invocation.platform_id, invocation.end_user_id, invocation.connection_id, slot_of(call)};
}

using Sent = std::variant<core::OutboundResponse, core::OutboundError>;

core::Task<Sent> send_once(core::HttpClient* http, core::OutboundRequest request) {
  try {
    co_return co_await http->send(std::move(request));
  } catch (const core::OutboundError& error) {
    co_return error;
  }
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 307 || status == 308;
}

// The address a safe request may be repeated at: another place at the same origin.
std::string redirect_target(const core::OutboundResponse& response, const std::string& url) {
  const std::string location(response.headers.get("location").value_or(""));
  const std::string origin = core::url_origin(url);
  if (location.starts_with("/") && !location.starts_with("//")) return origin + location;
  return location.starts_with(origin + "/") ? location : "";
}

Json read_response_body(const core::OutboundResponse& response) {
  return core::try_parse_json(response.body).value_or(Json());
}

bool is_unreadable(const core::OutboundResponse& response, const Json& body) {
  return response.status / 100 == 2 && !response.body.empty() && !body.is_structured();
}

// What a tool expects of its own is about its last step, which gives the result.
bool is_success(const ToolPlan& plan, const core::OutboundResponse& response, const Json& body, bool last) {
  const auto& api = *plan.api;
  const auto& codes = plan.success_codes;
  if (!codes.empty() && std::find(codes.begin(), codes.end(), upstream_code(api, body)) != codes.end())
    return true;
  if (!oauth::matches(last && plan.ok ? *plan.ok : api.ok, response.status, body)) return false;
  return !body.is_null() || response.body.empty();
}

std::optional<Failure> token_failure(const RestCall& call) {
  const Tool& tool = call.tool;
  const AccessToken& token = call.token;
  if (token.outcome == TokenOutcome::Ready) return {};
  if (token.outcome == TokenOutcome::Absent) {
    const auto& slot = slot_of(call);
    return slot == tool.plan->slot ? reauth_required(tool) : slot_missing(tool, slot);
  }
  if (token.outcome == TokenOutcome::NeedsReauth) return reauth_required(tool);
  const std::string& title = tool.plan->api->title;
  auto out =
      upstream_failure("The connection to " + title + " cannot be renewed right now. Try again later.");
  if (token.retry_after.count() > 0) out.retry_after = token.retry_after;
  return out;
}

Failure incomplete_answer(const Tool& tool, const std::string& name) {
  return upstream_failure(tool.plan->api->title + " gave an answer without what the next step needs (" +
                          name + ").");
}

bool is_passing(core::OutboundFailure failure) {
  return failure == core::OutboundFailure::ConnectFailed || failure == core::OutboundFailure::Broken;
}

// How long to wait before a safe request is sent again; empty when another attempt makes no sense.
std::optional<milliseconds> pause_before_retry(const Failure& failure, bool paused) {
  if (failure.code == FailureCode::RateLimited) return failure.retry_after;
  const int status = failure.status.value_or(0);
  if (paused || status < 502 || status > 504) return {};
  return std::max<milliseconds>(kRetryPause, failure.retry_after.value_or(std::chrono::seconds(0)));
}

void add_rate(const ApiPlan& api, const core::HttpHeaders& headers, core::Time now, Json& structured) {
  const auto rate = rate_state(api.rate, headers, now);
  if (!rate.remaining || *rate.remaining >= kRateWarning) return;
  structured["rate"]["remaining"] = *rate.remaining;
  if (rate.reset_at) structured["rate"]["reset_at"] = core::format_time(*rate.reset_at);
}

}  // namespace

struct RestExecutor::Impl {
  RestExecutorParts parts;
  CursorSeal cursors;
  RestExecutorOptions options;

  static const Tool& find_tool(const ToolInvocation& invocation) {
    const App* app = invocation.catalog->find_app(invocation.app);
    const Tool* tool = app == nullptr ? nullptr : app->find_tool(invocation.tool);
    if (tool == nullptr) throw core::internal("the tool " + invocation.tool + " is not in the catalogue");
    return *tool;
  }

  // Arguments into bindings, and where to go on. What is wrong with them is a failure.
  std::optional<Failure> prepare(RestCall& call) const;
  std::optional<PageState> first_page(const RestCall& call) const;
  core::Task<std::optional<Failure>> get_token(RestCallPtr call);
  core::Task<std::optional<Failure>> refresh(RestCallPtr call);
  core::Task<ToolExecution> run(RestCallPtr call);
  std::variant<core::OutboundRequest, Failure> build_step(const RestCall& call, const RequestPlan& plan,
                                                          const PageState* page) const;
  core::Task<StepOutcome> run_step(RestCallPtr call, const Step* step, bool last);
  core::Task<bool> wait_for(RestCallPtr call, milliseconds time);
  core::Task<ToolExecution> finish(RestCallPtr call, Answer answer);
  // Bytes of the results themselves.
  std::size_t room_of(const RestCall& call) const;
  Json result_of(const RestCall& call, const Answer& answer, std::size_t room) const;
  Json item_result(const RestCall& call, const Answer& answer, std::size_t room) const;
  Json items_result(const RestCall& call, const Answer& answer, std::size_t room) const;
  void add_cursor(const RestCall& call, const Answer& answer, const TakenItems& taken,
                  Json& structured) const;
};

RestExecutor::RestExecutor(RestExecutorParts parts, core::Secret cursor_key, RestExecutorOptions options) {
  if (!options.sleep) {
    options.sleep = [](milliseconds time, std::stop_token stop) {
      return core::sleep_for(time, std::move(stop));
    };
  }
  options.result_tokens_max = std::max(options.result_tokens_max, kResultTokensMin);
  impl_ = std::make_shared<Impl>(Impl{parts, CursorSeal(std::move(cursor_key)), std::move(options)});
}

RestExecutor::~RestExecutor() = default;

core::Task<ToolExecution> RestExecutor::execute(ToolInvocation invocation) {
  const auto impl = impl_;
  const Tool& tool = Impl::find_tool(invocation);
  const auto call = std::make_shared<RestCall>(tool, std::move(invocation));
  if (auto failure = impl->prepare(*call)) co_return failed(*failure);
  if (auto failure = co_await impl->get_token(call)) co_return failed(*failure);
  const auto begin = std::chrono::steady_clock::now();
  auto out = co_await impl->run(call);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  upstream_seconds(oauth::is_own_app(tool.app) ? "own" : tool.app, out.code.empty() ? "ok" : out.code)
      .observe(took.count());
  co_return out;
}

std::optional<PageState> RestExecutor::Impl::first_page(const RestCall& call) const {
  PageState state;
  state.size = std::min(call.limit, call.tool.plan->paginator->page_size_max);
  const auto cursor = call.invocation.arguments->find(kCursorArgument);
  if (cursor == call.invocation.arguments->end()) return state;
  return cursors.open(call.scope, cursor->get_ref<const std::string&>(), parts.clock.now());
}

std::optional<Failure> RestExecutor::Impl::prepare(RestCall& call) const {
  const Json& arguments = *call.invocation.arguments;
  if (const auto limit = arguments.find(kLimitArgument); limit != arguments.end()) {
    call.limit = limit->get<std::int64_t>();
  }
  if (const auto fields = arguments.find(kFieldsArgument); fields != arguments.end()) {
    for (const auto& field : *fields) call.fields.insert(field.get<std::string>());
  }
  if (call.tool.plan->paginator) {
    call.scope = {call.tool.name, call.invocation.connection_id.str(), arguments_digest(arguments)};
    const auto page = first_page(call);
    if (!page) {
      return invalid_arguments(
          "The cursor is not valid here: it works for a day, with the same tool, connection and arguments. "
          "Leave it out to start again.");
    }
    call.page = *page;
  }
  call.bindings = bind_arguments(*call.tool.plan, arguments, call.invocation.request_id);
  return {};
}

core::Task<std::optional<Failure>> RestExecutor::Impl::get_token(RestCallPtr call) {
  call->token = co_await parts.tokens.token(credential_of(*call));
  co_return token_failure(*call);
}

core::Task<std::optional<Failure>> RestExecutor::Impl::refresh(RestCallPtr call) {
  call->refreshed = true;
  call->refused_version = call->token.version;
  call->token = co_await parts.tokens.after_401(credential_of(*call), call->token.version);
  co_return token_failure(*call);
}

core::Task<bool> RestExecutor::Impl::wait_for(RestCallPtr call, milliseconds time) {
  if (call->waited + time > options.wait_max) co_return false;
  call->waited += time;
  co_await options.sleep(time, call->invocation.stop);
  co_return !call->invocation.stop.stop_requested();
}

core::Task<ToolExecution> RestExecutor::Impl::run(RestCallPtr call) {
  const auto& steps = call->tool.plan->steps;
  bool changed = false;  // by a step before
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const bool last = i + 1 == steps.size();
    if (!steps[i].unless.empty() && call->bindings.contains(steps[i].unless)) continue;
    auto outcome = co_await run_step(call, &steps[i], last);
    if (const auto* failure = std::get_if<Failure>(&outcome)) {
      core::log::info("connector.call_failed", {{"app", call->tool.app},
                                                {"tool", call->tool.name},
                                                {"failure", failure_code(failure->code)},
                                                {"status", failure->status.value_or(0)},
                                                {"request_id", call->invocation.request_id}});
      auto out = failed(*failure);
      if (changed) out.retry_after.reset();
      co_return out;
    }
    changed |= !steps[i].request.safe;
    auto& answer = std::get<Answer>(outcome);
    if (last) co_return co_await finish(call, std::move(answer));
    for (const auto& [name, pointer] : steps[i].take) {
      const Json* value = pointer.find_value(answer.body);
      if (value == nullptr) co_return failed(incomplete_answer(call->tool, name));
      call->bindings[name] = *value;
    }
  }
  throw core::internal("the tool " + call->tool.name + " has no step that gives a result");
}

std::variant<core::OutboundRequest, Failure> RestExecutor::Impl::build_step(const RestCall& call,
                                                                            const RequestPlan& plan,
                                                                            const PageState* page) const {
  auto built = build_request(*call.tool.plan, plan, call.bindings, page, call.token);
  if (auto* request = std::get_if<core::OutboundRequest>(&built)) {
    if (!call.invocation.traceparent.empty())
      request->headers.set("traceparent", call.invocation.traceparent);
    request->stop = call.invocation.stop;
  }
  return built;
}

core::Task<StepOutcome> RestExecutor::Impl::run_step(RestCallPtr call, const Step* step, bool last) {
  const auto& plan = *call->tool.plan;
  const bool safe = step->request.safe;
  const PageState* page = last && plan.paginator ? &call->page : nullptr;
  std::string moved_to;
  bool paused = false;
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    auto built = build_step(*call, step->request, page);
    if (auto* failure = std::get_if<Failure>(&built)) co_return std::move(*failure);
    auto request = std::get<core::OutboundRequest>(std::move(built));
    if (!moved_to.empty()) request.url = moved_to;
    const std::string url = request.url;
    auto sent = co_await send_once(&parts.http, std::move(request));
    if (const auto* error = std::get_if<core::OutboundError>(&sent)) {
      const bool again = !paused && (safe || !error->maybe_executed()) && is_passing(error->failure());
      paused = true;
      if (again && co_await wait_for(call, kRetryPause)) continue;
      co_return no_response(call->tool, *error, safe);
    }
    auto& response = std::get<core::OutboundResponse>(sent);
    if (safe && moved_to.empty() && is_redirect(response.status)) {
      moved_to = redirect_target(response, url);
      if (!moved_to.empty()) continue;
    }
    Json body = read_response_body(response);
    if (is_unreadable(response, body)) co_return unreadable(call->tool, response, safe);
    if (is_success(plan, response, body, last)) co_return Answer{std::move(response), std::move(body)};
    auto failure = classify(call->tool, response, body, safe, parts.clock.now());
    if (failure.code == FailureCode::ReauthRequired) {
      if (call->refreshed) {
        // A token that was not renewed because it is young may be refused for a passing reason.
        if (call->token.version != call->refused_version)
          co_await parts.tokens.rejected(credential_of(*call), call->token.version);
        co_return failure;
      }
      if (auto refused = co_await refresh(call)) co_return std::move(*refused);
      continue;
    }
    const auto pause = safe ? pause_before_retry(failure, paused) : std::nullopt;
    paused = true;
    if (pause && co_await wait_for(call, *pause)) continue;
    co_return failure;
  }
  co_return upstream_failure(call->tool.plan->api->title + " keeps refusing this call. Try again later.");
}

core::Task<ToolExecution> RestExecutor::Impl::finish(RestCallPtr call, Answer answer) {
  Json structured = result_of(*call, answer, room_of(*call));
  std::string link;
  if (structured.contains("truncated") && call->invocation.keep) {
    const Json whole = result_of(*call, answer, kKeptBytesMax - kEnvelopeBytes);
    if (const auto kept = co_await call->invocation.keep(core::dump_json(whole))) {
      structured["note"] = structured.value("note", "") + kept_note(*kept);
      if (call->invocation.resource_links) link = resource_link_json(*kept, call->tool.name);
    }
  }
  add_rate(*call->tool.plan->api, answer.response.headers, parts.clock.now(), structured);
  co_return succeeded(structured, answer.response.status, link);
}

Json RestExecutor::Impl::result_of(const RestCall& call, const Answer& answer, std::size_t room) const {
  const bool item = call.tool.plan->result.kind == ResultPlan::Kind::Item;
  return item ? item_result(call, answer, room) : items_result(call, answer, room);
}

std::size_t RestExecutor::Impl::room_of(const RestCall& call) const {
  const std::size_t asked = call.invocation.result_tokens_max;
  const std::size_t tokens = asked == 0
                                 ? options.result_tokens_max
                                 : std::min(options.result_tokens_max, std::max(asked, kResultTokensMin));
  return tokens * 4 - kEnvelopeBytes;
}

Json RestExecutor::Impl::item_result(const RestCall& call, const Answer& answer, std::size_t room) const {
  const auto& plan = call.tool.plan->result;
  static const Json kNothing;
  const Json* found = plan.at.find_value(answer.body);
  Json item = apply_shape(*plan.shape, found == nullptr ? kNothing : *found, call.bindings, call.fields);
  Json structured;
  if (shrink_to(item, room)) {
    structured["truncated"] = true;
    structured["note"] = call.tool.hints.read_only ? kItemCutNote : kCutNote;
  }
  structured["item"] = std::move(item);
  return structured;
}

Json RestExecutor::Impl::items_result(const RestCall& call, const Answer& answer, std::size_t room) const {
  const auto& plan = call.tool.plan->result;
  static const Json kNone = Json::array();
  const Json* found = plan.at.find_value(answer.body);
  const Json& page = found != nullptr && found->is_array() ? *found : kNone;
  Json structured = {{"items", Json::array()}};
  // Without paging there is no way to come back for the rest.
  const std::int64_t limit = call.tool.plan->paginator ? call.limit : INT64_MAX;
  const Window window{call.page.skip, limit, room};
  const auto taken = take_items(plan, page, call.bindings, call.fields, window, structured["items"]);
  if (taken.truncated) structured["truncated"] = true;
  const Json* total = plan.total ? plan.total->find_value(answer.body) : nullptr;
  if (total != nullptr && total->is_number_integer()) structured["total"] = *total;
  if (call.tool.plan->paginator) add_cursor(call, answer, taken, structured);
  if (taken.truncated) structured["note"] = structured.contains("next_cursor") ? kItemsCutNote : kItemCutNote;
  return structured;
}

void RestExecutor::Impl::add_cursor(const RestCall& call, const Answer& answer, const TakenItems& taken,
                                    Json& structured) const {
  std::optional<PageState> next;
  if (taken.used < taken.of) {
    next = call.page;
    next->skip = taken.used;
  } else {
    next = next_page(*call.tool.plan->paginator, call.page, taken.of, answer.response.headers, answer.body);
  }
  if (!next) return;
  structured["next_cursor"] = cursors.seal(call.scope, *next, parts.clock.now() + options.cursor_life);
}

}  // namespace assistiv::mcp
