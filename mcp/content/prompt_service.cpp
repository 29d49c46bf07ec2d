#include "mcp/content/prompt_service.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/encoding.h"
#include "core/json_read.h"
#include "mcp/connectors/catalog.h"
#include "mcp/content/visible_prompts.h"
#include "mcp/tools/icon.h"
#include "mcp/tools/tool_access.h"

namespace assistiv::mcp {

core::Task<DefinitionListPtr> PromptService::list(CallContext context) {
  const auto apps = visible_apps(co_await access_.get(context.principal), context);
  auto out = std::make_shared<DefinitionList>();
  std::string content;
  for (const auto& prompt : visible_prompts(apps)) {
    auto definition = prompt_definition(prompt);
    if (context.icons) definition = with_icons(std::move(definition), prompt.app->access->app->icons_json);
    content += out->items.emplace_back(core::dump_json(definition)) + "\n";
  }
  out->etag = core::sha256_hex(content).substr(0, 32);
  co_return out;
}

core::Task<ReadResult> PromptService::get(CallContext context, std::string name, core::Json arguments) {
  const auto apps = visible_apps(co_await access_.get(context.principal), context);
  ReadResult out;
  for (const auto& visible : visible_prompts(apps)) {
    if (visible.prompt.name != name) continue;
    auto rendered = render_prompt(visible, arguments);
    if (!rendered.fault.empty()) {
      out.outcome = ReadOutcome::InvalidArguments;
      out.message = std::move(rendered.fault);
      co_return out;
    }
    const core::Json content = {{"type", "text"}, {"text", std::move(rendered.text)}};
    out.result_json =
        core::dump_json({{"description", visible.prompt.description},
                         {"messages", core::Json::array({{{"role", "user"}, {"content", content}}})}});
    co_return out;
  }
  out.outcome = ReadOutcome::Unknown;
  co_return out;
}

}  // namespace assistiv::mcp
