#include "mcp/connectors/result.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "mcp/tools/tool_result.h"

namespace assistiv::mcp {

using core::Json;

namespace {

std::string lowercase_ascii(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

bool is_wanted(const ResultPlan& plan, const Json& item, const Bindings& bindings) {
  if (plan.leave_out && plan.leave_out->find_value(item) != nullptr) return false;
  const auto wanted = plan.match.empty() ? bindings.end() : bindings.find(plan.match);
  if (wanted == bindings.end() || !wanted->is_string()) return true;
  const Json* text = plan.match_at.find_value(item);
  return text != nullptr && text->is_string() &&
         lowercase_ascii(text->get<std::string>()).find(lowercase_ascii(wanted->get<std::string>())) !=
             std::string::npos;
}

}  // namespace

TakenItems take_items(const ResultPlan& plan, const Json& page, const Bindings& bindings,
                      const FieldChoice& choice, const Window& window, Json& items) {
  TakenItems out{window.skip, static_cast<std::int64_t>(page.size()), false};
  std::size_t room = window.bytes;
  for (; out.used < out.of && static_cast<std::int64_t>(items.size()) < window.limit; ++out.used) {
    const Json& raw = page[static_cast<std::size_t>(out.used)];
    if (!is_wanted(plan, raw, bindings)) continue;
    Json item = apply_shape(*plan.shape, raw, bindings, choice);
    std::size_t size = core::dump_json(item).size() + 1;
    if (size > room) {
      out.truncated = true;
      if (!items.empty()) break;
      shrink_to(item, room);
      size = room;
    }
    room -= size;
    items.push_back(std::move(item));
  }
  return out;
}

ToolExecution succeeded(const Json& structured, int upstream_status, const std::string& block_json) {
  ToolExecution out;
  const std::string text = core::dump_json(structured);
  out.result_json = structured_result_of(text, text, block_json);
  out.upstream_status = upstream_status;
  return out;
}

ToolExecution failed(const Failure& failure) {
  Json details = Json::object();
  if (failure.retry_after) details["retry_after_s"] = failure.retry_after->count();
  if (!failure.missing_scopes.empty()) details["missing_scopes"] = failure.missing_scopes;
  if (failure.outcome_unknown) details["outcome_unknown"] = true;
  ToolExecution out;
  out.outcome = failure.code == FailureCode::ReauthRequired ? ExecutionOutcome::NeedsReauth
                                                            : ExecutionOutcome::ToolError;
  out.code = failure_code(failure.code);
  out.result_json = error_result(out.code, failure.message, std::move(details));
  if (failure.code == FailureCode::RateLimited) out.retry_after = failure.retry_after;
  out.timed_out = failure.timed_out;
  out.outcome_unknown = failure.outcome_unknown;
  out.upstream_status = failure.status;
  return out;
}

}  // namespace assistiv::mcp
