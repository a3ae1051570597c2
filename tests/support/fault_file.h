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
    const FaultFileSystem::Call call(system_);
    if (call.error != 0) {
      return -call.error;
    }
    if (refuses(offset, data)) {
      return -EINVAL;
    }
    if (call.cut_short && data.size() > 1) {
      data = data.first(data.size() / 2);
    }
    system_.change_file({{}, id_, offset, {data.begin(), data.end()}, -1});
    return static_cast<std::int64_t>(data.size());
  }
  std::int64_t do_read(std::uint64_t offset, std::span<std::byte> out) override {
    const FaultFileSystem::Call call(system_);
    if (call.error != 0) {
      return -call.error;
    }
    if (refuses(offset, out)) {
      return -EINVAL;
    }
    const std::vector<std::byte>& content = node().content;
    if (offset >= content.size()) {
      return 0;
    }
    std::size_t bytes = std::min<std::size_t>(out.size(), content.size() - offset);
    bytes = call.cut_short && bytes > 1 ? bytes / 2 : bytes;
    std::memcpy(out.data(), content.data() + offset, bytes);
    return static_cast<std::int64_t>(bytes);
  }
  std::int64_t do_size() override {
    const FaultFileSystem::Call call(system_);
    return call.error != 0 ? -call.error : static_cast<std::int64_t>(node().content.size());
  }
  int do_resize(std::uint64_t bytes) override {
    const FaultFileSystem::Call call(system_);
    if (call.error == 0) {
      system_.change_file({{}, id_, 0, {}, static_cast<std::int64_t>(bytes)});
    }
    return call.error;
  }
  int do_reserve(std::uint64_t) override { return FaultFileSystem::Call(system_).error; }
  // Direct I/O, as strict as a file system may be.
  int do_set_direct(bool on) override {
    const FaultFileSystem::Call call(system_);
    direct_ = call.error == 0 ? on : direct_;
    return call.error;
  }
  // A failed sync leaves the changes in limbo: they are not durable, and no later sync makes them so (as Linux does).
  int do_sync() override {
    const FaultFileSystem::Call call(system_);
    if (call.error == EINTR) {
      return call.error;
    }
    ++system_.changes_;
    std::erase_if(system_.pending_, [&](const FaultFileSystem::Change& change) {
      if (change.file == id_ && call.error == 0) {
        FaultFileSystem::apply(change, node().durable);
      }
      return change.file == id_;
    });
    return call.error;
  }

 private:
  bool refuses(std::uint64_t offset, std::span<const std::byte> bytes) const {
    const std::uint64_t all = offset | bytes.size() | reinterpret_cast<std::uintptr_t>(bytes.data());
    return direct_ && all % kDirectAlignment != 0;
  }
  FaultFileSystem::Node& node() { return system_.node(id_); }

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
