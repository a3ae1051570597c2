#include "trireme/strategies/parameter_server/wire/shm/shm_link.h"

#include <sys/socket.h>

#include <cstring>

#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server::wire {
namespace {

constexpr std::size_t kDirectBytes = 256 << 10;  // so much the sending thread copies itself, if it is next in turn
constexpr std::size_t kMostUntold = 64;
constexpr int kPiecesAtOnce = 8;  // then others have their turn

std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

// Of a block with header and arrays, each of which begins at a multiple of 64.
template <class Arrays>
std::size_t whole_bytes(std::size_t head_bytes, const Arrays& arrays) {
  std::size_t bytes = aligned(head_bytes);
  for (const auto& array : arrays) {
    bytes += aligned(array.bytes());
  }
  return bytes;
}

}  // namespace

ShmLink::Outgoing::Outgoing(Parcel&& content) : parcel(std::move(content)), head(encode_head(parcel)), body(parcel) {
  for (const Array& array : parcel.arrays) {
    bytes += array.bytes();
  }
}

ShmLink::ShmLink(Fd socket, Postman& postman)
    : socket_(std::move(socket)),
      range_(std::make_shared<comm::shm::AddressRange>(1, kReserveBytes)),
      memory_(std::make_shared<comm::shm::Segment>(range_, 0)),
      postman_(&postman) {}

void ShmLink::start(std::shared_ptr<LinkHandler> handler) {
  handler_ = std::move(handler);
  const Transfer sent = send_note(socket_.get(), {.kind = Note::Kind::memory}, memory_->fd());
  require(sent == Transfer::done, "the local connection broke as it began");
  postman_->add(socket_.get(), shared_from_this());
}

void ShmLink::send(Parcel parcel) {
  auto outgoing = std::make_unique<Outgoing>(std::move(parcel));
  const bool small = outgoing->head.size() + outgoing->bytes <= kDirectBytes;
  Queue left;
  std::unique_lock lock(mutex_);
  if (postman_ == nullptr) {
    lock.unlock();  // before the parcel goes: its arrays may be lent by this very connection
    return;
  }
  queue_.push_back(std::move(outgoing));
  if (small && queue_.size() == 1) {
    move_out(left);
  } else {
    postman_->wake(socket_.get());
  }
  lock.unlock();
  if (!left.empty()) {
    tell_left(left);
  }
}

void ShmLink::leave() {
  const std::lock_guard lock(mutex_);
  if (postman_ != nullptr) {
    auto farewell = std::make_unique<Outgoing>(Parcel{});
    farewell->farewell = true;
    queue_.push_back(std::move(farewell));
    postman_->wake(socket_.get());
  }
}

void ShmLink::read_on() {
  const std::lock_guard lock(mutex_);
  if (postman_ != nullptr) {
    postman_->wake(socket_.get());
  }
}

void ShmLink::cut() { ::shutdown(socket_.get(), SHUT_RDWR); }

void ShmLink::move_out(Queue& left) {
  for (int i = 0; !queue_.empty() && untold_.size() < kMostUntold && !broken_; ++i) {
    if (i == kPiecesAtOnce) {
      postman_->wake(socket_.get());
      return;
    }
    bool done = false;
    if (!move_piece(*queue_.front(), done)) {
      return;
    }
    if (done) {
      left.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
  }
}

// False: no room in the memory now.
bool ShmLink::move_piece(Outgoing& outgoing, bool& done) {
  if (outgoing.farewell) {
    tell({.kind = Note::Kind::farewell});
    return done = true;
  }
  const std::string& head = outgoing.head;
  const std::size_t whole = outgoing.head_sent ? 0 : whole_bytes(head.size(), outgoing.parcel.arrays);
  const bool in_one = !outgoing.head_sent && whole <= kWholeBytes;
  const bool head_only = !outgoing.head_sent && !in_one;
  const std::size_t wanted = in_one ? whole : head_only ? head.size() : kPieceBytes;
  const std::optional<std::size_t> offset = lease(wanted);
  if (!offset) {
    return false;
  }
  std::byte* const block = memory_->base() + *offset;
  Note note{.kind = Note::Kind::piece, .head_bytes = static_cast<std::uint32_t>(head.size()), .offset = *offset};
  if (outgoing.head_sent) {
    const BodyReader::Piece piece = outgoing.body.next(wanted);
    std::memcpy(block, piece.data, piece.bytes);
    note.bytes = piece.bytes;
  } else {
    std::memcpy(block, head.data(), head.size());
    std::size_t at = aligned(head.size());
    for (std::size_t i = 0; in_one && i < outgoing.parcel.arrays.size(); ++i) {
      const Array& array = outgoing.parcel.arrays[i];
      if (array.bytes() > 0) {
        std::memcpy(block + at, array.bytes_data(), array.bytes());
      }
      at += aligned(array.bytes());
    }
    note.kind = in_one ? Note::Kind::whole : Note::Kind::head;
    note.bytes = wanted;
    outgoing.head_sent = true;
  }
  done = in_one || outgoing.body.at_end();
  tell(note);
  return true;
}

std::optional<std::size_t> ShmLink::lease(std::size_t bytes) {
  if (leased_bytes_ > 0 && leased_bytes_ + bytes > kMemoryBytes) {
    return std::nullopt;
  }
  const std::size_t offset = memory_->allocate(bytes);
  leased_.emplace(offset, bytes);
  leased_bytes_ += bytes;
  return offset;
}

void ShmLink::tell(const Note& note) {
  const Transfer sent = untold_.empty() ? send_note(socket_.get(), note) : Transfer::later;
  if (sent == Transfer::later) {
    untold_.push_back(note);
    if (untold_.size() == 1 && postman_ != nullptr) {
      postman_->want_write(socket_.get(), true);
    }
  }
  broken_ = broken_ || sent == Transfer::broken;
}

void ShmLink::retell() {
  if (untold_.empty()) {
    return;
  }
  while (!untold_.empty()) {
    const Transfer sent = send_note(socket_.get(), untold_.front());
    if (sent == Transfer::later) {
      return;
    }
    broken_ = broken_ || sent == Transfer::broken;
    untold_.pop_front();
  }
  if (postman_ != nullptr) {
    postman_->want_write(socket_.get(), false);
  }
}

void ShmLink::give_back(std::size_t offset) {
  const std::lock_guard lock(mutex_);
  if (postman_ != nullptr) {
    tell({.kind = Note::Kind::freed, .offset = offset});
  }
}

// Without the mutex: the handler takes locks of its own.
void ShmLink::tell_left(const Queue& left) {
  std::size_t bytes = 0;
  for (const auto& outgoing : left) {
    bytes += bytes_of(outgoing->parcel);
  }
  std::shared_ptr<LinkHandler> handler;
  {
    const std::lock_guard lock(mutex_);
    handler = handler_;
  }
  if (handler != nullptr) {
    handler->on_left(bytes);
  }
}

}  // namespace trireme::strategies::parameter_server::wire
