#pragma once
// The parts of billing that a platform manages (wallet, budgets, webhooks), put together, and the adapters
// that plug what billing/ needs into what oauth/ and net/ offer.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "billing/budget_event.h"
#include "core/clock.h"
#include "core/http_client.h"
#include "core/random.h"
#include "core/task.h"
#include "net/url_guard.h"
#include "oauth/crypto/vault.h"
#include "oauth/identity/audit_context.h"
#include "oauth/identity/end_user_store.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::billing {
class AccountStore;
class BudgetService;
class WalletService;
class WebhookEvents;
class WebhookService;
}  // namespace assistiv::billing

namespace assistiv::api {

struct MoneyParts {
  storage::Database& database;
  storage::AuditLog& audit;
  oauth::Vault& vault;
  core::HttpClient& http;
  const core::Clock& clock;
  core::Random& random;
  net::Reach reach;  // where webhooks may go
  std::function<void(std::string_view topic, std::string_view payload)> changed;
};

class Money {
 public:
  explicit Money(MoneyParts parts);
  ~Money();

  billing::WalletService& wallets();
  billing::BudgetService& budgets();
  billing::WebhookService& webhooks();
  const billing::AccountStore& accounts();
  // Where the ledger reports what happens to budgets.
  billing::BudgetEventSink& events();
  // Where others tell of what happens.
  billing::WebhookEvents& webhook_events();

  // As storage::Notifier's callback.
  void on_notify(std::string_view topic, std::string_view payload);
  // oauth::IdentityHooks: opens the budget that the platform's settings give to every new end user.
  void end_user_created(storage::Transaction& tx, const oauth::EndUser& user, const std::string& settings,
                        const oauth::AuditContext& context);
  // The deliveries of webhooks, on processes with the role "worker".
  void start(core::AnyExecutor executor);
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assistiv::api
