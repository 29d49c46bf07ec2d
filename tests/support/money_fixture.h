#pragma once
// Wallets, budgets and webhooks on a database of their own: a platform with one end user, a clock that the
// test moves, a receiver that is scripted.
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "billing/account_store.h"
#include "billing/budget_service.h"
#include "billing/wallet_service.h"
#include "billing/webhook_events.h"
#include "billing/webhook_service.h"
#include "billing/webhook_worker.h"
#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "core/random.h"
#include "storage/audit.h"
#include "support/fake_http_client.h"
#include "support/manual_clock.h"
#include "support/run_task.h"
#include "support/test_database.h"

namespace assistiv::billing {

// Not a cipher: shows that what is stored is what the sealer made, for this row and field.
class MarkingSealer final : public SecretSealer {
 public:
  std::string seal(core::PlatformId platform, const std::string& row, const std::string& field,
                   const core::Secret& plaintext) const override {
    return mark(platform, row, field) + core::hex_encode(plaintext.reveal());
  }
  core::Secret open(core::PlatformId platform, const std::string& row, const std::string& field,
                    std::string_view sealed) const override {
    const auto prefix = mark(platform, row, field);
    if (!sealed.starts_with(prefix)) throw core::internal("sealed for another row");
    return core::Secret(core::hex_decode(sealed.substr(prefix.size())).value());
  }

 private:
  static std::string mark(core::PlatformId platform, const std::string& row, const std::string& field) {
    return platform.str() + "/" + row + "/" + field + ":";
  }
};

class MoneyTest : public ::testing::Test {
 protected:
  static constexpr const char* kUrl = "https://hooks.example/in";

  MoneyTest() : platform_(make_platform()), user_(make_end_user(platform_)) {}

  core::PlatformId make_platform() {
    const auto id = core::PlatformId::make(clock_, random_);
    database_.exec(
        "insert into platform (platform_id, name, slug, created_at, updated_at)"
        " values ($1::uuid, 'P', $1, now(), now())",
        {id.str()});
    return id;
  }
  core::EndUserId make_end_user(core::PlatformId platform) {
    const auto id = core::EndUserId::make(clock_, random_);
    database_.exec(
        "insert into end_user (platform_id, end_user_id, external_id, created_at, updated_at)"
        " values ($1::uuid, $2::uuid, $2, now(), now())",
        {platform.str(), id.str()});
    return id;
  }

  template <class T>
  T run(core::Task<T> task) {
    return io_.run(std::move(task));
  }
  static core::Error error_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const core::Error& e) {
      return e;
    }
    ADD_FAILURE() << "did not throw";
    return core::internal("nothing was thrown");
  }
  static core::NanoUsd usd(std::string_view text) { return core::parse_usd(text).value(); }
  static MoneyWrite write(const std::string& key = {}, const std::string& request = "same") {
    MoneyWrite out{{"platform", {}, "request-1"}, {}};
    if (!key.empty()) out.key = IdempotencyKey{"platform", key, fingerprint_of("POST", "/x", request)};
    return out;
  }
  static core::Json json(const MoneyReply& reply) { return core::parse_json(reply.body); }
  core::Json budget() { return run(budgets_.get(platform_, user_)); }
  core::Json wallet() { return run(wallets_.get(platform_)); }

  MoneyReply open_budget(std::string_view limit = "10", std::optional<std::string> threshold = {}) {
    NewBudget input;
    input.limit = usd(limit);
    if (threshold) input.low_balance_threshold = usd(*threshold);
    return run(budgets_.create(platform_, user_, input, write()));
  }
  BudgetMovement move(std::string_view amount) { return {usd(amount), 0, "by a test", {}, "{}"}; }
  std::int64_t count(const std::string& from) {
    return database_.exec("select count(*) n from " + from)[0].integer("n");
  }
  std::vector<std::string> audit_events() {
    std::vector<std::string> out;
    for (const auto& entry : run(audit_.list(platform_, {.limit = 100})).entries)
      out.push_back(entry.event.event);
    return out;
  }

  WebhookWorld webhook_world() {
    return {database_.db(),
            audit_,
            sealer_,
            http_,
            clock_,
            random_,
            [](const std::string& url) -> std::optional<std::string> {
              if (url.starts_with("https://")) return std::nullopt;
              return "it is not https";
            },
            [this](std::string_view topic, std::string_view payload) { events_.on_notify(topic, payload); }};
  }
  IssuedWebhook hook(std::vector<std::string> events = default_webhook_events(), std::string url = kUrl) {
    return run(webhooks_.create(platform_, {std::move(url), "", std::move(events)}, {}));
  }

  test::IoThread io_;  // before the database, whose threads hand over to it
  test::TestDatabase database_;
  test::ManualClock clock_;
  core::SystemRandom random_;
  storage::AuditLog audit_{database_.db(), clock_};
  MarkingSealer sealer_;
  test::FakeHttpClient http_;
  WebhookStore hook_store_{clock_, random_};
  WebhookEvents events_{hook_store_};
  AccountStore accounts_{clock_, random_, &events_};
  MoneyWorld world_{database_.db(), audit_, accounts_, clock_};
  WalletService wallets_{world_};
  BudgetService budgets_{world_};
  WebhookService webhooks_{webhook_world()};
  WebhookWorker worker_{webhook_world()};
  core::PlatformId platform_;
  core::EndUserId user_;
};

}  // namespace assistiv::billing
