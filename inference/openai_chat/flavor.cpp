#include "inference/openai_chat/flavor.h"

#include <nlohmann/json.hpp>
#include <string>

namespace assistiv::inference::openai_chat {

namespace {

void take_out(core::Json& body, const char* name, Drops& drops) {
  const auto it = body.find(name);
  if (it == body.end()) return;
  const bool said = !it->is_null();
  body.erase(it);
  if (said) drops.add(std::string("/") + name);
}

// OpenAI refuses members of messages that it does not know; the thinking of others is of no use to it.
void strip_history(core::Json& body, Drops& drops) {
  const auto messages = body.find("messages");
  if (messages == body.end() || !messages->is_array()) return;
  for (std::size_t i = 0; i < messages->size(); ++i) {
    auto& message = (*messages)[i];
    if (!message.is_object()) continue;
    const std::string path = "/messages/" + std::to_string(i) + "/";
    for (const char* name : {"reasoning_content", "reasoning_details", "thinking_blocks", "reasoning"}) {
      if (message.erase(name) > 0) drops.note(path + name);
    }
    const auto calls = message.find("tool_calls");
    if (calls == message.end() || !calls->is_array()) continue;
    for (std::size_t k = 0; k < calls->size(); ++k) {
      if ((*calls)[k].is_object() && (*calls)[k].erase("extra_content") > 0) {
        drops.note(path + "tool_calls/" + std::to_string(k) + "/extra_content");
      }
    }
  }
}

void apply_xai(core::Json& body, const TargetModel& target, Drops& drops) {
  for (const char* name : {"prompt_cache_key", "store", "service_tier", "verbosity"})
    take_out(body, name, drops);
  if (target.reasoning) {
    for (const char* name : {"presence_penalty", "frequency_penalty", "stop"}) take_out(body, name, drops);
  }
  if (!target.effort) take_out(body, "reasoning_effort", drops);
}

}  // namespace

Flavor flavor_of(std::string_view name) {
  if (name == "openai") return Flavor::OpenAi;
  if (name == "xai") return Flavor::Xai;
  return Flavor::Compatible;
}

void apply_flavor(core::Json& body, const TargetModel& target, Drops& drops) {
  switch (flavor_of(target.flavor)) {
    case Flavor::OpenAi:
      strip_history(body, drops);
      return;
    case Flavor::Xai:
      apply_xai(body, target, drops);
      return;
    case Flavor::Compatible:
      return;
  }
}

}  // namespace assistiv::inference::openai_chat
