// Letters over Gloo: one receive from any rank, always posted, and a thread that reads.
//
// Gloo cannot tell without waiting whether a send is complete. So every letter says how many came the other way before
// it: those have been sent, and their memory is free again.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "trireme/comm/gloo/mesh-inl.h"

namespace trireme::comm::gloo_backend {

class Postman {
 public:
  explicit Postman(Mesh& mesh);
  ~Postman();

  void open(LetterReader& reader);
  void close();
  void post(int peer, std::span<const std::byte> letter);
  // No letter comes from there any more.
  void forget(int peer);

 private:
  struct Envelope {
    std::uint64_t received = 0;  // letters that the sender has received from the receiver
    std::uint32_t bytes = 0;     // of the letter; 0: only to say so
    std::uint32_t unused = 0;
    std::byte letter[Link::kMaxLetterBytes];
  };
  static constexpr std::size_t kHead = offsetof(Envelope, letter);
  static_assert(kHead == 16);
  struct Outgoing {
    Envelope envelope;
    Buffer buffer;
  };
  struct Peer {
    std::deque<std::unique_ptr<Outgoing>> under_way;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::uint64_t told = 0;  // what the peer knows of `received`
    bool gone = false;
  };

  void run();
  void receive();
  void deliver(int peer);
  void send(Peer& to, int peer, std::span<const std::byte> letter);
  void recycle(Peer& from, std::uint64_t received);

  Mesh& mesh_;
  LetterReader* reader_ = nullptr;
  std::mutex mutex_;
  std::condition_variable closed_;
  std::vector<Peer> peers_;
  std::vector<std::unique_ptr<Outgoing>> free_;
  bool closing_ = false;
  bool posted_ = false;  // the receive; of the thread that reads
  Envelope incoming_;
  Buffer buffer_;
  std::thread thread_;
};

}  // namespace trireme::comm::gloo_backend
