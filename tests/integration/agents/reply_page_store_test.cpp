#include "agents/store/reply_page_store.h"

#include "support/agent_fixture.h"

namespace assistiv::agents {
namespace {

class ReplyPageTest : public AgentStoreTest {
 protected:
  // Which of rows with these many MiB are given, and how many were there.
  std::pair<std::vector<std::int64_t>, std::int64_t> given(const std::string& sizes) {
    const auto rows = database_.exec(
        fitting_rows("select n, repeat('x', size << 20) as body from unnest('" + sizes +
                         "'::integer[]) with ordinality as u(size, n) order by n desc limit 100",
                     "octet_length(s.body)"));
    std::pair<std::vector<std::int64_t>, std::int64_t> out;
    for (const auto row : rows) {
      out.first.push_back(row.integer("n"));
      out.second = row.integer("page_found");
    }
    return out;
  }
  using Given = std::pair<std::vector<std::int64_t>, std::int64_t>;
};

TEST_F(ReplyPageTest, GivesWhatFitsTogetherAndTheFirstInAnyCase) {
  EXPECT_EQ(given("{}"), (Given{{}, 0}));
  EXPECT_EQ(given("{1,2,3}"), (Given{{3, 2, 1}, 3}));
  EXPECT_EQ(given("{1,1,7,9}"), (Given{{4, 3}, 4}));  // 16 MiB, not more
  EXPECT_EQ(given("{1,17}"), (Given{{2}, 2}));
  EXPECT_EQ(given("{1,17,1}"), (Given{{3}, 3}));  // what comes after one that does not fit waits, too
}

}  // namespace
}  // namespace assistiv::agents
