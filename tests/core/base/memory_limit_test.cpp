// Memory limits of cgroups of both versions, on a tree of files like the kernel's.
#include "trireme/core/base/memory_limit.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"
#include "trireme/core/base/physical_memory.h"

namespace trireme {
namespace {

void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

TEST(MemoryLimit, CgroupOfEitherVersionIsFound) {
  EXPECT_EQ(memory_cgroup_folder("0::/user.slice/a.scope\n"), "/sys/fs/cgroup/user.slice/a.scope");
  EXPECT_EQ(memory_cgroup_folder("9:cpu:/\n4:memory:/job 1\n0::/\n"), "/sys/fs/cgroup/memory/job 1");
  EXPECT_EQ(memory_cgroup_folder("0::/\n"), "/sys/fs/cgroup");
  EXPECT_EQ(memory_cgroup_folder("nonsense\n:\n"), "");
}

TEST(MemoryLimit, TheSmallestOfAllEnclosingCgroupsHolds) {
  const test::TempDir directory;
  const std::string mount = directory.path().string();
  write(mount + "/memory.max", "max\n");
  write(mount + "/slurm/memory.max", "5000000\n");
  write(mount + "/slurm/job/memory.max", "9000000\n");
  const MemoryLimit limit = cgroup_limit(mount + "/slurm/job", mount);
  EXPECT_EQ(limit.bytes, 5000000);
  EXPECT_EQ(limit.cgroup, mount + "/slurm");
  EXPECT_EQ(cgroup_limit(mount, mount).bytes, 0);
}

TEST(MemoryLimit, VersionOneWritesNoLimitAsAHugeNumber) {
  const test::TempDir directory;
  const std::string mount = directory.path().string();
  write(mount + "/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write(mount + "/memory/box/memory.limit_in_bytes", "12345678\n");
  EXPECT_EQ(cgroup_limit(mount + "/memory", mount).bytes, 0);
  EXPECT_EQ(cgroup_limit(mount + "/memory/box", mount).bytes, 12345678);
}

TEST(MemoryLimit, WithoutACgroupItIsTheMachinesMemory) {
  EXPECT_EQ(cgroup_limit("").bytes, 0);
  EXPECT_EQ(cgroup_limit("/somewhere/else").bytes, 0);
  const MemoryLimit limit = memory_limit();
  EXPECT_GT(limit.bytes, 0);
  EXPECT_LE(limit.bytes, physical_memory());
}

}  // namespace
}  // namespace trireme
