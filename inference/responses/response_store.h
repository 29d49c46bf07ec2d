#pragma once
// Rows of `stored_response`: what was asked and answered in one turn, for one tenant and one caller of it.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "storage/database.h"

namespace assistiv::inference {

// Whose responses: an end user's, or those made with the platform's own keys. Another owner's do not exist.
struct ResponseOwner {
  core::PlatformId platform_id;
  std::optional<core::EndUserId> end_user_id;
};

struct StoredResponse {
  std::string id;
  std::string previous_id;  // "" for the first of a conversation
  std::string input_json;   // the items of this turn
  std::string response_json;
  core::Time created_at, expires_at;
};

class ResponseStore {
 public:
  // An id that is taken is left as it is: ids are ours and random.
  void insert(storage::Transaction& tx, const ResponseOwner& owner, const StoredResponse& response) const;
  std::optional<StoredResponse> get(storage::Transaction& tx, const ResponseOwner& owner,
                                    const std::string& id, core::Time now) const;
  // From the first turn to `id`, at most `turns_max` turns. Empty when one of them is gone; nothing when they
  // are more turns or more than `bytes_max` bytes.
  std::optional<std::vector<StoredResponse>> chain(storage::Transaction& tx, const ResponseOwner& owner,
                                                   const std::string& id, core::Time now, int turns_max,
                                                   std::int64_t bytes_max) const;
  // Turns that a living conversation stands on live as long as it does. Written only for what would end
  // before `soon`.
  void keep(storage::Transaction& tx, const ResponseOwner& owner, const std::vector<StoredResponse>& turns,
            core::Time soon, core::Time until) const;
  bool remove(storage::Transaction& tx, const ResponseOwner& owner, const std::string& id) const;
  // What has expired, at most `max` rows of all tenants; gives how many.
  std::size_t sweep(storage::Transaction& tx, core::Time now, int max) const;
};

}  // namespace assistiv::inference
