#include "mcp/content/visible_prompts.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "mcp/connectors/catalog.h"

namespace assistiv::mcp {

namespace {

using core::Json;

std::string shown_label(const Account& account) {
  return account.label.empty() ? account.account_id : account.label;
}

// What is wrong with one argument; "" when nothing is.
std::string argument_fault(const VisiblePrompt& visible, const std::string& name, const Json& value) {
  if (name == kAccountArgument && visible.chooses_account()) return "";
  const PromptArgument* argument = visible.prompt.find_argument(name);
  if (argument == nullptr) return "There is no argument \"" + name + "\".";
  if (!value.is_string()) return "The argument \"" + name + "\" must be a string.";
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > kPromptTextMax) return "The argument \"" + name + "\" is too long.";
  if (argument->required && text.empty()) return "The argument \"" + name + "\" must not be empty.";
  const auto& values = argument->values;
  if (values.empty() || std::find(values.begin(), values.end(), text) != values.end()) return "";
  std::string choices;
  for (const auto& choice : values) choices += (choices.empty() ? "" : ", ") + choice;
  return "The argument \"" + name + "\" must be one of: " + choices + ".";
}

}  // namespace

std::vector<VisiblePrompt> visible_prompts(const VisibleApps& apps) {
  std::vector<VisiblePrompt> out;
  for (const auto& app : apps.apps) {
    if (app.access->state == ConnectionState::None) continue;
    for (auto& prompt : prompts_of(*app.access->app)) {
      const bool usable = std::all_of(prompt.tools.begin(), prompt.tools.end(),
                                      [&app](const std::string& tool) { return app.find(tool) != nullptr; });
      if (usable) out.push_back({&app, std::move(prompt)});
    }
  }
  return out;
}

Json prompt_definition(const VisiblePrompt& visible) {
  const Prompt& prompt = visible.prompt;
  Json arguments = Json::array();
  for (const auto& argument : prompt.arguments) {
    arguments.push_back(
        {{"name", argument.name}, {"description", argument.description}, {"required", argument.required}});
  }
  if (visible.chooses_account()) {
    arguments.push_back({{"name", kAccountArgument},
                         {"description", "Which connected account to use; the default one without it."},
                         {"required", false}});
  }
  return {{"name", prompt.name},
          {"title", prompt.title},
          {"description", prompt.description},
          {"arguments", std::move(arguments)}};
}

std::vector<std::string> prompt_choices(const VisiblePrompt& visible, const std::string& argument) {
  std::vector<std::string> out;
  if (argument == kAccountArgument && visible.chooses_account()) {
    for (const auto& account : visible.app->own_accounts()) out.push_back(shown_label(account));
  } else if (const PromptArgument* found = visible.prompt.find_argument(argument)) {
    out = found->values;
  }
  return out;
}

PromptText render_prompt(const VisiblePrompt& visible, const Json& given) {
  Json arguments = given.is_object() ? given : Json::object();
  for (const auto& [name, value] : arguments.items()) {
    if (auto fault = argument_fault(visible, name, value); !fault.empty()) return {{}, std::move(fault)};
  }
  for (const auto& argument : visible.prompt.arguments) {
    if (argument.required && !arguments.contains(argument.name))
      return {{}, "The argument \"" + argument.name + "\" is required."};
  }
  PromptText out;
  std::string account;
  if (arguments.contains(kAccountArgument)) {
    const auto choice = take_account(visible.app->own_accounts(), arguments, kAccountArgument);
    if (choice.account == nullptr) return {{}, choice.fault};
    account = shown_label(*choice.account);
  }
  for (const auto& line : visible.prompt.lines) {
    const auto text = line.render(arguments);
    if (text) out.text += (out.text.empty() ? "" : "\n") + *text;
  }
  if (!account.empty())
    out.text += "\nGive the tools of " + visible.app->access->app->title + " the account " + account + ".";
  return out;
}

}  // namespace assistiv::mcp
