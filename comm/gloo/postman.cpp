#include <gloo/transport/unbound_buffer.h>

#include <algorithm>
#include <cstring>

#include "trireme/comm/gloo/postman-inl.h"

namespace trireme::comm::gloo_backend {
namespace {

constexpr std::uint64_t kUntold = 64;  // letters after which the sender must be told
constexpr auto kPause = std::chrono::milliseconds(5);

}  // namespace

Postman::Postman(Mesh& mesh) : mesh_(mesh), peers_(static_cast<std::size_t>(mesh.size)), buffer_(mesh.whole_memory()) {}

// Letters that nobody has answered yet: the system has taken them long ago, or their connection is gone.
Postman::~Postman() {
  close();
  for (Peer& peer : peers_) {
    for (const auto& outgoing : peer.under_way) {
      try {
        outgoing->buffer->waitSend(nullptr, kPause);
      } catch (const std::exception&) {  // the buffer's end sees to it that it is not read any more
      }
    }
  }
}

void Postman::open(LetterReader& reader) {
  reader_ = &reader;
  if (mesh_.size > 1) {
    thread_ = std::thread([this] { run(); });
  }
}

void Postman::close() {
  if (!thread_.joinable()) {
    return;
  }
  while (true) {
    std::unique_lock lock(mutex_);
    closing_ = true;
    buffer_->abortWaitRecv();
    if (closed_.wait_for(lock, kPause, [&] { return reader_ == nullptr; })) {
      break;
    }
  }
  thread_.join();
}

void Postman::forget(int peer) {
  const std::lock_guard lock(mutex_);
  peers_[static_cast<std::size_t>(peer)].gone = true;
}

void Postman::run() {
  std::unique_lock lock(mutex_);
  while (!closing_) {
    lock.unlock();
    try {
      receive();
      lock.lock();
    } catch (const std::exception&) {  // a peer has gone in the middle of a letter
      lock.lock();
      posted_ = false;
      buffer_ = mesh_.whole_memory();
      closed_.wait_for(lock, kPause);  // until somebody has noticed which
    }
  }
  reader_ = nullptr;
  closed_.notify_all();
}

void Postman::receive() {
  if (!posted_) {
    std::vector<int> sources;
    {
      const std::lock_guard lock(mutex_);
      for (int peer = 0; peer < mesh_.size; ++peer) {
        if (peer != mesh_.rank && !peers_[static_cast<std::size_t>(peer)].gone) {
          sources.push_back(peer);
        }
      }
    }
    buffer_->recv(sources, kLetterSlot, place_of(&incoming_), sizeof incoming_);
    posted_ = true;
  }
  int peer = -1;
  if (buffer_->waitRecv(&peer, kForever)) {
    posted_ = false;
    deliver(peer);
  }
}

void Postman::deliver(int peer) {
  {
    const std::lock_guard lock(mutex_);
    Peer& from = peers_[static_cast<std::size_t>(peer)];
    ++from.received;
    recycle(from, incoming_.received);
    if (from.received - from.told >= kUntold) {
      send(from, peer, {});
    }
  }
  if (incoming_.bytes > 0 && incoming_.bytes <= sizeof incoming_.letter) {
    reader_->on_letter(peer, {incoming_.letter, incoming_.bytes});
  }
}

void Postman::post(int peer, std::span<const std::byte> letter) {
  require(letter.size() <= Link::kMaxLetterBytes, "letter: {} bytes given, at most {} expected", letter.size(),
          Link::kMaxLetterBytes);
  const std::lock_guard lock(mutex_);
  send(peers_[static_cast<std::size_t>(peer)], peer, letter);
}

void Postman::send(Peer& to, int peer, std::span<const std::byte> letter) {
  if (free_.empty()) {
    free_.push_back(std::make_unique<Outgoing>());
    free_.back()->buffer = mesh_.whole_memory();
  }
  std::unique_ptr<Outgoing> outgoing = std::move(free_.back());
  free_.pop_back();
  outgoing->envelope.received = to.received;
  outgoing->envelope.bytes = static_cast<std::uint32_t>(letter.size());
  std::copy(letter.begin(), letter.end(), outgoing->envelope.letter);
  try {
    outgoing->buffer->send(peer, kLetterSlot, place_of(&outgoing->envelope), kHead + letter.size());
  } catch (const std::exception&) {  // the connection is gone; whoever needs it finds out
    to.gone = true;
    return;
  }
  to.told = to.received;
  ++to.sent;
  to.under_way.push_back(std::move(outgoing));
}

// The peer has these letters, so to wait for them takes no time.
void Postman::recycle(Peer& from, std::uint64_t received) {
  while (!from.under_way.empty() && from.sent - from.under_way.size() < received) {
    std::unique_ptr<Outgoing> outgoing = std::move(from.under_way.front());
    from.under_way.pop_front();
    try {
      outgoing->buffer->waitSend(nullptr, kForever);
      free_.push_back(std::move(outgoing));
    } catch (const std::exception&) {  // of no use any more
    }
  }
}

}  // namespace trireme::comm::gloo_backend
