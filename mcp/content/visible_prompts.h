#pragma once
// The prompts that one caller can use: of connected apps, with every tool that they need visible. Pure.
#include <string>
#include <vector>

#include "core/json.h"
#include "mcp/connectors/prompt.h"
#include "mcp/content/visible_apps.h"

namespace assistiv::mcp {

struct VisiblePrompt {
  const VisibleApp* app = nullptr;
  Prompt prompt;
  bool chooses_account() const { return app->own_accounts().size() > 1; }
};

// In the order of the apps and of their manifests. They point into `apps`.
std::vector<VisiblePrompt> visible_prompts(const VisibleApps& apps);
// As prompts/list shows it.
core::Json prompt_definition(const VisiblePrompt& prompt);
// What the argument can be, for completions.
std::vector<std::string> prompt_choices(const VisiblePrompt& prompt, const std::string& argument);

struct PromptText {
  std::string text;
  std::string fault;  // why there is none
};
// `arguments` as the client sent them.
PromptText render_prompt(const VisiblePrompt& prompt, const core::Json& arguments);

}  // namespace assistiv::mcp
