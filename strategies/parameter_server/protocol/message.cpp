#include "trireme/strategies/parameter_server/protocol/message.h"

#include <array>

#include "strategies/parameter_server/protocol/message.pb.h"
#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server {
namespace {

constexpr std::array<std::string_view, 15> kNames = {"nothing", "hello",  "push",   "pull",  "push_pull",
                                                     "totals",  "reduce", "assign", "apply", "goodbye",
                                                     "welcome", "ack",    "values", "sums",  "refused"};

bool is_sane(const proto::Header& header) {
  return header.kind() >= 1 && header.kind() < kNames.size() && header.lanes() >= 0 && header.accumulate() >= 0 &&
         header.items() >= 0 && header.lanes() <= (1 << 24) && header.accumulate() <= (1 << 24) &&
         header.lanes() * header.accumulate() <= (1 << 24);
}

}  // namespace

std::string_view name_of(Kind kind) { return kNames[static_cast<std::size_t>(kind)]; }

std::string encode(const Message& message) {
  proto::Header header;
  header.set_kind(static_cast<std::uint32_t>(message.kind));
  header.set_version(message.version);
  header.set_sequence(message.sequence);
  header.set_life(message.life);
  header.set_step(message.step);
  header.set_lanes(message.split.lanes);
  header.set_accumulate(message.split.accumulate);
  header.set_items(message.split.items);
  header.set_learning_rate(message.learning_rate);
  header.set_factor(message.factor);
  header.set_text(message.text);
  for (const Entry& entry : message.entries) {
    proto::Entry& to = *header.add_entries();
    to.set_piece(entry.piece);
    to.set_begin(entry.part.begin);
    to.set_end(entry.part.end);
    to.set_sparse(entry.sparse);
  }
  std::string bytes = header.SerializeAsString();
  require(bytes.size() <= kMaxHeaderBytes,
          "parameter server: a {} of {} pieces has a header of {} bytes, at most {} expected; use larger pieces",
          name_of(message.kind), message.entries.size(), bytes.size(), kMaxHeaderBytes);
  return bytes;
}

Message decode(const std::string& bytes) {
  proto::Header header;
  require(header.ParseFromString(bytes) && is_sane(header),
          "parameter server: a header of {} bytes is no message of this protocol (version {})", bytes.size(),
          kProtocolVersion);
  Message message{.kind = static_cast<Kind>(header.kind()),
                  .version = header.version(),
                  .sequence = header.sequence(),
                  .life = header.life(),
                  .step = header.step(),
                  .split = {header.lanes(), header.accumulate(), header.items()},
                  .learning_rate = header.learning_rate(),
                  .factor = header.factor(),
                  .text = header.text()};
  message.entries.reserve(static_cast<std::size_t>(header.entries_size()));
  for (const proto::Entry& entry : header.entries()) {
    message.entries.push_back({static_cast<int>(entry.piece()), {entry.begin(), entry.end()}, entry.sparse()});
  }
  return message;
}

}  // namespace trireme::strategies::parameter_server
