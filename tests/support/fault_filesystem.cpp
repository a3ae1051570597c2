#include "tests/support/fault_filesystem.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <stdexcept>

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
  FaultFileSystem::Node& node() { return system_.nodes_[static_cast<std::size_t>(id_)]; }

  FaultFileSystem& system_;
  int id_;
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

std::size_t FaultFileSystem::pending() const {
  const std::scoped_lock lock(mutex_);
  return pending_.size();
}

std::vector<std::byte>& FaultFileSystem::content(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  const Id id = find(path);
  if (id < 0) {
    throw std::runtime_error("no such file: " + path);
  }
  return nodes_[static_cast<std::size_t>(id)].content;
}

std::set<std::string> FaultFileSystem::all_paths() const {
  const std::scoped_lock lock(mutex_);
  std::set<std::string> paths;
  const std::function<void(Id, const std::string&)> walk = [&](Id id, const std::string& prefix) {
    for (const auto& [name, target] : nodes_[static_cast<std::size_t>(id)].names) {
      paths.insert(prefix + "/" + name);
      walk(target, prefix + "/" + name);
    }
  };
  walk(0, "");
  return paths;
}

// kept[i]: 0 lost, 1 kept, 2 kept but torn (writes only).
std::unique_ptr<FaultFileSystem> FaultFileSystem::image(const std::vector<int>& kept) const {
  auto world = std::make_unique<FaultFileSystem>();
  world->nodes_ = nodes_;
  for (Node& node : world->nodes_) {
    node.content = node.durable;
    node.names = node.durable_names;
  }
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const Change& change = pending_[i];
    if (kept[i] == 0) {
      continue;
    }
    if (change.file >= 0) {
      apply(change, world->nodes_[static_cast<std::size_t>(change.file)].content, kept[i] == 2);
    }
    for (const NameChange& name : change.names) {
      auto& names = world->nodes_[static_cast<std::size_t>(name.directory)].names;
      if (name.target < 0) {
        names.erase(name.name);
      } else {
        names[name.name] = name.target;
      }
    }
  }
  for (Node& node : world->nodes_) {
    node.durable = node.content;
    node.durable_names = node.names;
  }
  return world;
}

std::vector<std::unique_ptr<FaultFileSystem>> FaultFileSystem::crash_images(int random, std::uint64_t seed) const {
  const std::scoped_lock lock(mutex_);
  const std::size_t n = pending_.size();
  std::set<std::vector<int>> choices;
  for (std::size_t i = 0; i <= n; ++i) {
    std::vector<int> prefix(n, 0);
    std::fill_n(prefix.begin(), i, 1);
    choices.insert(prefix);
    if (i > 0) {
      prefix[i - 1] = 2;
      choices.insert(prefix);
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<int> one(n, 0);
    one[i] = 1;
    choices.insert(one);
    std::vector<int> others(n, 1);
    others[i] = 0;
    choices.insert(others);
  }
  std::mt19937_64 generator(seed);
  for (int r = 0; r < random && n > 0; ++r) {
    std::vector<int> choice(n);
    for (int& kept : choice) {
      kept = static_cast<int>(generator() % 3);
    }
    choices.insert(std::move(choice));
  }
  std::vector<std::unique_ptr<FaultFileSystem>> worlds;
  for (const std::vector<int>& choice : choices) {
    worlds.push_back(image(choice));
  }
  return worlds;
}

}  // namespace trireme::test
