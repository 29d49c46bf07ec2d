#include "agents/service/state_step.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "agents/pregel/codec.h"
#include "agents/pregel/step.h"
#include "agents/runtime/routing.h"
#include "core/error.h"

namespace assistiv::agents {

namespace {

using core::Json;

constexpr std::string_view kInput = "__input__";
constexpr std::string_view kCopy = "__copy__";

core::Error refused_update(std::string message) {
  return core::Error(core::ErrorKind::Unprocessable, std::move(message)).with_code("INVALID_GRAPH_UPDATE");
}

bool says_nothing(const StateWrite& write) {
  return write.values.is_null() && write.update.is_null() && write.go_to.is_null();
}

// A list is messages, for the key that keeps them.
Json as_values(const pregel::Program& program, const Json& values) {
  if (!values.is_array()) return values;
  const auto* key = program.graph().key("messages");
  for (const auto& one : program.graph().state) {
    if (key == nullptr && one.reducer == Reducer::Messages) key = &one;
  }
  if (key == nullptr || key->reducer != Reducer::Messages)
    throw refused_update("a list of values is for graphs with a key of messages");
  return {{key->name, values}};
}

template <class T>
void move_after(std::vector<T>& into, std::vector<T>& from) {
  into.insert(into.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void add_result(pregel::TaskResult& into, pregel::TaskResult more) {
  move_after(into.writes, more.writes);
  move_after(into.to, more.to);
  move_after(into.sends, more.sends);
  move_after(into.passes, more.passes);
}

pregel::TaskResult written_as(const pregel::Program& program, const std::string& node,
                              const StateWrite& write, core::Random& random) {
  const auto values = as_values(program, write.values);
  pregel::TaskResult out;
  if (node == kStart) {
    out = pregel::start_result(program, values.is_null() ? Json::object() : values, random);
  } else {
    out = pregel::command_result(program, values, nullptr, random);
  }
  add_result(out, pregel::command_result(program, write.update, write.go_to, random));
  out.edges = true;
  return out;
}

std::string node_of(const StepFrom& from, const StateWrite& write) {
  auto node = write.as_node.empty() ? pregel::writer_of(*from.program, from.base) : write.as_node;
  if (node == kEnd && !says_nothing(write)) throw refused_update("nothing is written as __end__");
  if (node != kStart && node != kEnd && !from.program->has_node(node))
    throw refused_update("there is no node \"" + node.substr(0, 64) + "\" to write as");
  return node;
}

}  // namespace

core::Task<pregel::Checkpoint> make_step(StepFrom from, Superstep writes, StepMaker maker) {
  const auto& program = *from.program;
  const pregel::Identity identity{maker.ids.next(from.base.id, from.base.step + 1), maker.clock.now()};
  if (writes.size() == 1) {
    const auto& only = writes.front();
    if (only.as_node == kInput) {
      co_return pregel::begin(program, from.base, as_values(program, only.values), identity);
    }
    if (only.as_node == kCopy || (only.as_node.empty() && says_nothing(only))) {
      if (from.base.id.empty()) throw refused_update("there is no state to copy");
      auto copy = pregel::fork(from.base, identity);
      if (only.as_node.empty()) copy.source = pregel::Source::Update;
      co_return copy;
    }
  }
  const auto base = pregel::with_command(program, from.base, from.pending.command);
  std::vector<pregel::NodeUpdate> updates;
  for (const auto& write : writes) {
    const auto node = node_of(from, write);
    pregel::TaskResult result;
    if (node != kEnd) result = written_as(program, node, write, maker.random);
    auto state = pregel::update(program, base, from.pending, node, {.writes = result.writes, .edges = false},
                                identity);
    auto route =
        co_await route_of({from.program, std::move(state), node, from.thread, from.context, from.user},
                          &maker.clock, &maker.random);
    result.edges = route.edges;
    add_result(result, std::move(route));
    updates.push_back({node, std::move(result)});
  }
  co_return pregel::update(program, base, from.pending, updates, identity);
}

}  // namespace assistiv::agents
