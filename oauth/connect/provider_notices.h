#pragma once
// Requests in which providers tell that a user took the consent back. What is verified and means that makes
// the user's connections need consent at once; nothing is asked of the provider on this path.
#include <memory>
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/http.h"
#include "core/ids.h"
#include "core/secret.h"
#include "core/task.h"
#include "oauth/connect/notice_rules.h"
#include "oauth/identity/audit_context.h"

namespace assistiv::oauth {

struct ConnectWorld;
struct ConnectorSpec;

// Where a provider sends its notices for an app of a platform.
struct ProviderWebhook {
  std::string app;
  std::string url;                          // to be registered at the provider
  std::optional<core::Time> secret_set_at;  // none: nothing is accepted yet
};

// Thread-safe. An app that is not activated, or whose manifest knows no notices, throws Error{NotFound}.
class ProviderNotices {
 public:
  static constexpr std::size_t kBodyMax = 1 << 20;  // bytes

  explicit ProviderNotices(ConnectWorld& world) : world_(world) {}

  core::Task<ProviderWebhook> get(core::PlatformId platform, std::string app);
  // `secret`: what the provider signs with, 8 to 256 visible ASCII characters.
  core::Task<ProviderWebhook> set_secret(core::PlatformId platform, std::string app, core::Secret secret,
                                         AuditContext context);
  core::Task<> remove_secret(core::PlatformId platform, std::string app, AuditContext context);

  // One request of a provider. Gives what to answer it with ("" for most). Throws Error{PermissionDenied}
  // when signature or time are not right, InvalidArgument when the body is no JSON, PayloadTooLarge,
  // NotFound.
  core::Task<std::string> receive(core::PlatformId platform, std::string app, core::HttpHeaders headers,
                                  std::string body, std::string request_id);

 private:
  core::Task<std::shared_ptr<const ConnectorSpec>> spec_of(core::PlatformId platform, std::string app) const;
  ProviderWebhook view(core::PlatformId platform, const std::string& app,
                       std::optional<core::Time> set_at) const;
  core::Task<> apply(core::PlatformId platform, std::string app, const NoticeRules* rules, Notice notice,
                     std::string digest, std::string request_id);

  ConnectWorld& world_;
};

}  // namespace assistiv::oauth
