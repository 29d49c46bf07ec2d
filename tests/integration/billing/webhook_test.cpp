#include <set>

#include "billing/webhook_signature.h"
#include "support/eventually.h"
#include "support/money_fixture.h"

namespace assistiv::billing {
namespace {

using test::FakeHttpClient;

struct Webhooks : MoneyTest {
  WebhookDelivery only_delivery(WebhookId id) {
    const auto page = run(webhooks_.deliveries(platform_, id, {}, {1, 100}));
    EXPECT_EQ(page.items.size(), 1u);
    return page.items.at(0);
  }
  std::vector<core::OutboundRequest> sent() { return http_.requests("POST", kUrl); }
  std::string header(const core::OutboundRequest& request, std::string_view name) {
    return std::string(request.headers.get(name).value_or(""));
  }
  void top_up(const std::string& key = "k") { run(budgets_.top_up(platform_, user_, move("5"), write(key))); }
};

TEST_F(Webhooks, deliver_a_signed_event) {
  const auto made = hook();
  http_.always("POST", kUrl, FakeHttpClient::replies(204, ""));
  open_budget();
  top_up();
  EXPECT_EQ(run(worker_.run_once()), 1u);
  ASSERT_EQ(sent().size(), 1u);
  const auto request = sent()[0];
  const auto body = core::parse_json(request.body);
  EXPECT_EQ(body["event_type"], "budget.topped_up");
  EXPECT_EQ(body["event_id"], body["data"]["transaction_id"].get<std::string>() + ":budget.topped_up");
  EXPECT_EQ(body["data"]["end_user_id"], user_.str());
  EXPECT_EQ(body["data"]["amount_usd"], "5.00");
  EXPECT_EQ(body["data"]["max_usd_after"], "15.00");
  EXPECT_EQ(body["data"]["remaining_usd_after"], "15.00");
  const auto delivery = only_delivery(made.endpoint.id);
  EXPECT_EQ(delivery.status, "delivered");
  EXPECT_EQ(delivery.last_status, 204);
  EXPECT_EQ(header(request, "webhook-id"), "msg_" + delivery.message_id.str());
  EXPECT_EQ(header(request, "webhook-id").find('.'), std::string::npos);
  const auto time = core::to_epoch_seconds(clock_.now());
  EXPECT_EQ(header(request, "webhook-timestamp"), std::to_string(time));
  EXPECT_EQ(header(request, "webhook-signature"),
            standard_signature(made.secret, header(request, "webhook-id"), time, request.body));
  EXPECT_EQ(header(request, "x-aig-signature"), aig_signature(made.secret, time, request.body));
  EXPECT_EQ(header(request, "x-aig-event-type"), "budget.topped_up");
  EXPECT_EQ(header(request, "x-aig-delivery-id"), delivery.id.str());
  EXPECT_EQ(header(request, "x-aig-attempt"), "1");
  EXPECT_EQ(run(worker_.run_once()), 0u);
}

TEST_F(Webhooks, that_a_request_names_are_registered_and_on) {
  const auto fault = [&](std::string url) {
    const auto error = error_of([&] { run(webhooks_.require_endpoint(platform_, url, "webhook")); });
    EXPECT_EQ(error.kind(), core::ErrorKind::InvalidArgument);
    EXPECT_EQ(error.field(), "/webhook");
    return error.message();
  };
  run(webhooks_.create(make_platform(), {kUrl, "", {"budget.topped_up"}}, {}));
  EXPECT_NE(fault(kUrl).find("register it first"), std::string::npos) << "another platform's is not ours";
  EXPECT_NE(fault("http://hooks.example/in").find("cannot be called"), std::string::npos);
  const auto made = hook();
  run(webhooks_.require_endpoint(platform_, kUrl, "webhook"));
  run(webhooks_.update(platform_, made.endpoint.id, {.is_active = false}, {}));
  EXPECT_NE(fault(kUrl).find("switched on"), std::string::npos);
}

TEST_F(Webhooks, go_only_to_those_who_chose_the_event) {
  hook({"budget.suspended"});
  const auto chosen = hook({"budget.topped_up"}, "https://other.example/");
  const auto elsewhere = make_platform();
  run(webhooks_.create(elsewhere, {"https://elsewhere.example/", "", {"budget.topped_up"}}, {}));
  open_budget();
  top_up();
  EXPECT_EQ(count("webhook_delivery"), 1);
  EXPECT_EQ(only_delivery(chosen.endpoint.id).event_type, "budget.topped_up");
}

TEST_F(Webhooks, are_tried_again_by_the_schedule_and_then_fail) {
  const auto made = hook();
  http_.always("POST", kUrl, FakeHttpClient::replies(302, ""));  // a redirect is no success
  open_budget();
  top_up();
  int attempt = 0;
  for (const auto wait : kWebhookWaits) {
    if (wait.count() > 0) {
      clock_.advance(wait - std::chrono::seconds(1));
      EXPECT_EQ(run(worker_.run_once()), 0u) << "too early";
      clock_.advance(std::chrono::seconds(1));
    }
    EXPECT_EQ(run(worker_.run_once()), 1u);
    EXPECT_EQ(header(sent().back(), "x-aig-attempt"), std::to_string(++attempt));
  }
  const auto delivery = only_delivery(made.endpoint.id);
  EXPECT_EQ(delivery.status, "failed");
  EXPECT_EQ(delivery.attempts, 6);
  EXPECT_EQ(delivery.last_status, 302);
  std::set<std::string> ids;
  for (const auto& request : sent()) ids.insert(header(request, "webhook-id"));
  EXPECT_EQ(ids.size(), 1u) << "a retry is the same message";
}

TEST_F(Webhooks, survive_a_call_that_has_no_answer) {
  const auto made = hook();
  http_.once("POST", kUrl, FakeHttpClient::fails(core::OutboundFailure::Refused));
  http_.always("POST", kUrl, FakeHttpClient::replies(200, "ok"));
  open_budget();
  top_up();
  run(worker_.run_once());
  EXPECT_EQ(only_delivery(made.endpoint.id).status, "pending");
  EXPECT_EQ(run(webhooks_.get(platform_, made.endpoint.id)).failing_since, clock_.now());
  clock_.advance(std::chrono::seconds(30));
  run(worker_.run_once());
  EXPECT_EQ(only_delivery(made.endpoint.id).status, "delivered");
  EXPECT_FALSE(run(webhooks_.get(platform_, made.endpoint.id)).failing_since);
}

TEST_F(Webhooks, a_claim_whose_worker_died_is_delivered_after_its_lease) {
  const auto made = hook();
  http_.always("POST", kUrl, FakeHttpClient::replies(200, ""));
  open_budget();
  top_up();
  const ClaimLimits limits{16, 2, {}, std::chrono::seconds(60)};
  std::vector<ClaimedDelivery> lost;
  database_.db().execute(storage::Scope::system(),
                         [&](storage::Transaction& tx) { lost = hook_store_.claim(tx, limits); });
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(run(worker_.run_once()), 0u);
  clock_.advance(std::chrono::seconds(60));
  EXPECT_EQ(run(worker_.run_once()), 1u);
  EXPECT_EQ(only_delivery(made.endpoint.id).status, "delivered");
  // The dead one comes back late: its attempt is no longer the current one.
  database_.db().execute(storage::Scope::system(), [&](storage::Transaction& tx) {
    EXPECT_FALSE(hook_store_.finish(tx, lost[0], {AttemptEnd::Failed, 500, "late"}));
  });
  EXPECT_EQ(only_delivery(made.endpoint.id).status, "delivered");
}

TEST_F(Webhooks, two_workers_take_each_delivery_once) {
  hook();
  http_.always("POST", kUrl, FakeHttpClient::replies(200, ""));
  open_budget();
  for (int i = 0; i < 20; ++i) top_up("k" + std::to_string(i));
  WebhookWorkerOptions options;
  options.per_endpoint_max = 16;
  options.interval = std::chrono::milliseconds(5);
  WebhookWorker one(webhook_world(), options), two(webhook_world(), options);
  test::IoThread other;
  one.start(io_.executor());
  two.start(other.executor());
  EXPECT_TRUE(http_.await_arrivals("POST", kUrl, 20));
  one.stop();
  two.stop();
  std::set<std::string> ids;
  for (const auto& request : sent()) ids.insert(header(request, "x-aig-delivery-id"));
  EXPECT_EQ(ids.size(), 20u);
  EXPECT_EQ(sent().size(), 20u);
  EXPECT_EQ(count("webhook_delivery where status = 'delivered' and attempts = 1"), 20);
}

TEST_F(Webhooks, hold_no_connection_to_the_database_during_a_call) {
  hook();
  http_.always("POST", kUrl, FakeHttpClient::replies(200, ""));
  http_.hold("POST", kUrl);
  open_budget();
  top_up();
  worker_.start(io_.executor());
  ASSERT_TRUE(http_.await_arrivals("POST", kUrl, 1));
  // The worker's loops may be in a short transaction of their own just now; what the call held would stay.
  EXPECT_TRUE(test::eventually([&] {
    return database_
               .exec(
                   "select count(*) n from pg_stat_activity where datname = current_database()"
                   " and state like 'idle in transaction%'")[0]
               .integer("n") == 0;
  }));
  http_.release("POST", kUrl);
  worker_.stop();
  EXPECT_EQ(count("webhook_delivery where status = 'delivered'"), 1);
}

TEST_F(Webhooks, one_slow_endpoint_leaves_turns_to_others) {
  hook({"budget.topped_up"});
  open_budget();
  for (int i = 0; i < 5; ++i) top_up("k" + std::to_string(i));
  const auto other = hook({"budget.topped_up"}, "https://other.example/");
  top_up("last");
  std::vector<ClaimedDelivery> claimed;
  database_.db().execute(storage::Scope::system(), [&](storage::Transaction& tx) {
    claimed = hook_store_.claim(tx, {16, 2, {}, std::chrono::seconds(60)});
  });
  EXPECT_EQ(claimed.size(), 3u);
  EXPECT_EQ(std::count_if(claimed.begin(), claimed.end(),
                          [&](const auto& one) { return one.endpoint_id == other.endpoint.id; }),
            1);
}

TEST_F(Webhooks, an_endpoint_that_is_gone_is_switched_off) {
  const auto made = hook();
  http_.always("POST", kUrl, FakeHttpClient::replies(410, ""));
  open_budget();
  top_up("a");
  top_up("b");
  top_up("c");
  run(worker_.run_once());
  const auto endpoint = run(webhooks_.get(platform_, made.endpoint.id));
  EXPECT_FALSE(endpoint.is_active);
  EXPECT_EQ(endpoint.disabled_reason, "gone");
  EXPECT_EQ(count("webhook_delivery where status = 'failed'"), 3);
  EXPECT_EQ(audit_events().front(), "webhook.disabled");
  events_.on_notify("webhooks", platform_.str());
  top_up("d");
  EXPECT_EQ(count("webhook_delivery"), 3) << "nothing is queued for it any more";
}

TEST_F(Webhooks, an_endpoint_that_fails_for_days_is_switched_off) {
  const auto made = hook();
  http_.always("POST", kUrl, FakeHttpClient::replies(500, ""));
  open_budget();
  const auto fail_one = [&](const std::string& key) {
    top_up(key);
    for (const auto wait : kWebhookWaits) {
      clock_.advance(wait);
      run(worker_.run_once());
    }
  };
  fail_one("a");
  EXPECT_TRUE(run(webhooks_.get(platform_, made.endpoint.id)).is_active);
  clock_.advance(std::chrono::hours(5 * 24));
  fail_one("b");
  EXPECT_EQ(run(webhooks_.get(platform_, made.endpoint.id)).disabled_reason, "failing");
  WebhookPatch on;
  on.is_active = true;
  const auto again = run(webhooks_.update(platform_, made.endpoint.id, on, {}));
  EXPECT_TRUE(again.is_active);
  EXPECT_FALSE(again.failing_since);
}

TEST_F(Webhooks, are_replayed_as_the_same_message) {
  const auto made = hook();
  http_.always("POST", kUrl, FakeHttpClient::replies(200, ""));
  open_budget();
  top_up();
  const auto waiting = only_delivery(made.endpoint.id);
  EXPECT_EQ(error_of([&] { run(webhooks_.replay(platform_, made.endpoint.id, waiting.id, {})); }).kind(),
            core::ErrorKind::Conflict);
  run(worker_.run_once());
  const auto again = run(webhooks_.replay(platform_, made.endpoint.id, waiting.id, {}));
  EXPECT_NE(again.id, waiting.id);
  run(worker_.run_once());
  ASSERT_EQ(sent().size(), 2u);
  EXPECT_EQ(sent()[0].body, sent()[1].body);
  EXPECT_EQ(header(sent()[0], "webhook-id"), header(sent()[1], "webhook-id"));
  EXPECT_NE(header(sent()[0], "x-aig-delivery-id"), header(sent()[1], "x-aig-delivery-id"));
}

TEST_F(Webhooks, both_secrets_sign_for_a_day_after_a_rotation) {
  const auto made = hook();
  http_.always("POST", kUrl, FakeHttpClient::replies(200, ""));
  const auto fresh = run(webhooks_.rotate(platform_, made.endpoint.id, {}));
  EXPECT_NE(fresh.secret.reveal(), made.secret.reveal());
  open_budget();
  top_up("a");
  run(worker_.run_once());
  const auto signature = [&](const core::OutboundRequest& request, const core::Secret& secret) {
    return standard_signature(secret, header(request, "webhook-id"), core::to_epoch_seconds(clock_.now()),
                              request.body);
  };
  EXPECT_EQ(header(sent()[0], "webhook-signature"),
            signature(sent()[0], fresh.secret) + " " + signature(sent()[0], made.secret));
  clock_.advance(std::chrono::hours(24));
  top_up("b");
  run(worker_.run_once());
  EXPECT_EQ(header(sent()[1], "webhook-signature"), signature(sent()[1], fresh.secret));
}

TEST_F(Webhooks, keep_their_secret_sealed) {
  const auto made = hook();
  const auto stored = database_.exec("select secret from webhook_endpoint")[0].text("secret");
  EXPECT_EQ(stored.find(made.secret.reveal()), std::string::npos);
  EXPECT_EQ(to_json(run(webhooks_.get(platform_, made.endpoint.id))).dump().find("whsec_"),
            std::string::npos);
  for (const auto& entry : run(audit_.list(platform_, {})).entries) {
    EXPECT_EQ(entry.event.details_json.find("whsec_"), std::string::npos);
  }
}

TEST_F(Webhooks, refuse_what_cannot_be_called_or_chosen) {
  EXPECT_EQ(error_of([&] { hook({"budget.topped_up"}, "http://plain.example/"); }).field(), "/url");
  EXPECT_EQ(error_of([&] { hook({"budget.exploded"}); }).field(), "/events");
  EXPECT_EQ(error_of([&] { hook({}); }).field(), "/events");
  for (int i = 0; i < WebhookService::kEndpointsMax; ++i) hook();
  EXPECT_EQ(error_of([&] { hook(); }).kind(), core::ErrorKind::Conflict);
}

TEST_F(Webhooks, belong_to_one_platform) {
  const auto made = hook();
  const auto other = make_platform();
  EXPECT_EQ(error_of([&] { run(webhooks_.get(other, made.endpoint.id)); }).kind(), core::ErrorKind::NotFound);
  EXPECT_EQ(error_of([&] { run(webhooks_.remove(other, made.endpoint.id, {})); }).kind(),
            core::ErrorKind::NotFound);
  EXPECT_EQ(error_of([&] { run(webhooks_.rotate(other, made.endpoint.id, {})); }).kind(),
            core::ErrorKind::NotFound);
  EXPECT_EQ(run(webhooks_.list(other, {})).total, 0);
}

TEST_F(Webhooks, send_a_test_message_whatever_was_chosen) {
  const auto made = hook({"budget.suspended"});
  http_.always("POST", kUrl, FakeHttpClient::replies(200, ""));
  run(webhooks_.send_test(platform_, made.endpoint.id, {}));
  run(worker_.run_once());
  EXPECT_EQ(header(sent().at(0), "x-aig-event-type"), "webhook.test");
}

TEST_F(Webhooks, forget_old_messages_but_none_that_waits) {
  const auto made = hook();
  http_.once("POST", kUrl, FakeHttpClient::replies(200, ""));
  open_budget();
  top_up("a");
  run(worker_.run_once());
  top_up("b");
  clock_.advance(std::chrono::hours(31 * 24));
  run(worker_.sweep());
  EXPECT_EQ(only_delivery(made.endpoint.id).status, "pending");
}

}  // namespace
}  // namespace assistiv::billing
