#include "storage/audit_chain.h"

#include <gtest/gtest.h>

#include "core/encoding.h"
#include "core/error.h"

namespace assistiv::storage {
namespace {

AuditEvent fit(std::string subject, std::string details = "{}") {
  AuditEvent event;
  event.event = "tool.called";
  event.actor_kind = "end_user";
  event.subject = std::move(subject);
  event.details_json = std::move(details);
  return fit_event(event);
}

AuditRecord record(std::string subject) {
  AuditRecord out;
  out.event = fit(std::move(subject));
  return out;
}

TEST(AuditChain, writes_one_line_with_sorted_keys) {
  EXPECT_EQ(
      canonical_entry({}, 3, core::from_epoch_ms(5),
                      fit("a \"quote\" ü", R"({"z": {"b":2,"a":1}, "a": null})")),
      R"({"actor_kind":"end_user","at":5,"details":{"a":null,"z":{"a":1,"b":2}},"end_user_id":null,)"
      R"("event":"tool.called","key_id":null,"platform_id":"00000000-0000-0000-0000-000000000000","request_id":"",)"
      R"("seq":3,"subject":"a \"quote\" ü"})");
}

// The value is an outsider's, computed with sha256sum over 32 zero bytes and the line: the format must not
// drift.
TEST(AuditChain, has_the_documented_hash) {
  EXPECT_EQ(core::hex_encode(audit_hash(audit_genesis_hash(), {}, 1, core::from_epoch_ms(0), fit("x"))),
            "800c0b42e14cb80e93168b38b41b91498060ba1e67aede2a9335dcd3f7f48cb3");
}

TEST(AuditChain, links_each_record_to_the_one_before) {
  AuditHead head{0, audit_genesis_hash()};
  auto first = record("a"), second = record("b");
  link_record(first, head);
  link_record(second, head);
  EXPECT_EQ(first.seq, 1);
  EXPECT_EQ(second.seq, 2);
  EXPECT_EQ(first.prev_hash, audit_genesis_hash());
  EXPECT_EQ(second.prev_hash, first.hash);
  EXPECT_EQ(head.seq, 2);
  EXPECT_EQ(head.hash, second.hash);
  EXPECT_NE(first.hash, second.hash);
}

TEST(AuditChain, bounds_text_without_breaking_characters) {
  const auto event = fit(std::string(511, 'x') + "üü");
  EXPECT_EQ(event.subject, std::string(511, 'x'));
  EXPECT_EQ(fit(std::string("a\0\x80", 3)).subject, "a??");
  EXPECT_EQ(fit("", "").details_json, "{}");
}

TEST(AuditChain, refuses_details_that_are_no_object_or_too_long) {
  EXPECT_THROW(fit("", "[]"), core::Error);
  EXPECT_THROW(fit("", "{"), core::Error);
  EXPECT_THROW(fit("", R"({"x":")" + std::string(kAuditDetailsMax, 'x') + "\"}"), core::Error);
}

}  // namespace
}  // namespace assistiv::storage
