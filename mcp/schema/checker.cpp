// Applies a Program to a value. Recursion is bounded by SchemaLimits::depth_max, work by steps_max.
#include <algorithm>

#include "core/clock.h"
#include "core/encoding.h"
#include "core/ids.h"
#include "core/json_pointer.h"
#include "mcp/schema/documents.h"
#include "mcp/schema/json_order.h"
#include "mcp/schema/node.h"
#include "mcp/schema/uri.h"

namespace assistiv::mcp::schema {

namespace {

using core::Json;

// The way from the root to the value being checked; turned into a JSON pointer only when there is a fault.
struct Place {
  const Place* parent = nullptr;
  const std::string* name = nullptr;  // of an object's member
  std::size_t index = 0;              // of an array's item
};

std::string pointer_of(const Place* place) {
  if (place == nullptr || place->parent == nullptr) return {};
  const std::string last =
      place->name != nullptr ? core::pointer_token(*place->name) : std::to_string(place->index);
  return pointer_of(place->parent) + "/" + last;
}

// The dynamic scope: the schema resources entered on the way, innermost first.
struct Scope {
  const Scope* outer = nullptr;
  std::uint32_t resource = 0;
};

// Which members or items of one value some subschema has evaluated (for unevaluatedProperties and -Items).
class Evaluated {
 public:
  explicit Evaluated(std::size_t size) : marks_(size) {}
  void mark(std::size_t i) { marks_[i] = true; }
  void mark_all() { marks_.assign(marks_.size(), true); }
  bool has(std::size_t i) const { return marks_[i]; }
  void merge(const Evaluated& other) {
    for (std::size_t i = 0; i < marks_.size(); ++i) marks_[i] = marks_[i] || other.marks_[i];
  }

 private:
  std::vector<bool> marks_;
};

using Faults = std::vector<SchemaFault>;

constexpr std::size_t kLooksPerStep = 64;
constexpr std::size_t kSortingLooks = 20;  // of an item that is sorted among a million

// What one application of a schema works with. `faults` is null where only the verdict counts: then the first
// fault ends it.
struct At {
  const Place* place;
  const Scope* scope;
  Evaluated* evaluated;  // null when nobody asks
  Faults* faults;
  std::size_t depth;
};

std::uint8_t type_bits_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return kNullBit;
    case Json::value_t::boolean:
      return kBooleanBit;
    case Json::value_t::object:
      return kObjectBit;
    case Json::value_t::array:
      return kArrayBit;
    case Json::value_t::string:
      return kStringBit;
    case Json::value_t::number_float:
      return is_integral(value) ? kNumberBit | kIntegerBit : kNumberBit;
    default:
      return kNumberBit | kIntegerBit;
  }
}

std::string type_words(std::uint8_t types) {
  static constexpr std::pair<std::uint8_t, const char*> kWords[] = {
      {kNullBit, "null"},         {kBooleanBit, "true or false"}, {kObjectBit, "an object"},
      {kArrayBit, "an array"},    {kStringBit, "a string"},       {kNumberBit, "a number"},
      {kIntegerBit, "an integer"}};
  if ((types & kNumberBit) != 0) types &= static_cast<std::uint8_t>(~kIntegerBit);
  std::string out;
  for (const auto& [bit, word] : kWords) {
    if ((types & bit) != 0) out += (out.empty() ? "" : " or ") + std::string(word);
  }
  return out;
}

// A value as a fault may quote it: short.
std::string quoted(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return core::is_valid_utf8(text) ? text : "...";
}

std::string choice_words(const std::vector<Json>& choices) {
  std::string out;
  for (std::size_t i = 0; i < std::min<std::size_t>(choices.size(), 20); ++i) {
    out += (i == 0 ? "" : ", ") + quoted(choices[i]);
  }
  return choices.size() > 20 ? out + ", ..." : out;
}

std::size_t code_points(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

const char* format_fault(Format format, const std::string& text) {
  switch (format) {
    case Format::DateTime:
      return core::parse_time(text) ? nullptr : "must be a date and time as in 2026-01-31T09:30:00Z";
    case Format::Date:
      return text.size() == 10 && core::parse_time(text + "T00:00:00Z") ? nullptr
                                                                        : "must be a date as in 2026-01-31";
    case Format::Uri: {
      const auto colon = text.find(':');
      const bool clean = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
      const bool absolute = colon != std::string::npos && resolve_uri("", text).absolute.find(':') == colon;
      return clean && absolute && colon > 0 ? nullptr : "must be an absolute URI";
    }
    case Format::Email: {
      const auto at = text.rfind('@');
      return at != std::string::npos && at > 0 && at + 1 < text.size() && text.find(' ') == std::string::npos
                 ? nullptr
                 : "must be an e-mail address";
    }
    case Format::Uuid:
      return core::Uuid::parse(text) ? nullptr : "must be a UUID";
    case Format::None:
      return nullptr;
  }
  return nullptr;
}

class Checker {
 public:
  explicit Checker(const Program& program) : program_(program) {}

  bool apply(NodeId id, const Json& value, At at) {
    if (!spend(1) || at.depth > program_.limits.depth_max) {
      gave_up_ = true;
      return false;
    }
    const Node& node = program_.nodes[id];
    const Scope entered{at.scope, node.resource};
    if (at.scope == nullptr || at.scope->resource != node.resource) at.scope = &entered;
    if (node.never) return fail(at, "is not allowed");
    const auto bits = type_bits_of(value);
    if ((bits & node.types) == 0) return fail(at, "must be " + type_words(node.types));
    const bool collects = (node.array != nullptr && node.array->unevaluated && value.is_array()) ||
                          (node.object != nullptr && node.object->unevaluated && value.is_object());
    if (!collects) return check_node(node, value, at);
    if (!spend_on(value.size())) return false;
    Evaluated own(value.size());
    Evaluated* const outer = std::exchange(at.evaluated, &own);
    const bool good = check_node(node, value, at) && check_unevaluated(node, value, at);
    if (good && outer != nullptr) outer->merge(own);
    return good;
  }

  bool gave_up() const { return gave_up_; }

 private:
  // False when the work is used up: then nothing is checked any further.
  bool spend(std::size_t steps) {
    steps_ += steps;
    if (steps_ > program_.limits.steps_max) gave_up_ = true;
    return !gave_up_;
  }

  // For looking at so many bytes, members or items outside of apply: a small schema can apply one of its
  // parts to the same long text as often as there are steps.
  bool spend_on(std::size_t looked_at) { return spend(looked_at / kLooksPerStep); }

  bool fail(const At& at, std::string message) { return fail_at(at, at.place, std::move(message)); }

  bool fail_at(const At& at, const Place* place, std::string message) {
    if (at.faults != nullptr && at.faults->size() < program_.limits.faults_max) {
      at.faults->push_back({pointer_of(place), std::move(message)});
    }
    return false;
  }

  bool stop(bool good, const At& at) const {
    return !good && (at.faults == nullptr || at.faults->size() >= program_.limits.faults_max || gave_up_);
  }

  bool check_node(const Node& node, const Json& value, const At& at) {
    bool good = check_values(node, value, at);
    if (!stop(good, at) && node.number != nullptr && value.is_number())
      good &= check_number(*node.number, value, at);
    if (!stop(good, at) && node.string != nullptr && value.is_string())
      good &= check_string(*node.string, value, at);
    if (!stop(good, at) && node.array != nullptr && value.is_array())
      good &= check_array(*node.array, value, at);
    if (!stop(good, at) && node.object != nullptr && value.is_object())
      good &= check_object(*node.object, value, at);
    if (!stop(good, at) && node.combination != nullptr)
      good &= check_combination(*node.combination, value, at);
    return good;
  }

  bool check_values(const Node& node, const Json& value, const At& at) {
    if (node.constant && compare_json(*node.constant, value) != 0) {
      return fail(at, "must be " + quoted(*node.constant));
    }
    if (!node.choices) return true;
    if (!spend_on(node.choices->size())) return false;
    const auto same = [&value](const Json& choice) { return compare_json(choice, value) == 0; };
    if (std::any_of(node.choices->begin(), node.choices->end(), same)) return true;
    return fail(at, "must be one of " + choice_words(*node.choices));
  }

  bool check_number(const NumberRules& rules, const Json& value, const At& at) {
    bool good = true;
    const auto rule = [&](const std::optional<Json>& limit, auto broken, const char* words) {
      if (limit && broken(compare_json(value, *limit))) good = fail(at, words + quoted(*limit));
    };
    rule(
        rules.minimum, [](int order) { return order < 0; }, "must be at least ");
    rule(
        rules.maximum, [](int order) { return order > 0; }, "must be at most ");
    rule(
        rules.exclusive_minimum, [](int order) { return order <= 0; }, "must be greater than ");
    rule(
        rules.exclusive_maximum, [](int order) { return order >= 0; }, "must be less than ");
    if (rules.multiple_of && !is_multiple_of(value, *rules.multiple_of)) {
      good = fail(at, "must be a multiple of " + quoted(*rules.multiple_of));
    }
    return good;
  }

  bool check_string(const StringRules& rules, const Json& value, const At& at) {
    const auto& text = value.get_ref<const std::string&>();
    if (!spend_on(text.size())) return false;
    bool good = true;
    // Bytes bound code points from above: most strings need no count.
    if (rules.min_length > 0 && code_points(text) < rules.min_length) {
      good = fail(at, "must have at least " + std::to_string(rules.min_length) + " characters");
    }
    if (text.size() > rules.max_length && code_points(text) > rules.max_length) {
      good = fail(at, "must have at most " + std::to_string(rules.max_length) + " characters");
    }
    if (rules.pattern != nullptr && !RE2::PartialMatch(text, *rules.pattern)) {
      good = fail(at, "must match the pattern " + rules.pattern->pattern());
    }
    if (const char* message = format_fault(rules.format, text)) good = fail(at, message);
    return good;
  }

  bool check_array(const ArrayRules& rules, const Json& value, const At& at) {
    bool good = true;
    if (value.size() < rules.min_items) {
      good = fail(at, "must have at least " + std::to_string(rules.min_items) + " items");
    }
    if (value.size() > rules.max_items) {
      good = fail(at, "must have at most " + std::to_string(rules.max_items) + " items");
    }
    for (std::size_t i = 0; i < value.size() && !stop(good, at); ++i) {
      const bool in_prefix = i < rules.prefix.size();
      if (!in_prefix && !rules.items) break;
      const Place item{at.place, nullptr, i};
      good &= apply(in_prefix ? rules.prefix[i] : *rules.items, value[i],
                    {&item, at.scope, nullptr, at.faults, at.depth + 1});
      if (at.evaluated != nullptr) at.evaluated->mark(i);
    }
    if (!stop(good, at) && rules.contains) good &= check_contains(rules, value, at);
    if (!stop(good, at) && rules.unique && spend_on(value.size() * kSortingLooks) && has_duplicates(value))
      good = fail(at, "must not have equal items");
    return good;
  }

  bool check_contains(const ArrayRules& rules, const Json& value, const At& at) {
    std::size_t found = 0;
    for (std::size_t i = 0; i < value.size() && !gave_up_; ++i) {
      const Place item{at.place, nullptr, i};
      if (!apply(*rules.contains, value[i], {&item, at.scope, nullptr, nullptr, at.depth + 1})) continue;
      ++found;
      if (at.evaluated != nullptr) at.evaluated->mark(i);
    }
    if (found < rules.min_contains) {
      return fail(
          at, "must have at least " + std::to_string(rules.min_contains) + " item(s) of the required kind");
    }
    if (found <= rules.max_contains) return true;
    return fail(at,
                "must have at most " + std::to_string(rules.max_contains) + " item(s) of the required kind");
  }

  static bool has_duplicates(const Json& value) {
    std::vector<const Json*> items;
    for (const auto& item : value) items.push_back(&item);
    std::sort(items.begin(), items.end(),
              [](const Json* a, const Json* b) { return compare_json(*a, *b) < 0; });
    return std::adjacent_find(items.begin(), items.end(), [](const Json* a, const Json* b) {
             return compare_json(*a, *b) == 0;
           }) != items.end();
  }

  bool check_object(const ObjectRules& rules, const Json& value, const At& at) {
    bool good = true;
    if (value.size() < rules.min_properties) {
      good = fail(at, "must have at least " + std::to_string(rules.min_properties) + " properties");
    }
    if (value.size() > rules.max_properties) {
      good = fail(at, "must have at most " + std::to_string(rules.max_properties) + " properties");
    }
    for (const auto& name : rules.required) good &= value.contains(name) || missing(at, name, "is required");
    for (const auto& [trigger, names] : rules.dependent_required) {
      if (!value.contains(trigger)) continue;
      for (const auto& name : names) {
        good &= value.contains(name) || missing(at, name, "is required together with \"" + trigger + "\"");
      }
    }
    if (!stop(good, at)) good &= check_members(rules, value, at);
    for (const auto& [trigger, schema] : rules.dependent_schemas) {
      if (!stop(good, at) && value.contains(trigger)) good &= apply_here(schema, value, at);
    }
    return good;
  }

  bool missing(const At& at, const std::string& name, std::string message) {
    const Place member{at.place, &name, 0};
    return fail_at(at, &member, std::move(message));
  }

  bool check_members(const ObjectRules& rules, const Json& value, const At& at) {
    bool good = true;
    std::size_t i = 0;
    for (auto it = value.begin(); it != value.end() && !stop(good, at); ++it, ++i) {
      const Place member{at.place, &it.key(), 0};
      const At inside{&member, at.scope, nullptr, at.faults, at.depth + 1};
      bool known = false;
      if (!spend_on(it.key().size() * (rules.patterns.size() + 1))) return false;
      good &= check_member(rules, it.key(), *it, inside, known);
      if (!known && rules.additional) {
        known = true;
        good &= program_.nodes[*rules.additional].never ? unknown_member(rules, inside)
                                                        : apply(*rules.additional, *it, inside);
      }
      if (known && at.evaluated != nullptr) at.evaluated->mark(i);
      if (rules.names) good &= apply(*rules.names, Json(it.key()), inside);
    }
    return good;
  }

  bool check_member(const ObjectRules& rules, const std::string& name, const Json& value, const At& inside,
                    bool& known) {
    bool good = true;
    const auto less = [](const auto& property, const std::string& key) { return property.first < key; };
    const auto it = std::lower_bound(rules.properties.begin(), rules.properties.end(), name, less);
    if (it != rules.properties.end() && it->first == name) {
      known = true;
      good = apply(it->second, value, inside);
    }
    for (const auto& [pattern, schema] : rules.patterns) {
      if (stop(good, inside) || !RE2::PartialMatch(name, *pattern)) continue;
      known = true;
      good &= apply(schema, value, inside);
    }
    return good;
  }

  bool unknown_member(const ObjectRules& rules, const At& inside) {
    std::string names;
    for (std::size_t i = 0; i < std::min<std::size_t>(rules.properties.size(), 20); ++i) {
      names += (i == 0 ? "" : ", ") + rules.properties[i].first;
    }
    return fail(inside, names.empty() ? "is not allowed" : "is unknown; known: " + names);
  }

  bool check_unevaluated(const Node& node, const Json& value, const At& at) {
    const NodeId schema = value.is_array() ? *node.array->unevaluated : *node.object->unevaluated;
    bool good = true;
    std::size_t i = 0;
    for (auto it = value.begin(); it != value.end() && !stop(good, at); ++it, ++i) {
      if (at.evaluated->has(i)) continue;
      const Place place{at.place, value.is_object() ? &it.key() : nullptr, i};
      good &= apply(schema, *it, {&place, at.scope, nullptr, at.faults, at.depth + 1});
    }
    at.evaluated->mark_all();
    return good;
  }

  // A subschema on the same value.
  bool apply_here(NodeId schema, const Json& value, At at) {
    ++at.depth;
    return apply(schema, value, at);
  }

  // The same where failing is a legitimate outcome: what a failed subschema evaluated does not count.
  bool probe(NodeId schema, const Json& value, const At& at, Faults* faults) {
    if (at.evaluated == nullptr)
      return apply(schema, value, {at.place, at.scope, nullptr, faults, at.depth + 1});
    const std::size_t size = value.is_structured() ? value.size() : 0;
    if (!spend_on(size)) return false;
    Evaluated own(size);
    if (!apply(schema, value, {at.place, at.scope, &own, faults, at.depth + 1})) return false;
    at.evaluated->merge(own);
    return true;
  }

  bool check_combination(const Combination& rules, const Json& value, const At& at) {
    bool good = true;
    for (const NodeId schema : rules.all_of) {
      if (!stop(good, at)) good &= apply_here(schema, value, at);
    }
    if (!stop(good, at) && rules.dynamic) good &= apply_here(dynamic_target(*rules.dynamic, at), value, at);
    if (!stop(good, at) && !rules.any_of.empty()) good &= check_any_of(rules.any_of, value, at);
    if (!stop(good, at) && !rules.one_of.empty()) good &= check_one_of(rules.one_of, value, at);
    if (!stop(good, at) && rules.none_of) {
      const At apart{at.place, at.scope, nullptr, nullptr, at.depth};
      if (probe(*rules.none_of, value, apart, nullptr)) good = fail(at, "has a form that is not allowed");
    }
    if (!stop(good, at) && rules.condition) {
      const auto& branch = probe(*rules.condition, value, at, nullptr) ? rules.then : rules.otherwise;
      if (branch) good &= apply_here(*branch, value, at);
    }
    return good;
  }

  NodeId dynamic_target(const Combination::Dynamic& dynamic, const At& at) const {
    NodeId found = dynamic.fallback;
    for (const Scope* scope = at.scope; scope != nullptr; scope = scope->outer) {
      for (const auto& [name, node] : program_.dynamic_anchors[scope->resource]) {
        if (name == dynamic.anchor) found = node;
      }
    }
    return found;
  }

  bool check_any_of(const std::vector<NodeId>& schemas, const Json& value, const At& at) {
    bool good = false;
    Faults closest;
    for (const NodeId schema : schemas) {
      if (good && at.evaluated == nullptr) break;  // later branches matter only for what they evaluate
      Faults faults;
      if (probe(schema, value, at, at.faults == nullptr ? nullptr : &faults)) {
        good = true;
      } else if (closest.empty() || faults.size() < closest.size()) {
        closest = std::move(faults);
      }
    }
    return good || none_matched(schemas.size(), closest, at);
  }

  bool none_matched(std::size_t forms, const Faults& closest, const At& at) {
    fail(at, "has none of the " + std::to_string(forms) + " allowed forms; the closest says:");
    if (at.faults == nullptr) return false;
    for (const auto& fault : closest) {
      if (at.faults->size() < program_.limits.faults_max) at.faults->push_back(fault);
    }
    return false;
  }

  bool check_one_of(const std::vector<NodeId>& schemas, const Json& value, const At& at) {
    std::size_t matches = 0;
    Faults closest;
    for (const NodeId schema : schemas) {
      Faults faults;
      if (probe(schema, value, at, at.faults == nullptr ? nullptr : &faults)) {
        ++matches;
      } else if (closest.empty() || faults.size() < closest.size()) {
        closest = std::move(faults);
      }
    }
    if (matches == 1) return true;
    if (matches == 0) return none_matched(schemas.size(), closest, at);
    return fail(at,
                "has " + std::to_string(matches) + " of the allowed forms at once, it must have exactly one");
  }

  const Program& program_;
  std::size_t steps_ = 0;
  bool gave_up_ = false;
};

}  // namespace

std::vector<SchemaFault> check_program(const Program& program, const Json& value) {
  Checker checker(program);
  Faults faults;
  const Place root;
  const bool good = checker.apply(0, value, {&root, nullptr, nullptr, &faults, 0});
  if (checker.gave_up()) return {{"", "is too complex to check"}};
  if (!good && faults.empty()) faults.push_back({"", "is not valid"});
  return faults;
}

}  // namespace assistiv::mcp::schema
