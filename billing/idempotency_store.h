#pragma once
// Idempotency-Key: a write that carries one happens once, however often and from however many connections it
// is sent. The key is claimed, the money moved and the reply kept in one transaction, so either all of it
// stands or none: a failed write (any error) frees its key. Rows of `idempotency_key`.
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/ids.h"
#include "storage/database.h"

namespace assistiv::billing {

// A reply as it is sent, and sent again. `body` is the JSON of the resource, without the envelope.
struct MoneyReply {
  int status = 200;
  std::string body;
  bool replayed = false;  // the first call's reply: nothing was done now
};

struct IdempotencyKey {
  std::string caller;       // "operator" or "platform": the two do not share keys
  std::string key;          // 1..255 visible ASCII characters
  std::string fingerprint;  // of the request, see fingerprint_of
};

// Hex SHA-256 over method, path and body as they came in: a retry is the same bytes.
std::string fingerprint_of(std::string_view method, std::string_view path, std::string_view body);
// Throws InvalidArgument with the field "Idempotency-Key" when `text` cannot be one.
void check_idempotency_key(std::string_view text);
// 400 for a route where the header must be there.
[[noreturn]] void throw_key_required();

class IdempotencyStore {
 public:
  static constexpr std::chrono::hours kRetention{7 * 24};

  explicit IdempotencyStore(const core::Clock& clock) : clock_(clock) {}

  // Runs `work` unless the key was used: then the first reply, `replayed`. Without a key it just runs. Waits
  // while another transaction holds the key (at most the statement timeout), then replays, or takes over when
  // the other was rolled back. Throws Conflict when the key was used for another request.
  MoneyReply once(storage::Transaction& tx, core::PlatformId platform,
                  const std::optional<IdempotencyKey>& key, const std::function<MoneyReply()>& work) const;
  // The same for work that cannot be done yet: nothing, and the key stays free. The transaction may commit.
  std::optional<MoneyReply> once_if_possible(storage::Transaction& tx, core::PlatformId platform,
                                             const std::optional<IdempotencyKey>& key,
                                             const std::function<std::optional<MoneyReply>()>& work) const;
  // Forgets keys past their retention; gives how many.
  std::size_t discard_expired(storage::Transaction& tx, std::size_t limit) const;

 private:
  bool claim(storage::Transaction& tx, core::PlatformId platform, const IdempotencyKey& key) const;
  MoneyReply first_reply(storage::Transaction& tx, core::PlatformId platform,
                         const IdempotencyKey& key) const;
  void give_back(storage::Transaction& tx, core::PlatformId platform, const IdempotencyKey& key) const;
  void keep(storage::Transaction& tx, core::PlatformId platform, const IdempotencyKey& key,
            const MoneyReply& reply) const;

  const core::Clock& clock_;
};

}  // namespace assistiv::billing
