#include "agents/pregel/messages.h"

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/ids.h"

namespace assistiv::agents::pregel {
namespace {

using core::Json;

core::Error bad_message(std::string message) {
  return core::Error(core::ErrorKind::Unprocessable, std::move(message)).with_code("INVALID_GRAPH_UPDATE");
}

std::string random_uuid(core::Random& random) {
  core::Uuid uuid;
  random.fill(uuid.bytes);
  uuid.bytes[6] = (uuid.bytes[6] & 0x0f) | 0x40;  // RFC 9562 section 5.4
  uuid.bytes[8] = (uuid.bytes[8] & 0x3f) | 0x80;
  return uuid.str();
}

std::string type_of_role(const std::string& role) {
  static const std::map<std::string, std::string, std::less<>> kTypes = {{"human", "human"},
                                                                         {"user", "human"},
                                                                         {"ai", "ai"},
                                                                         {"assistant", "ai"},
                                                                         {"system", "system"},
                                                                         {"developer", "system"},
                                                                         {"tool", "tool"},
                                                                         {"remove", "remove"},
                                                                         {"HumanMessage", "human"},
                                                                         {"HumanMessageChunk", "human"},
                                                                         {"AIMessage", "ai"},
                                                                         {"AIMessageChunk", "ai"},
                                                                         {"SystemMessage", "system"},
                                                                         {"SystemMessageChunk", "system"},
                                                                         {"ToolMessage", "tool"},
                                                                         {"ToolMessageChunk", "tool"},
                                                                         {"RemoveMessage", "remove"}};
  const auto found = kTypes.find(role);
  if (found == kTypes.end())
    throw bad_message("a message has the unknown role \"" + role.substr(0, 40) + "\"");
  return found->second;
}

std::string text_at(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// {"lc":1,"type":"constructor","id":[..., "AIMessage"],"kwargs":{...}}: data, never a type to revive.
Json from_constructor(const Json& given) {
  const auto kwargs = given.find("kwargs");
  const auto path = given.find("id");
  if (kwargs == given.end() || !kwargs->is_object() || path == given.end() || !path->is_array() ||
      path->empty() || !path->back().is_string()) {
    throw bad_message("a message in constructor form has no kwargs");
  }
  Json out = *kwargs;
  out["type"] = path->back();
  return out;
}

Json coerce_message(const Json& given) {
  if (given.is_string()) return {{"type", "human"}, {"content", given}};
  if (given.is_array() && given.size() == 2 && given[0].is_string()) {
    return {{"type", type_of_role(given[0].get<std::string>())}, {"content", given[1]}};
  }
  if (!given.is_object()) throw bad_message("a message is an object, a text or [role, content]");
  Json out = given.contains("lc") ? from_constructor(given) : given;
  auto role = text_at(out, "type");
  if (role.empty()) role = text_at(out, "role");
  if (role.empty()) throw bad_message("a message has no type");
  out["type"] = type_of_role(role);
  out.erase("role");
  if (!out.contains("content")) out["content"] = "";
  return out;
}

// [role, content] is one message, not two.
bool is_list(const Json& from) {
  if (!from.is_array()) return false;
  return !(from.size() == 2 && from[0].is_string() && from[1].is_string() &&
           (from[0] == "user" || from[0] == "assistant" || from[0] == "human" || from[0] == "ai" ||
            from[0] == "system"));
}

// Messages by id while they are replaced and removed; a removed one leaves a null until the end.
class Merger {
 public:
  explicit Merger(const Json& left) {
    for (const auto& message : left) add(message);
  }
  void add(const Json& message) {
    const auto id = text_at(message, "id");
    const auto [at, fresh] = index_.emplace(id, out_.size());
    if (fresh) {
      out_.push_back(message);
    } else {
      out_[at->second] = message;
    }
  }
  void remove(const std::string& id) {
    const auto found = index_.find(id);
    if (found == index_.end())
      throw bad_message("there is no message with the id \"" + id.substr(0, 64) + "\" to remove");
    out_[found->second] = nullptr;
  }
  Json done() {
    auto list = Json::array();
    for (auto& message : out_) {
      if (!message.is_null()) list.push_back(std::move(message));
    }
    return list;
  }

 private:
  std::vector<Json> out_;
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace

Json coerce_messages(const Json& from, core::Random& random) {
  auto out = Json::array();
  const auto add = [&](const Json& given) {
    auto message = coerce_message(given);
    if (text_at(message, "id").empty()) message["id"] = random_uuid(random);
    out.push_back(std::move(message));
  };
  if (from.is_null()) return out;
  if (is_list(from)) {
    for (const auto& given : from) add(given);
  } else {
    add(from);
  }
  return out;
}

Json add_messages(const Json& left, const Json& right) {
  std::size_t first = 0;
  for (std::size_t i = 0; i < right.size(); ++i) {
    if (text_at(right[i], "type") == "remove" && text_at(right[i], "id") == kRemoveAll) first = i + 1;
  }
  // As LangGraph has it: what follows the last "remove all" is the whole list.
  if (first != 0) {
    auto rest = Json::array();
    for (std::size_t i = first; i < right.size(); ++i) rest.push_back(right[i]);
    return rest;
  }
  Merger merged(left);
  std::set<std::string> removed;
  for (const auto& message : right) {
    const auto id = text_at(message, "id");
    if (text_at(message, "type") == "remove") {
      merged.remove(id);
    } else {
      merged.add(message);
    }
  }
  return merged.done();
}

std::size_t surplus_messages(const Json& messages, std::size_t max) {
  if (messages.size() <= max) return 0;
  auto cut = messages.size() - max;
  while (cut < messages.size() && text_at(messages[cut], "type") == "tool") ++cut;
  return cut;
}

Json answers_for_open_calls(const Json& messages, std::string_view text, core::Random& random) {
  std::vector<std::pair<std::string, std::string>> open;  // call id, tool
  for (const auto& message : messages) {
    if (text_at(message, "type") == "tool") {
      std::erase_if(open,
                    [id = text_at(message, "tool_call_id")](const auto& call) { return call.first == id; });
    }
    for (const char* member : {"tool_calls", "invalid_tool_calls"}) {
      const auto calls = message.find(member);
      if (calls == message.end() || !calls->is_array()) continue;
      for (const auto& call : *calls) {
        if (call.is_object()) open.emplace_back(text_at(call, "id"), text_at(call, "name"));
      }
    }
  }
  auto out = Json::array();
  for (const auto& [id, tool] : open) {
    out.push_back({{"type", "tool"},
                   {"id", random_uuid(random)},
                   {"tool_call_id", id},
                   {"name", tool},
                   {"status", "error"},
                   {"content", std::string(text)}});
  }
  return out;
}

}  // namespace assistiv::agents::pregel
