#include "agents/store/item_store.h"

#include "support/agent_fixture.h"

namespace assistiv::agents {
namespace {

using core::Json;

class ItemStoreTest : public AgentStoreTest {
 protected:
  void put(const Reach& reach, Namespace space, std::string key, Json value, std::optional<int> ttl = {}) {
    run(items_.put(reach, {std::move(space), std::move(key), std::move(value), ttl}));
  }
  std::vector<std::string> keys(const Reach& reach, ItemSearch query) {
    std::vector<std::string> out;
    const auto page = run(items_.search(reach, query));
    for (const auto& item : page.items) out.push_back(item.key);
    return out;
  }
  using Keys = std::vector<std::string>;
  ItemStore items_{database_.db()};
};

TEST_F(ItemStoreTest, GivesBackWhatWasPut) {
  const Json value = {{"text", std::string("a\0b", 3)}, {"zero", -0.0}, {"list", {1, "two", nullptr}}};
  put(as_alice_, {"notes", "work"}, "k'\"; drop", value);
  const auto first = run(items_.get(as_alice_, {"notes", "work"}, "k'\"; drop", true));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->value.dump(), value.dump());
  EXPECT_EQ(first->space, (Namespace{"notes", "work"}));
  put(as_alice_, {"notes", "work"}, "k'\"; drop", {{"text", "new"}});
  const auto second = run(items_.get(as_alice_, {"notes", "work"}, "k'\"; drop", true));
  EXPECT_EQ(second->value, (Json{{"text", "new"}}));
  EXPECT_EQ(second->created_at, first->created_at);
  run(items_.remove(as_alice_, {"notes", "work"}, "k'\"; drop"));
  EXPECT_FALSE(run(items_.get(as_alice_, {"notes", "work"}, "k'\"; drop", true)));
  run(items_.remove(as_alice_, {"notes", "work"}, "never"));
}

TEST_F(ItemStoreTest, EachHasItemsOfTheirOwn) {
  put(as_alice_, {"a"}, "k", {{"whose", "alice"}});
  put(as_bob_, {"a"}, "k", {{"whose", "bob"}});
  put(all_, {"a"}, "k", {{"whose", "platform"}});
  EXPECT_EQ(run(items_.get(as_alice_, {"a"}, "k", true))->value.at("whose"), "alice");
  EXPECT_EQ(run(items_.get(all_, {"a"}, "k", true))->value.at("whose"), "platform");
  for (const auto& stranger : {elsewhere_, Reach{other_platform_, alice_}}) {
    EXPECT_FALSE(run(items_.get(stranger, {"a"}, "k", true)));
    EXPECT_TRUE(run(items_.search(stranger, {})).items.empty());
    EXPECT_TRUE(run(items_.namespaces(stranger, {})).empty());
    run(items_.remove(stranger, {"a"}, "k"));
  }
  EXPECT_EQ(keys(as_bob_, {}).size(), 1u);
  EXPECT_EQ(count("agent_item"), 3);
  database_.exec("delete from end_user where end_user_id = $1::uuid", {bob_.str()});
  EXPECT_EQ(count("agent_item"), 2);
}

TEST_F(ItemStoreTest, SearchesByPrefixAndFilter) {
  put(as_alice_, {"docs"}, "a", {{"n", 1}, {"kind", "x"}});
  put(as_alice_, {"docs", "old"}, "b", {{"n", 20}, {"kind", "x"}});
  put(as_alice_, {"docs2"}, "c", {{"n", "20"}, {"kind", "y"}});
  EXPECT_EQ(keys(as_alice_, {.prefix = {"docs"}}), (Keys{"a", "b"}));
  EXPECT_EQ(keys(as_alice_, {.prefix = {"docs", "old"}}), (Keys{"b"}));
  EXPECT_EQ(keys(as_alice_, {.prefix = {"doc"}}), (Keys{}));
  EXPECT_EQ(keys(as_alice_, {.filter = {{"kind", "x"}}}), (Keys{"a", "b"}));
  EXPECT_EQ(keys(as_alice_, {.filter = {{"kind", {{"$ne", "x"}}}}}), (Keys{"c"}));
  EXPECT_EQ(keys(as_alice_, {.filter = {{"n", {{"$gt", 1}, {"$lte", 20}}}}}), (Keys{"b"}));
  EXPECT_EQ(keys(as_alice_, {.filter = {{"n", {{"$gte", 1}}}}}), (Keys{"a", "b"}));
  EXPECT_EQ(keys(as_alice_, {.filter = {{"n", {{"$lt", 20}}}}}), (Keys{"a"}));
  EXPECT_EQ(keys(as_alice_, {.filter = {{"') or true --", "' or true"}}}), (Keys{}));
  EXPECT_EQ(keys(as_alice_, {.limit = 1, .offset = 1}), (Keys{"b"}));
  const auto bad = core::error_code(core::ErrorKind::InvalidArgument);
  EXPECT_EQ(fault_of(items_.search(as_alice_, {.filter = {{"n", {{"$where", "1"}}}}})), bad);
  EXPECT_EQ(fault_of(items_.search(as_alice_, {.prefix = {"a.b"}})), bad);
}

TEST_F(ItemStoreTest, PagesEndWhereAReplyDoes) {
  for (const char* key : {"a", "b", "c", "d"}) put(as_alice_, {"docs"}, key, {{"n", 1}}, 60);
  database_.exec(
      "update agent_item set value = case when item_key = 'c' then json_build_object('n', repeat('x', "
      "17000000))::text else value end, expires_at = now() + interval '1 minute'");
  ItemSearch query{.prefix = {"docs"}, .limit = 3};
  const auto first = run(items_.search(as_alice_, query));
  ASSERT_EQ(first.items.size(), 2u);
  EXPECT_EQ(first.items[1].key, "b");
  EXPECT_TRUE(first.more);
  // Only what was given is fresh again.
  EXPECT_EQ(count("agent_item where expires_at > now() + interval '2 minutes'"), 2);
  query.limit = 2;
  EXPECT_TRUE(run(items_.search(as_alice_, query)).more);
  query.offset = 3;
  const auto last = run(items_.search(as_alice_, query));
  ASSERT_EQ(last.items.size(), 1u);
  EXPECT_EQ(last.items[0].key, "d");
  EXPECT_FALSE(last.more);
  query.limit = 0;
  EXPECT_TRUE(run(items_.search(as_alice_, query)).items.empty());
}

TEST_F(ItemStoreTest, ListsNamespaces) {
  for (const auto& space : {Namespace{"users", "1", "mail"}, Namespace{"users", "2", "mail"},
                            Namespace{"users", "2"}, Namespace{"other"}})
    put(as_alice_, space, "k", {{"v", 1}});
  using Spaces = std::vector<Namespace>;
  EXPECT_EQ(run(items_.namespaces(as_alice_, {})),
            (Spaces{{"other"}, {"users", "1", "mail"}, {"users", "2"}, {"users", "2", "mail"}}));
  EXPECT_EQ(run(items_.namespaces(as_alice_, {.prefix = {"users"}, .max_depth = 2})),
            (Spaces{{"users", "1"}, {"users", "2"}}));
  EXPECT_EQ(run(items_.namespaces(as_alice_, {.suffix = {"mail"}, .limit = 1, .offset = 1})),
            (Spaces{{"users", "2", "mail"}}));
}

TEST_F(ItemStoreTest, TimesToLiveAreRefreshedOrEnd) {
  put(as_alice_, {"a"}, "goes", {{"v", 1}}, 10);
  put(as_alice_, {"a"}, "stays", {{"v", 1}}, 10);
  put(as_alice_, {"a"}, "always", {{"v", 1}});
  const auto shorten = [&] {
    database_.exec(
        "update agent_item set expires_at = now() + interval '1 minute' where ttl_minutes is not null");
  };
  const auto left = [&](const char* key) {
    return database_
        .exec(
            "select ceil(extract(epoch from expires_at - now()) / 60)::bigint as n from agent_item where "
            "item_key = $1",
            {key})[0]
        .integer("n");
  };
  shorten();
  run(items_.get(as_alice_, {"a"}, "goes", false));
  EXPECT_LE(left("goes"), 1);
  run(items_.get(as_alice_, {"a"}, "stays", true));
  EXPECT_GE(left("stays"), 9);
  shorten();
  EXPECT_EQ(keys(as_alice_, {.limit = 2}), (Keys{"always", "goes"}));
  EXPECT_GE(left("goes"), 9);
  EXPECT_LE(left("stays"), 1);
  database_.exec("update agent_item set expires_at = now() - interval '1 second' where item_key = 'goes'");
  EXPECT_FALSE(run(items_.get(as_alice_, {"a"}, "goes", true)));
  EXPECT_EQ(keys(as_alice_, {}), (Keys{"always", "stays"}));
  EXPECT_EQ(run(items_.sweep(10)), 1u);
  EXPECT_EQ(count("agent_item"), 2);
}

TEST_F(ItemStoreTest, RefusesWhatItCannotKeep) {
  const auto bad = std::string(core::error_code(core::ErrorKind::InvalidArgument));
  const auto fault = [&](Namespace space, std::string key, Json value) {
    return fault_of(items_.put(as_alice_, {std::move(space), std::move(key), std::move(value), {}}));
  };
  EXPECT_EQ(fault({}, "k", Json::object()), bad);
  EXPECT_EQ(fault({"a.b"}, "k", Json::object()), bad);
  EXPECT_EQ(fault({""}, "k", Json::object()), bad);
  EXPECT_EQ(fault({std::string("a\0", 2)}, "k", Json::object()), bad);
  EXPECT_EQ(fault(Namespace(17, "x"), "k", Json::object()), bad);
  EXPECT_EQ(fault({"a"}, "", Json::object()), bad);
  EXPECT_EQ(fault({"a"}, "k", Json::array()), bad);
  EXPECT_EQ(fault({"a"}, "k", {{"v", std::string(ItemStore::kValueMax, 'x')}}),
            core::error_code(core::ErrorKind::PayloadTooLarge));
  EXPECT_EQ(count("agent_item"), 0);
}

}  // namespace
}  // namespace assistiv::agents
