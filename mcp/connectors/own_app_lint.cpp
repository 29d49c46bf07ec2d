// docs/connectors.md, "A platform's own apps".
#include "mcp/connectors/own_app_lint.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "core/json_pointer.h"
#include "core/json_read.h"
#include "mcp/connectors/clean_text.h"

namespace assistiv::mcp {

namespace {

using core::Json;
using OwnFaults = std::vector<ManifestFault>;

// Bounds of what a manifest grows to when shared parts are put in their places.
constexpr std::size_t kExpandedBytesMax = 512 * 1024;
constexpr std::size_t kShapeFieldsMax = 2000;
constexpr int kOwnShapeDepth = 8;
constexpr std::int64_t kOwnTimeoutMax = 30'000;
constexpr std::int64_t kOwnResponseMax = 8 << 20;

// Ends of names that no public name server knows, or that mean this machine.
constexpr std::array<std::string_view, 11> kPrivateEnds = {"localhost", "localdomain", "local", "internal",
                                                           "intranet",  "lan",         "home",  "corp",
                                                           "private",   "arpa",        "onion"};
constexpr std::array<std::string_view, 10> kSecretWords = {"authorization", "cookie",  "secret", "password",
                                                           "passwd",        "api_key", "apikey", "bearer",
                                                           "private_key",   "token"};

void add(OwnFaults& faults, std::string pointer, std::string message) {
  faults.push_back({kOwnManifestName, std::move(pointer), std::move(message)});
}

// Calls visit(value, pointer, name) for everything in `value`, which is bounded by the parser's depth.
template <class Visit>
void walk(const Json& value, const std::string& pointer, const std::string& name, const Visit& visit) {
  if (!visit(value, pointer, name) || !value.is_structured()) return;
  for (auto it = value.begin(); it != value.end(); ++it) {
    const std::string key = value.is_object() ? it.key() : std::to_string(std::distance(value.begin(), it));
    walk(*it, pointer + "/" + core::pointer_token(key), value.is_object() ? key : name, visit);
  }
}

const Json& member(const Json& object, const char* name) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto it = object.find(name);
  return it == object.end() ? kNull : *it;
}

// ---- what it costs ----

void check_arguments(const Json& manifest, OwnFaults& faults) {
  const Json& arguments = member(manifest, "arguments");
  walk(arguments, "/arguments", "", [&](const Json& value, const std::string& pointer, const std::string&) {
    if (value.is_object() && value.contains("$ref")) {
      add(faults, pointer + "/$ref", "is not allowed here: shared arguments may not share others");
    }
    return true;
  });
  std::size_t bytes = 0;
  walk(member(manifest, "tools"), "/tools", "",
       [&](const Json& value, const std::string&, const std::string&) {
         const Json& ref = member(value, "$ref");
         if (!ref.is_string()) return true;
         const auto text = ref.get<std::string>();
         const auto name = text.substr(std::min(text.size(), text.rfind('/') + 1));
         bytes += core::dump_json(member(arguments, name.c_str())).size();
         return bytes <= kExpandedBytesMax;
       });
  if (bytes > kExpandedBytesMax) {
    add(faults, "/arguments", "are too much where tools use them: at most 512 KiB in all");
  }
}

// How many fields a result of this shape has, with those of shapes inside, as far as the bound.
class FieldCount {
 public:
  explicit FieldCount(const Json& shapes) : shapes_(shapes) {}
  std::size_t of(const Json& shape, int depth = 0) {
    if (depth > kOwnShapeDepth) return kShapeFieldsMax + 1;
    if (!shape.is_string()) return sum(shape, depth);
    const auto name = shape.get<std::string>();
    const auto [it, fresh] = known_.try_emplace(name, 0);
    if (fresh) known_[name] = sum(member(shapes_, name.c_str()), depth);
    return known_[name];
  }

 private:
  std::size_t sum(const Json& fields, int depth) {
    if (!fields.is_object()) return 0;
    std::size_t out = 0;
    for (const auto& [name, field] : fields.items()) {
      out += 1 + (field.is_object() && field.contains("shape") ? of(field["shape"], depth + 1) : 0);
      if (out > kShapeFieldsMax) return out;
    }
    return out;
  }
  const Json& shapes_;
  std::map<std::string, std::size_t> known_;
};

void check_shapes(const Json& manifest, OwnFaults& faults) {
  const Json& tools = member(manifest, "tools");
  if (!tools.is_array()) return;
  FieldCount count(member(manifest, "shapes"));
  for (std::size_t i = 0; i < tools.size(); ++i) {
    if (count.of(member(member(tools[i], "result"), "shape")) <= kShapeFieldsMax) continue;
    add(faults, "/tools/" + std::to_string(i) + "/result/shape",
        "has too many fields with the shapes inside it: at most 2000");
  }
}

// ---- hosts ----

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         label.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

// What is wrong with a name in the public part of the name space; "" when nothing is. The last label begins
// with a letter: no spelling of an address does.
std::string domain_fault(std::string_view name) {
  int labels = 0;
  std::string_view last;
  for (std::string_view rest = name;;) {
    const auto dot = rest.find('.');
    last = rest.substr(0, dot);
    if (!is_label(last)) return "is not a host name in lowercase, without a port";
    ++labels;
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  if (last.front() < 'a' || last.front() > 'z') return "is an address: only names are allowed";
  if (labels < 2 || std::find(kPrivateEnds.begin(), kPrivateEnds.end(), last) != kPrivateEnds.end()) {
    return "is a private name: only public ones are allowed";
  }
  return "";
}

std::string host_fault(std::string_view host, bool loopback) {
  if (is_loopback_host(host)) {
    return loopback ? "" : "is this machine: only public hosts are allowed";
  }
  const auto end = host.rfind('}');
  if (end == std::string_view::npos) return domain_fault(host);
  bool inside = false;
  for (const char c : host.substr(0, end)) {
    inside = c == '{' || (inside && c != '}');
    if (c == '.' && !inside) return "may have placeholders in its first label only";
  }
  const auto rest = host.substr(end + 1);
  if (!rest.starts_with('.')) return "needs a fixed domain after its placeholder, as in {team}.example.com";
  const auto fault = domain_fault(rest.substr(1));
  return fault.empty() ? "" : "needs a fixed public domain of two labels or more after its placeholder";
}

void check_own_hosts(const Json& manifest, bool loopback, OwnFaults& faults) {
  const Json& hosts = member(manifest, "hosts");
  if (!hosts.is_array()) return;  // reported by who reads it
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (!hosts[i].is_string()) continue;
    const auto fault = host_fault(hosts[i].get_ref<const std::string&>(), loopback);
    if (!fault.empty()) add(faults, "/hosts/" + std::to_string(i), fault);
  }
}

// ---- secrets ----

bool sounds_secret(std::string name) {
  for (char& c : name) c = c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (name.find("token_type") != std::string::npos) return false;  // RFC 7009's token_type_hint is none
  return std::any_of(kSecretWords.begin(), kSecretWords.end(),
                     [&](std::string_view word) { return name.find(word) != std::string::npos; });
}

// Names of what is sent, and the schemas and tables that only look like it.
bool is_sent(std::string_view name) {
  return name == "headers" || name == "params" || name == "query" || name == "body";
}

void check_sent(const Json& sent, const std::string& at, OwnFaults& faults) {
  walk(sent, at, "", [&](const Json& value, const std::string& pointer, const std::string& name) {
    const bool literal = value.is_string() && !value.get_ref<const std::string&>().empty() &&
                         value.get_ref<const std::string&>().find('{') == std::string::npos;
    if (literal && sounds_secret(name)) {
      add(faults, pointer,
          "carries a credential in the open: secrets are given when the app is activated and stored sealed");
    }
    return true;
  });
}

void check_secrets(const Json& manifest, OwnFaults& faults) {
  walk(manifest, "", "", [&](const Json& value, const std::string& pointer, const std::string& name) {
    if (name == "input" || name == "arguments" || name == "shapes" || name == "result") return false;
    if (!is_sent(name) || !value.is_object()) return true;
    // "failures" and "rate" name headers of answers.
    if (pointer.find("/failures/") == std::string::npos) check_sent(value, pointer, faults);
    return false;
  });
  const Json& header = member(member(manifest, "api"), "auth_header");
  if (!header.is_string()) return;
  std::string around = header.get<std::string>();
  if (const auto at = around.find("{token}"); at != std::string::npos) around.erase(at, 7);
  if (around.size() > 16) {
    add(faults, "/api/auth_header", "may have at most 16 characters beside {token}");
  }
}

// ---- texts ----

void check_texts(const Json& manifest, OwnFaults& faults) {
  const auto hidden = [](const std::string& text) { return clean_text(text) != text; };
  walk(manifest, "", "", [&](const Json& value, const std::string& pointer, const std::string& name) {
    if ((value.is_string() && hidden(value.get_ref<const std::string&>())) || hidden(name)) {
      add(faults, pointer, "has characters that people do not see");
    }
    const bool line = (name == "title" || name == "group") && value.is_string();
    if (line && value.get_ref<const std::string&>().find_first_of("\r\n\t") != std::string::npos) {
      add(faults, pointer, "must be one line");
    }
    return true;
  });
}

// Scripts of letters in UTF-8 text, as far as look-alikes need them: Latin, and any other.
struct Scripts {
  bool latin = false, other = false;
};

Scripts scripts_of(std::string_view text) {
  Scripts out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z')) out.latin = true;
    // U+0250 (C9 90) and up, but for general punctuation (E2 80, E2 81).
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    const bool punctuation = byte == 0xe2 && (next == 0x80 || next == 0x81);
    if ((byte == 0xc9 && next >= 0x90) || (byte > 0xc9 && !punctuation)) out.other = true;
  }
  return out;
}

void check_titles(const Json& manifest, OwnFaults& faults) {
  const Json& title = member(manifest, "title");
  if (!title.is_string()) return;
  const auto scripts = scripts_of(title.get_ref<const std::string&>());
  if (scripts.latin && scripts.other) {
    add(faults, "/title", "mixes Latin letters with others, which can look like another name");
  }
}

void check_bound(const Json& api, const char* name, std::int64_t max, OwnFaults& faults) {
  const Json& value = member(api, name);
  if (value.is_number_integer() && value.get<std::int64_t>() > max) {
    add(faults, std::string("/api/") + name, "must be at most " + std::to_string(max));
  }
}

}  // namespace

bool is_loopback_host(std::string_view host) {
  for (const std::string_view name : {"localhost", "127.0.0.1", "[::1]"}) {
    if (host == name || (host.starts_with(name) && host.substr(name.size()).starts_with(':'))) return true;
  }
  return false;
}

std::string folded_title(std::string_view title) {
  constexpr std::string_view kLike = "01345";
  constexpr std::string_view kLetter = "oleas";
  std::string out;
  for (char c : title) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if (const auto at = kLike.find(c); at != std::string_view::npos) c = kLetter[at];
    if (c == 'i') c = 'l';
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out += c;
  }
  return out;
}

std::vector<ManifestFault> own_cost_faults(const core::Json& manifest) {
  OwnFaults faults;
  if (member(manifest, "extends") != Json()) {
    add(faults, "/extends", "is not allowed: an app of a platform takes nothing over from others");
  }
  check_arguments(manifest, faults);
  check_shapes(manifest, faults);
  return faults;
}

std::vector<ManifestFault> own_rule_faults(const core::Json& manifest, bool loopback) {
  OwnFaults faults;
  check_own_hosts(manifest, loopback, faults);
  check_secrets(manifest, faults);
  check_texts(manifest, faults);
  check_titles(manifest, faults);
  const Json& oauth = member(manifest, "oauth");
  if (member(oauth, "callback") == "shared") {
    add(faults, "/oauth/callback", "must be \"app\": a callback of its own keeps codes apart");
  }
  const Json& api = member(manifest, "api");
  check_bound(api, "timeout_ms", kOwnTimeoutMax, faults);
  check_bound(api, "max_response_bytes", kOwnResponseMax, faults);
  return faults;
}

}  // namespace assistiv::mcp
