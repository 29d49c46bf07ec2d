#include "oauth/crypto/vault.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <mutex>
#include <utility>

#include "core/encoding.h"
#include "core/error.h"
#include "oauth/crypto/jwe.h"
#include "oauth/crypto/keyring.h"
#include "oauth/crypto/secret_file.h"

namespace assistiv::oauth {

namespace {

using KeyringPtr = std::shared_ptr<const Keyring>;

// Changes whenever the file is replaced.
using FileVersion = std::array<std::int64_t, 5>;

FileVersion version_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return {static_cast<std::int64_t>(info.st_dev), static_cast<std::int64_t>(info.st_ino), info.st_size,
          info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

JweHeader row_header(const SecretContext& context) {
  return {{"tid", context.platform_id.str()},
          {"tbl", context.table},
          {"row", context.row},
          {"fld", context.field}};
}

KeyringPtr read_keyring(const std::string& path) {
  const auto text = read_secret_file(path);
  if (!text) {
    throw core::Error(
        core::ErrorKind::InvalidArgument,
        path +
            ": the keyring is gone. Restore it from a backup: without its keys, stored credentials "
            "cannot be read.");
  }
  return parse_keyring(*text, path);
}

}  // namespace

struct Vault::Impl {
  explicit Impl(std::string file) : path(std::move(file)) {}

  KeyringPtr current() const {
    std::lock_guard lock(mutex);
    return ring;
  }

  void load() {
    // Taken before reading: a file that is replaced meanwhile counts as changed at the next look.
    const auto version = version_of(path);
    auto fresh = read_keyring(path);
    std::lock_guard lock(mutex);
    ring = std::move(fresh);
    loaded = version;
  }

  bool changed_on_disk() const {
    const auto version = version_of(path);
    std::lock_guard lock(mutex);
    return version != loaded;
  }

  // The ring with `kid`, after another look at the file if need be.
  KeyringPtr ring_with(std::string_view kid) {
    auto now = current();
    if (now->find(kid) == nullptr && changed_on_disk()) {
      load();
      now = current();
    }
    return now;
  }

  void write(const Keyring& next) {
    write_secret_file(path, format_keyring(next));
    load();
  }

  const std::string path;
  mutable std::mutex mutex;
  KeyringPtr ring;
  FileVersion loaded{};
};

Vault::Vault(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Vault::~Vault() = default;

std::unique_ptr<Vault> Vault::open_file(const std::string& path, core::Random& random) {
  auto impl = std::make_unique<Impl>(path);
  const FileLock lock(path);
  if (!read_secret_file(path)) write_secret_file(path, format_keyring({{make_master_key(random)}}));
  impl->load();
  return std::unique_ptr<Vault>(new Vault(std::move(impl)));
}

std::string Vault::seal(const SecretContext& context, const core::Secret& plaintext) const {
  if (plaintext.reveal().size() > kMaxPlaintext) throw core::internal("vault: a secret is longer than 1 MiB");
  const auto ring = impl_->current();
  const auto& key = ring->keys.front();
  auto header = row_header(context);
  header.emplace_back("kid", key.kid);
  return jwe_encrypt(key.bytes, header, plaintext);
}

core::Secret Vault::open(const SecretContext& context, std::string_view jwe) const {
  const auto kid = kid_of(jwe);
  if (kid.empty()) throw core::internal("vault: this is not a sealed text");
  const auto ring = impl_->ring_with(kid);
  const auto* key = ring->find(kid);
  if (key == nullptr) throw core::internal("vault: the keyring has no key with the kid of a sealed text");
  return jwe_decrypt(key->bytes, row_header(context), jwe);
}

core::Secret Vault::derive(std::string_view purpose) const {
  return core::Secret(core::hmac_sha256(impl_->current()->keys.back().bytes.reveal(), purpose));
}

std::string Vault::active_kid() const {
  return impl_->current()->keys.front().kid;
}

std::vector<std::string> Vault::kids() const {
  std::vector<std::string> out;
  const auto ring = impl_->current();  // held: another thread may replace it meanwhile
  for (const auto& key : ring->keys) out.push_back(key.kid);
  return out;
}

std::string Vault::kid_of(std::string_view jwe) {
  return jwe_header_value(jwe, "kid");
}

std::string Vault::rotate(core::Random& random) {
  const FileLock lock(impl_->path);
  auto next = *read_keyring(impl_->path);
  if (next.keys.size() >= kMaxMasterKeys) {
    throw core::conflict("The keyring is full. Re-encrypt and drop the keys that are no longer used.");
  }
  next.keys.insert(next.keys.begin(), make_master_key(random));
  impl_->write(next);
  return next.keys.front().kid;
}

void Vault::drop(std::string_view kid) {
  const FileLock lock(impl_->path);
  auto next = *read_keyring(impl_->path);
  if (next.keys.front().kid == kid) throw core::conflict("The active key cannot be dropped. Rotate first.");
  if (std::erase_if(next.keys, [&](const MasterKey& key) { return key.kid == kid; }) == 0) {
    throw core::not_found("The keyring has no such key.");
  }
  impl_->write(next);
}

void Vault::reload() {
  impl_->load();
}

}  // namespace assistiv::oauth
