#include "oauth/crypto/keyring.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kMasterKeyBytes = 32;
constexpr std::size_t kMaxKidLength = 64;

core::Error keyring_error(const std::string& path, const std::string& what) {
  return core::Error(core::ErrorKind::InvalidArgument,
                     path + ": " + what +
                         ". Restore the keyring from a backup: without its keys, stored "
                         "credentials cannot be read.");
}

void wipe(std::string& text) {
  OPENSSL_cleanse(text.data(), text.size());
}

// The parsed file holds key material in plain strings.
void wipe_strings(core::Json& value) {
  if (auto* text = value.get_ptr<std::string*>()) wipe(*text);
  if (!value.is_structured()) return;
  for (auto& item : value) {
    if (auto* text = item.get_ptr<std::string*>()) wipe(*text);
    if (item.is_structured()) {
      for (auto& inner : item) {
        if (auto* text = inner.get_ptr<std::string*>()) wipe(*text);
      }
    }
  }
}

bool is_kid(const std::string& text) {
  return !text.empty() && text.size() <= kMaxKidLength &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}

MasterKey read_key(const core::Json& item, const std::string& path) {
  const bool shaped = item.is_object() && item.contains("kid") && item["kid"].is_string() &&
                      item.contains("k") && item["k"].is_string();
  if (!shaped) throw keyring_error(path, R"(every key must be {"kid", "k"})");
  auto bytes = core::base64url_decode(item["k"].get_ref<const std::string&>());
  MasterKey key{item["kid"].get<std::string>(), core::Secret(std::move(bytes).value_or(""))};
  if (!is_kid(key.kid)) throw keyring_error(path, "a kid must be 1 to 64 printable characters");
  if (key.bytes.reveal().size() != kMasterKeyBytes) {
    throw keyring_error(path, "k of key \"" + key.kid + "\" must be 32 bytes in base64url");
  }
  return key;
}

std::shared_ptr<const Keyring> read_ring(const core::Json& file, const std::string& path) {
  if (!file.is_object() || !file.contains("keys") || !file["keys"].is_array() || file["keys"].empty()) {
    throw keyring_error(path, R"(must be {"keys": [{"kid", "k"}, ...]})");
  }
  if (file["keys"].size() > kMaxMasterKeys) throw keyring_error(path, "holds more than 64 keys");
  auto ring = std::make_shared<Keyring>();
  for (const auto& item : file["keys"]) {
    auto key = read_key(item, path);
    if (ring->find(key.kid) != nullptr) throw keyring_error(path, "names the kid \"" + key.kid + "\" twice");
    ring->keys.push_back(std::move(key));
  }
  return ring;
}

}  // namespace

const MasterKey* Keyring::find(std::string_view kid) const {
  const auto hit =
      std::find_if(keys.begin(), keys.end(), [&](const MasterKey& key) { return key.kid == kid; });
  return hit == keys.end() ? nullptr : &*hit;
}

MasterKey make_master_key(core::Random& random) {
  std::string bytes(kMasterKeyBytes, '\0');
  random.fill({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  return {core::random_hex(random, 8), core::Secret(std::move(bytes))};
}

std::shared_ptr<const Keyring> parse_keyring(const core::Secret& text, const std::string& path) {
  auto file = core::try_parse_json(text.reveal(), 4);
  if (!file) throw keyring_error(path, "is not valid JSON");
  struct Wiper {
    core::Json& value;
    ~Wiper() { wipe_strings(value); }
  } wiper{*file};
  return read_ring(*file, path);
}

core::Secret format_keyring(const Keyring& ring) {
  // Built by hand, so that no copy of a key stays behind in a JSON value. A kid needs no escaping (is_kid).
  std::string text;
  text.reserve(64 + ring.keys.size() * 160);
  text += "{\"keys\": [";
  for (const auto& key : ring.keys) {
    core::Secret encoded(core::base64url_encode(key.bytes.reveal()));
    text += &key == &ring.keys.front() ? "\n" : ",\n";
    text += R"(  {"kid": ")" + key.kid + R"(", "k": ")";
    text += encoded.reveal();
    text += "\"}";
  }
  text += "\n]}\n";
  return core::Secret(std::move(text));
}

}  // namespace assistiv::oauth
