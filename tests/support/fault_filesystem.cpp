#include "tests/support/fault_filesystem.h"

#include <algorithm>
#include <cerrno>

#include "tests/support/fault_file.h"

namespace trireme::test {

FaultFileSystem::FaultFileSystem() {
  nodes_.emplace_back();
  nodes_[0].is_directory = true;
}

FaultFileSystem::FaultFileSystem(const FaultFileSystem& other) : FileSystem(other) {
  const std::scoped_lock lock(other.mutex_);
  nodes_ = other.nodes_;
  pending_ = other.pending_;
}

void FaultFileSystem::fail_call(std::int64_t at, int error_number, bool for_ever) {
  const std::scoped_lock lock(mutex_);
  fail_at_ = at < 0 ? -1 : calls_ + at;
  fail_error_ = error_number;
  fail_for_ever_ = for_ever;
  fail_short_ = false;
  fault_happened_ = false;
}

void FaultFileSystem::shorten_write(std::int64_t at, bool for_ever) {
  fail_call(at, 0, for_ever);
  fail_short_ = true;
}

FaultFileSystem::Call::Call(FaultFileSystem& system) {
  if (system.wait_) {
    system.wait_();
  }
  lock = std::unique_lock(system.mutex_);
  const std::int64_t number = system.calls_++;
  if (system.observer_) {
    system.observer_(number);
  }
  if (system.fail_at_ < 0 || number < system.fail_at_ || (number > system.fail_at_ && !system.fail_for_ever_)) {
    return;
  }
  system.fault_happened_ = true;
  cut_short = system.fail_short_;
  error = system.fail_error_;
}

FaultFileSystem::Id FaultFileSystem::find(const std::string& path) const {
  Id id = 0;
  std::size_t at = 0;
  while (at < path.size()) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string part = path.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") {
      continue;
    }
    const auto found = node(id).names.find(part);
    if (!node(id).is_directory || found == node(id).names.end()) {
      return -1;
    }
    id = found->second;
  }
  return id;
}

FaultFileSystem::Id FaultFileSystem::find_parent(const std::string& path, std::string& name) const {
  name = path.substr(path.rfind('/') + 1);
  const Id parent = find(parent_path(path));
  return parent >= 0 && node(parent).is_directory ? parent : -1;
}

int FaultFileSystem::links(Id id) const {
  int count = 0;
  for (const Node& directory : nodes_) {
    for (const auto& [name, target] : directory.names) {
      count += target == id ? 1 : 0;
    }
  }
  return count;
}

void FaultFileSystem::apply(const NameChange& change, std::map<std::string, Id>& names) {
  if (change.target < 0) {
    names.erase(change.name);
  } else {
    names[change.name] = change.target;
  }
}

void FaultFileSystem::change_names(std::vector<NameChange> changes) {
  ++changes_;
  for (const NameChange& change : changes) {
    apply(change, node(change.directory).names);
  }
  Change record;
  record.names = std::move(changes);
  pending_.push_back(std::move(record));
}

void FaultFileSystem::apply(const Change& change, std::vector<std::byte>& content) {
  if (change.size >= 0) {
    content.resize(static_cast<std::size_t>(change.size));
    return;
  }
  if (content.size() < change.offset + change.data.size()) {
    content.resize(change.offset + change.data.size());
  }
  std::copy(change.data.begin(), change.data.end(), content.begin() + static_cast<std::ptrdiff_t>(change.offset));
}

void FaultFileSystem::change_file(Change change) {
  ++changes_;
  apply(change, node(change.file).content);
  pending_.push_back(std::move(change));
}

int FaultFileSystem::open_id(const std::string& path, OpenMode mode, Id& id) {
  id = find(path);
  if (id >= 0 && node(id).is_directory) {
    return EISDIR;
  }
  if (mode != OpenMode::create) {
    return id < 0 ? ENOENT : 0;
  }
  if (id >= 0) {
    change_file({{}, id, 0, {}, 0});
    return 0;
  }
  std::string name;
  const Id parent = find_parent(path, name);
  if (parent < 0) {
    return ENOENT;
  }
  id = static_cast<Id>(nodes_.size());
  nodes_.emplace_back();
  change_names({{parent, name, id}});
  return 0;
}

FileSystem::Result<std::unique_ptr<File>> FaultFileSystem::do_open(const std::string& path, OpenMode mode) {
  Call call(*this);
  Id id = -1;
  const int error = call.error != 0 ? call.error : open_id(path, mode, id);
  if (error != 0) {
    return {error, nullptr};
  }
  return {0, std::make_unique<FaultFile>(path, *this, id)};
}

int FaultFileSystem::do_rename(const std::string& from, const std::string& to) {
  const Call call(*this);
  if (call.error != 0) {
    return call.error;
  }
  std::string from_name;
  std::string to_name;
  const Id from_parent = find_parent(from, from_name);
  const Id to_parent = find_parent(to, to_name);
  const Id id = find(from);
  if (id < 0 || to_parent < 0) {
    return ENOENT;
  }
  const Id there = find(to);
  if (there >= 0 && !node(there).names.empty()) {
    return ENOTEMPTY;
  }
  change_names({{from_parent, from_name, -1}, {to_parent, to_name, id}});
  return 0;
}

int FaultFileSystem::do_remove_file(const std::string& path) {
  const Call call(*this);
  if (call.error != 0) {
    return call.error;
  }
  const Id id = find(path);
  if (id < 0 || node(id).is_directory) {
    return id < 0 ? ENOENT : EISDIR;
  }
  std::string name;
  const Id parent = find_parent(path, name);
  change_names({{parent, name, -1}});
  return 0;
}

int FaultFileSystem::do_remove_directory(const std::string& path) {
  const Call call(*this);
  if (call.error != 0) {
    return call.error;
  }
  const Id id = find(path);
  if (id < 0) {
    return ENOENT;
  }
  if (!node(id).is_directory || !node(id).names.empty()) {
    return node(id).is_directory ? ENOTEMPTY : ENOTDIR;
  }
  std::string name;
  const Id parent = find_parent(path, name);
  change_names({{parent, name, -1}});
  return 0;
}

int FaultFileSystem::do_make_directory(const std::string& path) {
  const Call call(*this);
  if (call.error != 0) {
    return call.error;
  }
  if (find(path) >= 0) {
    return EEXIST;
  }
  std::string name;
  const Id parent = find_parent(path, name);
  if (parent < 0) {
    return ENOENT;
  }
  const Id id = static_cast<Id>(nodes_.size());
  nodes_.emplace_back();
  nodes_.back().is_directory = true;
  change_names({{parent, name, id}});
  return 0;
}

FileSystem::Result<std::vector<std::string>> FaultFileSystem::do_list(const std::string& path) {
  const Call call(*this);
  const Id id = find(path);
  if (call.error != 0 || id < 0 || !node(id).is_directory) {
    return {call.error != 0 ? call.error : id < 0 ? ENOENT : ENOTDIR, {}};
  }
  std::vector<std::string> names;
  for (const auto& [name, target] : node(id).names) {
    names.push_back(name);
  }
  return {0, std::move(names)};
}

FileSystem::Result<FileStatus> FaultFileSystem::do_status(const std::string& path) {
  const Call call(*this);
  const Id id = find(path);
  if (call.error != 0 || id < 0) {
    return {call.error != 0 ? call.error : ENOENT, {}};
  }
  return {0, {node(id).is_directory, node(id).content.size(), !node(id).is_directory && links(id) == 1}};
}

int FaultFileSystem::do_sync_directory(const std::string& path) {
  const Call call(*this);
  const Id id = find(path);
  if (call.error != 0 || id < 0) {
    return call.error != 0 ? call.error : ENOENT;
  }
  ++changes_;
  for (Change& change : pending_) {
    std::erase_if(change.names, [&](const NameChange& name) {
      if (name.directory == id) {
        apply(name, node(id).durable_names);
      }
      return name.directory == id;
    });
  }
  std::erase_if(pending_, [](const Change& change) { return change.file < 0 && change.names.empty(); });
  return 0;
}

FileSystem::Result<std::unique_ptr<FileLock>> FaultFileSystem::do_try_lock(const std::string& path,
                                                                           std::string_view owner) {
  const Call call(*this);
  Id id = -1;
  const OpenMode mode = find(path) < 0 ? OpenMode::create : OpenMode::update;
  const int error = call.error != 0 ? call.error : open_id(path, mode, id);
  if (error != 0 || locked_.contains(id)) {
    return {error != 0 ? error : EWOULDBLOCK, nullptr};
  }
  locked_.insert(id);
  change_file({{}, id, 0, {}, 0});
  const auto text = std::as_bytes(std::span(owner));
  change_file({{}, id, 0, {text.begin(), text.end()}, -1});
  return {0, std::make_unique<FaultLock>(*this, id)};
}

}  // namespace trireme::test
