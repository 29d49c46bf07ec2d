#pragma once
// The master keys of a vault and their file. Immutable once read; Vault swaps whole rings.
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/random.h"
#include "core/secret.h"

namespace assistiv::oauth {

inline constexpr std::size_t kMaxMasterKeys = 64;

struct MasterKey {
  std::string kid;
  core::Secret bytes;  // 32
};

// At least one key; the first is the active one.
struct Keyring {
  std::vector<MasterKey> keys;
  const MasterKey* find(std::string_view kid) const;
};

MasterKey make_master_key(core::Random& random);
// Throws Error{InvalidArgument} that names the file, what is wrong with it, and never its content.
std::shared_ptr<const Keyring> parse_keyring(const core::Secret& text, const std::string& path);
core::Secret format_keyring(const Keyring& ring);

}  // namespace assistiv::oauth
