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

void FaultFileSystem::shorten_write(std::int64_t at) {
  fail_call(at, 0);
  fail_short_ = true;
}

FaultFileSystem::Fault FaultFileSystem::next_call(int& error_number) {
  const std::int64_t number = calls_++;
  if (observer_) {
    observer_(number);
  }
  if (fail_at_ < 0 || number < fail_at_ || (number > fail_at_ && !fail_for_ever_)) {
    return Fault::none;
  }
  fault_happened_ = true;
  error_number = fail_error_;
  return fail_short_ ? Fault::short_write : Fault::error;
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
    const Node& node = nodes_[static_cast<std::size_t>(id)];
    const auto found = node.names.find(part);
    if (!node.is_directory || found == node.names.end()) {
      return -1;
    }
    id = found->second;
  }
  return id;
}

FaultFileSystem::Id FaultFileSystem::find_parent(const std::string& path, std::string& name) const {
  name = path.substr(path.rfind('/') + 1);
  const Id parent = find(parent_path(path));
  return parent >= 0 && nodes_[static_cast<std::size_t>(parent)].is_directory ? parent : -1;
}

void FaultFileSystem::change_names(std::vector<NameChange> changes) {
  ++changes_;
  for (const NameChange& change : changes) {
    auto& names = nodes_[static_cast<std::size_t>(change.directory)].names;
    if (change.target < 0) {
      names.erase(change.name);
    } else {
      names[change.name] = change.target;
    }
  }
  Change record;
  record.names = std::move(changes);
  pending_.push_back(std::move(record));
}

void FaultFileSystem::apply(const Change& change, std::vector<std::byte>& content, bool torn) {
  if (change.size >= 0) {
    content.resize(static_cast<std::size_t>(change.size));
    return;
  }
  const std::size_t bytes = torn ? change.data.size() / 2 : change.data.size();
  if (content.size() < change.offset + bytes) {
    content.resize(change.offset + bytes);
  }
  std::copy_n(change.data.begin(), bytes, content.begin() + static_cast<std::ptrdiff_t>(change.offset));
}

void FaultFileSystem::change_file(Change change) {
  ++changes_;
  apply(change, nodes_[static_cast<std::size_t>(change.file)].content, false);
  pending_.push_back(std::move(change));
}

FileSystem::Result<std::unique_ptr<File>> FaultFileSystem::do_open(const std::string& path, OpenMode mode) {
  const std::scoped_lock lock(mutex_);
  int error = 0;
  if (next_call(error) == Fault::error) {
    return {error, nullptr};
  }
  Id id = find(path);
  if (id >= 0 && nodes_[static_cast<std::size_t>(id)].is_directory) {
    return {EISDIR, nullptr};
  }
  if (mode == OpenMode::create) {
    if (id < 0) {
      std::string name;
      const Id parent = find_parent(path, name);
      if (parent < 0) {
        return {ENOENT, nullptr};
      }
      id = static_cast<Id>(nodes_.size());
      nodes_.emplace_back();
      change_names({{parent, name, id}});
    } else {
      change_file({{}, id, 0, {}, 0});
    }
  }
  if (id < 0) {
    return {ENOENT, nullptr};
  }
  return {0, std::make_unique<FaultFile>(path, *this, id)};
}

int FaultFileSystem::do_rename(const std::string& from, const std::string& to) {
  const std::scoped_lock lock(mutex_);
  int error = 0;
  if (next_call(error) == Fault::error) {
    return error;
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
  if (there >= 0 && !nodes_[static_cast<std::size_t>(there)].names.empty()) {
    return ENOTEMPTY;
  }
  change_names({{from_parent, from_name, -1}, {to_parent, to_name, id}});
  return 0;
}

int FaultFileSystem::do_remove_file(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  int error = 0;
  if (next_call(error) == Fault::error) {
    return error;
  }
  const Id id = find(path);
  if (id < 0) {
    return ENOENT;
  }
  if (nodes_[static_cast<std::size_t>(id)].is_directory) {
    return EISDIR;
  }
  std::string name;
  const Id parent = find_parent(path, name);
  change_names({{parent, name, -1}});
  return 0;
}

int FaultFileSystem::do_remove_directory(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  int error = 0;
  if (next_call(error) == Fault::error) {
    return error;
  }
  const Id id = find(path);
  if (id < 0) {
    return ENOENT;
  }
  const Node& node = nodes_[static_cast<std::size_t>(id)];
  if (!node.is_directory || !node.names.empty()) {
    return node.is_directory ? ENOTEMPTY : ENOTDIR;
  }
  std::string name;
  const Id parent = find_parent(path, name);
  change_names({{parent, name, -1}});
  return 0;
}

int FaultFileSystem::do_make_directory(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  int error = 0;
  if (next_call(error) == Fault::error) {
    return error;
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
  const std::scoped_lock lock(mutex_);
  int error = 0;
  if (next_call(error) == Fault::error) {
    return {error, {}};
  }
  const Id id = find(path);
  if (id < 0 || !nodes_[static_cast<std::size_t>(id)].is_directory) {
    return {id < 0 ? ENOENT : ENOTDIR, {}};
  }
  std::vector<std::string> names;
  for (const auto& [name, target] : nodes_[static_cast<std::size_t>(id)].names) {
    names.push_back(name);
  }
  return {0, std::move(names)};
}

FileSystem::Result<FileStatus> FaultFileSystem::do_status(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  int error = 0;
  if (next_call(error) == Fault::error) {
    return {error, {}};
  }
  const Id id = find(path);
  if (id < 0) {
    return {ENOENT, {}};
  }
  const Node& node = nodes_[static_cast<std::size_t>(id)];
  return {0, {node.is_directory, node.content.size()}};
}

int FaultFileSystem::do_sync_directory(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  int error = 0;
  if (next_call(error) == Fault::error) {
    return error;
  }
  const Id id = find(path);
  if (id < 0) {
    return ENOENT;
  }
  ++changes_;
  // A rename between two directories is durable as a whole once either is synced.
  std::erase_if(pending_, [&](const Change& change) {
    const bool here = std::any_of(change.names.begin(), change.names.end(),
                                  [&](const NameChange& name) { return name.directory == id; });
    for (const NameChange& name : change.names) {
      auto& durable = nodes_[static_cast<std::size_t>(name.directory)].durable_names;
      if (here && name.target < 0) {
        durable.erase(name.name);
      } else if (here) {
        durable[name.name] = name.target;
      }
    }
    return here;
  });
  return 0;
}

FileSystem::Result<std::unique_ptr<FileLock>> FaultFileSystem::do_try_lock(const std::string& path,
                                                                           std::string_view owner) {
  const std::scoped_lock lock(mutex_);
  const bool absent = find(path) < 0;
  Result<std::unique_ptr<File>> file = do_open(path, absent ? OpenMode::create : OpenMode::update);
  if (file.error != 0) {
    return {file.error, nullptr};
  }
  const Id id = find(path);
  if (locked_.contains(id)) {
    return {EWOULDBLOCK, nullptr};
  }
  locked_.insert(id);
  change_file({{}, id, 0, {}, 0});
  const auto text = std::as_bytes(std::span(owner));
  change_file({{}, id, 0, {text.begin(), text.end()}, -1});
  return {0, std::make_unique<FaultLock>(*this, id)};
}

}  // namespace trireme::test
