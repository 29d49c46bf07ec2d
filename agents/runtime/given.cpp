#include "agents/runtime/given.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>

#include "agents/pregel/messages.h"
#include "core/error.h"
#include "core/random.h"

namespace assistiv::agents {
namespace {

using core::Json;

// Ids of messages do not matter here.
class NoRandom final : public core::Random {
 public:
  void fill(std::span<std::uint8_t> bytes) override { std::fill(bytes.begin(), bytes.end(), 0); }
};

const Json& without_overwrite(const Json& value) {
  if (!value.is_object()) return value;
  if (value.size() == 1 && value.contains("__overwrite__")) return value["__overwrite__"];
  if (value.size() == 2 && value.value("type", Json()) == "__overwrite__" && value.contains("value"))
    return value["value"];
  return value;
}

// The value in the form that the key's schema describes.
Json as_kept(const StateKey& key, const Json& given) {
  const auto& value = without_overwrite(given);
  if (key.reducer == Reducer::Messages) {
    NoRandom random;
    return pregel::coerce_messages(value, random);
  }
  if ((key.reducer == Reducer::Append || key.reducer == Reducer::Union) && !value.is_array())
    return value.is_null() ? Json::array() : Json::array({value});
  return value;
}

}  // namespace

std::vector<mcp::SchemaFault> input_faults(const Graph& graph, const Json& input, const Json& values) {
  if (!graph.input_check) return {};
  if (!input.is_object()) return {{"", "must be an object of the graph's state keys"}};
  auto given = input;
  for (auto& [name, value] : given.items()) {
    const auto* key = graph.key(name);
    if (key == nullptr) continue;
    try {
      value = as_kept(*key, value);
    } catch (const core::Error& error) {
      return {{"/" + name, error.message()}};
    }
  }
  for (const auto& name : graph.input_schema.value("required", Json::array())) {
    const auto& text = name.get_ref<const std::string&>();
    if (!given.contains(text) && values.is_object() && values.contains(text)) given[text] = values[text];
  }
  return graph.input_check->check(given);
}

bool is_expiry(const Json& answer) {
  return answer.is_object() && answer.value("__expired__", Json()) == true;
}

std::optional<AnswerFault> answer_fault(const Json& asked, const Json& answer, const std::string& by) {
  if (!asked.is_object() || asked.value("type", Json()) != "approval" || is_expiry(answer))
    return std::nullopt;
  if (asked.value("who", Json()) == "platform" && by != "platform")
    return AnswerFault{true, "", "Only the platform may answer this."};
  const auto schema = asked.find("response_schema");
  if (schema == asked.end() || !schema->is_object()) return std::nullopt;
  const auto compiled = mcp::JsonSchema::compile(*schema);
  if (!compiled.schema) return std::nullopt;
  const auto faults = compiled.schema->check(answer);
  if (faults.empty()) return std::nullopt;
  return AnswerFault{false, faults.front().pointer,
                     "The answer does not fit response_schema: " + mcp::describe(faults)};
}

}  // namespace assistiv::agents
