#include "agents/runtime/node_cache.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "agents/pregel/codec.h"
#include "agents/runtime/acts.h"
#include "agents/runtime/bindings.h"
#include "core/encoding.h"
#include "core/json_read.h"

namespace assistiv::agents {
namespace {

// "outer/inner/node": nodes have the same path in every run of a version.
std::string path_of(const TaskRun& task) {
  std::string out;
  for (const Level* level = task.level.get(); level->above != nullptr; level = level->above.get()) {
    const auto& ns = level->head.ns;
    const auto bar = ns.rfind('|');
    const auto last = ns.substr(bar == std::string::npos ? 0 : bar + 1);
    out = last.substr(0, last.find(':')) + "/" + out;
  }
  return out + task.node->id;
}

core::Json all_that_is_read(const TaskRun& task) {
  const auto& spec = task.run->spec;
  return {{"state", pregel::to_json(task.level->head.values)},
          {"input", task.task->input.json()},
          {"context", spec.context},
          {"user", spec.user}};
}

void renew_ids(core::Json& messages) {
  if (!messages.is_array()) return;
  for (auto& message : messages)
    if (message.is_object()) message.erase("id");
}

}  // namespace

std::optional<CacheKey> cache_key(const TaskRun& task) {
  const auto& cache = task.node->policies.cache;
  if (!cache) return std::nullopt;
  const auto& record = task.record();
  if (!record.steps.empty() || !record.started.empty() || !record.interrupts.empty()) return std::nullopt;
  const Bindings names(task);
  if (task.node->when && !names.test(*task.node->when, "when")) return std::nullopt;
  const auto of = cache->key ? names.evaluate(*cache->key, "cache/key") : all_that_is_read(task);
  return CacheKey{path_of(task), core::sha256_hex(core::dump_json(of)), cache->per_platform};
}

std::optional<NodeOutcome> recalled(const TaskRun& task, const CacheKey& key) {
  const auto kept = task.run->world.effects.recall(key);
  if (!kept) return std::nullopt;
  NodeOutcome out;
  out.result = pregel::decode_result(*kept);
  for (auto& write : out.result.writes) {
    const auto* state = task.level->program->graph().key(write.key);
    if (state == nullptr || state->reducer != Reducer::Messages) continue;
    auto messages = write.value.json();
    renew_ids(messages);
    write = pregel::prepare_write(*state, std::move(messages), task.run->world.random);
    for (const auto& message : write.value.json()) tell_message(task, message);
  }
  return out;
}

}  // namespace assistiv::agents
