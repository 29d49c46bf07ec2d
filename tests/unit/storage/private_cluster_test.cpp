#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "storage/child_process.h"
#include "storage/cluster_directory.h"

namespace assistiv::storage {
namespace {

namespace fs = std::filesystem;

class ClusterDirectoryTest : public testing::Test {
 protected:
  ClusterDirectoryTest() {
    auto path = (fs::temp_directory_path() / "assistiv-cluster-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp");
    place_ = path;
  }
  ~ClusterDirectoryTest() override { fs::remove_all(place_); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((place_ / name).parent_path());
    std::ofstream(place_ / name) << text;
  }

  fs::path place_;
};

TEST_F(ClusterDirectoryTest, reads_the_pid_file) {
  const ClusterDirectory cluster(place_.string() + "/");
  EXPECT_FALSE(cluster.postmaster());
  write("data/postmaster.pid", "4711\n/data\n1700000000\n5432\n/run/x\n\n  1 2\nready   \n");
  const auto file = cluster.postmaster();
  ASSERT_TRUE(file);
  EXPECT_EQ(file->pid, 4711);
  EXPECT_EQ(file->port, "5432");
  EXPECT_EQ(file->socket_directory, "/run/x");
  write("data/postmaster.pid", "4711\n");  // half-written
  EXPECT_EQ(cluster.postmaster()->socket_directory, "");
  write("data/postmaster.pid", "junk\n");
  EXPECT_FALSE(cluster.postmaster());
}

TEST_F(ClusterDirectoryTest, reads_the_clusters_version) {
  const ClusterDirectory cluster(place_.string());
  EXPECT_EQ(cluster.version(), std::nullopt);
  write("data/PG_VERSION", "15\n");
  EXPECT_EQ(cluster.version(), 15);
}

TEST_F(ClusterDirectoryTest, lets_one_holder_have_the_lock) {
  ClusterDirectory first(place_.string()), second(place_.string());
  first.lock();
  EXPECT_THROW(second.lock(), core::Error);
}

TEST_F(ClusterDirectoryTest, puts_a_grown_log_aside) {
  const ClusterDirectory cluster(place_.string());
  write("postgres.log", "old");
  fs::resize_file(place_ / "postgres.log", 11 << 20);
  EXPECT_TRUE(cluster.open_log());
  EXPECT_EQ(cluster.log_size(), 0);
  EXPECT_TRUE(fs::exists(place_ / "postgres.log.1"));
}

TEST(ChildProcess, tells_processes_by_name_and_life) {
  EXPECT_FALSE(process_is(getpid(), "postgres"));
  ChildProgram program;
  program.arguments = {"/bin/sleep", "60"};
  const pid_t pid = start_child(program);
  while (!process_is(pid, "sleep")) usleep(1000);
  kill(pid, SIGKILL);
  while (process_is(pid, "sleep")) usleep(1000);  // a zombie is not alive
  std::optional<int> status;
  while (!(status = reap_child(pid))) usleep(1000);
  EXPECT_FALSE(process_is(pid, "sleep"));
}

TEST(ChildProcess, gives_the_child_one_directory_and_nothing_else_of_ours) {
  const auto place = fs::temp_directory_path() / ("assistiv-child-" + std::to_string(getpid()));
  fs::create_directories(place);
  const Descriptor directory(open(place.c_str(), O_RDONLY | O_DIRECTORY));
  ChildProgram program;
  program.arguments = {"/bin/sh", "-c",
                       "ls /proc/self/fd > " + std::string(kChildDirectory) + "/descriptors; env > " +
                           kChildDirectory + "/environment"};
  program.directory = directory.get();
  const pid_t pid = start_child(program);
  std::optional<int> status;
  while (!(status = reap_child(pid))) usleep(1000);
  EXPECT_EQ(*status, 0);
  std::ifstream descriptors(place / "descriptors"), environment(place / "environment");
  const std::string seen(std::istreambuf_iterator<char>(descriptors), {});
  EXPECT_EQ(seen, "0\n1\n2\n3\n4\n");  // 4 is what ls reads the list from
  const std::string variables(std::istreambuf_iterator<char>(environment), {});
  EXPECT_EQ(variables.find("HOME="), std::string::npos);
  fs::remove_all(place);
}

}  // namespace
}  // namespace assistiv::storage
