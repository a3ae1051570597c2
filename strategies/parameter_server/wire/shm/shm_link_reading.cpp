// The receiving half of ShmLink: all on the postman's thread.
#include "trireme/core/base/error.h"
#include "trireme/strategies/parameter_server/wire/shm/shm_link.h"

namespace trireme::strategies::parameter_server::wire {
namespace {

constexpr int kNotesAtOnce = 256;  // then others have their turn

}  // namespace

void ShmLink::on_ready() {
  if (handler_ == nullptr) {
    return;
  }
  try {
    hung_up_ = hung_up_ || !take_notes();
    take_parcels();
    Queue left;
    {
      const std::lock_guard lock(mutex_);
      retell();
      move_out(left);
    }
    if (!left.empty()) {
      tell_left(left);
    }
  } catch (const std::exception& error) {  // also of memory: only this connection ends
    finish(error.what());
    return;
  }
  if (peer_left_) {
    finish(kHasLeft);
  } else if (hung_up_ && unread_.empty()) {
    finish("the connection ended without a farewell: the process has died or was cut off");
  } else if (hung_up_) {
    postman_->mute(socket_.get());  // what has arrived is read when there is room for it
  }
}

bool ShmLink::take_notes() {
  for (int i = 0; i < kNotesAtOnce; ++i) {
    Note note;
    Fd memory;
    const Transfer got = receive_note(socket_.get(), note, memory);
    if (got != Transfer::done) {
      return got == Transfer::later;
    }
    if (note.kind == Note::Kind::memory) {
      open_memory(std::move(memory));
    } else if (note.kind == Note::Kind::freed) {
      const std::lock_guard lock(mutex_);
      const auto lease = leased_.find(note.offset);
      require(lease != leased_.end(), "wire: the peer gave back a block at {} that it did not have", note.offset);
      leased_bytes_ -= lease->second;
      leased_.erase(lease);
      memory_->free(note.offset);
    } else {
      unread_.push_back(note);
    }
  }
  return true;
}

void ShmLink::open_memory(Fd memory) {
  require(peer_ == nullptr && memory, "wire: the peer's memory did not come, or came twice");
  peer_ = std::make_shared<PeerMemory>(std::move(memory), [link = weak_from_this()](std::size_t offset) {
    if (const auto alive = link.lock()) {
      alive->give_back(offset);
    }
  });
}

void ShmLink::take_parcels() {
  while (!unread_.empty() && !peer_left_ && handler_->wants_more()) {
    const Note note = unread_.front();
    unread_.pop_front();
    take_parcel(note);
  }
}

void ShmLink::take_parcel(const Note& note) {
  if (note.kind == Note::Kind::farewell) {
    peer_left_ = true;
    return;
  }
  require(peer_ != nullptr, "wire: the peer sends before it has shown its memory");
  if (note.kind == Note::Kind::whole) {
    take_whole(note);
    return;
  }
  const std::span<const std::byte> block = peer_->block(note.offset, note.bytes);
  if (note.kind == Note::Kind::head) {
    require(note.bytes <= kMaxHeadBytes, "wire: a parcel's head of {} bytes arrived", note.bytes);
    incoming_.begin(decode_head(std::string(reinterpret_cast<const char*>(block.data()), block.size())),
                    handler_->most_bytes());
  } else {
    incoming_.append(block.data(), block.size());
  }
  peer_->release(note.offset);
  if (incoming_.complete()) {
    handler_->on_parcel(incoming_.take());
  }
}

void ShmLink::take_whole(const Note& note) {
  const std::span<const std::byte> block = peer_->block(note.offset, note.bytes);
  require(note.head_bytes <= block.size(), "wire: a head of {} bytes arrived in a block of {}", note.head_bytes,
          block.size());
  ParcelHead head = decode_head(std::string(reinterpret_cast<const char*>(block.data()), note.head_bytes));
  const auto aligned = [](std::size_t bytes) { return (bytes + 63) / 64 * 64; };
  std::size_t end = aligned(note.head_bytes);
  for (const ArrayHead& array : head.arrays) {
    end += aligned(array.bytes);
  }
  require(end <= block.size() || head.bytes == 0, "wire: {} bytes of arrays announced in a block of {}", head.bytes,
          block.size());
  std::size_t at = aligned(note.head_bytes);
  if (head.bytes > 0 && peer_->can_lend(note.bytes)) {
    const StorageRef storage = peer_->lend(note.offset, note.bytes);
    Parcel parcel{.header = std::move(head.header), .arrays = {}};
    for (const ArrayHead& array : head.arrays) {
      parcel.arrays.push_back(Array::over(storage, array.bytes == 0 ? 0 : at, array.shape, array.dtype));
      at += aligned(array.bytes);
    }
    handler_->on_parcel(std::move(parcel));
    return;
  }
  const std::vector<ArrayHead> arrays = head.arrays;
  incoming_.begin(std::move(head), handler_->most_bytes());
  for (const ArrayHead& array : arrays) {
    incoming_.append(block.data() + at, array.bytes);
    at += aligned(array.bytes);
  }
  peer_->release(note.offset);
  handler_->on_parcel(incoming_.take());
}

void ShmLink::finish(const std::string& why) {
  Queue unsent;
  std::shared_ptr<LinkHandler> handler;
  {
    const std::lock_guard lock(mutex_);
    if (postman_ != nullptr) {
      postman_->remove(socket_.get());
    }
    postman_ = nullptr;
    unsent.swap(queue_);
    untold_.clear();
    handler.swap(handler_);
  }
  cut();
  unsent.clear();
  if (handler != nullptr) {
    handler->on_end(why);
  }
}

void ShmLink::on_stop() { finish("this process has closed the connection"); }

}  // namespace trireme::strategies::parameter_server::wire
