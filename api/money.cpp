#include "api/money.h"

#include "api/wire/money.h"
#include "billing/account_store.h"
#include "billing/budget_service.h"
#include "billing/wallet_service.h"
#include "billing/webhook_events.h"
#include "billing/webhook_service.h"
#include "billing/webhook_worker.h"
#include "core/error.h"
#include "core/log.h"

namespace assistiv::api {

namespace {

class VaultSealer final : public billing::SecretSealer {
 public:
  explicit VaultSealer(oauth::Vault& vault) : vault_(vault) {}
  std::string seal(core::PlatformId platform, const std::string& row, const std::string& field,
                   const core::Secret& plaintext) const override {
    return vault_.seal({platform, "webhook_endpoint", row, field}, plaintext);
  }
  core::Secret open(core::PlatformId platform, const std::string& row, const std::string& field,
                    std::string_view sealed) const override {
    return vault_.open({platform, "webhook_endpoint", row, field}, sealed);
  }

 private:
  oauth::Vault& vault_;
};

// What can be told from the URL alone; the addresses it resolves to are vetted at each delivery.
std::optional<std::string> url_fault(const std::string& text, net::Reach reach) {
  std::string why;
  const auto url = net::parse_url(text, &why);
  return url ? net::vet_url(*url, reach) : std::optional(why);
}

}  // namespace

struct Money::Impl {
  explicit Impl(MoneyParts parts)
      : sealer(parts.vault),
        hooks(parts.clock, parts.random),
        events(hooks),
        accounts(parts.clock, parts.random, &events),
        wallets({parts.database, parts.audit, accounts, parts.clock}),
        budgets({parts.database, parts.audit, accounts, parts.clock}),
        world{parts.database,
              parts.audit,
              sealer,
              parts.http,
              parts.clock,
              parts.random,
              [reach = parts.reach](const std::string& url) { return url_fault(url, reach); },
              parts.changed},
        webhooks(world),
        worker(world) {}

  VaultSealer sealer;
  billing::WebhookStore hooks;
  billing::WebhookEvents events;
  billing::AccountStore accounts;
  billing::WalletService wallets;
  billing::BudgetService budgets;
  billing::WebhookWorld world;
  billing::WebhookService webhooks;
  billing::WebhookWorker worker;
};

Money::Money(MoneyParts parts) : impl_(std::make_unique<Impl>(std::move(parts))) {}
Money::~Money() = default;

billing::WalletService& Money::wallets() {
  return impl_->wallets;
}
billing::BudgetService& Money::budgets() {
  return impl_->budgets;
}
billing::WebhookService& Money::webhooks() {
  return impl_->webhooks;
}
const billing::AccountStore& Money::accounts() {
  return impl_->accounts;
}
billing::BudgetEventSink& Money::events() {
  return impl_->events;
}
billing::WebhookEvents& Money::webhook_events() {
  return impl_->events;
}

void Money::on_notify(std::string_view topic, std::string_view payload) {
  impl_->events.on_notify(topic, payload);
}

void Money::end_user_created(storage::Transaction& tx, const oauth::EndUser& user,
                             const std::string& settings, const oauth::AuditContext& context) {
  std::optional<core::NanoUsd> limit;
  try {
    limit = usd_in(settings, "default_budget_usd");
  } catch (const core::Error&) {
    // Set before it was checked: the end user is made all the same, and without a budget.
    core::log::warn("money.default_budget_unreadable", {{"platform_id", user.platform_id.str()}});
  }
  if (!limit || limit->nanos <= 0) return;
  impl_->budgets.open_default(tx, user.platform_id, user.id, *limit, actor_of(context));
}

void Money::start(core::AnyExecutor executor) {
  impl_->worker.start(executor);
}

void Money::stop() {
  impl_->worker.stop();
}

}  // namespace assistiv::api
