#include "agents/pregel/codec.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace assistiv::agents::pregel {
namespace {

using core::Json;
using Keys = std::set<std::string, std::less<>>;

constexpr int kVersion = 1;

Json of_sends(const std::vector<Send>& sends) {
  auto out = Json::array();
  for (const auto& send : sends) {
    Json one = {{"node", send.node}, {"input", send.input.json()}};
    if (!send.origin.empty()) one["origin"] = send.origin;
    out.push_back(std::move(one));
  }
  return out;
}

std::vector<Send> to_sends(const Json& json) {
  std::vector<Send> out;
  for (const auto& one : json) {
    out.push_back({one.at("node").get<std::string>(), Value(one.at("input")), one.value("origin", "")});
  }
  return out;
}

// Everything but the values.
Json head_of(const Checkpoint& from) {
  Json out = {{"v", kVersion},
              {"id", from.id},
              {"parent", from.parent},
              {"ns", from.ns},
              {"step", from.step},
              {"source", to_string(from.source)},
              {"at", core::to_epoch_ms(from.at)},
              {"versions", from.versions},
              {"version", from.version},
              {"seen", from.interrupts_seen},
              {"chain", from.chain}};
  const auto add = [&](const char* name, auto&& value, bool empty) {
    if (!empty) out[name] = std::forward<decltype(value)>(value);
  };
  add("forks", from.forks, from.forks == 0);
  add("ready", from.ready, from.ready.empty());
  add("waiting", from.waiting, from.waiting.empty());
  add("arrived", from.arrived, from.arrived.empty());
  add("sends", of_sends(from.sends), from.sends.empty());
  add("input", from.input.json(), !from.input);
  add("updated", from.updated, from.updated.empty());
  add("ran", from.ran, from.ran.empty());
  add("children", from.children, from.children.empty());
  return out;
}

Source to_source(const std::string& name) {
  for (const auto source : {Source::Input, Source::Loop, Source::Update, Source::Fork}) {
    if (to_string(source) == name) return source;
  }
  throw core::internal("a checkpoint has an unknown source");
}

template <class T>
void take(const Json& json, const char* name, T& into) {
  if (const auto found = json.find(name); found != json.end()) found->get_to(into);
}

Checkpoint read_head(const Json& json) {
  if (json.at("v") != kVersion) throw core::internal("a checkpoint has an unknown version");
  Checkpoint out;
  json.at("id").get_to(out.id);
  json.at("parent").get_to(out.parent);
  json.at("ns").get_to(out.ns);
  json.at("step").get_to(out.step);
  out.source = to_source(json.at("source").get<std::string>());
  out.at = core::from_epoch_ms(json.at("at").get<std::int64_t>());
  take(json, "versions", out.versions);
  json.at("version").get_to(out.version);
  json.at("seen").get_to(out.interrupts_seen);
  json.at("chain").get_to(out.chain);
  take(json, "forks", out.forks);
  take(json, "ready", out.ready);
  take(json, "waiting", out.waiting);
  take(json, "arrived", out.arrived);
  if (json.contains("sends")) out.sends = to_sends(json["sends"]);
  if (json.contains("input")) out.input = Value(json["input"]);
  take(json, "updated", out.updated);
  take(json, "ran", out.ran);
  take(json, "children", out.children);
  return out;
}

// A damaged row is our fault, not the caller's.
template <class F>
auto reading(F read) {
  try {
    return read();
  } catch (const Json::exception& e) {
    throw core::internal(std::string("a checkpoint cannot be read: ") + e.what());
  }
}

// How many items at the beginning are the same.
std::size_t common_prefix(const Json& a, const Json& b) {
  const auto max = std::min(a.size(), b.size());
  std::size_t same = 0;
  while (same < max && a[same] == b[same]) ++same;
  return same;
}

void add_change(Json& delta, const std::string& key, const Value& before, const Value& after) {
  if (before && before.json().is_array() && after.json().is_array()) {
    const auto keep = common_prefix(before.json(), after.json());
    if (keep > 0) {
      auto rest = Json::array();
      for (auto i = keep; i < after.json().size(); ++i) rest.push_back(after.json()[i]);
      delta["tails"][key] = {{"keep", keep}, {"add", std::move(rest)}};
      return;
    }
  }
  delta["values"][key] = after.json();
}

}  // namespace

std::string_view to_string(Source source) {
  switch (source) {
    case Source::Input:
      return "input";
    case Source::Loop:
      return "loop";
    case Source::Update:
      return "update";
    case Source::Fork:
      return "fork";
  }
  return "";
}

Json encode(const Checkpoint& checkpoint, const Keys& untracked) {
  auto out = head_of(checkpoint);
  auto& values = out["values"] = Json::object();
  for (const auto& [key, value] : checkpoint.values) {
    if (!untracked.contains(key)) values[key] = value.json();
  }
  return out;
}

Checkpoint decode(const Json& json) {
  return reading([&] {
    auto out = read_head(json);
    for (const auto& [key, value] : json.at("values").items()) out.values.emplace(key, Value(value));
    return out;
  });
}

Json encode_delta(const Checkpoint& base, const Checkpoint& checkpoint, const Keys& untracked) {
  auto out = head_of(checkpoint);
  for (const auto& [key, value] : checkpoint.values) {
    if (untracked.contains(key)) continue;
    const auto before = base.values.find(key);
    if (before == base.values.end()) {
      out["values"][key] = value.json();
    } else if (!(before->second == value)) {
      add_change(out, key, before->second, value);
    }
  }
  for (const auto& [key, value] : base.values) {
    if (!untracked.contains(key) && !checkpoint.values.contains(key)) out["gone"].push_back(key);
  }
  return out;
}

Checkpoint decode_delta(const Checkpoint& base, const Json& json) {
  return reading([&] {
    auto out = read_head(json);
    out.values = base.values;
    if (json.contains("gone")) {
      for (const auto& key : json["gone"]) out.values.erase(key.get<std::string>());
    }
    if (json.contains("values")) {
      for (const auto& [key, value] : json["values"].items()) out.values.insert_or_assign(key, Value(value));
    }
    if (json.contains("tails")) {
      for (const auto& [key, tail] : json["tails"].items()) {
        const auto& before = base.values.at(key).json();
        const auto keep = tail.at("keep").get<std::size_t>();
        if (keep > before.size()) throw core::internal("a checkpoint's delta does not fit its base");
        auto list = Json::array();
        for (std::size_t i = 0; i < keep; ++i) list.push_back(before[i]);
        for (const auto& item : tail.at("add")) list.push_back(item);
        out.values.insert_or_assign(key, Value(std::move(list)));
      }
    }
    return out;
  });
}

Json encode(const TaskResult& result) {
  Json out = Json::object();
  for (const auto& write : result.writes) out["writes"].push_back({write.key, write.value.json()});
  if (!result.to.empty()) out["to"] = result.to;
  if (!result.sends.empty()) out["sends"] = of_sends(result.sends);
  if (!result.passes.empty()) out["passes"] = result.passes;
  if (!result.edges) out["edges"] = false;
  if (!result.children.empty()) out["children"] = result.children;
  return out;
}

TaskResult decode_result(const Json& json) {
  return reading([&] {
    TaskResult out;
    if (json.contains("writes")) {
      for (const auto& write : json["writes"])
        out.writes.push_back({write.at(0).get<std::string>(), Value(write.at(1))});
    }
    take(json, "to", out.to);
    if (json.contains("sends")) out.sends = to_sends(json["sends"]);
    take(json, "passes", out.passes);
    out.edges = json.value("edges", true);
    take(json, "children", out.children);
    return out;
  });
}

}  // namespace assistiv::agents::pregel
