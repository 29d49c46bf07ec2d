#include "agents/pregel/ids.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "core/encoding.h"
#include "core/ids.h"

namespace assistiv::agents::pregel {
namespace {

constexpr std::uint64_t kGregorian = 0x01b21dd213814000;  // from 1582-10-15 to 1970, in ticks

// The parts with their lengths, so that no two lists of parts are the same text.
std::string digest(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const auto part : parts) {
    text += std::to_string(part.size());
    text += ':';
    text += part;
  }
  return core::sha256(text);
}

std::string as_uuid(const std::string& hash) {
  core::Uuid uuid;
  std::copy_n(hash.begin(), 16, uuid.bytes.begin());
  uuid.bytes[6] = (uuid.bytes[6] & 0x0f) | 0x80;  // version 8: of our own making
  uuid.bytes[8] = (uuid.bytes[8] & 0x3f) | 0x80;
  return uuid.str();
}

std::uint64_t ticks_of(std::string_view id) {
  const auto uuid = core::Uuid::parse(id);
  if (!uuid || uuid->bytes[6] >> 4 != 6) return 0;
  std::uint64_t high = 0;
  for (int i = 0; i < 6; ++i) high = high << 8 | uuid->bytes[static_cast<std::size_t>(i)];
  return high << 12 | static_cast<std::uint64_t>(uuid->bytes[6] & 0x0f) << 8 | uuid->bytes[7];
}

std::string_view name_of(TaskKind kind) {
  return kind == TaskKind::Push ? "push" : "pull";
}

}  // namespace

std::string CheckpointIds::next(std::string_view after, int step) {
  std::uint64_t ticks = static_cast<std::uint64_t>(core::to_epoch_ms(clock_.now())) * 10'000 + kGregorian;
  {
    const std::lock_guard lock(mutex_);
    ticks = std::max({ticks, last_ + 1, ticks_of(after) + 1});
    last_ = ticks;
  }
  core::Uuid uuid;
  for (int i = 0; i < 6; ++i)
    uuid.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ticks >> (52 - 8 * i));
  uuid.bytes[6] = static_cast<std::uint8_t>(0x60 | (ticks >> 8 & 0x0f));
  uuid.bytes[7] = static_cast<std::uint8_t>(ticks);
  uuid.bytes[8] = static_cast<std::uint8_t>(0x80 | (step >> 8 & 0x3f));
  uuid.bytes[9] = static_cast<std::uint8_t>(step);
  random_.fill(std::span(uuid.bytes).subspan(10));
  return uuid.str();
}

void CheckpointIds::seen(std::string_view id) {
  const std::lock_guard lock(mutex_);
  last_ = std::max(last_, ticks_of(id));
}

std::string task_id(std::string_view checkpoint, std::string_view ns, int step, std::string_view node,
                    TaskKind kind, std::size_t index) {
  return as_uuid(
      digest({"task", checkpoint, ns, std::to_string(step), node, name_of(kind), std::to_string(index)}));
}

std::string namespace_id(std::string_view ns, int step, std::string_view node, TaskKind kind,
                         std::size_t index) {
  return as_uuid(digest({"namespace", ns, std::to_string(step), node, name_of(kind), std::to_string(index)}));
}

std::string child_namespace(std::string_view parent, std::string_view node, std::string_view id) {
  std::string out(parent);
  if (!out.empty()) out += '|';
  out += node;
  if (!id.empty()) {
    out += ':';
    out += id;
  }
  return out;
}

std::string interrupt_id(std::string_view ns, std::string_view task, std::string_view call) {
  return core::hex_encode(digest({"interrupt", ns, task, call}).substr(0, 16));
}

bool looks_like_interrupt_id(std::string_view text) {
  return text.size() == 32 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
         });
}

}  // namespace assistiv::agents::pregel
