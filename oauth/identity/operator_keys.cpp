#include "oauth/identity/operator_keys.h"

#include <cerrno>
#include <cstdio>

#include "core/encoding.h"
#include "core/error.h"
#include "core/log.h"
#include "oauth/crypto/secret_file.h"
#include "oauth/identity/key_rows.h"

namespace assistiv::oauth {

namespace {

// Any constant: serializes the processes that want to make the first key.
constexpr std::string_view kLockStatement = "select pg_advisory_xact_lock(4710928374650192)";

std::string key_file(const std::string& data_dir) {
  return data_dir + "/admin.key";
}
std::string staged_file(const std::string& data_dir) {
  return data_dir + "/admin.key.new";
}

core::Secret insert_operator_key(storage::Transaction& tx, const core::Clock& clock, core::Random& random) {
  auto fresh = make_fresh_key(PrincipalKind::Operator, {.name = "admin.key"}, clock, random);
  tx.exec(
      "insert into operator_key (key_id, key_prefix, key_hash, name, scopes, created_at) values ($1::uuid, "
      "$2, "
      "decode($3, 'hex'), $4, string_to_array($5, ' '), assistiv_time($6::bigint))",
      {fresh.id.str(), visible_prefix(fresh.raw.reveal()), core::sha256_hex(fresh.raw.reveal()), fresh.name,
       fresh.scopes, fresh.created_ms});
  return std::move(fresh.raw);
}

core::Secret with_newline(const core::Secret& raw) {
  return core::Secret(raw.reveal() + "\n");
}

bool is_known(storage::Transaction& tx, const core::Secret& line) {
  const auto text = std::string_view(line.reveal());
  const auto hash = core::sha256_hex(text.substr(0, text.find('\n')));
  return !tx.exec("select 1 from operator_key where key_hash = decode($1, 'hex')", {hash}).empty();
}

void publish_staged(const std::string& data_dir) {
  // Gone: a process that started at the same moment has published it.
  if (std::rename(staged_file(data_dir).c_str(), key_file(data_dir).c_str()) != 0 && errno != ENOENT) {
    throw core::Error(core::ErrorKind::Unavailable, "Cannot write " + key_file(data_dir) + ".");
  }
}

}  // namespace

// The key waits in a staged file until its row is committed, so that a crash at any moment leaves either the
// old key valid and in place, or the new one valid and found by the next start.
std::optional<std::string> OperatorKeys::ensure(const std::string& data_dir) {
  enum class Found { Nothing, Staged, Other };
  auto found = Found::Nothing;
  database_.execute(storage::Scope::system(), [&](storage::Transaction& tx) {  // no tenant owns operator keys
    tx.exec(kLockStatement);
    const auto staged = read_secret_file(staged_file(data_dir));
    found = staged && is_known(tx, *staged)                         ? Found::Staged
            : tx.exec("select 1 from operator_key limit 1").empty() ? Found::Nothing
                                                                    : Found::Other;
    if (found != Found::Nothing) return;
    write_secret_file(staged_file(data_dir), with_newline(insert_operator_key(tx, clock_, random_)));
  });
  if (found == Found::Other) return std::nullopt;
  publish_staged(data_dir);
  core::log::info("operator_key.written", {{"file", key_file(data_dir)}});
  return key_file(data_dir);
}

std::string OperatorKeys::rotate(const std::string& data_dir) {
  database_.execute(storage::Scope::system(), [&](storage::Transaction& tx) {  // no tenant owns operator keys
    tx.exec(kLockStatement);
    for (const auto row : tx.exec("delete from operator_key returning encode(key_hash, 'hex') hash")) {
      tx.notify("key", row.text("hash"));
    }
    write_secret_file(staged_file(data_dir), with_newline(insert_operator_key(tx, clock_, random_)));
  });
  publish_staged(data_dir);
  core::log::info("operator_key.rotated", {{"file", key_file(data_dir)}});
  return key_file(data_dir);
}

}  // namespace assistiv::oauth
