#include "agents/runtime/journal.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "agents/pregel/codec.h"
#include "core/error.h"

namespace assistiv::agents {
namespace {

constexpr std::pair<Fact, std::string_view> kFacts[] = {
    {Fact::Command, "command"}, {Fact::Answer, "answer"},       {Fact::Started, "started"},
    {Fact::Step, "step"},       {Fact::Interrupt, "interrupt"}, {Fact::Child, "child"},
    {Fact::Result, "result"}};

template <class T>
void move_to(std::vector<T>& into, std::vector<T>& from) {
  into.insert(into.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void add_fact(pregel::Pending& pending, const TaskRow& row) {
  switch (row.fact) {
    case Fact::Command:
      pending.commanded_by = row.value.at("run").get<std::string>();
      pending.command = pregel::decode_result(row.value.at("result"));
      return;
    case Fact::Answer:
      pending.answers.insert_or_assign(row.key, pregel::Value(row.value));
      return;
    case Fact::Started:
      if (row.value == false) {
        pending.tasks[row.task].started.erase(row.key);
      } else {
        pending.tasks[row.task].started.insert(row.key);
      }
      return;
    case Fact::Step:
      pending.tasks[row.task].steps.insert_or_assign(row.key, pregel::Value(row.value));
      return;
    case Fact::Interrupt: {
      auto& all = pending.tasks[row.task].interrupts;
      std::erase_if(all, [&](const auto& one) { return one.id == row.key; });
      all.push_back({row.key, row.value.at("ns").get<std::string>(), pregel::Value(row.value.at("value")),
                     row.value.value("again", false)});
      return;
    }
    case Fact::Child:
      pending.tasks[row.task].child = row.value.get<std::string>();
      return;
    case Fact::Result:
      pending.tasks[row.task].result.reset();
      if (!row.value.is_null()) pending.tasks[row.task].result = pregel::decode_result(row.value);
      return;
  }
}

}  // namespace

std::string_view to_string(Fact fact) {
  return std::find_if(std::begin(kFacts), std::end(kFacts),
                      [&](const auto& one) { return one.first == fact; })
      ->second;
}

std::optional<Fact> fact_of(std::string_view name) {
  for (const auto& [fact, own] : kFacts) {
    if (own == name) return fact;
  }
  return std::nullopt;
}

core::Json interrupt_row(const pregel::Interrupt& interrupt) {
  core::Json out = {{"ns", interrupt.ns}, {"value", interrupt.value.json()}};
  if (interrupt.again) out["again"] = true;
  return out;
}

std::string_view to_string(RunStatus status) {
  static constexpr std::string_view kNames[] = {"pending", "running", "success",
                                                "error",   "timeout", "interrupted"};
  return kNames[static_cast<std::size_t>(status)];
}

core::Json to_json(const RunTotals& totals) {
  return {{"cost_nano_usd", totals.cost_nano_usd}, {"tokens", totals.tokens},
          {"input_tokens", totals.input_tokens},   {"output_tokens", totals.output_tokens},
          {"llm_calls", totals.llm_calls},         {"tool_calls", totals.tool_calls},
          {"active_ms", totals.active_ms},         {"supersteps", totals.supersteps},
          {"same_calls", totals.same_calls}};
}

RunTotals totals_of(const core::Json& json) {
  RunTotals out;
  out.cost_nano_usd = json.value("cost_nano_usd", std::int64_t{0});
  out.tokens = json.value("tokens", std::int64_t{0});
  out.input_tokens = json.value("input_tokens", std::int64_t{0});
  out.output_tokens = json.value("output_tokens", std::int64_t{0});
  out.llm_calls = json.value("llm_calls", std::int64_t{0});
  out.tool_calls = json.value("tool_calls", std::int64_t{0});
  out.active_ms = json.value("active_ms", std::int64_t{0});
  out.supersteps = json.value("supersteps", 0);
  if (json.contains("same_calls")) json["same_calls"].get_to(out.same_calls);
  return out;
}

void merge(JournalWrite& into, JournalWrite later) {
  move_to(into.checkpoints, later.checkpoints);
  move_to(into.tasks, later.tasks);
  move_to(into.events, later.events);
  into.totals = std::move(later.totals);
  if (later.view) into.view = std::move(later.view);
  into.ends = into.ends || later.ends;
}

std::size_t bytes_of(const core::Json& json) {
  std::size_t sum = 2;
  if (json.is_array()) {
    for (const auto& item : json) sum += 1 + bytes_of(item);
  } else if (json.is_object()) {
    for (const auto& [key, item] : json.items()) sum += key.size() + 4 + bytes_of(item);
  } else {
    sum += json.is_string() ? json.get_ref<const std::string&>().size() : 6;
  }
  return sum;
}

std::size_t bytes_of(const JournalWrite& write) {
  std::size_t sum = 0;
  for (const auto& row : write.checkpoints) sum += bytes_of(row.body) + bytes_of(row.metadata);
  for (const auto& row : write.tasks) sum += bytes_of(row.value);
  for (const auto& event : write.events) sum += bytes_of(event.data);
  if (write.view && write.ends) sum += bytes_of(write.view->values);
  return sum;
}

core::Error write_too_large(std::size_t bytes) {
  return core::Error(core::ErrorKind::Unprocessable, "What the run has to write at once, about " +
                                                         std::to_string(bytes >> 20) + " MiB, is too large.")
      .with_code("STATE_TOO_LARGE");
}

CheckpointRow checkpoint_row(const pregel::Checkpoint& stored, pregel::Checkpoint& next,
                             const std::set<std::string, std::less<>>& untracked, core::Json metadata) {
  CheckpointRow row;
  row.id = next.id;
  row.parent = next.parent;
  row.ns = next.ns;
  row.step = next.step;
  row.source = pregel::to_string(next.source);
  row.at = next.at;
  row.whole = stored.id.empty() || stored.id != next.parent || next.chain >= pregel::kFullEvery;
  if (row.whole) next.chain = 0;
  row.body = row.whole ? pregel::encode(next, untracked) : pregel::encode_delta(stored, next, untracked);
  row.metadata = std::move(metadata);
  row.metadata["source"] = row.source;
  row.metadata["step"] = row.step;
  return row;
}

StoredCheckpoint stored_checkpoint(const std::vector<CheckpointRow>& chain,
                                   const std::vector<TaskRow>& tasks) {
  if (chain.empty() || !chain.front().whole)
    throw core::internal("a checkpoint's chain has no whole beginning");
  StoredCheckpoint out;
  for (const auto& row : chain) {
    out.checkpoint = row.whole ? pregel::decode(row.body) : pregel::decode_delta(out.checkpoint, row.body);
  }
  out.metadata = chain.back().metadata;
  try {
    for (const auto& row : tasks) add_fact(out.pending, row);
  } catch (const core::Json::exception& e) {
    throw core::internal(std::string("a task's record cannot be read: ") + e.what());
  }
  return out;
}

}  // namespace assistiv::agents
