// Fixtures of the tasks extension (SEP-2663), and the one that is never a task.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/async.h"
#include "core/json_read.h"
#include "mcp/conformance/fixture_tool.h"
#include "mcp/protocol/fault.h"

namespace assistiv::mcp {

namespace {

using core::Json;
using Arguments = std::shared_ptr<const Json>;

constexpr std::string_view kNameSchema =
    R"({"type":"object","properties":{"name":{"type":"string"}},"required":["name"]})";
constexpr std::string_view kComputeSchema =
    R"({"type":"object","properties":{"seconds":{"type":"number"},"label":{"type":"string"}},"required":["seconds"]})";
constexpr std::string_view kFileSchema =
    R"({"type":"object","properties":{"filename":{"type":"string"}},"required":["filename"]})";
constexpr double kSecondsMax = 600;

// The turn of the task that comes after `wait`.
ToolCallResult later(std::chrono::milliseconds wait, std::string state) {
  ToolCallResult out;
  out.wait = ToolWait{.state = std::move(state), .after = wait};
  return out;
}

ToolCallResult task_required() {
  ToolCallResult out;
  out.outcome = ToolOutcome::TaskRequired;
  return out;
}

std::string text_of(const Arguments& arguments, const char* name) {
  const auto it = arguments->find(name);
  return it == arguments->end() || !it->is_string() ? std::string() : it->get<std::string>();
}

// The answers so far, "" for none of that key.
std::string action_of(const CallContext& context, const char* key) {
  if (!context.input_responses) return {};
  const auto it = context.input_responses->find(key);
  if (it == context.input_responses->end() || !it->is_object()) return {};
  const auto action = it->find("action");
  return action == it->end() || !action->is_string() ? std::string() : action->get<std::string>();
}

core::Task<ToolCallResult> greet(const FixtureTools*, CallContext, Arguments arguments) {
  co_return text_result("Hello, " + text_of(arguments, "name") + "!");
}

core::Task<ToolCallResult> slow_compute(const FixtureTools*, CallContext context, Arguments arguments) {
  const auto it = arguments->find("seconds");
  const double seconds = it == arguments->end() || !it->is_number() ? 0 : it->get<double>();
  const std::chrono::milliseconds time(
      static_cast<std::int64_t>(std::clamp(seconds, 0.0, kSecondsMax) * 1000));
  if (time.count() > 0 && !context.in_task) {
    if (context.client.tasks) co_return later(time, "computed");
    co_await core::sleep_for(time, context.stop);
  }
  co_return text_result("Computed: " + text_of(arguments, "label"));
}

core::Task<ToolCallResult> failing_job(const FixtureTools*, CallContext context, Arguments) {
  if (!context.client.tasks) co_return task_required();
  if (!context.in_task) co_return later(std::chrono::seconds(1), "failing");
  auto result = text_result("The job failed, as it always does.");
  result.outcome = ToolOutcome::ToolError;
  result.result_json.insert(result.result_json.size() - 1, R"(,"isError":true)");
  co_return result;
}

core::Task<ToolCallResult> protocol_error_job(const FixtureTools*, CallContext context, Arguments) {
  if (!context.client.tasks) co_return task_required();
  if (!context.in_task) co_return later(std::chrono::milliseconds(0), "failing");
  ToolCallResult result;
  result.outcome = ToolOutcome::ProtocolError;
  result.error_code = kInternalError;
  result.message = "The job met an error of the protocol, as it always does.";
  co_return result;
}

Json confirmation(std::string question) {
  return form_request(std::move(question), {{"confirm", {{"type", "boolean"}}}}, Json::array({"confirm"}));
}

core::Task<ToolCallResult> confirm_delete(const FixtureTools*, CallContext context, Arguments arguments) {
  if (!context.client.tasks) co_return task_required();
  if (!context.in_task) co_return later(std::chrono::milliseconds(0), "asking");
  const std::string file = text_of(arguments, "filename");
  const std::string action = action_of(context, "confirm");
  if (action.empty()) co_return ask_for({{"confirm", confirmation("Delete " + file + "?")}}, "asking");
  co_return text_result((action == "accept" ? "Deleted " : "Kept ") + file + ".");
}

core::Task<ToolCallResult> multi_input(const FixtureTools*, CallContext context, Arguments) {
  if (!context.client.tasks) co_return task_required();
  if (!context.in_task) co_return later(std::chrono::milliseconds(0), "asking");
  if (!action_of(context, "first").empty() && !action_of(context, "second").empty())
    co_return text_result("Both questions were answered.");
  co_return ask_for(
      {{"first", confirmation("The first question?")}, {"second", confirmation("The second question?")}},
      "asking");
}

core::Task<ToolCallResult> tool_with_task(const FixtureTools*, CallContext context, Arguments) {
  constexpr std::string_view kNamed = "named:";
  if (!context.client.tasks) co_return task_required();
  if (context.in_task) co_return text_result("Hello, " + context.input_state.substr(kNamed.size()) + "!");
  if (action_of(context, "user_name") == "accept") {
    const Json& given = context.input_responses->at("user_name");
    const auto content = given.find("content");
    if (content != given.end() && content->is_object() && content->value("name", Json()).is_string()) {
      co_return later(std::chrono::milliseconds(0),
                      std::string(kNamed) + content->at("name").get<std::string>());
    }
  }
  co_return ask_for({{"user_name", form_request("What is your name?", {{"name", {{"type", "string"}}}},
                                                Json::array({"name"}))}});
}

constexpr FixtureTool kTaskFixtures[] = {
    {"greet", "Greets at once", kNameSchema, greet},
    {"slow_compute", "Takes as long as it is told", kComputeSchema, slow_compute},
    {"failing_job", "A task whose tool fails", kNoArguments, failing_job},
    {"protocol_error_job", "A task that fails", kNoArguments, protocol_error_job},
    {"confirm_delete", "A task that asks once", kFileSchema, confirm_delete},
    {"multi_input", "A task that asks two things", kNoArguments, multi_input},
    {"test_tool_with_task", "Asks for a name, then goes on as a task", kNoArguments, tool_with_task},
};

}  // namespace

std::span<const FixtureTool> task_fixtures() {
  return kTaskFixtures;
}

}  // namespace assistiv::mcp
