#include "storage/migrator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "core/error.h"
#include "support/test_database.h"

namespace assistiv::storage {
namespace {

using core::EmbeddedFile;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Files = std::vector<EmbeddedFile>;

class MigratorTest : public testing::Test {
 protected:
  std::string message_of(const Files& files) {
    try {
      Migrator(database_.db(), files).apply();
    } catch (const core::Error& e) {
      return e.message();
    }
    return "no error";
  }
  bool exists(const std::string& table) {
    return database_.exec("select to_regclass($1) is not null as found", {table})[0].boolean("found");
  }

  test::TestDatabase database_{test::Schema::Empty};
  const EmbeddedFile one_{"0001_one.sql", "create table one (x int); create table one_more (x int);"};
  const EmbeddedFile two_{"0002_two.sql", "create table two (x int)"};
};

TEST_F(MigratorTest, applies_files_in_the_order_of_their_numbers_once) {
  const Files files = {two_, one_};
  Migrator migrator(database_.db(), files);
  EXPECT_THAT(migrator.plan().pending, ElementsAre("0001_one.sql", "0002_two.sql"));
  EXPECT_FALSE(exists("schema_migration")) << "a plan writes nothing";
  EXPECT_THAT(migrator.apply(), ElementsAre("0001_one.sql", "0002_two.sql"));
  EXPECT_THAT(migrator.apply(), IsEmpty());
  EXPECT_THAT(migrator.plan().applied, ElementsAre("0001_one.sql", "0002_two.sql"));
  EXPECT_TRUE(exists("one_more"));
}

TEST_F(MigratorTest, carries_the_programs_own_schema) {
  Migrator migrator(database_.db());
  EXPECT_THAT(migrator.apply(), testing::Not(IsEmpty()));
  EXPECT_TRUE(exists("platform"));
  EXPECT_TRUE(exists("audit_entry"));
}

TEST_F(MigratorTest, rolls_a_failed_file_back_and_names_it) {
  const Files bad = {one_, {"0002_two.sql", "create table two (x int); create table two (x int);"}};
  EXPECT_THAT(message_of(bad),
              AllOf(HasSubstr("0002_two.sql"), HasSubstr("rolled back"), HasSubstr("already exists")));
  EXPECT_TRUE(exists("one"));
  EXPECT_FALSE(exists("two"));
  EXPECT_EQ(message_of({one_, two_}), "no error");
}

TEST_F(MigratorTest, refuses_a_file_that_was_changed_after_it_was_applied) {
  EXPECT_EQ(message_of({one_}), "no error");
  const Files changed = {{"0001_one.sql", "create table other (x int)"}, two_};
  EXPECT_THAT(message_of(changed), AllOf(HasSubstr("0001_one.sql"), HasSubstr("changed")));
  EXPECT_FALSE(exists("two"));
}

TEST_F(MigratorTest, refuses_a_database_that_is_newer_than_the_program) {
  EXPECT_EQ(message_of({one_, two_}), "no error");
  EXPECT_THAT(message_of({one_}), AllOf(HasSubstr("0002_two.sql"), HasSubstr("newer version")));
}

TEST_F(MigratorTest, refuses_badly_named_files) {
  for (const char* name :
       {"1_one.sql", "0001-one.sql", "0001_one.txt", "0000_zero.sql", "abcd_one.sql", "0001_.sql"}) {
    EXPECT_NE(message_of({{name, "select 1"}}), "no error") << name;
  }
  EXPECT_NE(message_of({one_, {"0001_twin.sql", "select 1"}}), "no error");
}

TEST_F(MigratorTest, does_the_work_once_when_nodes_start_together) {
  const Files files = {one_, two_};
  std::vector<std::future<std::size_t>> nodes;
  for (int i = 0; i < 4; ++i) {
    nodes.push_back(
        std::async(std::launch::async, [&] { return Migrator(database_.db(), files).apply().size(); }));
  }
  std::size_t applied = 0;
  for (auto& node : nodes) applied += node.get();
  EXPECT_EQ(applied, 2u);
}

TEST_F(MigratorTest, finds_no_gap_for_a_role_that_row_level_security_binds) {
  EXPECT_EQ(row_security_gap(database_.db()), std::nullopt);
}

}  // namespace
}  // namespace assistiv::storage
