#include "mcp/content/completion_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "core/json_read.h"
#include "mcp/connectors/catalog.h"
#include "mcp/content/visible_apps.h"
#include "mcp/content/visible_prompts.h"
#include "mcp/tools/tool_access.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr std::size_t kCompletionsMax = 100;  // 2025-11-25 "Completion": at most 100 values

struct CompletionQuestion {
  bool about_prompt = false;
  std::string of;        // the URI template, or the prompt's name
  std::string argument;  // its name
  std::string typed;
};

const std::string* member_text(const Json& object, const char* name) {
  const auto it = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || it == object.end() || !it->is_string()) return nullptr;
  return &it->get_ref<const std::string&>();
}

std::optional<CompletionQuestion> read_question(const Json& params) {
  const Json none;
  const auto member = [&](const char* name) -> const Json& {
    const auto it = params.is_object() ? params.find(name) : params.end();
    return params.is_object() && it != params.end() ? *it : none;
  };
  const std::string* type = member_text(member("ref"), "type");
  const std::string* argument = member_text(member("argument"), "name");
  const std::string* typed = member_text(member("argument"), "value");
  if (type == nullptr || argument == nullptr || typed == nullptr) return {};
  const bool prompt = *type == "ref/prompt";
  if (!prompt && *type != "ref/resource") return {};
  const std::string* of = member_text(member("ref"), prompt ? "name" : "uri");
  if (of == nullptr) return {};
  return CompletionQuestion{prompt, *of, *argument, *typed};
}

std::vector<std::string> names_for_template(const VisibleApps& apps, const CompletionQuestion& question) {
  std::vector<std::string> out;
  for (const auto& app : apps.apps) {
    if (question.of == "assistiv://apps/{app}" && question.argument == "app") {
      out.push_back(app.access->app->id);
    } else if (question.of == "assistiv://tools/{tool}" && question.argument == "tool") {
      for (const Tool* tool : app.tools) out.push_back(tool->name);
    } else if (question.of == "assistiv://connections/{connection_id}" &&
               question.argument == "connection_id") {
      for (const auto& account : app.own_accounts()) out.push_back(account.id.str());
    }
  }
  return out;
}

std::string lowered(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

// Those that begin with what was typed first, then those that have it inside.
Json ranked(const std::vector<std::string>& names, const std::string& typed, std::size_t& total) {
  const std::string wanted = lowered(typed);
  std::vector<std::string> first, inside;
  for (const auto& name : names) {
    const auto at = lowered(name).find(wanted);
    if (at == 0) first.push_back(name);
    if (at != 0 && at != std::string::npos) inside.push_back(name);
  }
  first.insert(first.end(), inside.begin(), inside.end());
  total = first.size();
  first.resize(std::min(first.size(), kCompletionsMax));
  return first;
}

}  // namespace

core::Task<ReadResult> CompletionService::complete(CallContext context, Json params) {
  ReadResult out;
  const auto question = read_question(params);
  if (!question) {
    out.outcome = ReadOutcome::InvalidArguments;
    out.message =
        "params must have \"ref\" (ref/prompt with a name, or ref/resource with a uri) and \"argument\".";
    co_return out;
  }
  const auto apps = visible_apps(co_await access_.get(context.principal), context);
  std::vector<std::string> names;
  if (!question->about_prompt) {
    names = names_for_template(apps, *question);
  } else {
    for (const auto& prompt : visible_prompts(apps)) {
      if (prompt.prompt.name == question->of) names = prompt_choices(prompt, question->argument);
    }
  }
  std::size_t total = 0;
  Json values = ranked(names, question->typed, total);
  const bool more = total > values.size();
  out.result_json =
      core::dump_json({{"completion", {{"values", std::move(values)}, {"total", total}, {"hasMore", more}}}});
  co_return out;
}

}  // namespace assistiv::mcp
