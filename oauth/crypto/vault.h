#pragma once
// Secrets at rest: JWE compact, alg "dir", enc "A256GCM" (RFC 7516), through cjose. The protected header
// carries `kid` and the identity of the row; both are authenticated, so a ciphertext copied to another row or
// tenant does not open.
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.h"
#include "core/random.h"
#include "core/secret.h"

namespace assistiv::oauth {

// Which row a secret belongs to. All parts are authenticated.
struct SecretContext {
  core::PlatformId platform_id;
  std::string table;  // "mcp_app"
  std::string row;    // the row's id
  std::string field;  // "client_secret"
};

// A keyring of 256-bit master keys: the first is used to seal, all of them to open. Thread-safe; a change
// swaps the whole ring, so that calls under way finish with the one they began with.
class Vault {
 public:
  static constexpr std::size_t kMaxPlaintext = 1024 * 1024;

  // The file holds {"keys":[{"kid","k"(base64url)}...]}, mode 0600; created with one fresh key when it does
  // not exist. Throws Error{InvalidArgument} that names the file and the fix.
  static std::unique_ptr<Vault> open_file(const std::string& path, core::Random& random);
  ~Vault();

  // Plaintexts up to kMaxPlaintext bytes; more throws Error{Internal}.
  std::string seal(const SecretContext& context, const core::Secret& plaintext) const;
  // Throws core::Error{Internal} when the key is unknown, the text was changed, or the context is another
  // one. A key that another process added since is found: an unknown kid reads the file again, at most once a
  // second.
  core::Secret open(const SecretContext& context, std::string_view jwe) const;

  // A 256-bit key for one purpose, the same on every node with this keyring (HMAC-SHA-256 of the oldest key).
  // For what may become invalid when that key is dropped, e.g. cursors; never for what is stored.
  core::Secret derive(std::string_view purpose) const;

  std::string active_kid() const;
  std::vector<std::string> kids() const;  // the active one first
  // The kid a sealed text names; "" when it is not a sealed text.
  static std::string kid_of(std::string_view jwe);

  // These write the file atomically and are for commands. rotate adds a fresh key as the active one, keeps
  // the others, and gives its kid; drop forgets a key that nothing uses any more (never the active one).
  std::string rotate(core::Random& random);
  void drop(std::string_view kid);
  // Reads the file again, for example after a notice on the topic "keyring".
  void reload();

 private:
  struct Impl;
  explicit Vault(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace assistiv::oauth
