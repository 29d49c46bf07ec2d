#pragma once
// Apps that platforms bring themselves: a platform submits a manifest, the operator approves it, and from
// then on the platform uses the app as it uses the server's. Another manifest of the same app waits for its
// own approval while the approved one serves. Each step leaves an audit entry of the platform
// (manifest.submitted, manifest.approved, manifest.refused, manifest.removed); a change of what serves is
// announced with the topic "app". One that serves and cannot be used any more, since the rules or other apps
// have changed, is left out and says why; that is in the trail, too (manifest.unusable, manifest.usable).
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/async.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/json.h"
#include "core/random.h"
#include "core/task.h"
#include "mcp/connectors/app_book.h"
#include "mcp/connectors/own_app.h"
#include "oauth/identity/audit_context.h"
#include "oauth/identity/page.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::mcp {

using ManifestId = core::Id<struct OwnManifestTag>;

enum class ManifestStatus {
  Pending,    // waits for the operator
  Serving,    // approved: what the platform's callers get
  Refused,    // with a reason
  Replaced,   // served once
  Withdrawn,  // a newer one was submitted before it was decided
};
std::string_view manifest_status_name(ManifestStatus status);
std::optional<ManifestStatus> parse_manifest_status(std::string_view name);

struct OwnManifest {
  ManifestId id;
  core::PlatformId platform_id;
  std::string app, title, version;
  std::int64_t number = 1;  // counts the manifests of the app
  ManifestStatus status = ManifestStatus::Pending;
  std::string reason;  // of a refusal
  std::string fault;   // why one that serves is left out all the same; empty: it is not
  core::Time created_at;
  std::optional<core::Time> decided_at;
  std::string document;  // JSON text; empty in lists
};

struct ManifestFilter {
  std::optional<ManifestStatus> status;
  std::optional<std::string> app;
};

// What OwnAppService works with. All but `changed` must outlive it.
struct OwnAppParts {
  storage::Database& database;
  storage::AuditLog& audit;
  AppBook& book;
  const core::Clock& clock;
  core::Random& random;
  OwnAppRules rules;
  // Called after a commit with what Transaction::notify sent, so that this node's caches do not wait for the
  // round trip.
  std::function<void(std::string_view topic, std::string_view payload)> changed;
};

// Thread-safe. Faulty manifests throw core::Error{InvalidArgument} that names every fault; what is not there,
// or is another platform's, NotFound.
class OwnAppService {
 public:
  static constexpr std::int64_t kAppsMax = 20;     // of one platform
  static constexpr std::size_t kVersionsMax = 20;  // kept of one app

  explicit OwnAppService(OwnAppParts parts) : parts_(std::move(parts)) {}

  // A manifest that waits is withdrawn by this one; the same manifest again changes nothing. Conflict past
  // kAppsMax, and for a tool name that another app of the platform has.
  core::Task<OwnManifest> submit(core::PlatformId platform, core::Json manifest, oauth::AuditContext context);
  core::Task<oauth::Page<OwnManifest>> list(core::PlatformId platform, ManifestFilter filter,
                                            oauth::PageRequest page);
  core::Task<OwnManifest> get(core::PlatformId platform, ManifestId id);
  // The platform's apps that serve and are left out all the same.
  core::Task<LeftOut> left_out(core::PlatformId platform);
  // Every manifest of the app. Conflict while the platform has the app activated: its connections end first.
  core::Task<> remove(core::PlatformId platform, std::string app, oauth::AuditContext context);

  // The operator's: every tenant's manifests. Conflict for one that does not wait (any more).
  core::Task<oauth::Page<OwnManifest>> list_all(ManifestFilter filter, oauth::PageRequest page);
  core::Task<OwnManifest> get_any(ManifestId id);
  core::Task<OwnManifest> approve(ManifestId id, oauth::AuditContext context);
  core::Task<OwnManifest> refuse(ManifestId id, std::string reason, oauth::AuditContext context);

 private:
  OwnManifest submit_in(storage::Transaction& tx, OwnManifest fresh, const App& app,
                        const oauth::AuditContext& context) const;
  core::Task<OwnManifest> decide(ManifestId id, ManifestStatus status, std::string reason,
                                 oauth::AuditContext context);
  OwnManifest decide_in(storage::Transaction& tx, ManifestId id, ManifestStatus status,
                        const std::string& reason, const oauth::AuditContext& context) const;
  void announce(core::PlatformId platform, const std::string& app) const;

  OwnAppParts parts_;
  // Reading takes milliseconds of work, and strangers ask for it: never more than one at a time.
  core::BlockingPool reader_{"manifests", 1, 16};
};

// The manifests that serve, for the book. Thread-safe.
class OwnAppSource final : public AppSource {
 public:
  static constexpr std::size_t kReadMax = 64;  // read manifests that are kept

  // Without an audit log it only reads.
  explicit OwnAppSource(OwnAppRules rules, storage::AuditLog* audit = nullptr)
      : rules_(rules), audit_(audit) {}
  std::vector<AppPtr> load(storage::Transaction& tx, core::PlatformId platform,
                           LeftOut& left_out) const override;
  void note(storage::Transaction& tx, core::PlatformId platform, const LeftOut& left_out) const override;

 private:
  AppPtr read(const std::string& document) const;

  OwnAppRules rules_;
  storage::AuditLog* audit_;
  // What was read lately, by the document's hash, the newest last: most reloads find what they had.
  mutable std::mutex mutex_;
  mutable std::deque<std::pair<std::string, AppPtr>> read_;
};

}  // namespace assistiv::mcp
