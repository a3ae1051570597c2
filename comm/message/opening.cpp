#include "trireme/comm/message/opening.h"

#include <new>

#include "trireme/comm/message/transfers.h"

namespace trireme::comm::message {
namespace {

constexpr std::uint32_t kTag = 0;
constexpr std::size_t kOpeningBytes = sizeof(OpeningHead) + kMaxPayloadBytes;

}  // namespace

Openings::Openings(Link& link, std::function<void()> look)
    : link_(link),
      look_(std::move(look)),
      exchanges_(kWindow * static_cast<std::size_t>(link.size())),
      memory_(Array::empty({static_cast<std::int64_t>(exchanges_.size() * kOpeningBytes)}, DType::u8)) {}

// A rank's own place among those that receive is the one from which it sends.
std::byte* Openings::sent(std::uint64_t sequence) const { return received(sequence, link_.rank()); }

std::byte* Openings::received(std::uint64_t sequence, int peer) const {
  const std::size_t index =
      sequence % kWindow * static_cast<std::size_t>(link_.size()) + static_cast<std::size_t>(peer);
  return memory_.bytes_data() + index * kOpeningBytes;
}

std::span<std::byte> Openings::payload_to_send(std::uint64_t sequence) {
  return {sent(sequence) + sizeof(OpeningHead), kMaxPayloadBytes};
}

void Openings::send(std::uint64_t sequence, const Signature& signature, const OpName& name, std::size_t payload_bytes) {
  std::byte* const opening = sent(sequence);
  new (opening) OpeningHead{sequence, signature, name};
  for (int i = 1; i < link_.size(); ++i) {
    const int peer = (link_.rank() + i) % link_.size();
    exchange(sequence, peer).sending = link_.send(peer, kTag, {opening, sizeof(OpeningHead) + payload_bytes});
  }
}

void Openings::expect(std::uint64_t sequence) {
  for (int peer = 0; peer < link_.size(); ++peer) {
    if (peer != link_.rank()) {
      Exchange& with = exchange(sequence, peer);
      with.arrived = false;
      try {
        with.receiving = link_.receive(peer, kTag, {received(sequence, peer), kOpeningBytes});
      } catch (const LinkError& error) {  // of no matter to what is in progress
        with.lost = error;
      }
    }
  }
}

bool Openings::test(Exchange& with, Link::Deadline deadline) {
  if (with.lost) {
    throw LinkError(*with.lost);
  }
  with.arrived = with.arrived || link_.wait(with.receiving, deadline);
  return with.arrived;
}

void Openings::wait_for(std::uint64_t sequence, int peer) {
  while (!test(exchange(sequence, peer), std::chrono::steady_clock::now() + kBetweenLooks)) {
    look_();
  }
}

void Openings::wait_until_sent(std::uint64_t sequence, int peer) {
  const Exchange& with = exchange(sequence, peer);
  while (!link_.wait(with.sending, std::chrono::steady_clock::now() + kBetweenLooks)) {
    look_();
  }
}

const OpeningHead& Openings::head(std::uint64_t sequence, int peer) const {
  return *reinterpret_cast<const OpeningHead*>(received(sequence, peer));
}

const std::byte* Openings::payload(std::uint64_t sequence, int peer) const {
  return received(sequence, peer) + sizeof(OpeningHead);
}

std::vector<int> Openings::missing(std::uint64_t sequence) {
  std::vector<int> peers;
  for (int peer = 0; peer < link_.size(); ++peer) {
    if (peer != link_.rank()) {
      if (!test(exchange(sequence, peer), Link::Deadline::min())) {
        peers.push_back(peer);
      }
    }
  }
  return peers;
}

void Openings::check(std::uint64_t sequence, int peer) { test(exchange(sequence, peer), Link::Deadline::min()); }

}  // namespace trireme::comm::message
