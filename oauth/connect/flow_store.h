#pragma once
// Rows of `connect_link` and `connect_flow`. Both are found by the hash of a random secret that only the
// browser holds, so the look-ups run in the system's scope; everything after that is in the row's platform.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/secret.h"
#include "oauth/connect/grant_record.h"
#include "storage/database.h"

namespace assistiv::oauth {

class Vault;

struct LinkRow {
  core::PlatformId platform_id;
  core::EndUserId end_user_id;
  std::string app;
  std::optional<std::string> return_url;
  Values vars;  // of the sources "app" and "link", accepted
  std::optional<core::ConnectionId> connection_id;
  std::optional<core::KeyId> created_by;
  std::optional<std::string> nonce;  // what the token of a link that may be handed out again is made from
  core::Time expires_at;
  bool consumed = false;
};

enum class FlowStatus { Started, Consumed, AwaitingConfirmation, Finished };

struct FlowRow {
  core::PlatformId platform_id;
  core::FlowId id;
  std::string cookie_hash;
  core::EndUserId end_user_id;
  std::string app, client_id;
  core::Secret code_verifier;  // empty without PKCE
  std::string redirect_uri;
  std::optional<std::string> return_url;
  Values vars;
  std::vector<std::string> scopes;  // asked for
  std::optional<core::ConnectionId> connection_id;
  std::optional<core::KeyId> created_by;  // the key that made the link
  std::optional<std::string> label;       // what the end user calls the account
  FlowStatus status = FlowStatus::Started;
  std::optional<std::string> outcome_sealed;
  core::Time expires_at;
};

class FlowStore {
 public:
  FlowStore(const Vault& vault, const core::Clock& clock) : vault_(vault), clock_(clock) {}

  void insert_link(storage::Transaction& tx, const LinkRow& link, std::string_view token) const;
  // The youngest unused link with the same end, good until `until` at least. Callers that make links with a
  // nonce for one end user and app come one after another: the transaction holds the place until it ends.
  std::optional<LinkRow> find_live_link(storage::Transaction& tx, const LinkRow& wanted,
                                        core::Time until) const;
  std::optional<LinkRow> find_link(storage::Transaction& tx, std::string_view token) const;
  // The row as it was; afterwards it is used up. Of any number of callers one gets it unconsumed.
  std::optional<LinkRow> consume_link(storage::Transaction& tx, std::string_view token) const;

  void insert_flow(storage::Transaction& tx, const FlowRow& flow, std::string_view state) const;
  // The same for the flow of a state, as long as `cookie_hash` is that of the browser that started it:
  // another browser gets the row and changes nothing.
  std::optional<FlowRow> consume_flow(storage::Transaction& tx, std::string_view state,
                                      std::string_view cookie_hash) const;
  // False when that was noted before.
  bool note_refusal(storage::Transaction& tx, const FlowRow& flow) const;
  void await_confirmation(storage::Transaction& tx, const FlowRow& flow, const GrantRecord& grant,
                          core::Time until) const;
  // Locks a flow that waits for confirmation, whoever it belongs to within the platform.
  std::optional<FlowRow> lock_waiting(storage::Transaction& tx, core::PlatformId platform,
                                      core::FlowId id) const;
  GrantRecord open_outcome(const FlowRow& flow) const;
  // False when there is no such flow (any more).
  bool finish(storage::Transaction& tx, core::PlatformId platform, core::FlowId id) const;

  // Flows that wait for confirmation, locked: those that are too late, or all of one end user, app or
  // platform.
  std::vector<FlowRow> lock_overdue(storage::Transaction& tx, std::size_t limit) const;
  std::vector<FlowRow> lock_waiting_of(storage::Transaction& tx, core::PlatformId platform,
                                       const std::optional<core::EndUserId>& end_user,
                                       const std::optional<std::string>& app) const;
  // Up to `limit` links and as many flows that ended before `before`.
  void discard_old(storage::Transaction& tx, core::Time before, std::size_t limit) const;

 private:
  FlowRow read_flow(const storage::Row& row) const;
  const Vault& vault_;
  const core::Clock& clock_;
};

}  // namespace assistiv::oauth
