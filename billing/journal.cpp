#include "billing/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>

#include "billing/journal_record.h"
#include "core/error.h"
#include "core/log.h"

namespace assistiv::billing {

namespace {

constexpr std::size_t kSegmentsKept = 4;  // an older one is emptied by moving what is open in it
constexpr std::uint32_t kRecordMax = 1 << 20;
constexpr std::size_t kFrame = 8;

// FNV-1a: tells a torn write from a whole one; nobody attacks this file.
std::uint32_t checksum(std::string_view bytes) {
  std::uint32_t hash = 2166136261U;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 16777619U;
  return hash;
}

core::Error unwritable(const std::string& path) {
  return core::Error(core::ErrorKind::Unavailable, "The server cannot record spending now. Try again later.")
      .with_retry_after(std::chrono::seconds(5))
      .with_detail(path + ": " + std::strerror(errno));
}

std::string lock_path(const std::string& directory, const core::Uuid& id) {
  return directory + "/" + id.str() + ".lock";
}

int open_locked(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd < 0) return -1;
  struct stat at_path {};
  struct stat opened {};
  // Locked, and still the file of that name: its last owner may just have removed it.
  const bool ours = ::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &opened) == 0 &&
                    ::stat(path.c_str(), &at_path) == 0 && opened.st_ino == at_path.st_ino;
  if (ours) return fd;
  ::close(fd);
  return -1;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

std::string framed(std::string_view record) {
  const auto size = static_cast<std::uint32_t>(record.size());
  const auto sum = checksum(record);
  std::string out;
  out.reserve(kFrame + record.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out.append(reinterpret_cast<const char*>(&sum), sizeof sum);
  out.append(record);
  return out;
}

// <id>.<n>.journal of one id, in the order of n.
std::vector<std::pair<int, std::string>> segments_of(const std::string& directory, const core::Uuid& id) {
  std::vector<std::pair<int, std::string>> out;
  const auto prefix = id.str() + ".";
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    const auto name = file.path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(".journal")) continue;
    out.emplace_back(std::atoi(name.c_str() + prefix.size()), file.path().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

void read_segment(const std::string& path, JournalReplay& replay) {
  std::ifstream in(path, std::ios::binary);
  std::uint32_t frame[2];
  std::string record;
  while (in.read(reinterpret_cast<char*>(frame), sizeof frame)) {
    if (frame[0] > kRecordMax) break;
    record.resize(frame[0]);
    if (!in.read(record.data(), frame[0]) || checksum(record) != frame[1] || !replay.read(record)) break;
  }
  if (!in.eof() || in.gcount() > 0) core::log::warn("ledger.journal_torn", {{"file", path}});
}

}  // namespace

SettledCall lost_call(HoldRecord hold) {
  SettledCall out;
  out.settlement.outcome = CallOutcome::Lost;
  out.settlement.cost = {hold.lost_cost};
  out.settlement.usage_estimated = true;
  out.settlement.status = 0;
  out.settlement.error = "The server stopped before the call ended.";
  out.cost = std::min(hold.lost_cost, hold.bound);
  // The same share of the tokens as of the money.
  if (hold.bound > 0) {
    out.tokens = static_cast<std::int64_t>(static_cast<__int128>(hold.token_bound) * out.cost / hold.bound);
  }
  out.hold = std::move(hold);
  return out;
}

Journal::Journal(std::string directory, core::Uuid id, std::size_t segment_bytes)
    : directory_(std::move(directory)), id_(id), segment_bytes_(segment_bytes) {
  std::error_code failed;
  std::filesystem::create_directories(directory_, failed);
  const auto path = lock_path(directory_, id_);
  // Locked before it has its name: a neighbour that looks for orphans must not see it free.
  const auto unnamed = path + ".new";
  lock_fd_ = open_locked(unnamed, O_CREAT | O_RDWR);
  if (lock_fd_ < 0 || ::rename(unnamed.c_str(), path.c_str()) != 0) throw unwritable(path);
  add_segment();
}

Journal::~Journal() {
  for (auto& [number, segment] : segments_) ::close(segment.fd);
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

std::string Journal::path(int segment) const {
  return directory_ + "/" + id_.str() + "." + std::to_string(segment) + ".journal";
}

void Journal::add_segment() {
  const auto name = path(current_ + 1);
  const int fd = ::open(name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) throw unwritable(name);
  segments_[++current_] = Segment{fd, 0, 0};
}

bool Journal::append(std::string_view record) {
  if (segments_[current_].bytes >= segment_bytes_) {
    try {
      add_segment();
    } catch (const core::Error& error) {
      core::log::error("ledger.journal", {{"detail", error.detail()}});
      return false;
    }
  }
  auto& segment = segments_[current_];
  const auto bytes = framed(record);
  if (!write_all(segment.fd, bytes)) {
    // Half a record must not stand before a whole one.
    core::log::error("ledger.journal", {{"detail", std::strerror(errno)}});
    if (::ftruncate(segment.fd, static_cast<off_t>(segment.bytes)) != 0) segment.bytes = segment_bytes_;
    return false;
  }
  segment.bytes += bytes.size();
  ++segment.open;
  return true;
}

void Journal::hold(std::int64_t seq, std::string record) {
  std::lock_guard lock(mutex_);
  if (!append(record)) throw unwritable(directory_);
  open_[seq] = OpenHold{std::move(record), {current_}};
}

bool Journal::settle(std::int64_t seq, std::string_view record) {
  std::lock_guard lock(mutex_);
  const auto found = open_.find(seq);
  if (found == open_.end() || !append(record)) return false;
  found->second.segments.push_back(current_);
  return true;
}

void Journal::release(const OpenHold& hold) {
  for (const int number : hold.segments) {
    if (const auto found = segments_.find(number); found != segments_.end()) --found->second.open;
  }
}

void Journal::committed(const std::vector<std::int64_t>& seqs) {
  std::lock_guard lock(mutex_);
  for (const auto seq : seqs) {
    const auto found = open_.find(seq);
    if (found == open_.end()) continue;
    release(found->second);
    open_.erase(found);
  }
  drop_empty();
  if (segments_.size() > kSegmentsKept) carry_forward();
}

// Holds that are open in the oldest segment are written again at the end. Those that are settled already will
// be committed soon and are left.
void Journal::carry_forward() {
  const int oldest = segments_.begin()->first;
  for (auto& [seq, hold] : open_) {
    if (hold.segments.size() != 1 || hold.segments[0] != oldest) continue;
    if (!append(hold.record)) return;
    --segments_[oldest].open;
    hold.segments[0] = current_;
  }
  drop_empty();
}

void Journal::drop_empty() {
  for (auto it = segments_.begin(); it != segments_.end();) {
    const bool done = it->second.open == 0 && it->first != current_;
    if (!done) {
      ++it;
      continue;
    }
    ::close(it->second.fd);
    ::unlink(path(it->first).c_str());
    it = segments_.erase(it);
  }
}

std::size_t Journal::bytes() const {
  std::lock_guard lock(mutex_);
  std::size_t out = 0;
  for (const auto& [number, segment] : segments_) {
    if (segment.open > 0) out += segment.bytes;
  }
  return out;
}

void Journal::sync() {
  std::vector<int> copies;
  {
    std::lock_guard lock(mutex_);
    for (auto it = segments_.lower_bound(synced_); it != segments_.end(); ++it)
      copies.push_back(::dup(it->second.fd));
    synced_ = current_;
  }
  for (const int fd : copies) {
    // A failed sync is not repeated: the kernel may have dropped the pages (fsync(2)).
    if (::fdatasync(fd) != 0) core::log::error("ledger.journal_sync", {{"detail", std::strerror(errno)}});
    ::close(fd);
  }
}

void Journal::unlock() {
  std::lock_guard lock(mutex_);
  if (lock_fd_ >= 0) ::close(std::exchange(lock_fd_, -1));
}

void Journal::remove() {
  std::lock_guard lock(mutex_);
  for (auto& [number, segment] : segments_) {
    ::close(segment.fd);
    ::unlink(path(number).c_str());
  }
  segments_.clear();
  ::unlink(lock_path(directory_, id_).c_str());
}

std::vector<std::unique_ptr<OrphanJournal>> OrphanJournal::find(const std::string& directory,
                                                                const core::Uuid& own) {
  std::vector<std::unique_ptr<OrphanJournal>> out;
  std::error_code failed;
  for (const auto& file : std::filesystem::directory_iterator(directory, failed)) {
    if (file.path().extension() != ".lock") continue;
    const auto id = core::Uuid::parse(file.path().stem().string());
    if (!id || *id == own) continue;
    const int fd = open_locked(file.path().string(), O_RDWR);
    if (fd < 0) continue;
    out.push_back(std::unique_ptr<OrphanJournal>(new OrphanJournal(directory, *id, fd)));
  }
  return out;
}

OrphanJournal::~OrphanJournal() {
  ::close(lock_fd_);
}

std::vector<SettledCall> OrphanJournal::calls() const {
  JournalReplay replay;
  for (const auto& [number, path] : segments_of(directory_, id_)) read_segment(path, replay);
  return replay.calls();
}

void OrphanJournal::remove() {
  for (const auto& [number, path] : segments_of(directory_, id_)) ::unlink(path.c_str());
  ::unlink(lock_path(directory_, id_).c_str());
}

}  // namespace assistiv::billing
