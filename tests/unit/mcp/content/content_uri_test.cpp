#include "mcp/content/content_uri.h"

#include <gtest/gtest.h>

namespace assistiv::mcp {
namespace {

TEST(ContentUri, reads_what_it_writes) {
  EXPECT_EQ(parse_content_uri(kConnectionsUri)->kind, ContentKind::Connections);
  const auto connection = parse_content_uri(connection_uri("018f0000-0000-7000-8000-0000000000c1"));
  EXPECT_EQ(connection->kind, ContentKind::Connection);
  EXPECT_EQ(connection->name, "018f0000-0000-7000-8000-0000000000c1");
  EXPECT_EQ(parse_content_uri(app_uri("notes"))->kind, ContentKind::App);
  EXPECT_EQ(parse_content_uri(tool_uri("notes_get"))->name, "notes_get");
  EXPECT_EQ(parse_content_uri(result_uri("abc-_9"))->part, 1u);
  const auto result = parse_content_uri(result_uri("abc-_9", 12));
  EXPECT_EQ(result->kind, ContentKind::Result);
  EXPECT_EQ(result->name, "abc-_9");
  EXPECT_EQ(result->part, 12u);
}

TEST(ContentUri, is_nothing_else) {
  for (const char* uri :
       {"", "assistiv://", "assistiv://connections/", "assistiv://connections/a/b", "assistiv://apps",
        "assistiv://apps/", "assistiv://apps/a%20b", "assistiv://apps/../x", "assistiv://results/",
        "assistiv://results/a/", "assistiv://results/a/0", "assistiv://results/a/01",
        "assistiv://results/a/-1", "assistiv://results/a/1/2", "assistiv://results/a/99999999999",
        "assistiv://results//1", "ASSISTIV://connections", "file:///etc/passwd", "http://x"}) {
    EXPECT_FALSE(parse_content_uri(uri)) << uri;
  }
  EXPECT_FALSE(parse_content_uri(tool_uri(std::string(200, 'a'))));
}

}  // namespace
}  // namespace assistiv::mcp
