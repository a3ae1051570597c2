// A link through shared memory. Each side lays what it sends in memory of its own (comm/shm/segment.h), which the other
// has mapped, and tells by a note over a local socket where it lies; the other gives the block back by a note.
//
//   up to kWholeBytes   header and arrays in one block; the receiver's arrays lie over it, uncopied, unless it has
//                       lent half of the memory already (then it copies, so that nobody's patience is needed)
//   more                the head, then pieces of kPieceBytes, which the receiver copies while the sender copies the
//   next
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "trireme/strategies/parameter_server/wire/link.h"
#include "trireme/strategies/parameter_server/wire/parcel_body.h"
#include "trireme/strategies/parameter_server/wire/shm/local_socket.h"
#include "trireme/strategies/parameter_server/wire/shm/peer_memory.h"
#include "trireme/strategies/parameter_server/wire/shm/postman.h"

namespace trireme::strategies::parameter_server::wire {

class ShmLink final : public Link, public Postman::Client, public std::enable_shared_from_this<ShmLink> {
 public:
  static constexpr std::size_t kWholeBytes = std::size_t{1} << 20;
  static constexpr std::size_t kPieceBytes = std::size_t{1} << 19;

  // The postman outlives its clients' service, not necessarily the link.
  ShmLink(Fd socket, Postman& postman);
  // Once, before anything else.
  void start(std::shared_ptr<LinkHandler> handler);

  void send(Parcel parcel) override;
  void read_on() override;
  void leave() override;
  void cut() override;

  void on_ready() override;
  void on_stop() override;

 private:
  struct Outgoing {
    explicit Outgoing(Parcel&& content);
    Parcel parcel;
    std::string head;
    std::size_t bytes = 0;  // of all arrays
    BodyReader body;
    bool head_sent = false;
    bool farewell = false;
  };
  using Queue = std::deque<std::unique_ptr<Outgoing>>;

  // REQUIRE the mutex.
  void move_out(Queue& left);
  bool move_piece(Outgoing& outgoing, bool& done);
  std::optional<std::size_t> lease(std::size_t bytes);
  void tell(const Note& note);
  void retell();
  // The postman's thread.
  bool take_notes();
  void take_parcels();
  void take_parcel(const Note& note);
  void take_whole(const Note& note);
  void open_memory(Fd memory);
  void finish(const std::string& why);

  void give_back(std::size_t offset);
  void tell_left(const Queue& left);

  const Fd socket_;
  const std::shared_ptr<comm::shm::AddressRange> range_;
  const std::shared_ptr<comm::shm::Segment> memory_;

  std::mutex mutex_;
  Postman* postman_;  // null: the connection is over
  Queue queue_;
  std::deque<Note> untold_;                              // the socket was full
  std::unordered_map<std::size_t, std::size_t> leased_;  // offset -> bytes
  std::size_t leased_bytes_ = 0;
  bool broken_ = false;

  // The postman's thread alone.
  std::shared_ptr<LinkHandler> handler_;
  std::shared_ptr<PeerMemory> peer_;
  std::deque<Note> unread_;
  BodyWriter incoming_;
  bool hung_up_ = false;
  bool peer_left_ = false;
};

}  // namespace trireme::strategies::parameter_server::wire
