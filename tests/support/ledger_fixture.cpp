#include "support/ledger_fixture.h"

namespace assistiv::test {

core::PlatformId LedgerTest::make_platform() {
  const auto id = core::PlatformId::make(clock_, random_);
  database_.exec(
      "insert into platform (platform_id, name, slug, created_at, updated_at) values ($1::uuid, 'P', $1, "
      "now(), "
      "now())",
      {id.str()});
  return id;
}

core::EndUserId LedgerTest::make_end_user() {
  const auto id = core::EndUserId::make(clock_, random_);
  database_.exec(
      "insert into end_user (platform_id, end_user_id, external_id, created_at, updated_at) values "
      "($1::uuid, "
      "$2::uuid, $2, now(), now())",
      {platform_.str(), id.str()});
  return id;
}

Process LedgerTest::start(billing::LedgerOptions options) {
  if (options.journal_directory.empty()) options.journal_directory = directory_;
  return std::make_unique<LedgerProcess>(database_.url(), clock_, random_, io_.executor(), &events_,
                                         std::move(options));
}

billing::LedgerNode& LedgerTest::ledger() {
  if (!process_) process_ = start();
  return *process_->ledger;
}

billing::Account LedgerTest::top_up_wallet(std::int64_t nanos) {
  return io_.run(
      database_.db().run(storage::Scope::tenant(platform_), [this, nanos](storage::Transaction& tx) {
        const auto wallet = accounts_.wallet(tx, platform_);
        return accounts_.top_up(tx, platform_, wallet.id, {nanos}, 0, {}).account;
      }));
}

billing::Account LedgerTest::open_budget(billing::NewBudget input) {
  return io_.run(
      database_.db().run(storage::Scope::tenant(platform_), [this, input](storage::Transaction& tx) {
        return accounts_.create_budget(tx, platform_, user_, input).account;
      }));
}

billing::Account LedgerTest::open_budget(std::int64_t nanos) {
  billing::NewBudget input;
  input.limit = core::NanoUsd{nanos};
  return open_budget(input);
}

billing::MoneyResult LedgerTest::top_up_budget(std::int64_t nanos) {
  const auto id = budget().id;
  return io_.run(
      database_.db().run(storage::Scope::tenant(platform_), [this, id, nanos](storage::Transaction& tx) {
        return accounts_.top_up(tx, platform_, id, {nanos}, 0, {});
      }));
}

void LedgerTest::patch_budget(const billing::AccountPatch& patch) {
  const auto id = budget().id;
  io_.run(database_.db().run(storage::Scope::tenant(platform_), [this, id, patch](storage::Transaction& tx) {
    accounts_.patch(tx, platform_, id, patch);
  }));
  // What the routes do after their commit.
  if (process_) process_->ledger->account_changed(platform_, user_);
}

billing::Account LedgerTest::wallet() {
  return io_.run(database_.db().run(storage::Scope::tenant(platform_), [this](storage::Transaction& tx) {
    return accounts_.wallet(tx, platform_);
  }));
}

billing::Account LedgerTest::budget() {
  return io_.run(database_.db().run(storage::Scope::tenant(platform_), [this](storage::Transaction& tx) {
    return accounts_.budget(tx, platform_, user_).value();
  }));
}

billing::AdmissionRequest LedgerTest::call(std::int64_t bound, std::int64_t tokens) {
  billing::AdmissionRequest out;
  out.payer = payer();
  out.facts.request_id = "request-" + std::to_string(++requests_);
  out.facts.request_type = "chat.completion";
  out.facts.provider = "openai";
  out.facts.model = out.facts.provider_model = "gpt-test";
  out.bound = {bound};
  out.lost_cost = {bound / 10};
  out.token_bound = tokens;
  return out;
}

billing::HoldPtr LedgerTest::hold(billing::LedgerNode& ledger, std::int64_t bound, std::int64_t tokens) {
  auto admission = admit(ledger, call(bound, tokens));
  if (auto* hold = std::get_if<billing::HoldPtr>(&admission)) return std::move(*hold);
  ADD_FAILURE() << "refused: " << std::get<billing::Refusal>(admission).message;
  return nullptr;
}

billing::Refusal LedgerTest::refusal(billing::LedgerNode& ledger, std::int64_t bound, std::int64_t tokens) {
  auto admission = admit(ledger, call(bound, tokens));
  if (auto* refusal = std::get_if<billing::Refusal>(&admission)) return *refusal;
  ADD_FAILURE() << "admitted";
  return {};
}

billing::Settlement LedgerTest::costs(std::int64_t nanos, billing::CallOutcome outcome, std::int64_t tokens) {
  billing::Settlement out;
  out.outcome = outcome;
  out.cost = {nanos};
  if (tokens > 0) out.usage.output = tokens;
  return out;
}

void LedgerTest::expect_balanced() {
  const auto report = verify();
  for (const auto& account : report.accounts) {
    EXPECT_TRUE(account.limit_ok && account.settled_ok && account.leased_ok && account.usage_ok &&
                account.within_limit)
        << account.kind << ": limit " << account.limit << (account.limit_ok ? "" : "!") << ", settled "
        << account.settled << (account.settled_ok ? "" : "!") << ", leased " << account.leased
        << (account.leased_ok ? "" : "!") << ", entries " << account.entries << ", usage " << account.usage
        << (account.usage_ok ? "" : "!") << ", written off " << account.written_off;
  }
  EXPECT_TRUE(report.balanced);
}

}  // namespace assistiv::test
