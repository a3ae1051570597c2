// FileSystem: the one way by which checkpoints reach the disk, so that tests can put a failing one in its place.
//
// The public functions retry what is interrupted, finish what is short, and raise Error with the operation, the path,
// the system's reason and what to do. An implementation supplies single system calls (the do_ functions), which return
// an error number instead; it is at that level that tests inject failures.
//
// Nothing here is durable until it is synced: a file's bytes by File::sync, a name (created, renamed or removed) by
// sync_directory of the directory that holds it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trireme {

// Raises Error: "OPERATION PATH failed (errno 5: Input/output error); the disk ...".
[[noreturn]] void fail_file(std::string_view operation, const std::string& path, int error_number);

// The file system that holds a path.
struct Space {
  std::string mount_point;
  std::uint64_t available_bytes = 0;  // to this user
  std::uint64_t allocated_bytes = 0;  // of the file that was asked, 0 for a directory
};
// What to say of a full disk: the file system, and how many bytes it lacks for `wanted_bytes` more (0: not known).
std::string space_text(const Space& space, std::uint64_t wanted_bytes);

// What direct I/O wants offsets, lengths and addresses to be multiples of: enough for every disk and file system.
inline constexpr std::uint64_t kDirectAlignment = 4096;

// An open file. One thread at a time, but reads may run beside reads. The destructor closes without reporting errors:
// what must be on disk is synced before.
class File {
 public:
  explicit File(std::string path) : path_(std::move(path)) {}
  virtual ~File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& path() const { return path_; }
  // Writes all of `data` at byte `offset`.
  void write(std::uint64_t offset, std::span<const std::byte> data);
  // Reads until `out` is full or the file ends; returns the bytes read.
  std::size_t read(std::uint64_t offset, std::span<std::byte> out);
  // Fills `out`; a file that ends before is an error.
  void read_exactly(std::uint64_t offset, std::span<std::byte> out);
  // As read, but stops where it would have to wait for the disk: what it returns was in the machine's memory (the page
  // cache). 0 where the system cannot tell.
  std::size_t read_cached(std::uint64_t offset, std::span<std::byte> out);
  // Whether later reads and writes go past the page cache (direct I/O); false if that cannot be had, and then they do
  // not. While they do, offsets, lengths and addresses are multiples of kDirectAlignment; what a file system refuses
  // nevertheless is written the usual way, and read short. Not while another thread reads.
  bool set_direct(bool on);
  std::uint64_t size();
  // Cuts or extends (with zeros) to `bytes`.
  void resize(std::uint64_t bytes);
  // Reserves disk blocks for `bytes`, so that a full disk is noticed now; does nothing where the system cannot.
  void reserve(std::uint64_t bytes);
  // What is left beside this file; nothing where that is not known.
  std::optional<Space> space() { return do_space(); }
  // Returns once all bytes written before are on the disk. After a failure they may be lost: never retry, write anew.
  void sync();

 protected:
  virtual std::int64_t do_write(std::uint64_t offset, std::span<const std::byte> data) = 0;  // bytes, or -errno
  virtual std::int64_t do_read(std::uint64_t offset, std::span<std::byte> out) = 0;          // bytes, or -errno
  virtual std::int64_t do_size() = 0;                                                        // bytes, or -errno
  virtual int do_resize(std::uint64_t bytes) = 0;                                            // 0 or errno
  virtual int do_reserve(std::uint64_t bytes) = 0;                                           // 0 or errno
  virtual int do_sync() = 0;                                                                 // 0 or errno
  // Without these, a file is never cached, never direct, and on a file system without a name.
  virtual std::int64_t do_read_cached(std::uint64_t, std::span<std::byte>) { return 0; }  // bytes, or -errno
  virtual int do_set_direct(bool on) { return on ? -1 : 0; }                              // 0 or not
  virtual std::optional<Space> do_space() { return std::nullopt; }

 private:
  [[noreturn]] void fail_write(std::string_view operation, int error_number, std::uint64_t wanted_bytes);

  std::string path_;
  bool direct_ = false;
};

// Held while it lives; the system releases it when the process dies, however it dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode {
  read,    // must exist
  update,  // must exist; reading and writing
  create,  // reading and writing; made empty
};

struct FileStatus {
  bool is_directory = false;
  std::uint64_t bytes = 0;
  bool sole = true;  // a plain file that has this name only: no link to it, and none itself. Else writing to it changes
                     // what somebody has kept under another name
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  std::unique_ptr<File> open(const std::string& path, OpenMode mode);
  // Replaces `to` if it is a file; a directory there must not exist (or be empty). Atomic for whoever looks.
  void rename(const std::string& from, const std::string& to);
  // As rename, but false where `from` does not exist.
  bool rename_if_exists(const std::string& from, const std::string& to);
  void remove_file(const std::string& path);
  void remove_directory(const std::string& path);  // must be empty
  // False if the directory was there already; the parent must exist.
  bool make_directory(const std::string& path);
  // Names in a directory without "." and "..", sorted.
  std::vector<std::string> list(const std::string& path);
  // Nothing if there is no such path.
  std::optional<FileStatus> status(const std::string& path);
  void sync_directory(const std::string& path);
  // An exclusive lock on the file `path` (made if absent), into which `owner` is written for others to read. Null if
  // somebody holds it, this process included. Does not block.
  std::unique_ptr<FileLock> try_lock(const std::string& path, std::string_view owner);

 protected:
  template <class T>
  struct Result {
    int error = 0;
    T value{};
  };
  virtual Result<std::unique_ptr<File>> do_open(const std::string& path, OpenMode mode) = 0;
  virtual int do_rename(const std::string& from, const std::string& to) = 0;
  virtual int do_remove_file(const std::string& path) = 0;
  virtual int do_remove_directory(const std::string& path) = 0;
  virtual int do_make_directory(const std::string& path) = 0;
  virtual Result<std::vector<std::string>> do_list(const std::string& path) = 0;
  virtual Result<FileStatus> do_status(const std::string& path) = 0;
  virtual int do_sync_directory(const std::string& path) = 0;
  virtual Result<std::unique_ptr<FileLock>> do_try_lock(const std::string& path, std::string_view owner) = 0;
  virtual std::optional<Space> do_space(const std::string&) { return std::nullopt; }

 private:
  void check(int error_number, std::string_view operation, const std::string& path);
};

// The machine's own. Stateless: any number may live, on any threads.
class PosixFileSystem : public FileSystem {
 protected:
  Result<std::unique_ptr<File>> do_open(const std::string& path, OpenMode mode) override;
  int do_rename(const std::string& from, const std::string& to) override;
  int do_remove_file(const std::string& path) override;
  int do_remove_directory(const std::string& path) override;
  int do_make_directory(const std::string& path) override;
  Result<std::vector<std::string>> do_list(const std::string& path) override;
  Result<FileStatus> do_status(const std::string& path) override;
  int do_sync_directory(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> do_try_lock(const std::string& path, std::string_view owner) override;
  std::optional<Space> do_space(const std::string& path) override;
};

// "a/b" + "c" -> "a/b/c".
std::string join_path(std::string_view directory, std::string_view name);
// "a/b/c" -> "a/b"; "c" -> ".".
std::string parent_path(const std::string& path);
// Makes the directory and the missing ones above it. A file in the way is an error.
void make_directories(FileSystem& files, const std::string& path);
// All bytes of a file; more than `bytes_max` is an error, found before anything is allocated.
std::vector<std::byte> read_file(FileSystem& files, const std::string& path, std::uint64_t bytes_max);
// Writes and syncs a new file under `path`. Its name is not durable until the directory is synced.
void write_file(FileSystem& files, const std::string& path, std::span<const std::byte> bytes);

}  // namespace trireme
