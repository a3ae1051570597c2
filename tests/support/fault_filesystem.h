// FaultFileSystem: a file system in memory that fails when told to, and that knows what a crash would leave.
//
// Only what was synced is sure to survive: a file's bytes by File::sync, a name by sync_directory. Everything since
// then may survive or not, each write and each change of a name by itself, whole or torn: crash_images() makes such
// worlds. A copy is what the death of a process leaves: all that was done is seen, and what was not synced may still be
// lost in a crash later.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "trireme/core/base/filesystem.h"

namespace trireme::test {

// Which of the worlds that a crash may leave are made: all, if they are at most `exhaustive`. Else those in which of
// the changes not yet synced none, all, each prefix, all but one, or only one survived, each torn in every way, and
// `random` arbitrary ones.
struct CrashPlan {
  std::uint64_t exhaustive = 0;
  int random = 0;
  std::uint64_t seed = 0;
};

class FaultFileSystem final : public FileSystem {
 public:
  FaultFileSystem();
  // A copy is an independent world with the same content; locks and faults are not copied.
  FaultFileSystem(const FaultFileSystem& other);
  FaultFileSystem& operator=(const FaultFileSystem&) = delete;

  // Counts every call; call number `at` (from 0, counted from now) fails with `error_number`, once or it and all after.
  void fail_call(std::int64_t at, int error_number, bool for_ever = false);
  // As above, but a write stores only half of its bytes and says so (no failure for others).
  void shorten_write(std::int64_t at, bool for_ever = false);
  std::int64_t calls() const { return calls_; }
  // How many changes of names and contents there were, synced or not, and how many syncs: where this stands still, so
  // do the worlds that a crash could leave.
  std::int64_t changes() const { return changes_; }
  bool fault_happened() const { return fault_happened_; }
  // Called before each call with its number; to look at crash states in the middle of things.
  void on_call(std::function<void(std::int64_t)> observer) { observer_ = std::move(observer); }
  // Called before each call is counted, on its thread: where threads wait for their turn (turns.h).
  void before_call(std::function<void()> wait) { wait_ = std::move(wait); }

  // Hands over each world that a crash now could leave; returns how many.
  std::int64_t crash_images(const CrashPlan& plan, const std::function<void(FaultFileSystem&)>& use) const;
  // How many changes are not durable now.
  std::size_t pending() const;

  // Direct access for tests.
  std::vector<std::byte>& content(const std::string& path);
  std::set<std::string> all_paths() const;
  // Of all names and contents as readers see them.
  std::uint64_t fingerprint() const;
  // Gives a file one more name.
  void link(const std::string& path, const std::string& another);

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

 private:
  friend class FaultFile;
  friend class FaultLock;
  using Id = int;  // of a file or directory, whatever its names
  struct Node {
    bool is_directory = false;
    std::vector<std::byte> content;  // as readers see it
    std::vector<std::byte> durable;  // as of the last sync
    std::map<std::string, Id> names;
    std::map<std::string, Id> durable_names;
  };
  struct NameChange {  // name -> id, or removed (-1)
    Id directory;
    std::string name;
    Id target;
  };
  // One thing that a crash may lose. A rename within one directory is two changes of names that only come together; one
  // between two directories may survive in either alone.
  struct Change {
    std::vector<NameChange> names;
    Id file = -1;  // or a write (size >= 0: a resize)
    std::uint64_t offset = 0;
    std::vector<std::byte> data;
    std::int64_t size = -1;
  };
  // One call: has waited for its turn, holds the mutex, is counted, and knows whether it must fail.
  struct Call {
    explicit Call(FaultFileSystem& system);
    std::unique_lock<std::recursive_mutex> lock;
    int error = 0;
    bool cut_short = false;
  };

  Node& node(Id id) { return nodes_[static_cast<std::size_t>(id)]; }
  const Node& node(Id id) const { return nodes_[static_cast<std::size_t>(id)]; }
  Id find(const std::string& path) const;  // -1: absent
  Id find_parent(const std::string& path, std::string& name) const;
  int links(Id id) const;
  int open_id(const std::string& path, OpenMode mode, Id& id);
  void change_names(std::vector<NameChange> changes);
  void change_file(Change change);
  static void apply(const NameChange& change, std::map<std::string, Id>& names);
  static void apply(const Change& change, std::vector<std::byte>& content);
  static int ways(const Change& change);
  void survive(const Change& change, int way);
  std::unique_ptr<FaultFileSystem> image(const std::vector<int>& kept) const;
  std::set<std::vector<int>> chosen(const CrashPlan& plan) const;

  mutable std::recursive_mutex mutex_;
  std::vector<Node> nodes_;  // nodes_[0] is "/"
  std::vector<Change> pending_;
  std::set<Id> locked_;
  std::int64_t calls_ = 0;
  std::int64_t changes_ = 0;
  std::int64_t fail_at_ = -1;
  int fail_error_ = 0;
  bool fail_for_ever_ = false;
  bool fail_short_ = false;
  bool fault_happened_ = false;
  std::function<void(std::int64_t)> observer_;
  std::function<void()> wait_;
};

}  // namespace trireme::test
