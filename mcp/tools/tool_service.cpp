#include "mcp/tools/tool_service.h"

#include <exception>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "core/log.h"
#include "core/metrics.h"
#include "mcp/connectors/catalog.h"
#include "mcp/grants/approval_service.h"
#include "mcp/tools/accounts.h"
#include "mcp/tools/call_record.h"
#include "mcp/tools/call_wait.h"
#include "mcp/tools/connect_links.h"
#include "mcp/tools/connect_tool.h"
#include "mcp/tools/in_flight.h"
#include "mcp/tools/result_keeper.h"
#include "mcp/tools/tool_access.h"
#include "mcp/tools/tool_executor.h"
#include "mcp/tools/tool_result.h"
#include "mcp/tools/tool_search.h"
#include "mcp/tools/tool_selection.h"

namespace assistiv::mcp {

namespace {

ToolCallResult tool_error(std::string code, std::string message, core::Json details) {
  ToolCallResult out;
  out.outcome = ToolOutcome::ToolError;
  out.result_json = error_result(code, message, std::move(details));
  out.code = std::move(code);
  out.message = std::move(message);
  return out;
}

core::Json faults_json(const std::vector<SchemaFault>& faults) {
  core::Json out = core::Json::array();
  for (const auto& fault : faults) out.push_back({{"pointer", fault.pointer}, {"message", fault.message}});
  return out;
}

std::string_view rule_in_words(DecidedBy rule) {
  switch (rule) {
    case DecidedBy::PlatformPolicy:
      return "the platform's policy for this app";
    case DecidedBy::EndUserGrant:
      return "the rule for this user";
    case DecidedBy::KeyGrant:
      return "the rule for this key";
    case DecidedBy::Consent:
      return "what the user allowed this application";
    case DecidedBy::Default:
    case DecidedBy::AppInactive:
      break;
  }
  return "the platform";
}

RefusedCaller refused_caller(const oauth::Principal& principal) {
  return {principal.key_id, principal.end_user_id.value_or(core::EndUserId{})};
}

// The catalogue is open to every key, so this tells nobody more than they may know.
std::string not_activated(const CallContext& context, const std::string& app) {
  return "This platform has not activated the app \"" + app +
         "\". The platform does that with its key (sk-plat_...): POST /v1/platforms/" +
         context.principal->platform_id.str() + "/mcp/apps.";
}

std::string scopes_in_words(const std::vector<std::vector<std::string>>& any) {
  std::string out;
  for (const auto& set : any) {
    if (!out.empty()) out += " or ";
    for (std::size_t i = 0; i < set.size(); ++i) out += (i == 0 ? "\"" : " and \"") + set[i] + "\"";
  }
  return out;
}

}  // namespace

struct ToolService::Impl {
  Impl(ToolServiceParts p, ToolServiceOptions o)
      : parts(p), options(o), in_flight(o.calls_per_end_user_max), refusals(o.refusals) {}
  ToolServiceParts parts;
  ToolServiceOptions options;
  InFlight in_flight;
  RefusalLimit refusals;
  SelectionCache selections;

  // One call of one tool, with its audit entry. The caller holds on to this.
  core::Task<ToolCallResult> call_one(CallContext context, std::string name, core::Json arguments);
  // What the caller sees at this address.
  core::Task<std::shared_ptr<const ToolList>> whole_list(CallContext context) {
    const auto access = co_await parts.access.get(context.principal);
    if (!context.app) co_return access->all;
    const AppAccess* app = access->find(*context.app);
    if (app == nullptr) throw core::not_found(not_activated(context, *context.app));
    co_return app->tools;
  }
};

namespace {

CallEnd end_of(const ToolExecution& failed) {
  if (failed.timed_out) return CallEnd::TimedOut;
  return failed.code == "cancelled" ? CallEnd::Cancelled : CallEnd::ToolError;
}

CallEnd end_of(const std::exception& error) {
  const auto* ours = dynamic_cast<const core::Error*>(&error);
  if (ours == nullptr) return CallEnd::Failed;
  if (ours->kind() == core::ErrorKind::Cancelled) return CallEnd::Cancelled;
  return ours->kind() == core::ErrorKind::DeadlineExceeded ? CallEnd::TimedOut : CallEnd::Failed;
}

core::Task<std::optional<KeptLink>> keep_for(ResultKeeper* keeper, oauth::PrincipalPtr principal,
                                             core::ConnectionId connection, std::string tool,
                                             std::string text) {
  co_return co_await keeper->keep({std::move(principal), connection, std::move(tool), std::move(text)});
}

// One call on its way. Lives in the frame of ToolService::call.
class ToolCall {
 public:
  ToolCall(ToolServiceParts parts, const ToolServiceOptions& options, InFlight& in_flight,
           RefusalLimit& refusals, CallContext context, core::Json arguments,
           std::shared_ptr<CallRecord> record)
      : parts_(parts),
        options_(options),
        in_flight_(in_flight),
        refusals_(refusals),
        context_(std::move(context)),
        arguments_(std::move(arguments)),
        record_(std::move(record)) {}

  core::Task<ToolCallResult> run() {
    access_ = co_await parts_.access.get(context_.principal);
    if (record_->tool == kConnectTool && !context_.app && selected({kConnectTool, {}, {}, false}))
      co_return co_await connect();
    if (!resolve()) co_return unknown();
    if (record_->decision->verdict == Verdict::Deny) co_return denied();
    if (!choose_account()) co_return wrong_account();
    if (auto faults = tool_->input->check(arguments_); !faults.empty()) co_return invalid(std::move(faults));
    if (account_ == nullptr || account_->state != ConnectionState::Active) co_return co_await not_connected();
    if (!tool_->allowed_by(account_->scopes)) co_return co_await scope_missing();
    const auto seat = take_seat();  // before an approval is used up
    if (!seat) co_return app_is_busy();
    if (record_->decision->verdict == Verdict::Approval) {
      if (auto refused = co_await ask_approval()) co_return std::move(*refused);
    }
    co_return co_await execute();
  }

 private:
  bool selected(const ToolSelection::Traits& tool) {
    out_of_selection_ = context_.selection && !context_.selection->admits(tool);
    return !out_of_selection_;
  }

  bool resolve() {
    const Tool* found = access_->catalog->find_tool(record_->tool);
    if (found == nullptr || (context_.app && found->app != *context_.app)) return false;
    if (!selected({found->name, found->app, found->group, found->hints.read_only})) return false;
    tool_ = found;
    app_ = access_->find(tool_->app);
    if (app_ == nullptr) return false;
    record_->known = true;
    record_->app = tool_->app;
    record_->connection_id = app_->connection_id;
    record_->decision = app_->decisions[static_cast<std::size_t>(tool_ - app_->app->tools.data())];
    return true;
  }

  // Without a choice there is no such argument: the schema refuses it.
  bool choose_account() {
    const auto& accounts = app_->accounts;
    if (accounts.size() < 2) {
      account_ = accounts.empty() ? nullptr : &accounts.front();
      return true;
    }
    auto choice = take_account(accounts, arguments_, tool_->account_argument);
    account_ = choice.account;
    account_fault_ = std::move(choice.fault);
    if (account_ != nullptr) record_->connection_id = account_->id;
    return account_ != nullptr;
  }

  std::optional<InFlight::Seat> take_seat() {
    const bool remote = app_->app->kind == AppKind::Remote;
    return in_flight_.enter(context_.principal->platform_id, *context_.principal->end_user_id, tool_->app,
                            remote ? options_.calls_per_remote_app_max : options_.calls_per_app_max);
  }

  ToolCallResult app_is_busy() {
    auto out = refuse(CallEnd::TooMany, "rate_limited",
                      "Too many calls of this user are waiting for " + app_->app->title +
                          ". Wait for one of them to end, then retry; other apps can be used.",
                      {{"app", tool_->app}, {"retry_after_s", 1}});
    if (context_.in_task) out.wait = wait_for_seat(context_.input_state);
    return out;
  }

  ToolCallResult wrong_account() {
    return refuse(CallEnd::InvalidArguments, "validation", account_fault_,
                  {{"accounts", accounts_json(app_->accounts)}});
  }

  ToolCallResult unknown() {
    record_->end = CallEnd::Unknown;
    ToolCallResult out;
    out.outcome = ToolOutcome::Unknown;
    out.code = "unknown_tool";
    out.message = tool_ != nullptr && app_ == nullptr ? not_activated(context_, tool_->app)
                  : out_of_selection_ ? "This tool is not among those that this session was opened with."
                                      : "There is no tool of this name for this caller.";
    return out;
  }

  ToolCallResult refuse(CallEnd end, std::string code, std::string message, core::Json details) {
    record_->end = end;
    record_->code = code;
    return tool_error(std::move(code), std::move(message), std::move(details));
  }

  ToolCallResult denied() {
    const DecidedBy rule = record_->decision->rule;
    return refuse(CallEnd::Denied, "denied",
                  record_->tool + " is not allowed: denied by " + std::string(rule_in_words(rule)) + " (" +
                      std::string(decided_by_name(rule)) +
                      "). Only the platform can change that; do not retry.",
                  {{"tool", record_->tool}, {"rule", decided_by_name(rule)}});
  }

  ToolCallResult invalid(std::vector<SchemaFault> faults) {
    return refuse(CallEnd::InvalidArguments, "validation",
                  "The arguments of " + record_->tool + " are not valid: " + describe(faults) + ".",
                  {{"faults", faults_json(faults)}});
  }

  // Asks for a link to connect the app. None when there cannot be one now; the reason is logged.
  core::Task<std::optional<ConnectLink>> link(const AppAccess* app,
                                              std::optional<core::ConnectionId> repair) {
    try {
      co_return co_await parts_.links.create(context_.principal, app->app->id, context_.request_id, repair);
    } catch (const core::Error& e) {
      core::log::warn("connect.no_link", {{"app", app->app->id},
                                          {"error", e.what()},
                                          {"detail", e.detail()},
                                          {"request_id", context_.request_id}});
    }
    co_return std::nullopt;
  }

  // A refusal whose remedy is to connect: `why` is followed by the link.
  core::Task<ToolCallResult> to_connect(CallEnd end, std::string code, std::string why, core::Json details) {
    // The call is turned away below; a link would be a row that nobody gets.
    if (refusals_.exhausted(refused_caller(*context_.principal), record_->started))
      co_return refuse(end, std::move(code), why, std::move(details));
    details["app"] = app_->app->id;
    if (!app_->by_link()) {
      co_return refuse(end, std::move(code),
                       why + " Only the platform can connect it for the user: say so to them.",
                       std::move(details));
    }
    // The same account again: another one would be a connection of its own, and this one would stay as it is.
    const auto connect =
        co_await link(app_, account_ == nullptr ? std::nullopt : std::optional(account_->id));
    if (!connect) {
      co_return refuse(end, std::move(code),
                       why + " No connect link can be made right now; the platform can give the user one.",
                       std::move(details));
    }
    details["connect_url"] = connect->url;
    details["expires_at"] = core::format_time(connect->expires_at);
    auto out = refuse(
        end, std::move(code),
        why + " Ask the user to open this link in a browser, then call the tool again: " + connect->url,
        std::move(details));
    out.outcome = ToolOutcome::NotConnected;
    out.connect_url = connect->url;
    co_return out;
  }

  std::string account_in_words() const {
    const std::string& title = app_->app->title;
    return app_->accounts.size() < 2 ? title : title + " (account " + core::dump_json(account_->label) + ")";
  }

  core::Task<ToolCallResult> not_connected() {
    if (account_ != nullptr && account_->state == ConnectionState::NeedsReauth) return reauth();
    return to_connect(CallEnd::NotConnected, "not_connected", app_->app->title + " is not connected yet.",
                      core::Json::object());
  }

  core::Task<ToolCallResult> reauth() {
    return to_connect(CallEnd::NeedsReauth, "reauth_required",
                      "The connection to " + account_in_words() + " has ended and must be renewed.",
                      core::Json::object());
  }

  // Not a case of ToolOutcome::NotConnected: when the platform does not ask for the scope, connecting again
  // gives the same connection, and a client that opens the link by itself would go round in circles.
  core::Task<ToolCallResult> scope_missing() {
    core::Json details = {{"scopes_any", tool_->scopes_any}, {"granted", account_->scopes}};
    auto out = co_await to_connect(
        CallEnd::ScopeMissing, "scope_missing",
        "The connection to " + account_in_words() + " lacks the scope " + scopes_in_words(tool_->scopes_any) +
            ", which this tool needs. If the platform asks for that scope, connecting again grants it.",
        std::move(details));
    out.outcome = ToolOutcome::ToolError;
    co_return out;
  }

  // The app itself asks for more, and the link asks the end user for that.
  core::Task<ToolCallResult> step_up(std::vector<std::string> scopes) {
    core::Json details = {{"missing_scopes", scopes}};
    return to_connect(CallEnd::ScopeMissing, "scope_missing",
                      app_->app->title + " wants " + scopes_in_words({std::move(scopes)}) +
                          " for this, which the connection to " + account_in_words() + " does not have.",
                      std::move(details));
  }

  // None: an approval was used up, go on.
  core::Task<std::optional<ToolCallResult>> ask_approval() {
    if (const auto stage = context_.in_task ? read_stage(context_.input_state) : std::nullopt) {
      record_->approval_id = stage->approval;
      if (stage->used) co_return std::nullopt;
      const auto known = co_await find_approval(stage->approval);
      if (!known || known->status == ApprovalStatus::Expired) co_return approval_expired();
      if (known->status == ApprovalStatus::Pending) co_return approval_pending(*known);
      if (known->status == ApprovalStatus::Denied) co_return approval_denied(*known);
      // The turn before this one used it and died; a tool that only reads may be asked again.
      if (known->status == ApprovalStatus::Used && context_.resumed && tool_->hints.read_only)
        co_return std::nullopt;
    }
    Approval approval;
    try {
      approval =
          co_await parts_.approvals.claim({context_.principal, account_->id, tool_->app, tool_->name,
                                           tool_->risk, canonical_json(arguments_), context_.request_id});
    } catch (const core::Error& e) {
      if (e.kind() != core::ErrorKind::RateLimited && e.kind() != core::ErrorKind::PayloadTooLarge) throw;
      co_return refuse(CallEnd::TooMany, std::string(e.code()), e.message(), core::Json::object());
    }
    record_->approval_id = approval.id;
    if (approval.status == ApprovalStatus::Used) co_return std::nullopt;
    co_return approval.status == ApprovalStatus::Denied ? approval_denied(approval)
                                                        : approval_pending(approval);
  }

  core::Task<std::optional<Approval>> find_approval(core::ApprovalId id) {
    try {
      co_return co_await parts_.approvals.get(context_.principal->platform_id, id);
    } catch (const core::Error& e) {
      if (e.kind() != core::ErrorKind::NotFound) throw;
    }
    co_return std::nullopt;
  }

  ToolCallResult approval_expired() {
    return refuse(
        CallEnd::ApprovalRequired, "approval_expired",
        "Nobody decided on this call of " + record_->tool + " in time. Ask the user before you repeat it.",
        core::Json::object());
  }

  core::Json approval_details_of(const Approval& approval) {
    return {{"approval_id", approval.id.str()},
            {"status", approval_status_name(approval.status)},
            {"expires_at", core::format_time(approval.expires_at)},
            {"rule", decided_by_name(record_->decision->rule)}};
  }

  ToolCallResult approval_pending(const Approval& approval) {
    auto out = refuse(
        CallEnd::ApprovalRequired, "approval_required",
        record_->tool + " waits for an approval (" + approval.id.str() + ", until " +
            core::format_time(approval.expires_at) +
            "). Tell the user. When it is approved, call the tool again with exactly the same arguments.",
        approval_details_of(approval));
    out.wait = wait_for_approval(approval);
    return out;
  }

  ToolCallResult approval_denied(const Approval& approval) {
    core::Json details = approval_details_of(approval);
    details["reason"] = approval.reason;
    return refuse(CallEnd::ApprovalRequired, "approval_denied",
                  "This call of " + record_->tool + " was denied" +
                      (approval.reason.empty() ? std::string(".") : ": " + approval.reason) +
                      " Do not retry it; tell the user.",
                  std::move(details));
  }

  core::Task<ToolCallResult> execute() {
    const bool repeatable = tool_->hints.read_only || (tool_->hints.idempotent && !record_->approval_id);
    if (!repeatable && context_.before_act) co_await context_.before_act();
    if (tool_->risk != Risk::Read) co_await CallRecord::write_intent(record_, &parts_.audit);
    record_->executed = true;
    ToolExecution execution = co_await parts_.executor.execute(
        {.platform_id = context_.principal->platform_id,
         .end_user_id = *context_.principal->end_user_id,
         .connection_id = account_->id,
         .catalog = access_->catalog,
         .app = tool_->app,
         .tool = tool_->name,
         .arguments = std::make_shared<const core::Json>(std::move(arguments_)),
         .request_id = context_.request_id,
         .traceparent = context_.traceparent,
         .result_tokens_max = context_.selection ? context_.selection->result_tokens_max : 0,
         .keep = keep(),
         .resource_links = context_.resource_links,
         .stop = context_.stop,
         .progress = context_.progress});
    record_->upstream_status = execution.upstream_status;
    if (execution.outcome == ExecutionOutcome::NeedsReauth) co_return co_await reauth();
    if (!execution.scopes_wanted.empty()) co_return co_await step_up(std::move(execution.scopes_wanted));
    const bool done = execution.outcome == ExecutionOutcome::Done;
    record_->end = done ? CallEnd::Done : end_of(execution);
    record_->code = execution.code;
    ToolCallResult out;
    out.outcome = done ? ToolOutcome::Done : ToolOutcome::ToolError;
    out.result_json = std::move(execution.result_json);
    out.code = std::move(execution.code);
    out.outcome_unknown = execution.outcome_unknown;
    if (execution.retry_after)
      out.wait = wait_for_upstream(*app_->app, *execution.retry_after, record_->approval_id);
    co_return out;
  }

  KeepResult keep() const {
    if (parts_.keeper == nullptr || !context_.keep_results) return {};
    return std::bind_front(keep_for, parts_.keeper, context_.principal, account_->id, tool_->name);
  }

  core::Task<ToolCallResult> connect() {
    record_->known = true;
    if (auto faults = connect_tool_input().check(arguments_); !faults.empty())
      co_return invalid(std::move(faults));
    const ConnectChoice choice = choose_app(*access_, arguments_);
    if (choice.fault) {
      co_return refuse(CallEnd::InvalidArguments, "validation", *choice.fault, core::Json::object());
    }
    record_->executed = true;
    std::optional<ConnectLink> made;
    if (choice.app != nullptr && choice.app->state != ConnectionState::Active) {
      const bool ended = choice.app->state == ConnectionState::NeedsReauth;
      made = co_await link(choice.app, ended ? choice.app->connection_id : std::nullopt);
      if (!made) {
        co_return refuse(
            CallEnd::ToolError, "unavailable",
            "No link can be made for " + choice.app->app->title + " right now; ask the platform for one.",
            {{"app", choice.app->app->id}});
      }
    }
    record_->end = CallEnd::Done;
    ToolCallResult out;
    out.result_json = connect_result(*access_, choice.app, made);
    co_return out;
  }

  ToolServiceParts parts_;
  const ToolServiceOptions& options_;
  InFlight& in_flight_;
  RefusalLimit& refusals_;
  CallContext context_;
  core::Json arguments_;
  std::shared_ptr<CallRecord> record_;
  std::shared_ptr<const AccessSnapshot> access_;
  const AppAccess* app_ = nullptr;
  const Tool* tool_ = nullptr;
  const Account* account_ = nullptr;  // none: not connected
  std::string account_fault_;
  bool out_of_selection_ = false;
};

ToolCallResult too_many_refusals(std::chrono::seconds retry_after) {
  static auto& turned_away =
      core::metrics::counter("assistiv_tool_refusals_turned_away_total",
                             "Refused tool calls that left no audit entry of their own.");
  turned_away.add();
  return tool_error("rate_limited",
                    "Too many calls with this key were refused. Read what the refusals said, and wait before "
                    "another try.",
                    {{"retry_after_s", retry_after.count()}});
}

// Among the tools that the platform could have, also those of apps that this caller cannot use.
bool any_tool(const Catalog& catalog, const std::function<bool(const ToolSelection::Traits&)>& is_it) {
  for (const auto& app : catalog.apps()) {
    for (const auto& tool : app->tools) {
      if (is_it({tool.name, tool.app, tool.group, tool.hints.read_only})) return true;
    }
  }
  return false;
}

std::vector<std::string> unknown_in(const Catalog& catalog, const ToolSelection& selection) {
  std::vector<std::string> out;
  for (const auto& name : selection.tools) {
    const auto is_it = [&name](const ToolSelection::Traits& tool) { return tool.name == name; };
    if (name != kConnectTool && !any_tool(catalog, is_it)) out.push_back(name);
  }
  for (const auto& name : selection.toolsets) {
    const ToolSelection only{.toolsets = {name}};
    const auto is_in = [&only](const ToolSelection::Traits& tool) {
      return !tool.app.empty() && only.admits(tool);
    };
    if (!any_tool(catalog, is_in)) out.push_back(name);
  }
  return out;
}

void require_end_user(const CallContext& context) {
  if (!context.principal || !context.principal->end_user_id) {
    throw core::forbidden("Tools are called with an end user's key (sk-eu_...).");
  }
}

}  // namespace

ToolService::ToolService(ToolServiceParts parts, ToolServiceOptions options)
    : impl_(std::make_shared<Impl>(parts, options)) {}
ToolService::~ToolService() = default;

core::Task<std::shared_ptr<const ToolList>> ToolService::list(CallContext context) {
  const auto impl = impl_;
  require_end_user(context);
  const auto selection = context.selection;
  auto whole = co_await impl->whole_list(std::move(context));
  if (!selection) co_return whole;
  co_return impl->selections.get(whole, selection)->listed;
}

core::Task<std::vector<std::string>> ToolService::unknown_names(CallContext context) {
  const auto impl = impl_;
  require_end_user(context);
  const auto access = co_await impl->parts.access.get(context.principal);
  co_return unknown_in(*access->catalog, *context.selection);
}

core::Task<ToolCallResult> ToolService::call(CallContext context, std::string name, core::Json arguments) {
  const auto impl = impl_;
  require_end_user(context);
  if (arguments.is_null()) arguments = core::Json::object();
  if (context.selection && context.selection->search && is_search_mode_tool(name)) {
    if (name != kCallTool) {
      const auto selection = context.selection;
      const auto whole = co_await impl->whole_list(std::move(context));
      co_return run_search_tool(*impl->selections.get(whole, selection), name, arguments);
    }
    ForwardedCall forwarded = forwarded_call(arguments);
    if (!forwarded.fault.empty())
      co_return tool_error("validation", std::move(forwarded.fault), core::Json::object());
    name = std::move(forwarded.name);
    arguments = std::move(forwarded.arguments);
  }
  co_return co_await impl->call_one(std::move(context), std::move(name), std::move(arguments));
}

core::Task<ToolCallResult> ToolService::Impl::call_one(CallContext context, std::string name,
                                                       core::Json arguments) {
  const auto record = std::make_shared<CallRecord>(context, std::move(name), arguments);
  const bool in_task = context.in_task;
  std::string state = context.input_state;
  const auto seat = in_flight.enter(context.principal->platform_id, *context.principal->end_user_id);
  ToolCallResult result;
  std::exception_ptr error;
  if (seat) {
    ToolCall one(parts, options, in_flight, refusals, std::move(context), std::move(arguments), record);
    try {
      result = co_await one.run();
    } catch (const std::exception& e) {
      error = std::current_exception();
      record->end = end_of(e);
    }
  } else {
    record->end = CallEnd::TooMany;
    record->code = "rate_limited";
    result = tool_error("rate_limited",
                        "Too many calls of this user are running. Wait for one of them to end, then retry.",
                        {{"retry_after_s", 1}});
    if (in_task) result.wait = wait_for_seat(std::move(state));
  }
  // A task's turns are as many as its waits, and its first call was counted.
  if (!record->executed && !error && !in_task) {
    const auto turned_away = refusals.take(refused_caller(*record->principal), record->started);
    if (!turned_away) co_return too_many_refusals(refusals.retry_after());
    record->unrecorded = *turned_away;
  }
  co_await CallRecord::write(record, &parts.audit);
  if (error) std::rethrow_exception(error);
  co_return result;
}

}  // namespace assistiv::mcp
