// The file system's promises, on the real disk and on the failing one.
#include "trireme/core/base/filesystem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/support/error_of.h"
#include "tests/support/fault_filesystem.h"
#include "tests/support/small_disk.h"
#include "tests/support/temp_dir.h"
#include "trireme/core/base/error.h"

namespace trireme {
namespace {

using test::error_of;
using testing::HasSubstr;

std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string as_text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The same body on both implementations.
void keep_the_promises(FileSystem& files, const std::string& root) {
  make_directories(files, root + "/a/b");
  make_directories(files, root + "/a/b");
  EXPECT_FALSE(files.make_directory(root + "/a"));
  write_file(files, root + "/a/x", as_bytes("hello"));
  write_file(files, root + "/a/y", as_bytes("longer text"));
  write_file(files, root + "/a/y", as_bytes("short"));
  EXPECT_EQ(as_text(read_file(files, root + "/a/y", 100)), "short");
  EXPECT_EQ(files.list(root + "/a"), (std::vector<std::string>{"b", "x", "y"}));
  files.rename(root + "/a/x", root + "/a/y");
  EXPECT_EQ(as_text(read_file(files, root + "/a/y", 100)), "hello");
  EXPECT_FALSE(files.rename_if_exists(root + "/a/x", root + "/a/z"));
  EXPECT_FALSE(files.status(root + "/a/x").has_value());
  EXPECT_TRUE(files.status(root + "/a")->is_directory);
  EXPECT_EQ(files.status(root + "/a/y")->bytes, 5u);

  const auto file = files.open(root + "/a/y", OpenMode::update);
  file->resize(8);
  file->reserve(8);
  file->write(6, as_bytes("!!"));
  std::vector<std::byte> all(20);
  EXPECT_EQ(file->read(0, all), 8u);
  all.resize(8);
  EXPECT_EQ(as_text(all), std::string("hello\0!!", 8));
  file->sync();
  files.sync_directory(root + "/a");

  files.remove_file(root + "/a/y");
  EXPECT_THAT(error_of([&] { files.remove_file(root + "/a/y"); }), HasSubstr("errno 2"));
  EXPECT_THAT(error_of([&] { files.open(root + "/a", OpenMode::read); }), HasSubstr("is a directory"));
  EXPECT_THAT(error_of([&] { files.remove_directory(root + "/a"); }), HasSubstr("errno 39"));
  files.remove_directory(root + "/a/b");
  files.remove_directory(root + "/a");
}

TEST(FileSystem, TheDiskKeepsThePromises) {
  const test::TempDir dir;
  PosixFileSystem files;
  keep_the_promises(files, dir / "root");
}

TEST(FileSystem, TheFaultyOneKeepsThePromisesWhileNoFaultIsSet) {
  test::FaultFileSystem files;
  keep_the_promises(files, "/root");
}

TEST(FileSystem, AFileInTheWayOfADirectoryIsNamed) {
  const test::TempDir dir;
  PosixFileSystem files;
  write_file(files, dir / "file", as_bytes("x"));
  EXPECT_THAT(error_of([&] { make_directories(files, dir / "file"); }), HasSubstr("is a file"));
  EXPECT_THAT(error_of([&] { make_directories(files, dir / "file/below"); }), HasSubstr("is a file"));
  EXPECT_THAT(error_of([&] { files.make_directory(dir / "file"); }), HasSubstr("in the way"));
}

TEST(FileSystem, AnAbsentFileSaysPathReasonAndWhatToDo) {
  PosixFileSystem files;
  const std::string message = error_of([&] { files.open("/nowhere/at/all", OpenMode::read); });
  EXPECT_THAT(message, HasSubstr("open /nowhere/at/all failed (errno 2: No such file or directory); check that"));
}

TEST(FileSystem, ReadingBeyondTheEndIsAnErrorThatSaysHowFarItCame) {
  const test::TempDir dir;
  PosixFileSystem files;
  write_file(files, dir / "f", as_bytes("12345"));
  std::vector<std::byte> room(9);
  const auto file = files.open(dir / "f", OpenMode::read);
  EXPECT_THAT(error_of([&] { file->read_exactly(1, room); }),
              HasSubstr("9 bytes wanted at byte 1, but the file ends after 4"));
  EXPECT_THAT(error_of([&] { read_file(files, dir / "f", 4); }), HasSubstr("at most 4 expected"));
}

TEST(FileSystem, ALockExcludesEverybodyUntilItIsGone) {
  const test::TempDir dir;
  PosixFileSystem disk;
  test::FaultFileSystem memory;
  for (auto& [files, path] :
       std::vector<std::pair<FileSystem*, std::string>>{{&disk, dir / "lock"}, {&memory, "/lock"}}) {
    auto held = files->try_lock(path, "me");
    ASSERT_NE(held, nullptr);
    EXPECT_EQ(files->try_lock(path, "you"), nullptr);
    EXPECT_EQ(as_text(read_file(*files, path, 100)), "me");
    held.reset();
    EXPECT_NE(files->try_lock(path, "a longer you"), nullptr);
  }
}

TEST(FileSystem, InterruptedAndShortCallsAreFinished) {
  for (int call = 0; call < 6; ++call) {
    for (const bool interrupt : {false, true}) {
      test::FaultFileSystem files;
      if (interrupt) {
        files.fail_call(call, EINTR);
      } else {
        files.shorten_write(call);
      }
      write_file(files, "/f", as_bytes("all of this"));
      EXPECT_EQ(as_text(read_file(files, "/f", 100)), "all of this") << call << interrupt;
    }
  }
}

TEST(FileSystem, AFullDiskIsAnErrorWithAdvice) {
  test::FaultFileSystem files;
  files.fail_call(1, ENOSPC);
  const std::string message = error_of([&] { write_file(files, "/f", as_bytes("x")); });
  EXPECT_THAT(message, HasSubstr("write to /f failed (errno 28: No space left on device); free space"));
}

TEST(FileSystem, ParentsOfPaths) {
  EXPECT_EQ(parent_path("a/b/c"), "a/b");
  EXPECT_EQ(parent_path("a/b/"), "a");
  EXPECT_EQ(parent_path("c"), ".");
  EXPECT_EQ(parent_path("/c"), "/");
  EXPECT_EQ(parent_path("/"), "/");
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("a/", "b"), "a/b");
}

TEST(FileSystem, SignalsWithoutEndAreAnErrorNotAHang) {
  test::FaultFileSystem files;
  write_file(files, "/f", as_bytes("x"));
  const auto file = files.open("/f", OpenMode::update);
  files.fail_call(0, EINTR, /*for_ever=*/true);
  EXPECT_THAT(error_of([&] { file->sync(); }), HasSubstr("sync /f failed (errno 4"));
  EXPECT_THAT(error_of([&] { file->write(0, as_bytes("y")); }), HasSubstr("write to /f failed (errno 4"));
  EXPECT_THAT(error_of([&] { files.list("/"); }), HasSubstr("signals came faster"));
}

TEST(FileSystem, APipeInAFilesPlaceIsAnErrorNotAHang) {
  const test::TempDir dir;
  PosixFileSystem files;
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { read_file(files, dir / "pipe", 100); }), HasSubstr("pipe or a socket; give a file"));
  EXPECT_THAT(error_of([&] { files.open(dir / "pipe", OpenMode::update); }), HasSubstr("pipe or a socket"));
}

TEST(FileSystem, TellsAFileThatHasOneNameFromOneThatHasMore) {
  const test::TempDir dir;
  PosixFileSystem disk;
  write_file(disk, dir / "f", as_bytes("x"));
  EXPECT_TRUE(disk.status(dir / "f")->sole);
  EXPECT_FALSE(disk.status(dir.path())->sole);
  std::filesystem::create_symlink(dir / "f", dir / "soft");
  EXPECT_FALSE(disk.status(dir / "soft")->sole);
  EXPECT_TRUE(disk.status(dir / "f")->sole);
  std::filesystem::create_hard_link(dir / "f", dir / "hard");
  EXPECT_FALSE(disk.status(dir / "f")->sole);
  test::FaultFileSystem memory;
  write_file(memory, "/f", as_bytes("x"));
  EXPECT_TRUE(memory.status("/f")->sole);
  memory.link("/f", "/hard");
  EXPECT_FALSE(memory.status("/f")->sole);
}

// The fault file system itself: what it forgets is what the checkpoints' crash tests stand on.
std::multiset<std::string> worlds_of(const test::FaultFileSystem& files, std::uint64_t exhaustive,
                                     const std::function<std::string(test::FaultFileSystem&)>& tell) {
  std::multiset<std::string> worlds;
  const std::int64_t told =
      files.crash_images({.exhaustive = exhaustive}, [&](test::FaultFileSystem& world) { worlds.insert(tell(world)); });
  EXPECT_EQ(static_cast<std::size_t>(told), worlds.size());
  return worlds;
}

TEST(FaultFileSystem, ACrashForgetsWhatWasNotSyncedWholeOrInPart) {
  test::FaultFileSystem files;
  write_file(files, "/synced", as_bytes("12"));
  files.sync_directory("/");
  write_file(files, "/name_not_synced", as_bytes("2"));
  files.open("/synced", OpenMode::update)->write(0, as_bytes("98"));
  const auto tell = [](test::FaultFileSystem& world) {
    const bool named = world.all_paths().contains("/name_not_synced");
    EXPECT_TRUE(!named || as_text(world.content("/name_not_synced")) == "2");
    return as_text(world.content("/synced")) + (named ? " named" : "");
  };
  const std::multiset<std::string> all = {"12", "12 named", "18", "18 named", "92", "92 named", "98", "98 named"};
  EXPECT_EQ(worlds_of(files, 8, tell), all);
  const auto some = worlds_of(files, 7, tell);
  EXPECT_EQ(std::set<std::string>(some.begin(), some.end()), std::set<std::string>(all.begin(), all.end()));
}

TEST(FaultFileSystem, ARenameBetweenDirectoriesMayLeaveBothNamesOrNone) {
  test::FaultFileSystem files;
  make_directories(files, "/a");
  make_directories(files, "/b");
  write_file(files, "/a/f", as_bytes("1"));
  files.sync_directory("/a");
  files.rename("/a/f", "/b/f");
  const auto tell = [](test::FaultFileSystem& world) {
    return std::string(world.all_paths().contains("/a/f") ? "a" : "") + (world.all_paths().contains("/b/f") ? "b" : "");
  };
  EXPECT_EQ(worlds_of(files, 100, tell), (std::multiset<std::string>{"", "a", "ab", "b"}));
  files.sync_directory("/b");
  EXPECT_EQ(worlds_of(files, 100, tell), (std::multiset<std::string>{"ab", "b"}));
  files.sync_directory("/a");
  EXPECT_EQ(worlds_of(files, 100, tell), (std::multiset<std::string>{"b"}));
}

TEST(FaultFileSystem, BytesOfAFailedSyncNeverBecomeDurableLater) {
  test::FaultFileSystem files;
  write_file(files, "/f", as_bytes("1"));
  files.sync_directory("/");
  const auto file = files.open("/f", OpenMode::update);
  file->write(0, as_bytes("2"));
  files.fail_call(0, EIO);
  EXPECT_THROW(file->sync(), Error);
  file->sync();
  EXPECT_EQ(files.pending(), 0u);
  const auto tell = [](test::FaultFileSystem& world) { return as_text(world.content("/f")); };
  EXPECT_EQ(worlds_of(files, 1, tell), (std::multiset<std::string>{"1"}));
}

// Whole pages at page addresses, with something in them.
class Pages {
 public:
  explicit Pages(std::size_t pages, int seed = 1)
      : memory_((pages + 1) * kDirectAlignment), bytes_(pages * kDirectAlignment) {
    for (std::size_t i = 0; i < memory_.size(); ++i) {
      memory_[i] = static_cast<std::byte>(i * 31 + static_cast<std::size_t>(seed) * 7);
    }
  }
  std::span<std::byte> bytes() {
    const std::size_t above = reinterpret_cast<std::uintptr_t>(memory_.data()) % kDirectAlignment;
    return std::span(memory_).subspan((kDirectAlignment - above) % kDirectAlignment, bytes_);
  }

 private:
  std::vector<std::byte> memory_;
  std::size_t bytes_;
};

// What is written past the cache is what is read, past it and through it; unaligned bytes go the usual way.
void write_past_the_cache(FileSystem& files, const std::string& path) {
  Pages pages(8);
  const std::span<std::byte> data = pages.bytes();
  const auto file = files.open(path, OpenMode::create);
  const bool direct = file->set_direct(true);
  file->write(0, data);
  file->set_direct(false);
  file->write(data.size(), data.first(10));
  file->sync();
  EXPECT_EQ(file->size(), data.size() + 10);
  Pages back(9, 2);
  file->set_direct(direct);
  const std::size_t got = file->read(0, back.bytes());
  file->set_direct(false);
  EXPECT_GE(got, data.size());
  EXPECT_TRUE(std::equal(data.begin(), data.end(), back.bytes().begin()));
  std::vector<std::byte> through(data.size() + 10);
  file->read_exactly(0, through);
  EXPECT_TRUE(std::equal(data.begin(), data.end(), through.begin()));
  EXPECT_EQ(through.back(), data[9]);
}

TEST(FileSystem, DirectWritesAreReadBackOnTheRealDiskAndOnTheStrictOne) {
  const test::TempDir dir;
  PosixFileSystem real;
  write_past_the_cache(real, dir / "file");
  test::FaultFileSystem strict;
  write_past_the_cache(strict, "/file");
}

TEST(FileSystem, ADirectWriteThatIsRefusedGoesTheUsualWay) {
  test::FaultFileSystem files;
  const auto file = files.open("/file", OpenMode::create);
  ASSERT_TRUE(file->set_direct(true));
  file->write(3, as_bytes("hello"));  // unaligned: refused, then written
  std::vector<std::byte> back(8);
  file->read_exactly(0, back);
  EXPECT_EQ(as_text(back).substr(3), "hello");
}

TEST(FileSystem, ReadCachedGivesWhatWasJustWritten) {
  const test::TempDir dir;
  PosixFileSystem files;
  write_file(files, dir / "file", as_bytes("hello"));
  std::vector<std::byte> back(5);
  const std::size_t got = files.open(dir / "file", OpenMode::read)->read_cached(0, back);
  EXPECT_TRUE(got == 5 || got == 0) << "memory may be short, or the system too old to tell";
  if (got == 5) {
    EXPECT_EQ(as_text(back), "hello");
  }
  test::FaultFileSystem without;
  write_file(without, "/file", as_bytes("hello"));
  EXPECT_EQ(without.open("/file", OpenMode::read)->read_cached(0, back), 0u);
}

TEST(FileSystem, AFullDiskIsNamedWithTheBytesThatAreMissing) {
  EXPECT_EQ(space_text({"/data", 100, 20}, 150), "the file system at /data has 100 bytes left, 30 bytes are missing");
  EXPECT_EQ(space_text({"/data", 100, 20}, 0), "the file system at /data has 100 bytes left");
  const test::SmallDisk disk(64 << 10);
  if (!disk.problem().empty()) {
    GTEST_SKIP() << disk.problem();
  }
  PosixFileSystem files;
  const std::string directory = disk.path() + "/a";
  make_directories(files, directory);
  const auto file = files.open(directory + "/file", OpenMode::create);
  const std::string reserved = error_of([&] { file->reserve(1 << 20); });
  EXPECT_THAT(reserved, HasSubstr("reserve 1048576 bytes for " + directory + "/file failed (errno 28: No space left"));
  EXPECT_THAT(reserved,
              HasSubstr("the file system at " + disk.path() + " has 65536 bytes left, 983040 bytes are missing"));
  EXPECT_THAT(reserved, HasSubstr("free space on that file system"));
  const std::vector<std::byte> data(100 << 10);
  EXPECT_THAT(error_of([&] { file->write(0, data); }), HasSubstr("has 0 bytes left, 36864 bytes are missing"));
  EXPECT_THAT(error_of([&] { write_file(files, directory + "/other", data); }), HasSubstr("has 0 bytes left"));
}

}  // namespace
}  // namespace trireme
