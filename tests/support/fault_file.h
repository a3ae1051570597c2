// An open file and a lock of FaultFileSystem. Internal to tests/support.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/support/fault_filesystem.h"

namespace trireme::test {

class FaultFile final : public File {
 public:
  FaultFile(const std::string& path, FaultFileSystem& system, int id) : File(path), system_(system), id_(id) {}

 protected:
  std::int64_t do_write(std::uint64_t offset, std::span<const std::byte> data) override {
    const std::scoped_lock lock(system_.mutex_);
    int error = 0;
    const auto fault = system_.next_call(error);
    if (fault == FaultFileSystem::Fault::error) {
      return -error;
    }
    if (refuses(offset, data)) {
      return -EINVAL;
    }
    if (fault == FaultFileSystem::Fault::short_write && data.size() > 1) {
      data = data.first(data.size() / 2);
    }
    system_.change_file({{}, id_, offset, {data.begin(), data.end()}, -1});
    return static_cast<std::int64_t>(data.size());
  }
  std::int64_t do_read(std::uint64_t offset, std::span<std::byte> out) override {
    const std::scoped_lock lock(system_.mutex_);
    int error = 0;
    if (system_.next_call(error) == FaultFileSystem::Fault::error) {
      return -error;
    }
    if (refuses(offset, out)) {
      return -EINVAL;
    }
    const std::vector<std::byte>& content = node().content;
    if (offset >= content.size()) {
      return 0;
    }
    const std::size_t bytes = std::min<std::size_t>(out.size(), content.size() - offset);
    std::memcpy(out.data(), content.data() + offset, bytes);
    return static_cast<std::int64_t>(bytes);
  }
  std::int64_t do_size() override {
    const std::scoped_lock lock(system_.mutex_);
    int error = 0;
    return system_.next_call(error) == FaultFileSystem::Fault::error ? -error
                                                                     : static_cast<std::int64_t>(node().content.size());
  }
  int do_resize(std::uint64_t bytes) override {
    const std::scoped_lock lock(system_.mutex_);
    int error = 0;
    if (system_.next_call(error) == FaultFileSystem::Fault::error) {
      return error;
    }
    system_.change_file({{}, id_, 0, {}, static_cast<std::int64_t>(bytes)});
    return 0;
  }
  int do_reserve(std::uint64_t) override {
    const std::scoped_lock lock(system_.mutex_);
    int error = 0;
    return system_.next_call(error) == FaultFileSystem::Fault::error ? error : 0;
  }
  // Direct I/O, as strict as a file system may be.
  int do_set_direct(bool on) override {
    const std::scoped_lock lock(system_.mutex_);
    int error = 0;
    if (system_.next_call(error) == FaultFileSystem::Fault::error) {
      return error;
    }
    direct_ = on;
    return 0;
  }
  // A failed sync leaves the changes in limbo: they are not durable, and no later sync makes them so (as Linux does).
  int do_sync() override {
    const std::scoped_lock lock(system_.mutex_);
    int error = 0;
    const bool failed = system_.next_call(error) == FaultFileSystem::Fault::error;
    if (failed && error == EINTR) {
      return error;
    }
    ++system_.changes_;
    std::erase_if(system_.pending_, [this](const FaultFileSystem::Change& change) { return change.file == id_; });
    if (!failed) {
      node().durable = node().content;
    }
    return failed ? error : 0;
  }

 private:
  bool refuses(std::uint64_t offset, std::span<const std::byte> bytes) const {
    const std::uint64_t all = offset | bytes.size() | reinterpret_cast<std::uintptr_t>(bytes.data());
    return direct_ && all % kDirectAlignment != 0;
  }
  FaultFileSystem::Node& node() { return system_.nodes_[static_cast<std::size_t>(id_)]; }

  FaultFileSystem& system_;
  int id_;
  bool direct_ = false;
};

class FaultLock final : public FileLock {
 public:
  FaultLock(FaultFileSystem& system, int id) : system_(system), id_(id) {}
  ~FaultLock() override {
    const std::scoped_lock lock(system_.mutex_);
    system_.locked_.erase(id_);
  }

 private:
  FaultFileSystem& system_;
  int id_;
};

}  // namespace trireme::test
