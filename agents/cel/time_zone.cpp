#include "agents/cel/time_zone.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace assistiv::agents::cel {

namespace {

constexpr std::string_view kFolder = "/usr/share/zoneinfo/";
constexpr std::size_t kFileMax = 64 << 10;
constexpr std::size_t kNameMax = 64;

struct Zone {
  std::vector<std::int64_t> changes;  // when, ascending
  std::vector<std::int64_t> offsets;  // from then on
  std::int64_t before = 0;            // until the first change
};

// Big-endian numbers of a TZif file (RFC 8536); zero beyond its end.
class ZoneReader {
 public:
  explicit ZoneReader(std::string_view data) : data_(data) {}
  std::int64_t number(std::size_t at, std::size_t bytes) const {
    if (at + bytes > data_.size()) return 0;
    std::uint64_t out = (static_cast<unsigned char>(data_[at]) & 0x80) != 0 ? ~std::uint64_t{0} : 0;
    for (std::size_t i = 0; i < bytes; ++i) out = out << 8 | static_cast<unsigned char>(data_[at + i]);
    return static_cast<std::int64_t>(out);
  }
  std::size_t count(std::size_t at) const { return static_cast<std::size_t>(number(at, 4) & 0xFFFF); }
  std::size_t byte(std::size_t at) const { return static_cast<std::size_t>(number(at, 1) & 0xFF); }

 private:
  std::string_view data_;
};

// The 64 bit block of a file of version 2 or later.
std::optional<Zone> read_zone(std::string_view data) {
  constexpr std::size_t kHeader = 44;
  const ZoneReader reader(data);
  if (data.size() < 2 * kHeader || !data.starts_with("TZif") || data[4] < '2') return std::nullopt;
  const auto block = [&reader](std::size_t at, std::size_t time_bytes) {
    const std::size_t times = reader.count(at + 32), types = reader.count(at + 36);
    return times * (time_bytes + 1) + types * 6 + reader.count(at + 40) +
           reader.count(at + 28) * (time_bytes + 4) + reader.count(at + 24) + reader.count(at + 20);
  };
  const std::size_t second = kHeader + block(0, 4);
  if (!data.substr(std::min(second, data.size())).starts_with("TZif")) return std::nullopt;
  const std::size_t times = reader.count(second + 32), types = reader.count(second + 36),
                    at = second + kHeader;
  if (second + kHeader + block(second, 8) > data.size() || types == 0) return std::nullopt;
  const std::size_t type_table = at + times * 9;
  const auto offset = [&](std::size_t type) {
    return reader.number(type_table + 6 * std::min(type, types - 1), 4);
  };
  Zone out;
  out.before = offset(0);
  for (std::size_t i = 0; i < times; ++i) {
    out.changes.push_back(reader.number(at + i * 8, 8));
    out.offsets.push_back(offset(reader.byte(at + times * 8 + i)));
  }
  return out;
}

bool is_zone_name(std::string_view name) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '+' || c == '/';
  };
  return !name.empty() && name.size() <= kNameMax && name.front() >= 'A' && name.front() <= 'Z' &&
         std::all_of(name.begin(), name.end(), is_plain);
}

// Empty for a name that there is not. Only names that there are, some hundreds, are kept.
std::shared_ptr<const Zone> find_zone(std::string_view name) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<const Zone>, std::less<>> known;
  if (!is_zone_name(name)) return nullptr;
  const std::lock_guard lock(mutex);
  if (const auto it = known.find(name); it != known.end()) return it->second;
  std::ifstream file(std::string(kFolder) + std::string(name), std::ios::binary);
  std::string data(kFileMax, '\0');
  if (!file) return nullptr;
  file.read(data.data(), static_cast<std::streamsize>(data.size()));
  data.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  auto zone = read_zone(data);
  if (!zone) return nullptr;
  return known.emplace(name, std::make_shared<const Zone>(std::move(*zone))).first->second;
}

// "+05:30", "-02:00", "02:00".
std::optional<std::int64_t> fixed_offset(std::string_view name) {
  const bool west = name.starts_with('-');
  if (west || name.starts_with('+')) name.remove_prefix(1);
  if (name.size() != 5 || name[2] != ':') return std::nullopt;
  std::int64_t digits[4];
  for (std::size_t i = 0, at = 0; i < 4; ++i, at += at == 1 ? 2 : 1) {
    digits[i] = name[at] - '0';
    if (digits[i] < 0 || digits[i] > 9) return std::nullopt;
  }
  const std::int64_t hours = digits[0] * 10 + digits[1], minutes = digits[2] * 10 + digits[3];
  if (hours > 23 || minutes > 59) return std::nullopt;
  return (west ? -1 : 1) * (hours * 3600 + minutes * 60);
}

}  // namespace

std::optional<std::int64_t> zone_offset(std::string_view name, std::int64_t seconds) {
  if (name == "UTC" || name == "Z") return 0;
  if (const auto fixed = fixed_offset(name)) return fixed;
  const auto zone = find_zone(name);
  if (!zone) return std::nullopt;
  const auto after = std::upper_bound(zone->changes.begin(), zone->changes.end(), seconds);
  if (after == zone->changes.begin()) return zone->before;
  return zone->offsets[static_cast<std::size_t>(after - zone->changes.begin()) - 1];
}

}  // namespace assistiv::agents::cel
