#include "core/json_read.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_pointer.h"

namespace assistiv::core {

namespace {

// The keys of one object. Most objects have a few: looking through them costs less than a tree of copies.
class KeySet {
 public:
  // False when it was there before.
  bool insert(const std::string& name) {
    if (!many_.empty()) return many_.insert(name).second;
    if (std::find(few_.begin(), few_.end(), name) != few_.end()) return false;
    few_.push_back(name);
    if (few_.size() > kFew) {
      many_.insert(few_.begin(), few_.end());
      few_.clear();
    }
    return true;
  }
  void clear() {
    few_.clear();
    many_.clear();
  }

 private:
  static constexpr std::size_t kFew = 16;
  std::vector<std::string> few_;
  std::set<std::string> many_;
};

// Builds the document while it refuses depth, duplicate keys and faults. (nlohmann's own callback parser
// reports neither duplicates nor depth before it has built the value.)
class StrictBuilder : public nlohmann::json_sax<Json> {
 public:
  StrictBuilder(Json& root, int depth_max) : dom_(root, false), depth_max_(depth_max) {}

  bool null() override { return dom_.null(); }
  bool boolean(bool value) override { return dom_.boolean(value); }
  bool number_integer(number_integer_t value) override { return dom_.number_integer(value); }
  bool number_unsigned(number_unsigned_t value) override { return dom_.number_unsigned(value); }
  bool number_float(number_float_t value, const string_t& text) override {
    return dom_.number_float(value, text);
  }
  bool string(string_t& value) override { return dom_.string(value); }
  bool binary(binary_t& value) override { return dom_.binary(value); }
  bool start_object(std::size_t size) override {
    if (objects_ == keys_.size()) keys_.emplace_back();
    ++objects_;
    return enter() && dom_.start_object(size);
  }
  bool key(string_t& name) override {
    if (!keys_[objects_ - 1].insert(name))
      return refuse("the key \"" + name.substr(0, 100) + "\" occurs twice");
    return dom_.key(name);
  }
  bool end_object() override {
    keys_[--objects_].clear();
    --depth_;
    return dom_.end_object();
  }
  bool start_array(std::size_t size) override { return enter() && dom_.start_array(size); }
  bool end_array() override {
    --depth_;
    return dom_.end_array();
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return refuse("it is not valid JSON near byte " + std::to_string(position));
  }

  std::string fault;

 private:
  bool enter() {
    return ++depth_ <= depth_max_ || refuse("it is nested deeper than " + std::to_string(depth_max_));
  }
  bool refuse(std::string why) {
    if (fault.empty()) fault = std::move(why);
    return false;
  }
  nlohmann::detail::json_sax_dom_parser<Json> dom_;
  int depth_max_;
  int depth_ = 0;
  std::size_t objects_ = 0;   // open ones
  std::vector<KeySet> keys_;  // of the open ones; the rest is kept for reuse
};

// The parsed value, or the fault in words.
std::string parse_into(Json& out, std::string_view text, int depth_max) {
  StrictBuilder builder(out, depth_max);
  if (Json::sax_parse(text.begin(), text.end(), &builder)) return {};
  return builder.fault.empty() ? "it is not valid JSON" : builder.fault;
}

}  // namespace

Json parse_json(std::string_view text, int depth_max) {
  Json out;
  const std::string fault = parse_into(out, text, depth_max);
  if (!fault.empty()) throw bad_request("The JSON body cannot be read: " + fault + ".");
  return out;
}

std::optional<Json> try_parse_json(std::string_view text, int depth_max) {
  Json out;
  if (!parse_into(out, text, depth_max).empty()) return {};
  return out;
}

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

JsonReader::JsonReader(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
  if (!object_.is_object()) {
    throw bad_request(path_.empty() ? "The body must be a JSON object." : "This must be an object.", path_);
  }
}

std::string JsonReader::pointer(std::string_view name) const {
  return path_ + "/" + pointer_token(name);
}

void JsonReader::fail(std::string_view name, const std::string& message) const {
  throw bad_request("\"" + std::string(name) + "\" " + message + ".", pointer(name));
}

const Json* JsonReader::find(std::string_view name) const {
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

bool JsonReader::has(std::string_view name) const {
  return find(name) != nullptr;
}

std::optional<std::string> JsonReader::optional_string(std::string_view name, std::size_t min,
                                                       std::size_t max) const {
  const Json* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_string()) fail(name, "must be a string");
  auto text = value->get<std::string>();
  if (text.size() < min || text.size() > max) {
    fail(name, "must have " + std::to_string(min) + " to " + std::to_string(max) + " bytes");
  }
  if (text.find('\0') != std::string::npos) fail(name, "must not contain a NUL character");
  return text;
}

std::string JsonReader::string(std::string_view name, std::size_t min, std::size_t max) const {
  auto text = optional_string(name, min, max);
  if (!text) fail(name, "is required");
  return std::move(*text);
}

std::optional<std::int64_t> JsonReader::optional_integer(std::string_view name, std::int64_t min,
                                                         std::int64_t max) const {
  const Json* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_number_integer()) fail(name, "must be an integer");
  const bool huge = value->is_number_unsigned() && value->get<std::uint64_t>() > INT64_MAX;
  const auto number = value->get<std::int64_t>();
  if (huge || number < min || number > max) {
    fail(name, "must be from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return number;
}

std::optional<bool> JsonReader::optional_bool(std::string_view name) const {
  const Json* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_boolean()) fail(name, "must be true or false");
  return value->get<bool>();
}

std::string JsonReader::choice(std::string_view name, std::initializer_list<std::string_view> allowed) const {
  auto text = string(name);
  if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return text;
  std::string list;
  for (const auto option : allowed) list += (list.empty() ? "" : ", ") + std::string(option);
  fail(name, "must be one of: " + list);
}

std::vector<std::string> JsonReader::strings(std::string_view name, std::size_t items_max,
                                             std::size_t length_max) const {
  const Json* value = array(name);
  std::vector<std::string> out;
  if (value == nullptr) return out;
  if (value->size() > items_max) fail(name, "must have at most " + std::to_string(items_max) + " items");
  for (const auto& item : *value) {
    if (!item.is_string() || item.get_ref<const std::string&>().size() > length_max) {
      fail(name, "must hold strings of at most " + std::to_string(length_max) + " bytes");
    }
    out.push_back(item.get<std::string>());
    if (out.back().find('\0') != std::string::npos) fail(name, "must not contain a NUL character");
  }
  return out;
}

const Json* JsonReader::object(std::string_view name) const {
  const Json* value = find(name);
  if (value != nullptr && !value->is_object()) fail(name, "must be an object");
  return value;
}

const Json* JsonReader::array(std::string_view name) const {
  const Json* value = find(name);
  if (value != nullptr && !value->is_array()) fail(name, "must be an array");
  return value;
}

void JsonReader::only(std::initializer_list<std::string_view> allowed) const {
  for (const auto& [name, value] : object_.items()) {
    if (std::find(allowed.begin(), allowed.end(), name) == allowed.end())
      fail(name, "is not a field of this request");
  }
}

}  // namespace assistiv::core
