// The file system's promises, on the real disk and on the failing one.
#include "trireme/core/base/filesystem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <fstream>

#include "tests/support/error_of.h"
#include "tests/support/fault_filesystem.h"
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

// The fault file system itself: what it forgets is what the checkpoints' crash tests stand on.
TEST(FaultFileSystem, ACrashForgetsWhatWasNotSynced) {
  test::FaultFileSystem files;
  write_file(files, "/synced", as_bytes("1"));
  files.sync_directory("/");
  write_file(files, "/name_not_synced", as_bytes("2"));
  files.open("/synced", OpenMode::update)->write(0, as_bytes("9"));
  int without_name = 0;
  int old_content = 0;
  const auto worlds = files.crash_images(0, 0);
  for (const auto& world : worlds) {
    const auto paths = world->all_paths();
    EXPECT_TRUE(paths.contains("/synced"));
    without_name += paths.contains("/name_not_synced") ? 0 : 1;
    old_content += as_text(world->content("/synced")) == "1" ? 1 : 0;
    if (paths.contains("/name_not_synced")) {
      EXPECT_EQ(as_text(world->content("/name_not_synced")), "2");
    }
  }
  EXPECT_GT(without_name, 0);
  EXPECT_GT(old_content, 0);
  EXPECT_LT(static_cast<std::size_t>(without_name), worlds.size());
  EXPECT_LT(static_cast<std::size_t>(old_content), worlds.size());
}

TEST(FaultFileSystem, AFailedSyncNeverBecomesDurableLater) {
  test::FaultFileSystem files;
  write_file(files, "/f", as_bytes("1"));
  files.sync_directory("/");
  const auto file = files.open("/f", OpenMode::update);
  file->write(0, as_bytes("2"));
  files.fail_call(0, EIO);
  EXPECT_THROW(file->sync(), Error);
  const auto worlds = files.crash_images(0, 0);
  EXPECT_EQ(as_text(worlds.front()->content("/f")), "1");
}

}  // namespace
}  // namespace trireme
