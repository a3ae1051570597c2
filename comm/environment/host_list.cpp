#include "trireme/comm/environment/host_list.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "trireme/core/base/error.h"

namespace trireme::comm {
namespace {

// A cursor over the text that knows how to complain.
class Reader {
 public:
  Reader(std::string_view what, std::string_view text) : what_(what), text_(text) {}

  bool at_end() const { return position_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[position_]; }
  void skip() { ++position_; }
  bool take(char c) {
    const bool there = peek() == c;
    position_ += there ? 1 : 0;
    return there;
  }
  void expect(char c, const char* where) {
    if (!take(c)) {
      complain(fmt::format("'{}' expected {}", c, where));
    }
  }
  // At most nine digits, so that values fit and padding stays short.
  std::string_view digits() {
    const std::size_t begin = position_;
    while (peek() >= '0' && peek() <= '9') {
      ++position_;
    }
    const std::string_view found = text_.substr(begin, position_ - begin);
    if (found.empty() || found.size() > 9) {
      complain("a number of at most nine digits expected");
    }
    return found;
  }
  // The characters of a host's name up to the next special one.
  std::string_view name() {
    const std::size_t begin = position_;
    while (!at_end() && peek() != ',' && peek() != '[') {
      const char c = peek();
      const bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '_' || c == '.' || c == ':';
      if (!allowed) {
        complain("a letter, digit, '-', '_', '.' or ':' expected");
      }
      ++position_;
    }
    return text_.substr(begin, position_ - begin);
  }
  [[noreturn]] void complain(const std::string& expected) const {
    fail("{} \"{}\"{}: {} at character {}; set it as Slurm does, for example a[1-3],b2", what_, text_.substr(0, 80),
         text_.size() > 80 ? "..." : "", expected, position_ + 1);
  }

 private:
  std::string_view what_;
  std::string_view text_;
  std::size_t position_ = 0;
};

std::uint32_t value_of(std::string_view digits) {
  std::uint32_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

// What one bracket stands for: "1-3,07" -> 1 2 3 07. At most `most` texts.
std::vector<std::string> read_bracket(Reader& reader, std::size_t most) {
  std::vector<std::string> texts;
  do {
    const std::string_view low = reader.digits();
    const std::string_view high = reader.take('-') ? reader.digits() : low;
    const std::uint32_t first = value_of(low);
    const std::uint32_t last = value_of(high);
    if (last < first) {
      reader.complain("a range that goes up expected");
    }
    if (last - first >= most - std::min(most, texts.size())) {
      reader.complain(fmt::format("at most {} hosts expected", kMaxHosts));
    }
    for (std::uint32_t value = first; value <= last; ++value) {
      texts.push_back(fmt::format("{:0{}}", value, low.size()));
    }
  } while (reader.take(','));
  reader.expect(']', "after a range");
  return texts;
}

// One entry: names and brackets in turn, until a comma.
void read_entry(Reader& reader, std::vector<std::string>& hosts) {
  std::vector<std::string> names = {""};
  const auto append = [&](const std::vector<std::string>& texts) {
    std::vector<std::string> longer;
    longer.reserve(names.size() * texts.size());
    for (const std::string& name : names) {
      for (const std::string& text : texts) {
        longer.push_back(name + text);
      }
    }
    names = std::move(longer);
    if (names.front().size() > kMaxHostNameBytes) {
      reader.complain(fmt::format("a host name of at most {} characters expected", kMaxHostNameBytes));
    }
  };
  while (!reader.at_end() && reader.peek() != ',') {
    if (reader.take('[')) {
      append(read_bracket(reader, (kMaxHosts - hosts.size()) / names.size()));
    } else {
      append({std::string(reader.name())});
    }
  }
  if (names.front().empty()) {
    reader.complain("a host name expected");
  }
  hosts.insert(hosts.end(), names.begin(), names.end());
  if (hosts.size() > kMaxHosts) {
    reader.complain(fmt::format("at most {} hosts expected", kMaxHosts));
  }
}

}  // namespace

std::vector<std::string> expand_host_list(std::string_view list) {
  require(!list.empty() && list.size() <= kMaxHostListBytes, "host list: {} characters given, 1 to {} expected",
          list.size(), kMaxHostListBytes);
  Reader reader("host list", list);
  std::vector<std::string> hosts;
  do {
    read_entry(reader, hosts);
  } while (reader.take(','));
  return hosts;
}

std::vector<int> expand_task_counts(std::string_view list) {
  require(!list.empty() && list.size() <= kMaxHostListBytes, "tasks per node: {} characters given, 1 to {} expected",
          list.size(), kMaxHostListBytes);
  Reader reader("tasks per node", list);
  std::vector<int> counts;
  do {
    const std::uint32_t tasks = value_of(reader.digits());
    std::uint32_t times = 1;
    if (reader.take('(')) {
      reader.expect('x', "before the number of hosts");
      times = value_of(reader.digits());
      reader.expect(')', "after the number of hosts");
    }
    if (times > kMaxHosts - counts.size()) {
      reader.complain(fmt::format("at most {} hosts expected", kMaxHosts));
    }
    counts.insert(counts.end(), times, static_cast<int>(tasks));
  } while (reader.take(','));
  if (!reader.at_end()) {
    reader.complain("a comma expected");
  }
  return counts;
}

}  // namespace trireme::comm
